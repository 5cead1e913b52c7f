"""The simulated telephone company on loopback, signing with Twilio's own library, and a center whose phones it serves.

A center takes long to start, so a module's tests share one, and each test has a shop of its own there: its brand,
channels, queues and people. When a test is over, every TwiML document that the center answered is compared with what
Twilio's own builder makes for that step, and the carrier's debugger must be empty.
"""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import httpx2
import uvicorn
from twilio.request_validator import RequestValidator
from twilio.twiml.messaging_response import MessagingResponse
from twilio.twiml.voice_response import VoiceResponse

from naru.demo.carrier import Call, Carrier, Webhook
from support.center import AgentDesk, Center, free_port

TOKEN = "a-token-nobody-guesses"
MUSIC = "https://music.test/hold.mp3"
AGENTS = ("mina", "jun", "sora")
MENU = {
    "say": {"ko": "주문은 1번", "en": "For delivery press 2"},
    "keys": {
        "1": {"attributes": {"intent": "order"}},
        "2": {
            "language": "en",
            "menu": {"say": {"ko": "급하면 1번", "en": "Urgent? 1"}, "keys": {"1": {"attributes": {"intent": "now"}}}},
        },
    },
    "timeout_s": 5,
    "tries": 2,
}
"""What a channel `menu` asks first. `intent` leads to the queue `second`; its talks are recorded, machines told apart."""
FAREWELLS = {
    "callback": ("en-US", "We will call you back when it is your turn. You may hang up now."),
    "voicemail": ("en-US", "Please leave a message after the tone."),
}
SHOPS = 40
SPEED = 20
"""How much faster than ours the carrier's time goes: a ring of 20 s takes one."""
PATIENCE_S = 20.0


def _account(n: int) -> str:
    return f"AC{n:032d}"


def _number(n: int, extension: int) -> str:
    return f"+8210{n:04d}{extension:04d}"


def _config(api: str) -> str:
    lines = ["version: 1", "name: Phone center"]
    secret = "secrets: {auth_token: 'env:NARU_SECRET_CARRIER'}"
    settings = ", ".join((f"api_url: '{api}'", "language: en", f"music_url: '{MUSIC}'"))
    lists: dict[str, list[str]] = {name: [] for name in ("brands", "channels", "queues", "agents", "rules")}
    lists["agents"].append("{id: owner, name: Owner, role: owner}")
    for n in range(SHOPS):
        own = f"settings: {{account_sid: {_account(n)}, number: '{_number(n, 0)}', {settings}}}, {secret}"
        lists["brands"].append(f"{{id: shop{n}, name: Shop {n}, default_queue: care{n}, languages: [ko, en]}}")
        for kind, id_, queue in (("voice", "phone", "care"), ("voice", "quick", "quick"), ("sms", "sms", "care")):
            head = f"id: {id_}{n}, name: {id_}, brand: shop{n}, queue: {queue}{n}"
            lists["channels"].append(f"{{{head}, provider: twilio_{kind}, kind: {kind}, {own}}}")
        menu = f"menu: {json.dumps(MENU, ensure_ascii=False)}, record: true, detect_machines: true"
        head = f"id: menu{n}, name: menu, brand: shop{n}, queue: care{n}, provider: twilio_voice, kind: voice"
        lists["channels"].append(f"{{{head}, {own.replace('settings: {', f'settings: {{{menu}, ', 1)}}}")
        head = f"id: keys{n}, name: keys, brand: shop{n}, queue: care{n}, provider: twilio_voice, kind: voice"
        keys = "keys: {'1': callback, '2': voicemail}"
        lists["channels"].append(f"{{{head}, {own.replace('settings: {', f'settings: {{{keys}, ', 1)}}}")
        asks = f"when: {{field: attributes.intent, op: exists}}, then: {{queue: second{n}}}"
        lists["rules"].append(f"{{id: asks{n}, brand: shop{n}, {asks}}}")
        lists["queues"] += [
            f"{{id: care{n}, name: Care, wrap_up_s: 30, dispositions: [done]}}",
            f"{{id: quick{n}, name: Quick, offer_timeout_s: 1}}",
            f"{{id: second{n}, name: Second, wrap_up_s: 0}}",
            f"{{id: first{n}, name: First, wrap_up_s: 0, call_first: customer}}",
        ]
        lists["agents"] += [
            f"{{id: {name}{n}, name: {name}, brands: [shop{n}], mode: blended, phone: '{_number(n, at)}'}}"
            for at, name in enumerate(AGENTS, 1)
        ]
    for name, items in lists.items():
        lines += [f"{name}:", *(f"- {item}" for item in items)]
    return "\n".join(lines) + "\n"


@dataclass
class PhoneCenter:
    """A running center with many shops; each test takes the next."""

    center: Center
    port: int
    taken: int = 0

    def next(self) -> int:
        self.taken += 1
        return self.taken - 1


@contextlib.contextmanager
def phone_center(folder: Path) -> Iterator[PhoneCenter]:
    port = free_port()
    config = _config(f"http://127.0.0.1:{port}")
    with Center(folder / "data", config, {"NARU_SECRET_CARRIER": TOKEN}) as center:
        yield PhoneCenter(center, port)


@dataclass(frozen=True)
class Reply:
    """What the carrier's REST API answers instead of its own. `cut` breaks off; `after` is waited for first.

    `done`: what was asked is carried out all the same. Status 0: its own answer, then.
    """

    status: int = 500
    body: str = ""
    media_type: str = "application/json"
    cut: bool = False
    done: bool = False
    after: asyncio.Event | None = None


@dataclass
class Rest:
    """The carrier's REST API with faults planted in front: each taken once, by the next request whose path has it.

    That a center asks for lists of messages, when it likes, is neither counted nor faulted.
    """

    app: Any
    asked: list[tuple[str, str]] = field(default_factory=list)
    faults: dict[str, list[Reply]] = field(default_factory=dict)

    def count(self, part: str) -> int:
        return sum(part in path for _, path in self.asked)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "GET" and scope["path"].endswith("/Messages.json"):
            await self.app(scope, receive, send)
            return
        self.asked.append((scope["method"], scope["path"]))
        for part, replies in self.faults.items():
            if part in scope["path"] and replies:
                await self._fail(replies.pop(0), scope, receive, send)
                return
        await self.app(scope, receive, send)

    async def _fail(self, reply: Reply, scope: Any, receive: Any, send: Any) -> None:
        parts: list[Any] = []

        async def kept(part: Any) -> None:
            parts.append(part)

        if reply.done:
            await self.app(scope, receive, kept)
        if reply.after is not None:
            await reply.after.wait()
        if reply.status:
            body = reply.body.encode()
            length = len(body) + (100 if reply.cut else 0)
            headers = [(b"content-type", reply.media_type.encode()), (b"content-length", str(length).encode())]
            parts = [
                {"type": "http.response.start", "status": reply.status, "headers": headers},
                {"type": "http.response.body", "body": body, "more_body": reply.cut},
            ]
        for part in parts:
            await send(part)


@dataclass
class House:
    """One shop of the center, its carrier, and what tests do with both. Ids are given without the shop's number."""

    center: Center
    carrier: Carrier
    rest: Rest
    n: int
    desks: dict[str, AgentDesk] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    _hooks: dict[str, str] = field(default_factory=dict)

    def id(self, name: str) -> str:
        return f"{name}{self.n}"

    @property
    def shop(self) -> str:
        return _number(self.n, 0)

    @property
    def caller(self) -> str:
        return _number(self.n, 9000)

    def phone(self, agent: str) -> str:
        return _number(self.n, 1 + AGENTS.index(agent))

    async def ask(self, method: str, path: str, agent: str | None = None, /, **more: Any) -> httpx2.Response:
        """A request that leaves the carrier free to be spoken to meanwhile."""
        return await asyncio.to_thread(self.center.request, method, path, self.keys.get(agent or ""), **more)

    async def get(self, path: str) -> Any:
        return (await self.ask("GET", path)).json()

    async def hook(self, channel: str) -> str:
        """The address that the carrier is told for this channel."""
        if channel not in self._hooks:
            self._hooks[channel] = (await self.get(f"/v1/channels/{self.id(channel)}/connection"))["url"]
        return self._hooks[channel]

    # -- agents

    async def arrive(self, *agents: str) -> AgentDesk:
        """Agents sit down and are available, in this order. Returns the last one's desk."""
        for agent in agents:
            if agent not in self.desks:
                self.keys[agent] = await asyncio.to_thread(self.center.agent_key, self.id(agent))
                self.desks[agent] = await AgentDesk.open(self.center, self.keys[agent])
            await self.do(agent, "status", presence="available")
        return self.desks[agents[-1]]

    async def do(self, agent: str, command: str, /, **args: Any) -> dict[str, Any]:
        answer = await self.desks[agent].do(command, **args)
        assert answer["status"] == 200, answer
        return answer

    async def contact(self, id_: str, **fields: Any) -> dict[str, Any]:
        """The contact, once its fields are so."""
        return await until(lambda: self.get(f"/v1/contacts/{id_}"), lambda found: _has(found, fields))

    async def conversation(self, id_: str, **fields: Any) -> list[dict[str, Any]]:
        """The conversation's messages, once the last one's fields are so."""
        path = f"/v1/conversations/{id_}/messages"
        found = await until(lambda: self.get(path), lambda found: _has((found.get("items") or [{}])[-1], fields))
        items: list[dict[str, Any]] = found["items"]
        return items

    async def presence(self, agent: str, presence: str) -> None:
        desk = self.desks[agent]
        while (await desk.next("agent"))["agent"]["presence"] != presence:
            pass

    async def today(self, what: str) -> int:
        """How many contacts have `arrived`, been `answered` or `abandoned` in this shop."""
        queues = (await self.get("/v1/live"))["queues"]
        own = {self.id(name) for name in ("care", "quick", "second")}
        return sum(queue[f"{what}_today"] for queue in queues if queue["id"] in own)

    # -- telephones

    async def calls_in(self, channel: str = "phone", from_: str = "", **more: Any) -> str:
        hook = await self.hook(channel)
        return await self.carrier.call(from_ or self.caller, self.shop, hook, f"{hook}/status", **more)

    async def texts_in(self, body: str, from_: str = "", **more: Any) -> str:
        return await self.carrier.text(from_ or self.caller, self.shop, body, await self.hook("sms"), **more)

    def calls_to(self, number: str) -> list[Call]:
        return [call for call in self.carrier.calls.values() if call.to == number and call.direction != "inbound"]

    async def rings(self, number: str) -> str:
        """The leg that rings at this number, its first."""
        await self.carrier.until(lambda: any(c.status == "ringing" for c in self.calls_to(number)), PATIENCE_S)
        (call,) = self.calls_to(number)
        return call.sid

    async def rings_again(self, number: str) -> str:
        """The leg that rings at this number, whatever has rung there before."""

        def ringing() -> list[str]:
            return [call.sid for call in self.calls_to(number) if call.status == "ringing"]

        await self.carrier.until(lambda: bool(ringing()), PATIENCE_S)
        (sid,) = ringing()
        return sid

    async def talk(self, *legs: str) -> None:
        """Exactly these come to hear each other."""
        talking, everyone = self.carrier.talking, set(legs)
        await self.carrier.until(lambda: all(talking(leg) == everyone - {leg} for leg in legs), PATIENCE_S)

    async def over(self, *legs: str, status: str = "completed") -> None:
        calls = [self.carrier.calls[leg] for leg in legs]
        await self.carrier.until(lambda: all(call.ended for call in calls), PATIENCE_S)
        assert {call.status for call in calls} == {status}

    async def is_asked(self, call: str, what: str) -> None:
        """A menu that begins so listens for a key."""
        known = self.carrier.calls[call]

        def asks() -> bool:
            said = [event for event in known.events if event.startswith("gather ")]
            return known.gathers and bool(said) and said[-1].startswith(f"gather {what}")

        await self.carrier.until(asks, PATIENCE_S)

    async def hears(self, call: str, what: str) -> None:
        """What begins like this is said or played to the caller, from now on."""
        events = self.carrier.calls[call].events
        before = len(events)
        await self.carrier.until(lambda: any(event.startswith(what) for event in events[before:]), PATIENCE_S)

    # -- what is there at the end

    def hooks(self, path: str) -> list[Webhook]:
        """The webhooks the carrier has sent below a channel's own address."""
        return [
            hook for hook in self.carrier.log if urlsplit(hook.url).path.split("/", 3)[3:] == ([path] if path else [])
        ]


T = TypeVar("T")


async def until(get: Callable[[], Awaitable[T]], holds: Callable[[T], bool], within_s: float = 30.0) -> T:
    """Ask again and again until it holds; bounded."""
    end = time.perf_counter() + within_s
    while True:
        found = await get()
        if holds(found):
            return found
        assert time.perf_counter() < end, f"it never came true: {found}"
        await asyncio.sleep(0.02)


def _has(found: dict[str, Any], fields: dict[str, Any]) -> bool:
    return all(found.get(name) == value for name, value in fields.items())


def carrier_of(account: str, speed: float) -> Carrier:
    """A carrier whose seconds are so many times as short, and who signs as Twilio's own library does."""

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds / speed)

    return Carrier(account, TOKEN, RequestValidator(TOKEN).compute_signature, asyncio.get_running_loop().time, sleep)


@contextlib.asynccontextmanager
async def open_shop(shops: PhoneCenter, faultless: bool = True, speed: float = SPEED) -> AsyncIterator[House]:
    """A shop of the center and its carrier. Agents' phones ring for ever until a test says otherwise."""
    n = shops.next()

    carrier = carrier_of(_account(n), speed)
    rest = Rest(carrier.app)
    house = House(shops.center, carrier, rest, n)
    for agent in AGENTS:
        carrier.phone(house.phone(agent), answer_after_s=None)
    async with _served(rest, shops.port):
        try:
            yield house
            for hook in carrier.log:
                judge(hook, n)
            assert not faultless or carrier.errors == []
        except BaseException:
            print(house.center.log_tail())
            raise
        finally:
            for desk in house.desks.values():
                await desk.do("status", presence="offline")
                await desk.close()
            await carrier.close()


@contextlib.asynccontextmanager
async def _served(app: Any, port: int) -> AsyncIterator[None]:
    """An ASGI application on loopback, in this loop."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        config = uvicorn.Config(
            app, log_level="critical", lifespan="off", access_log=False, timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server._serve([listener]))
        try:
            yield
        finally:
            server.should_exit = True
            await serving


# -- the judge of TwiML


def judge(hook: Webhook, n: int) -> None:
    """What the center answered is, for its step, the very document that Twilio's builder makes."""
    assert hook.status == 200, hook
    at = urlsplit(hook.url)
    _, _, key, *path = at.path.split("/")
    base = f"{at.scheme}://{at.netloc}/hooks/{key}"
    query = {name: values[0] for name, values in parse_qs(at.query).items()}
    if "MessageSid" in hook.params:
        expected = [""] if path == ["status"] else [str(MessagingResponse())]
    else:
        expected = _spoken(n, path, base, query, hook.params)
    found, wanted = normal(hook.body), [normal(document) for document in expected]
    assert found in wanted, (path, found, wanted)
    assert hook.media_type == ("application/xml" if hook.body else "text/plain")


def _spoken(n: int, path: list[str], base: str, query: dict[str, str], params: dict[str, str]) -> list[str]:
    """The documents that may answer a voice webhook: one, but for a wait, where the place in line may be said."""
    response = VoiceResponse()
    match path:
        case []:
            documents = [_asks("", 1, base)]
            for channel in ("phone", "quick", "keys"):
                waiting = VoiceResponse()
                waiting.enqueue(f"{channel}{n}", wait_url=f"{base}/wait", action=f"{base}/left")
                documents.append(str(waiting))
            return documents
        case ["menu"]:
            waiting = VoiceResponse()
            waiting.enqueue(f"menu{n}", wait_url=f"{base}/wait", action=f"{base}/left")
            keys, tries = query.get("keys", ""), int(query["tries"])
            after = keys + params.get("Digits", "")
            return [str(waiting), _asks(keys, tries + 1, base), *([_asks(after, 1, base)] if after == "2" else [])]
        case ["wait"]:
            unknown = VoiceResponse()
            unknown.pause(length=1)
            unknown.redirect(f"{base}/wait", method="POST")
            documents = [str(unknown)] if int(params["QueueTime"]) < 3 else []
            for position in range(
                int(params["CurrentQueueSize"]) + 5
            ):  # the order is a second old: some have gone since
                waiting = VoiceResponse()
                if position:
                    waiting.say(f"Please hold. You are number {position} in line.", language="en-US")
                waiting.play(MUSIC)
                documents += [str(waiting), _offers(position, base)]
            return documents
        case ["hold"]:
            documents = []
            for position in range(SHOPS):  # it says the place of who is in line again, after a transfer
                held = VoiceResponse()
                if position:
                    held.say(f"Please hold. You are number {position} in line.", language="en-US")
                held.play(MUSIC)
                held.redirect(f"{base}/hold", method="POST")
                documents.append(str(held))
            return documents
        case ["leg"] | ["room"]:
            listens = f"{base}/room?contact={query['contact']}&manner=listen"
            manner = "listen" if query.get("side") == "monitor" else query.get("manner")
            room = response.dial(action=listens) if manner == "whisper" else response.dial()
            heard = {"listen": {"muted": True}, "whisper": {"coach": query.get("owner")}}.get(manner or "", {})
            room.conference(
                query["contact"], beep="false", start_conference_on_enter=True, end_conference_on_exit=False, **heard
            )
            refused = VoiceResponse()
            refused.hangup()
            if query.get("side") == "first":
                response = VoiceResponse()
                response.redirect(f"{base}/hold", method="POST")
            return [str(response), str(refused)] if path == ["leg"] else [str(response)]
        case ["leg-status"]:
            return [""]
        case ["key"]:
            asked = VoiceResponse()
            asked.pause(length=20)
            for document in (asked, response):
                document.redirect(f"{base}/{query['back']}", method="POST")
            return [str(asked), str(response)]
        case ["said"]:
            tag, words = FAREWELLS[query["what"]]
            response.say(words, language=tag)
            if query["what"] == "voicemail":
                response.record(max_length=180, timeout=8, play_beep=True, action=f"{base}/recorded")
            response.hangup()
        case ["recorded"]:
            response.hangup()
        case ["left"] | ["status"]:
            pass
        case _:
            raise AssertionError(f"nobody should ask for {path}")
    return [str(response)]


def _offers(position: int, base: str) -> str:
    """The place in line with the keys that may be pressed meanwhile."""
    response = VoiceResponse()
    url = f"{base}/key?back=wait"
    gather = response.gather(input="dtmf", num_digits=1, finish_on_key="", timeout=1, method="POST", action=url)
    gather.say(f"Please hold. You are number {position} in line.", language="en-US")
    gather.say("To be called back, press 1. To leave a message, press 2.", language="en-US")
    gather.play(MUSIC)
    return str(response)


def _asks(keys: str, tries: int, base: str) -> str:
    """The menu at this place, as it is said for the so-many-th time."""
    response, url = VoiceResponse(), f"{base}/menu?keys={keys}&tries={tries}"
    gather = response.gather(input="dtmf", num_digits=1, finish_on_key="", timeout=5, method="POST", action=url)
    words = {"": [("ko-KR", "주문은 1번"), ("en-US", "For delivery press 2")], "2": [("en-US", "Urgent? 1")]}
    for language, text in words[keys]:
        gather.say(text, language=language)
    response.redirect(url, method="POST")
    return str(response)


def normal(document: str) -> str:
    return ElementTree.canonicalize(document, strip_text=True) if document else ""
