"""An exchange whose phones are browsers: ARI towards the center, SIP over WebSocket (RFC 7118) towards the desks.

It registers with Digest (RFC 7616), one contact for each endpoint and no second as long as that is there, as the shipped
`pjsip.conf` has it, and holds every message of a phone against RFC 3261: what is wrong is kept in `faults`, which a test
asserts to be empty. It shares no code with the desk. Sound is not its business: whoever calls brings an offer of SDP and is
given the answer.
"""

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from support.waiting import within

WAIT_S = 20.0
REALM, DOMAIN = "asterisk", "pbx.test"
CAUSES = {486: 17, 600: 17, 480: 19, 408: 19, 603: 21, 487: 16}
MEDIA = ("UDP/TLS/RTP/SAVPF", "a=fingerprint:sha-256 ", "a=ice-ufrag:", "a=ice-pwd:", "a=rtcp-mux", "a=setup:active")
"""What an answer to our offer must have for sound to flow enciphered."""


class Message:
    """A request or a response. Headers by lower-case name, in order."""

    def __init__(self, raw: str) -> None:
        head, _, self.body = raw.partition("\r\n\r\n")
        self.first, *lines = head.split("\r\n")
        self.headers: dict[str, list[str]] = {}
        for line in lines:
            name, _, value = line.partition(":")
            self.headers.setdefault(name.strip().lower(), []).append(value.strip())

    @property
    def status(self) -> int:
        """0: a request."""
        return int(self.first.split()[1]) if self.first.startswith("SIP/2.0 ") else 0

    @property
    def method(self) -> str:
        return self.get("cseq").split()[-1] if self.status else self.first.split()[0]

    @property
    def uri(self) -> str:
        return self.first.split()[1]

    def get(self, name: str) -> str:
        return self.headers.get(name, [""])[0]

    def tag(self, name: str) -> str:
        found = re.search(r">;.*?tag=([^;]+)", self.get(name))
        return found.group(1) if found else ""


def faults_of(message: Message) -> list[str]:
    """What RFC 3261 (8.1.1, 8.2.6, 20) does not allow in a message of a phone."""
    found = [f"no {name}" for name in ("via", "from", "to", "call-id", "cseq") if not message.get(name)]
    number, _, method = message.get("cseq").partition(" ")
    if not number.isdigit() or not method:
        found.append(f"CSeq {message.get('cseq')}")
    if int(message.get("content-length") or 0) != len(message.body.encode()):
        found.append("Content-Length is not that of the body")
    if message.body and message.get("content-type") != "application/sdp":
        found.append(f"a body of type {message.get('content-type')}")
    if not message.tag("from"):
        found.append("From has no tag")
    return found + (_faults_of_response(message) if message.status else _faults_of_request(message, method))


def _faults_of_request(message: Message, method: str) -> list[str]:
    found = []
    if not re.fullmatch(r"[A-Z]+ sips?:\S+ SIP/2\.0", message.first):
        found.append("no request line")
    if method != message.first.split()[0]:
        found.append("CSeq is of another method")
    if not re.match(r"SIP/2\.0/WSS? \S+;branch=z9hG4bK\w+", message.get("via")):
        found.append(f"Via {message.get('via')}")
    if not 0 < int(message.get("max-forwards") or 0) <= 70:
        found.append(f"Max-Forwards {message.get('max-forwards')}")
    return found


def _faults_of_response(message: Message) -> list[str]:
    found = []
    if not re.fullmatch(r"SIP/2\.0 [1-6]\d\d .*", message.first):
        found.append("no status line")
    if message.status > 100 and not message.tag("to"):
        found.append("To has no tag")
    if message.method == "INVITE" and message.status == 200:
        found += [f"no {line}" for line in MEDIA if line not in message.body]
        if not re.search(r"<sip:\S+>", message.get("contact")):
            found.append("no Contact")
    return found


def digest(params: dict[str, str], method: str, password: str) -> str:
    def md5(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    mine = md5(f"{params['username']}:{REALM}:{password}")
    what = md5(f"{method}:{params['uri']}")
    return md5(":".join((mine, params["nonce"], params["nc"], params["cnonce"], params["qop"], what)))


class Dialog:
    """A call to a phone. `state`: ringing, up, over. `answer` is the phone's SDP."""

    def __init__(self, leg: str, contact: str, args: list[str], to: ServerConnection, uri: str, number: int) -> None:
        self.leg, self.contact, self.args = leg, contact, args
        self.socket, self.remote = to, uri
        self.id = f"call-{number}@{DOMAIN}"
        self.mine, self.theirs = f"<sip:caller@{DOMAIN}>;tag=pbx{number}", f"<{uri}>"
        self.invite = ""
        self.state = "ringing"
        self.rang = False
        self.answer = ""
        self.hung_up_by_phone = False
        self.can_be_told = True
        self.sequence = 100


class Softphones:
    """`passwords` by endpoint. `offer(contact)` is the caller's SDP for a leg that rings."""

    def __init__(self, passwords: dict[str, str], offer: Callable[[str], Awaitable[str]]) -> None:
        self.passwords = passwords
        self._offer = offer
        self.faults: list[str] = []
        self.registered: dict[str, tuple[str, ServerConnection]] = {}
        self.refused = 0
        self.dialogs: list[Dialog] = []
        self._count = 0
        self._numbers: dict[tuple[str, str], int] = {}
        self._changed = asyncio.Event()
        self._center: ServerConnection | None = None
        self._servers: list[Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.rooms: dict[str, set[str]] = {}

    async def up(self) -> "Softphones":
        ari = await serve(self._serve_center, "127.0.0.1", 0)
        sip = await serve(self._serve_phone, "127.0.0.1", 0, subprotocols=[Subprotocol("sip")])
        self._servers = [ari, sip]
        self.url, self.phones_url = (
            f"{scheme}://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}{path}"
            for scheme, server, path in (("http", ari, "/ari"), ("ws", sip, "/ws"))
        )
        return self

    async def down(self) -> None:
        for server in self._servers:
            server.close()
            await server.wait_closed()

    async def until(self, holds: Callable[[], Any], what: str) -> Any:
        try:
            async with asyncio.timeout(WAIT_S):
                while not (found := holds()):
                    self._changed.clear()
                    await self._changed.wait()
                return found
        except TimeoutError:
            raise AssertionError(f"{what}; {[(d.contact, d.state) for d in self.dialogs]} {self.faults}") from None

    def _note(self) -> None:
        self._changed.set()

    # -- the center

    async def _serve_center(self, socket: ServerConnection) -> None:
        self._center = socket
        self._note()
        async for frame in socket:
            asked = json.loads(frame)
            status, body = await self._asked(asked)
            answer = {"type": "RESTResponse", "request_id": asked["request_id"], "status_code": status}
            await socket.send(json.dumps({**answer, "message_body": body}))

    async def _asked(self, asked: dict[str, Any]) -> tuple[int, str]:
        method, path = asked["method"], [unquote(part) for part in asked["uri"].split("/")]
        query = {pair["name"]: pair["value"] for pair in asked.get("query_strings", [])}
        if (method, path) == ("GET", ["channels"]):
            return 200, "[]"
        if method == "POST" and len(path) == 2 and path[0] == "channels":
            told = json.loads(asked.get("message_body") or "{}").get("variables", {})
            return self._originate(path[1], query, told.get("PJSIP_HEADER(add,X-Naru-Contact)", ""))
        if path[0] == "bridges" and path[-1] == "addChannel":
            self.rooms.setdefault(path[1], set()).add(query["channel"])
            self._note()
        if method == "DELETE" and len(path) == 2 and path[0] == "channels":
            self._start(self._hung_up(path[1]))
        return 204, ""

    def _originate(self, leg: str, query: dict[str, str], contact: str) -> tuple[int, str]:
        if query["endpoint"].endswith("@trunk"):
            return 200, json.dumps({"id": leg})  # a customer's phone, which rings for ever
        to = self.registered.get(query["endpoint"].removeprefix("PJSIP/"))
        if to is None:
            return 500, '{"error": "Allocation failed"}'
        self._start(self._ring(leg, query, contact, *to))
        return 200, json.dumps({"id": leg})

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def say(self, kind: str, channel: str, **more: Any) -> None:
        await self.until(lambda: self._center, "the center is not there")
        assert self._center is not None
        state = more.pop("state", "Up")
        said = {"id": channel, "state": state, "caller": {"number": "01012345678", "name": ""}, "dialplan": {}}
        await self._center.send(json.dumps({"type": kind, "channel": said, **more}))

    async def call(self, number: str = "15881234") -> str:
        """A customer calls: the channel's name."""
        self._count += 1
        channel = f"179537.{self._count}"
        await self.say("StasisStart", channel, state="Ring", args=["inbound", number])
        return channel

    async def dial(self, user: str) -> None:
        """Somebody in the house dials a phone; the center has nothing to do with it."""
        await self.is_registered(user)
        query = {"appArgs": "", "endpoint": f"PJSIP/{user}"}
        self._start(self._ring(f"other-{len(self.dialogs)}", query, "", *self.registered[user]))

    async def hang_up(self, channel: str) -> None:
        await self.say("StasisEnd", channel)

    # -- phones

    async def _serve_phone(self, socket: ServerConnection) -> None:
        try:
            async for raw in socket:
                if not isinstance(raw, str):
                    self.faults.append("a frame that is no text")
                elif raw.strip():
                    self._heard(Message(raw), socket)
                self._note()
        except ConnectionClosed:
            pass
        self.registered = {name: at for name, at in self.registered.items() if at[1] is not socket}
        self._note()

    def _heard(self, message: Message, socket: ServerConnection) -> None:
        self.faults += [f"{message.first}: {fault}" for fault in faults_of(message)]
        if message.status:
            self._start(self._answered(message))
            return
        key, number = (message.get("call-id"), message.tag("from")), int(message.get("cseq").split()[0])
        if message.method not in ("ACK", "CANCEL") and number <= self._numbers.get(key, 0):
            self.faults.append(f"{message.first}: CSeq {number} does not grow")
        self._numbers[key] = number
        if message.method == "REGISTER":
            self._start(self._register(message, socket))
        elif message.method in ("BYE", "UPDATE", "INFO"):
            self._start(self._in_dialog(message, socket))
        elif message.method != "ACK":
            self.faults.append(f"{message.first}: nobody expects that")

    async def _reply(self, to: Message, socket: ServerConnection, status: str, *more: str) -> None:
        tagged = to.get("to") if ";tag=" in to.get("to") else f"{to.get('to')};tag=registrar"
        lines = [f"SIP/2.0 {status}", *(f"Via: {via}" for via in to.headers["via"]), f"From: {to.get('from')}"]
        lines += [
            f"To: {tagged}",
            f"Call-ID: {to.get('call-id')}",
            f"CSeq: {to.get('cseq')}",
            *more,
            "Content-Length: 0",
        ]
        await self._send(socket, lines)

    @staticmethod
    async def _send(socket: ServerConnection, lines: list[str], body: str = "") -> None:
        try:
            await socket.send("\r\n".join([*lines, "", body]))
        except ConnectionClosed:
            pass

    async def _register(self, asked: Message, socket: ServerConnection) -> None:
        params = dict(re.findall(r'(\w+)="?([^",]+)"?', asked.get("authorization")))
        user = re.sub(r"^<?sip:|@.*$", "", asked.get("to"))
        right = params and digest(params, "REGISTER", self.passwords.get(user, "")) == params["response"]
        if not right:
            self.refused += bool(params)
            challenge = (
                f'WWW-Authenticate: Digest realm="{REALM}",nonce="n{len(self._numbers)}",algorithm=MD5,qop="auth"'
            )
            await self._reply(asked, socket, "401 Unauthorized", challenge)
            return
        contact = re.search(r"<(sip:[^>]+)>", asked.get("contact"))
        if contact is None or ";transport=ws" not in contact.group(1):
            self.faults.append(f"REGISTER of a contact that is on no WebSocket: {asked.get('contact')}")
            return
        held = self.registered.get(user)
        if held is not None and held[1] is not socket:
            await self._reply(asked, socket, "403 Forbidden")
        elif asked.get("expires") == "0":
            self.registered.pop(user, None)
            await self._reply(asked, socket, "200 OK")
        else:
            self.registered[user] = (contact.group(1), socket)
            await self._reply(asked, socket, "200 OK", f"Contact: <{contact.group(1)}>;expires=120")
        self._note()

    # -- calls to phones

    async def _ring(self, leg: str, query: dict[str, str], contact: str, uri: str, socket: ServerConnection) -> None:
        self._count += 1
        dialog = Dialog(leg, contact, query["appArgs"].split(","), socket, uri, self._count)
        self.dialogs.append(dialog)
        body = await self._offer(contact)
        head = [f"X-Naru-Contact: {contact}"] if contact else []
        await self._request(dialog, "INVITE", body, *head)

    async def _request(self, dialog: Dialog, method: str, body: str = "", *more: str, sequence: int = 0) -> None:
        if not sequence:
            dialog.sequence += 1
        number = sequence or dialog.sequence
        branch = f"z9hG4bK{self._count}x{number}{'a' if method == 'ACK' else ''}"
        if method == "INVITE":
            dialog.invite = branch
        lines = [
            f"{method} {dialog.remote} SIP/2.0",
            f"Via: SIP/2.0/WS {DOMAIN};rport;branch={dialog.invite if method == 'CANCEL' else branch}",
            "Max-Forwards: 70",
            f"From: {dialog.mine}",
            f"To: {dialog.theirs}",
            f"Call-ID: {dialog.id}",
            f"CSeq: {number} {method}",
            f"Contact: <sip:asterisk@{DOMAIN};transport=ws>",
            *more,
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body.encode())}",
        ]
        await self._send(dialog.socket, lines, body)

    def _of(self, message: Message) -> Dialog | None:
        found = next((one for one in self.dialogs if one.id == message.get("call-id")), None)
        if found is None:
            self.faults.append(f"{message.first}: of a call that there is not")
        return found

    async def _answered(self, message: Message) -> None:
        dialog = self._of(message)
        if dialog is None or message.method != "INVITE" or message.status < 101:
            return
        if message.get("from") != dialog.mine:
            self.faults.append(f"{message.first}: From is not what it was")
        if message.status < 200:
            dialog.rang = True
            self._note()
            return
        dialog.theirs = message.get("to")
        target = re.search(r"<(sip:[^>]+)>", message.get("contact"))
        dialog.remote = target.group(1) if target and message.status < 300 else dialog.remote
        await self._request(dialog, "ACK", sequence=int(message.get("cseq").split()[0]))
        if message.status >= 300:
            await self._over(dialog, CAUSES.get(message.status, 38))
        elif dialog.state == "ringing":
            dialog.state, dialog.answer = "up", message.body
            await self.say("StasisStart", dialog.leg, args=dialog.args)
        self._note()

    async def _in_dialog(self, message: Message, socket: ServerConnection) -> None:
        dialog = self._of(message)
        if dialog is None:
            return
        if (message.get("from"), message.tag("to")) != (dialog.theirs, re.sub(r".*tag=", "", dialog.mine)):
            self.faults.append(f"{message.first}: the tags are not those of its dialog")
        if message.uri != f"sip:asterisk@{DOMAIN};transport=ws":
            self.faults.append(f"{message.first}: not to our contact")
        await self._reply(message, socket, "200 OK")
        if message.method == "BYE":
            dialog.hung_up_by_phone = True
            await self._over(dialog, 16)

    async def _over(self, dialog: Dialog, cause: int) -> None:
        was, dialog.state = dialog.state, "over"
        self._note()
        if was == "up":
            await self.say("StasisEnd", dialog.leg)
        await self.say("ChannelDestroyed", dialog.leg, cause=cause, state="Up" if was == "up" else "Down")

    async def _hung_up(self, channel: str) -> None:
        """The center ends a channel: a leg that rings is cancelled, one that talks is told BYE."""
        dialog = next((one for one in self.dialogs if one.leg == channel), None)
        if dialog is None:
            await self.hang_up(channel)
        elif dialog.state == "ringing":
            await self._request(dialog, "CANCEL", sequence=dialog.sequence)
        elif dialog.state == "up":
            if dialog.can_be_told:
                await self._request(dialog, "BYE")
            await self._over(dialog, 16)

    async def rings(self, count: int = 1) -> Dialog:
        """The call to a phone that rings, or rang, as the so-manieth."""
        await self.until(
            lambda: len(self.dialogs) >= count and self.dialogs[count - 1].rang, f"no phone rings ({count})"
        )
        return self.dialogs[count - 1]

    async def is_so(self, dialog: Dialog, state: str) -> None:
        await self.until(lambda: dialog.state == state, f"the call is not {state}")

    async def is_registered(self, user: str) -> None:
        await within(self.until(lambda: user in self.registered, f"{user} is not registered"), WAIT_S + 5)
