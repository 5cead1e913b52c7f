"""The one door for webhooks: find the account, verify the raw bytes, read, make durable, and only then answer.

Nothing of a request that failed verification is stored, and what is answered 2xx is in the log (or the spool).
"""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import structlog
from fastapi import APIRouter, HTTPException, Request, Response

from channels.accounts import Accounts
from channels.base import (
    MAX_BODY_BYTES,
    Account,
    CallView,
    Comment,
    Greets,
    HookReply,
    Item,
    Large,
    Look,
    Provider,
    Reading,
    Webhook,
)
from channels.keys import Keys
from channels.places import Places
from channels.ports import Bus, Contents, Files, Language, Unavailable
from router.inputs import Input, ReceiveCall, ReceiveMessage
from router.memory import external_key
from router.model import Content, ReplyPolicy, Thread, conversation_id
from router.turn import Answer

log = structlog.get_logger("channels.gateway")

NOT_TAKEN = "not-taken"
"""The router's word for a call that found its queue full or closed."""


LONGEST = 20_000
"""As much as a desk sends in one message."""


class Intake:
    """Makes what was read durable: stamps the language and what may be answered, stores attachments, and asks the history
    about late copies."""

    def __init__(
        self,
        bus: Bus,
        contents: Contents,
        files: Files,
        language: Language,
        policy: Callable[[Account], ReplyPolicy] = lambda account: ReplyPolicy(),
    ) -> None:
        self._policy = policy
        self._bus = bus
        self._contents = contents
        self._files = files
        self._language = language

    async def take(self, account: Account, item: Item) -> None:
        """Durable on return. Raises Unavailable."""
        said = item.body.dedupe_key if isinstance(item.body, ReceiveMessage) else item.key
        if item.late and await self._contents.known(account.workspace, account.channel, said):
            return
        body, content = await self._stamped(account, item)
        await self._bus.take(account.workspace, f"channel:{account.channel}", item.key, body, content)

    async def ask(self, account: Account, item: Item) -> Answer | None:
        body, content = await self._stamped(account, item)
        answer, _ = await self._bus.ask(account.workspace, f"channel:{account.channel}", item.key, body, content)
        return answer

    async def _stamped(self, account: Account, item: Item) -> tuple[Input, Content | None]:
        body, content = item.body, item.content
        if content is not None and item.files:
            media = [
                msgspec.structs.replace(
                    await self._files.save(account.workspace, file.name, file.media_type, file.body),
                    inline_id=file.inline_id,
                )
                for file in item.files
            ]
            content = msgspec.structs.replace(content, parts=(*content.parts, *media))
        if isinstance(body, (ReceiveMessage, ReceiveCall)) and body.language is None and content is not None:
            body = msgspec.structs.replace(body, language=self._spoken(account, content))
        if isinstance(body, ReceiveMessage) and body.policy is None and limits(policy := self._policy(account)):
            body = msgspec.structs.replace(body, policy=policy)
        return body, content

    def _spoken(self, account: Account, content: Content) -> str | None:
        pool = self._bus.pool(account.workspace)
        brand = pool.brand(account.brand) if pool else None
        return self._language(f"{content.subject or ''} {content.text}", brand.languages if brand else ())


Comments = Callable[[Account, tuple[Comment, ...]], Awaitable[None]]
"""Where the chat of live broadcasts goes."""


async def nowhere(account: Account, comments: tuple[Comment, ...]) -> None:
    log.warning("comments.dropped", channel=account.channel, count=len(comments))


def limits(policy: ReplyPolicy) -> bool:
    """Whether it forbids anything that a desk could do: one that does not is no news."""
    is_long = policy.max_length is None or policy.max_length >= LONGEST
    return policy != ReplyPolicy(max_length=policy.max_length) or not is_long


def look_into(bus: Bus, workspace: str, channel: str, places: Places) -> Look:
    """By the conversation that a caller's call is: nobody is searched for, however many wait."""

    def look(call: str) -> CallView | None:
        pool = bus.pool(workspace)
        if pool is None:
            return None
        conversation = pool.conversations.get(conversation_id(channel, Thread(external=call, kind="call")))
        contact = pool.contacts.get(conversation.contact or "") if conversation else None
        if contact is None or contact.call != call:
            return None
        place = places.of(workspace, pool, contact)
        wait = pool.foretell(contact.queue, place)
        return CallView(contact.id, contact.status, place, contact.language, wait.most_s if wait is not None else None)

    return look


def calls_on(bus: Bus, workspace: str, channel: str) -> tuple[str, ...]:
    """The calls and legs that the engine believes to be on a channel, as its provider names them."""
    pool = bus.pool(workspace)
    found: list[str | None] = []
    for contact in pool.contacts.values() if pool else ():
        if contact.channel == channel and contact.kind == "voice" and contact.status != "wrapping":
            found += [contact.call, contact.leg, contact.ringing, contact.offer.leg if contact.offer else None]
            found += [leg for guest in contact.participants.values() for leg in (guest.leg, guest.ringing)]
    return tuple(name for name in found if name)


def has_sent(bus: Bus, workspace: str, channel: str) -> Callable[[str], bool]:
    def sent(external: str) -> bool:
        pool = bus.pool(workspace)
        return pool is not None and external_key(channel, external) in pool.memory.externals

    return sent


def hook_routes(
    accounts: Accounts,
    intake: Intake,
    bus: Bus,
    clock: Callable[[], float],
    comments: Comments = nowhere,
    keys: Keys | None = None,
    places: Places | None = None,
) -> APIRouter:
    router = APIRouter(tags=["providers"])
    places = places or Places(clock)

    @router.get("/hooks/{hook}", operation_id="greet_hook", response_class=Response)
    @router.get("/hooks/{hook}/{path:path}", operation_id="greet_hook_path", response_class=Response)
    async def greet(request: Request, hook: str, path: str = "") -> Response:
        """Providers that first ask whether the address is ours."""
        account = accounts.at(hook)
        if account is None:
            raise HTTPException(404, "unknown-channel")
        provider = accounts.providers[account.provider]
        if not isinstance(provider, Greets):
            raise HTTPException(405, "asks-nothing")
        return _response(provider.handshake(account, await _webhook(request, account, path, clock())))

    @router.post("/hooks/{hook}", operation_id="receive_hook", response_class=Response)
    @router.post("/hooks/{hook}/{path:path}", operation_id="receive_hook_path", response_class=Response)
    async def receive(request: Request, hook: str, path: str = "") -> Response:
        account = accounts.at(hook)
        if account is None:
            raise HTTPException(404, "unknown-channel")
        provider = accounts.providers[account.provider]
        webhook = await _webhook(request, account, path, clock(), _most_of(provider))
        account = await _with_key(keys, account, provider, webhook)
        if not provider.verify(account, webhook):
            log.warning("hook.refused", workspace=account.workspace, channel=account.channel)
            raise HTTPException(403, "bad-signature")
        look = look_into(bus, account.workspace, account.channel, places)
        if len(webhook.body) > MAX_BODY_BYTES:
            reading = await asyncio.to_thread(provider.read, account, webhook, look)
        else:
            reading = provider.read(account, webhook, look)
        try:
            if reading.refused is not None and reading.items:
                return _response(_decided(reading, await intake.ask(account, reading.items[0])) or reading.reply)
            for item in reading.items:
                await intake.take(account, item)
            if reading.comments:
                await comments(account, reading.comments)
        except Unavailable as error:
            raise HTTPException(503, "log-unavailable", {"Retry-After": "5"}) from error
        return _response(reading.reply)

    return router


def _decided(reading: Reading, answer: Answer | None) -> HookReply | None:
    """How what was asked is answered if not by the reading's usual reply."""
    if answer is None:
        return reading.late or reading.refused
    return reading.refused if answer.status >= 400 or answer.code == NOT_TAKEN else None


async def _with_key(keys: Keys | None, account: Account, provider: Provider, webhook: Webhook) -> Account:
    try:
        return account if keys is None else await keys.account(account, provider, webhook)
    except Unavailable as error:
        raise HTTPException(503, "key-unavailable", {"Retry-After": "30"}) from error


def _most_of(provider: Provider) -> int:
    return provider.max_body_bytes if isinstance(provider, Large) else MAX_BODY_BYTES


async def _webhook(
    request: Request, account: Account, path: str, now: float, most_bytes: int = MAX_BODY_BYTES
) -> Webhook:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise HTTPException(413, "too-large")
    url = account.hook_url + (f"/{path}" if path else "") + (f"?{request.url.query}" if request.url.query else "")
    return Webhook(
        method=request.method,
        url=url,
        path=path,
        headers={name.lower(): value for name, value in request.headers.items()},
        query=dict(request.query_params),
        body=bytes(body),
        t=now,
        peer=request.client.host if request.client else "",
    )


def _response(reply: HookReply) -> Response:
    if reply.status >= 400:
        raise HTTPException(reply.status, f"not-understood\n{reply.body}")
    return Response(reply.body, reply.status, media_type=reply.media_type)
