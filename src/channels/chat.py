"""The customer's chat: one socket per open page, resumed without loss by visitor token and message number.

Who a visitor is, `channels.visitors` says; the thread is the visitor's. What the customer says is acknowledged once it
is durable, and the same `client_id` is the same message however often it is sent. Several pages of one visitor show the
same thread, at whichever gateways they are open.
"""

import asyncio
import hmac
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
import structlog
from fastapi import APIRouter, HTTPException, Request, Response, UploadFile, WebSocket, WebSocketDisconnect

from channels import visitors
from channels.accounts import Accounts
from channels.base import Account, Item
from channels.gateway import Intake
from channels.looking import Looking
from channels.ports import Bus, Files, Unavailable
from channels.push import Notice, notice, vapid_key
from channels.visitors import Visitor
from router import events
from router.inputs import EndSession, ReceiveMessage
from router.memory import Contact
from router.model import Content, Media, Part, Text, Thread, conversation_id
from router.state import Pool

log = structlog.get_logger("channels.chat")

HELLO_S = 5.0
PING_S = 20.0
SILENT_S = 60.0
ASLEEP_S = 1.5 * PING_S
"""A page that has not answered for so long shows nothing: the phone has put its app to sleep."""
FRESH_S = 60.0
"""What was said longer ago is not pushed any more: we have just begun, or the log was away."""
SEND_FRAMES = 256
MAX_FRAME_BYTES = 60_000
MAX_TEXT = 5_000
MAX_FILE_BYTES = 10_000_000
MAX_FILES = 5
BURST, PER_S = 20.0, 3.0
MAX_NUMBER = 2**53

encode = msgspec.json.encode


class ChatMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    number: int
    id: str
    author: str
    at: float
    name: str | None = None
    text: str | None = None
    files: tuple[dict[str, Any], ...] = ()
    client_id: str | None = None


class Said(msgspec.Struct, frozen=True):
    """A stored message that the customer may see."""

    number: int
    id: str
    author: str
    at: float
    agent: str | None
    key: str | None
    content: Content | None


class Transcript(Protocol):
    async def said(self, workspace: str, conversation: str, after: int, limit: int) -> list[Said]: ...


class Session:
    """One visitor's thread on one channel, with the pages that show it."""

    def __init__(self, account: Account, visitor: Visitor) -> None:
        self.account = account
        self.visitor = visitor
        self.thread = Thread(external=visitor.id)
        self.conversation = conversation_id(account.channel, self.thread)
        self.pages: set[Page] = set()
        self.state: dict[str, Any] = {}

    def send(self, frame: dict[str, Any]) -> None:
        data = encode(frame)
        for page in list(self.pages):
            page.send(data)


class Page:
    def __init__(self, socket: WebSocket, now: float) -> None:
        self.socket = socket
        self.queue: asyncio.Queue[bytes] = asyncio.Queue(SEND_FRAMES)
        self.slow = asyncio.Event()
        self.heard = now
        self.tokens = BURST
        self.refilled = now

    def send(self, data: bytes) -> None:
        try:
            self.queue.put_nowait(data)
        except asyncio.QueueFull:
            self.slow.set()

    def may_speak(self, now: float) -> bool:
        """A token bucket: bursts of 20, then 3 a second."""
        self.tokens = min(BURST, self.tokens + (now - self.refilled) * PER_S)
        self.refilled = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Chats:
    """All chat sessions of this gateway."""

    def __init__(
        self,
        accounts: Accounts,
        bus: Bus,
        intake: Intake,
        files: Files,
        transcript: Transcript,
        clock: Callable[[], float],
        chance: Callable[[], str],
        looking: Looking,
        push: Callable[[Account, Notice], None] = lambda account, notice: None,
    ) -> None:
        """`push` tells a customer's devices, when nobody looks."""
        self._looking = looking
        self._push = push
        self._accounts = accounts
        self._bus = bus
        self._intake = intake
        self._files = files
        self._transcript = transcript
        self._clock = clock
        self._chance = chance
        self._sessions: dict[tuple[str, str], Session] = {}
        self.draining = asyncio.Event()
        self.dropped: Callable[[], None] = lambda: None

    # -- from the journal

    def applied(
        self,
        workspace: str,
        pool: Pool,
        happened: tuple[events.Event, ...],
        content: Callable[[], Content | None],
        t: float,
    ) -> None:
        """A record was folded: show it to the customers whose pages are open here. `content` gives what was said."""
        for event in happened:
            if isinstance(event, events.MessageAdded) and not event.private:
                session = self._sessions.get((workspace, event.conversation))
                if session is not None:
                    said = Said(event.number, event.message, event.author, t, event.agent, event.key, content())
                    session.send({"type": "message", "message": self._shown(session, pool, said)})
                if event.author != "customer" and self._clock() - t < FRESH_S:
                    self._tell_devices(workspace, pool, event.conversation, content())
        for contact in {getattr(event, "contact", None) for event in happened} - {None}:
            found = pool.contacts.get(contact or "")
            key = (workspace, found.conversation) if found else None
            if key in self._sessions:
                self._tell_state(self._sessions[key], pool)

    def tick(self, workspace: str | None = None) -> None:
        """Positions move when others leave; those who closed their page while waiting have left. Once a second."""
        positions: dict[str, dict[str, int]] = {}
        for (owner, _), session in list(self._sessions.items()):
            pool = self._bus.pool(owner)
            if pool is not None and workspace in (None, owner):
                if owner not in positions:
                    positions[owner] = pool.positions()
                self._tell_state(session, pool, positions[owner])

    def _tell_devices(self, workspace: str, pool: Pool, conversation: str, content: Content | None) -> None:
        """Where nobody looks."""
        known = pool.conversations.get(conversation)
        account = self._accounts.of(workspace, known.channel) if known else None
        session = self._sessions.get((workspace, conversation))
        if account is None or account.kind != "chat" or (session is not None and self._is_awake(session)):
            return
        if not self._looking.elsewhere(conversation) and self._looking.minds(conversation):
            self._push(account, notice(account, pool, conversation, content))

    # -- who has left

    async def expire(self, pools: dict[str, Pool]) -> None:
        """End the contacts of those who wait without a page; what cannot be told now is told next time."""
        waiting = {c.conversation: (w, c.id) for w, pool in list(pools.items()) for c in self._waiting(w, pool)}
        pages = {key[1]: self._is_awake(session) for key, session in list(self._sessions.items()) if session.pages}
        for conversation in self._looking.left(waiting, pages):
            workspace, contact = waiting[conversation]
            await self._left(workspace, conversation, contact)

    def _is_awake(self, session: Session) -> bool:
        """Whether somebody may be looking."""
        now = self._clock()
        return any(now - page.heard < ASLEEP_S for page in session.pages)

    def _waiting(self, workspace: str, pool: Pool) -> list[Contact]:
        found = [c for c in pool.contacts.values() if c.kind == "chat" and c.status in ("queued", "offered")]
        return [contact for contact in found if self._accounts.of(workspace, contact.channel) is not None]

    async def _left(self, workspace: str, conversation: str, contact: str) -> None:
        pool = self._bus.pool(workspace)
        known = pool.conversations.get(conversation) if pool else None
        account = self._accounts.of(workspace, known.channel) if known else None
        if known is not None and account is not None:
            await self._end(Session(account, Visitor(id=known.thread.external)), f"left:{contact}")

    async def _end(self, session: Session, key: str) -> None:
        body = EndSession(channel=session.account.channel, thread=session.thread)
        await self._bus.take(session.account.workspace, f"visitor:{session.visitor.id}", key, body)

    def _tell_state(self, session: Session, pool: Pool, positions: dict[str, int] | None = None) -> None:
        state = state_of(pool, session.conversation, positions)
        if state != session.state:
            session.state = state
            session.send({"type": "state", "state": state})

    def _shown(self, session: Session, pool: Pool | None, said: Said) -> ChatMessage:
        own = said.author == "customer"
        profile = pool.profile(said.agent or "") if pool else None
        client_id = said.key.removeprefix(f"{session.visitor.id}:") if own and said.key else None
        content = said.content or Content()
        shown_files = tuple(
            {
                "id": part.sha256,
                "name": part.name,
                "media_type": part.media_type,
                "size_bytes": part.size_bytes,
                "url": self._file_url(session.account, part.sha256),
            }
            for part in content.parts
            if isinstance(part, Media)
        )
        return ChatMessage(
            number=said.number,
            id=said.id,
            author="customer" if own else "agent",
            at=said.at,
            name=profile.name if profile else None,
            text=content.text or None,
            files=shown_files,
            client_id=client_id,
        )

    # -- one page

    async def serve(self, socket: WebSocket) -> None:
        await socket.accept()
        try:
            async with asyncio.timeout(HELLO_S):
                hello = parse(await socket.receive_text())
        except (TimeoutError, WebSocketDisconnect, KeyError):
            await _close(socket, 4400, "no hello")
            return
        account = self._accounts.at(str(hello.get("channel", "")))
        if account is None or account.kind != "chat" or not self._from_allowed_origin(socket, account):
            await _close(socket, 4404, "unknown channel")
            return
        try:
            given = hello.get("visitor"), hello.get("user_token")
            visitor = visitors.welcome(account, *given, self._chance(), self._clock())
        except visitors.Refused as error:
            await _close(socket, 4401, str(error))
            return
        key = (account.workspace, conversation_id(account.channel, Thread(external=visitor.id)))
        session = self._sessions.setdefault(key, Session(account, visitor))
        page = Page(socket, self._clock())
        try:
            await self._welcome(session, page, hello)
            await self._talk(session, page, hello)
        finally:
            session.pages.discard(page)
            if page.slow.is_set():
                self.dropped()
            if not session.pages and self._sessions.get(key) is session:
                del self._sessions[key]

    def _from_allowed_origin(self, socket: WebSocket, account: Account) -> bool:
        origin = socket.headers.get("origin")
        allowed = account.settings.get("origins")
        if origin is None:
            return True  # not a browser: a program can claim any origin anyway
        if isinstance(allowed, list) and allowed:
            return "*" in allowed or origin in allowed
        return origin.split("://", 1)[-1] == socket.headers.get("host")

    async def _welcome(self, session: Session, page: Page, hello: dict[str, Any]) -> None:
        """History after the number the page has, then everything from the journal, without a gap between."""
        account = session.account
        session.pages.add(page)  # from now on new messages queue up behind the welcome
        after = hello.get("after")
        after = min(after, MAX_NUMBER) if isinstance(after, int) and after >= 0 else 0
        history = await self._transcript.said(account.workspace, session.conversation, after, 200)
        pool = self._bus.pool(account.workspace)
        brand = pool.brand(account.brand) if pool else None
        session.state = state_of(pool, session.conversation) if pool else {"status": "none"}
        welcome = {
            "type": "welcome",
            "visitor": visitors.token(account, session.visitor.id),
            "session": session.conversation,
            "server_now": self._clock(),
            "brand": brand.name if brand else account.brand,
            "messages": [self._shown(session, pool, said) for said in history],
            "state": session.state,
            "limits": {"file_bytes": MAX_FILE_BYTES, "text_chars": MAX_TEXT},
        }
        if key := vapid_key(account):
            welcome["vapid_key"] = key
        await page.socket.send_text(encode(welcome).decode())

    async def _talk(self, session: Session, page: Page, hello: dict[str, Any]) -> None:
        async def read() -> None:
            while True:
                text = await page.socket.receive_text()
                page.heard = self._clock()
                if len(text) <= MAX_FRAME_BYTES:
                    await self._frame(session, page, parse(text), hello)

        async def write() -> None:
            while True:
                await page.socket.send_text((await page.queue.get()).decode())

        async def beat() -> None:
            while self._clock() - page.heard < SILENT_S:
                page.send(encode({"type": "ping"}))
                await asyncio.sleep(PING_S)

        tasks = [asyncio.create_task(part()) for part in (read, write, beat, page.slow.wait, self.draining.wait)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            await _close(page.socket, 1012 if self.draining.is_set() else 1013, "come back")
            for error in ended:
                if isinstance(error, Exception) and not isinstance(
                    error, (WebSocketDisconnect, RuntimeError, KeyError, asyncio.CancelledError)
                ):
                    log.error("page.broken", error=repr(error))

    async def _frame(self, session: Session, page: Page, frame: dict[str, Any], hello: dict[str, Any]) -> None:
        kind = frame.get("type")
        if kind == "say":
            await self._say(session, page, frame, hello)
        elif kind == "bye":
            pool = self._bus.pool(session.account.workspace)
            conversation = pool.conversations.get(session.conversation) if pool else None
            if conversation is not None and conversation.contact:
                await self._end(session, f"bye:{conversation.contact}")

    async def _say(self, session: Session, page: Page, frame: dict[str, Any], hello: dict[str, Any]) -> None:
        client_id = frame.get("client_id")
        if not isinstance(client_id, str) or not 0 < len(client_id) <= 64:
            page.send(encode({"type": "error", "code": "no-client-id"}))
            return
        if not page.may_speak(self._clock()):
            page.send(encode({"type": "error", "code": "too-fast", "client_id": client_id}))
            return
        content = await self._content(session.account, frame)
        if isinstance(content, str):
            page.send(encode({"type": "error", "code": content, "client_id": client_id}))
            return
        visitor, channel = session.visitor, session.account.channel
        body = ReceiveMessage(
            channel=channel,
            thread=session.thread,
            identity=visitor.identity(channel, hello.get("name")),
            dedupe_key=f"{visitor.id}:{client_id}",
            customer={"email": visitor.email} if visitor.email else {},
            attributes=_page_facts(hello),
        )
        try:
            await self._intake.take(session.account, Item(body.dedupe_key, body, content))
        except Unavailable:
            page.send(encode({"type": "error", "code": "unavailable", "client_id": client_id}))
            return
        page.send(encode({"type": "ack", "client_id": client_id, "number": None}))

    async def _content(self, account: Account, frame: dict[str, Any]) -> Content | str:
        """What was said, or the code of what is wrong with it."""
        text, named = frame.get("text"), frame.get("files") or []
        if (text is not None and not isinstance(text, str)) or not isinstance(named, list) or len(named) > MAX_FILES:
            return "not-a-message"
        if text and len(text) > MAX_TEXT:
            return "too-long"
        parts: list[Part] = [Text(text=text)] if text and text.strip() else []
        for sha256 in named:
            media = await self._files.about(account.workspace, sha256) if isinstance(sha256, str) else None
            if media is None:
                return "unknown-file"
            parts.append(media)
        return Content(parts=tuple(parts)) if parts else "empty"

    # -- files

    def _file_url(self, account: Account, sha256: str) -> str:
        return f"/chat/files/{sha256}?c={account.hook}&s={account.sign(f'file {sha256}')}"

    def routes(self) -> APIRouter:
        router = APIRouter(tags=["chat"])
        router.add_api_websocket_route("/chat/ws", self.serve)

        @router.post("/chat/files", operation_id="create_chat_file", status_code=201)
        async def upload(request: Request, file: UploadFile) -> dict[str, Any]:
            account = self._accounts.at(request.headers.get("x-naru-channel", ""))
            if account is None or visitors.named(account, request.headers.get("x-naru-visitor")) is None:
                raise HTTPException(403, "unknown-visitor")
            body = await file.read(MAX_FILE_BYTES + 1)
            if len(body) > MAX_FILE_BYTES:
                raise HTTPException(413, "file-too-large")
            name, kind = (file.filename or "file")[:200], (file.content_type or "application/octet-stream")[:100]
            media = await self._files.save(account.workspace, name, kind, body)
            return {"id": media.sha256, "name": media.name, "media_type": kind, "size_bytes": media.size_bytes}

        @router.options("/chat/files", include_in_schema=False, status_code=204)
        async def preflight() -> None:
            """A browser asks before it uploads from another site."""

        @router.get("/chat/files/{sha256}", operation_id="get_chat_file")
        async def download(sha256: str, c: str = "", s: str = "") -> Response:
            account = self._accounts.at(c)
            if account is None or not hmac.compare_digest(account.sign(f"file {sha256}").encode(), s.encode()):
                raise HTTPException(404, "unknown-file")
            media = await self._files.about(account.workspace, sha256)
            if media is None:
                raise HTTPException(404, "unknown-file")
            shown = media.media_type in ("image/png", "image/jpeg", "image/gif", "image/webp")
            headers = {
                "Content-Disposition": "inline" if shown else "attachment",
                "X-Content-Type-Options": "nosniff",
                "Content-Security-Policy": "sandbox; default-src 'none'",
            }
            kind = media.media_type if shown else "application/octet-stream"
            return Response(await self._files.read(account.workspace, sha256), media_type=kind, headers=headers)

        return router


def state_of(pool: Pool, conversation_id: str, positions: dict[str, int] | None = None) -> dict[str, Any]:
    """What the customer is told of where the contact is. `positions` are everybody's, when many are asked at once."""
    conversation = pool.conversations.get(conversation_id)
    contact = pool.contacts.get(conversation.contact or "") if conversation else None
    if conversation is None or (contact is None and conversation.last_contact is None):
        return {"status": "none", "position": None, "agent": None}
    if contact is None:
        return {"status": "ended", "position": None, "agent": None}
    if contact.status in ("queued", "offered"):
        position = max(1, pool.position(contact) if positions is None else positions.get(contact.id, 1))
        wait = msgspec.to_builtins(pool.foretell(contact.queue, position))
        return {"status": "waiting", "position": position, "agent": None, "wait": wait}
    profile = pool.profile(contact.agent or "")
    return {"status": "talking", "position": None, "agent": profile.name if profile else None}


def _page_facts(hello: dict[str, Any]) -> dict[str, str]:
    return {name: value[:300] for name in ("locale", "page") if isinstance(value := hello.get(name), str)}


def parse(text: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    try:
        await socket.close(code, reason)
    except (RuntimeError, WebSocketDisconnect):
        return
