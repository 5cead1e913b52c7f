"""A small telephone company on loopback that speaks a Twilio-compatible API.

It behaves as Twilio documents (and as has been measured there), not as our channels would like: it signs every
webhook, refuses answers that are not TwiML, asks for the `action` of a Dial or Enqueue that was cut short and ignores
the answer, and never asks twice. One event loop, no threads; time passes only through the injected clock and sleep.
"""

import asyncio
import base64
import hashlib
import hmac
import math
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, TypeVar
from urllib.parse import urlencode, urljoin
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import httpx2
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.background import BackgroundTask

API = "2010-04-01"
WEBHOOK_TIMEOUT_S = 15.0
MAX_DOCUMENTS = 1000
MAX_VERBS = 64
MAX_DOCUMENT_CHARS = 65536
MAX_LOOPS = 1000
MAX_TEXT_CHARS = 1600
SAY_S, PLAY_S, SILENCE_S = 1.0, 5.0, 1.0
LISTEN_S = 4.0
"""How long it is listened to who or what has picked up."""
XML = ("text/xml", "application/xml", "text/html")
CALL_EVENTS = frozenset({"initiated", "ringing", "answered", "completed"})
WAIT_VERBS = frozenset({"Say", "Play", "Pause", "Gather", "Redirect", "Hangup", "Leave"})
VERBS = (WAIT_VERBS - {"Leave"}) | {"Enqueue", "Dial", "Reject", "Record"}
LASTING = frozenset({"Say", "Play", "Pause", "Gather", "Record"})
RECORD = frozenset({"action", "method", "maxLength", "timeout", "playBeep", "finishOnKey", "trim"})
IN_GATHER = frozenset({"Say", "Play", "Pause"})
KEYS = frozenset("0123456789*#")
GATHER = frozenset(
    [
        "action",
        "method",
        "input",
        "timeout",
        "numDigits",
        "finishOnKey",
        "actionOnEmptyResult",
        "language",
        "hints",
        "profanityFilter",
    ]
)
"""Attributes of a Gather that listens for keys."""
DETECTIONS = frozenset({"Enable", "DetectMessageEnd"})
ACTIVE = frozenset({"in-progress", "paused"})
SEAT = frozenset({"beep", "coach", "endConferenceOnExit", "muted", "startConferenceOnEnter"})
"""The attributes of a Conference that are understood here."""


@dataclass(frozen=True)
class Webhook:
    """One request the carrier made and its answer. Status 0: nobody answered; the body then says why."""

    url: str
    params: dict[str, str]
    status: int
    body: str
    media_type: str = ""


@dataclass(frozen=True)
class Fault:
    """What Twilio would show in its debugger. `sid` is the call or message it happened to."""

    sid: str
    code: int
    message: str


@dataclass(frozen=True)
class Phone:
    answer_after_s: float | None
    busy: bool = False
    reject: bool = False
    hang_up_after_s: float | None = None
    answered_by: str = "human"


@dataclass
class Recording:
    """`spans` are its states in order."""

    sid: str
    call: str
    spans: list[str] = field(default_factory=lambda: ["in-progress"])
    asked: int = 0

    @property
    def status(self) -> str:
        return self.spans[-1]


@dataclass
class Message:
    sid: str
    from_: str
    to: str
    body: str
    direction: str
    status: str
    created_at: float


@dataclass(frozen=True)
class Source:
    """Where a leg's next document comes from: TwiML at hand, or a URL to ask (`repeat` times) with these params."""

    url: str = ""
    twiml: str | None = None
    method: str = "POST"
    params: Mapping[str, str] = field(default_factory=dict)
    repeat: int = 1


@dataclass(eq=False)
class Bridge:
    """Two legs that hear each other, or one that waits for the other. Over as soon as either goes."""

    answered: bool = False
    over: bool = False


@dataclass(frozen=True)
class Seat:
    """A leg's part in a conference: heard by nobody, by the leg it coaches alone, or by all."""

    muted: bool = False
    coach: str | None = None


@dataclass(eq=False)
class Room:
    members: dict[str, Seat] = field(default_factory=dict)
    started: bool = False
    over: bool = False


@dataclass(eq=False)
class Line:
    """A queue: who waits since when, in the order of arrival."""

    sid: str
    waiting: dict[str, float] = field(default_factory=dict)


class _Left(Exception):
    """The leg was pulled out of what it did: hung up (no source), redirected (source), or taken from its queue."""

    def __init__(self, result: str, source: Source | None = None, bridge: Bridge | None = None) -> None:
        super().__init__(result)
        self.result, self.source, self.bridge = result, source, bridge


class _LeftQueue(Exception):
    """The verb Leave."""


class _Broken(Exception):
    """An application error, already on record: the call ends."""


class _Refused(Exception):
    def __init__(self, status: int, code: int, message: str):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(eq=False)
class Call:
    sid: str
    from_: str
    to: str
    direction: str
    created_at: float
    status: str = "queued"
    where: str = "ringing"
    conference: str | None = None
    parent: str | None = None
    timeout_s: float = 60.0
    callback: str = ""
    callback_events: frozenset[str] = frozenset({"completed"})
    events: list[str] = field(default_factory=list)
    answered_at: float | None = None
    ended_at: float | None = None
    bridge: Bridge | None = None
    queue_s: float = 0.0
    gathers: bool = False
    digits: str = ""
    detects: bool = False
    records: bool = False
    told: int = 0
    documents: int = 0
    picked_up: asyncio.Event = field(default_factory=asyncio.Event)
    telling: asyncio.Lock = field(default_factory=asyncio.Lock)
    signal: "asyncio.Future[_Left]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def ended(self) -> bool:
        return self.where == "ended"

    @property
    def duration_s(self) -> int:
        if self.answered_at is None or self.ended_at is None:
            return 0
        return round(self.ended_at - self.answered_at)


Step = Callable[[], Awaitable[Source | None]]
T = TypeVar("T")


class Carrier:
    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        sign: Callable[[str, dict[str, str]], str],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        client: httpx2.AsyncClient | None = None,
    ) -> None:
        self.account_sid = account_sid
        self._auth = "Basic " + base64.b64encode(f"{account_sid}:{auth_token}".encode()).decode()
        self._sign = sign
        self._clock = clock
        self._sleep = sleep
        self._client = client or httpx2.AsyncClient(timeout=WEBHOOK_TIMEOUT_S, trust_env=False)
        self._owns_client = client is None
        self.calls: dict[str, Call] = {}
        self.messages: dict[str, Message] = {}
        self.recordings: dict[str, Recording] = {}
        self.log: list[Webhook] = []
        self.errors: list[Fault] = []
        self.undeliverable: set[str] = set()
        self._phones: dict[str, Phone] = {}
        self._lines: dict[str, Line] = {}
        self._rooms: dict[str, Room] = {}
        self._count = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._news = asyncio.Condition()
        self._news_on_its_way = False
        self.app = _Api(self).app

    # What people do with telephones

    def phone(
        self,
        number: str,
        answer_after_s: float | None,
        busy: bool = False,
        reject: bool = False,
        hang_up_after_s: float | None = None,
        answered_by: str = "human",
    ) -> None:
        """A telephone, and what becomes of a call to it. It rings for ever when `answer_after_s` is None."""
        self._phones[number] = Phone(answer_after_s, busy, reject, hang_up_after_s, answered_by)

    async def call(self, from_: str, to: str, voice_url: str, status_callback: str = "", repeat: int = 1) -> str:
        """Someone outside calls; `repeat` sends the voice webhook that often. Returns before it is answered."""
        call = self.open_call(from_, to, "inbound", callback=status_callback, status="ringing")
        self._spawn(self._leg(call, lambda: self._read(call, Source(voice_url, repeat=repeat))))
        return call.sid

    async def text(self, from_: str, to: str, body: str, sms_url: str, repeat: int = 1) -> str:
        """Someone outside sends a text; returns once the webhook was answered (all `repeat` times)."""
        message = self.open_message(from_, to, body, "inbound", "received")
        ids = dict.fromkeys(("MessageSid", "SmsSid", "SmsMessageSid"), message.sid)
        more = {"Body": body, "NumMedia": "0", "NumSegments": "1", "SmsStatus": "received"}
        params = {"AccountSid": self.account_sid, "ApiVersion": API, "From": from_, "To": to, **ids, **more}
        hook = await self._request(sms_url, params, repeat=repeat)
        try:
            for reply in self._replies(message.sid, hook):
                self.send(self.open_message(to, from_, reply, "outbound-reply", "queued"), "")
        except _Broken:
            pass  # on record, and nobody is left to be told
        return message.sid

    def answer(self, call_sid: str) -> None:
        """Pick up the telephone that rings."""
        call = self.calls[call_sid]
        if call.status not in ("queued", "initiated", "ringing") or call.direction == "inbound":
            raise ValueError(f"nothing to answer: {call_sid} is {call.direction} and {call.status}")
        call.picked_up.set()

    def hang_up(self, call_sid: str) -> None:
        """The person on this leg hangs up: a caller who was not answered yet, or a callee who declines by that."""
        call = self.calls[call_sid]
        self.end(call, "no-answer" if call.direction == "inbound" else "busy")

    def press(self, call_sid: str, keys: str) -> None:
        """Keys are pressed. What comes while nobody gathers is lost."""
        call = self.calls[call_sid]
        if not keys or set(keys) - KEYS:
            raise ValueError(f"a telephone has no keys {keys!r}")
        if call.gathers:
            call.digits += keys
        self._note(call, f"pressed {keys}" if call.gathers else f"pressed {keys} in vain")

    async def speaks(self, call_sid: str, seconds: float) -> None:
        """Somebody speaks for so long, by the carrier's clock."""
        await self._sleep(seconds)
        self._note(self.calls[call_sid], "spoke")

    def talking(self, call_sid: str) -> set[str]:
        """The legs this one is heard by."""
        call = self.calls[call_sid]
        if call.ended:
            return set()
        others = {other for other in self.calls.values() if other is not call and not other.ended}
        room = self._rooms.get(call.conference or "")
        if room is not None and room.started:
            seat = room.members[call_sid]
            return {other.sid for other in others if other.sid in room.members and _is_heard(seat, other.sid)}
        return {other.sid for other in others if call.bridge is not None and other.bridge is call.bridge}

    async def until(self, predicate: Callable[[], bool], timeout_s: float = 5.0) -> None:
        """Return when the predicate holds; it is tried after every change. Real seconds bound the wait."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._when(predicate)
        except TimeoutError:
            calls = [(call.sid[:8], call.direction, call.status, call.where) for call in self.calls.values()]
            raise TimeoutError(f"it never came true; calls: {calls}; errors: {self.errors}") from None

    async def close(self) -> None:
        """End every call and task. What was not told by then remains untold."""
        self._closed = True
        for call in self.calls.values():
            self.end(call)
        while self._tasks:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._owns_client:
            await self._client.aclose()

    # What the REST API does

    def open_call(
        self, from_: str, to: str, direction: str, callback: str = "", parent: str | None = None, status: str = "queued"
    ) -> Call:
        call = Call(self._sid("CA"), from_, to, direction, self._clock(), status, parent=parent)
        call.callback = callback
        self.calls[call.sid] = call
        self._note(call, status)
        return call

    def ring(self, call: Call, source: Source) -> None:
        """Dial the callee; the document is asked for when it answers, or when it is known who or what did."""
        self._spawn(self._leg(call, lambda: self._picked_up(call, source)))

    async def _picked_up(self, call: Call, source: Source) -> Source | None:
        if call.records:
            self.record(call)
        if call.detects:
            await self._pass(call, LISTEN_S)
            source = replace(source, params={**source.params, "AnsweredBy": self._phones[call.to].answered_by})
        return await self._read(call, source)

    def admits(self, authorization: str) -> bool:
        return hmac.compare_digest(authorization.encode(), self._auth.encode())

    def subscribe(self, call: Call, events: Sequence[object]) -> None:
        """An event it does not know costs all callbacks, with nothing but an entry in the debugger (21626)."""
        wanted = frozenset(str(event) for event in events) or call.callback_events
        if wanted - CALL_EVENTS:
            self._broken(call.sid, 21626, f"StatusCallbackEvent {sorted(wanted - CALL_EVENTS)}")
        call.callback_events = frozenset() if wanted - CALL_EVENTS else wanted

    def redirect(self, call: Call, source: Source) -> None:
        self._interrupt(call, _Left("redirected", source))

    def end(self, call: Call, unanswered: str = "canceled") -> None:
        """The call is over at once; its leg tells whoever wants to know."""
        if call.ended:
            return
        call.status = "completed" if call.status == "in-progress" else unanswered
        call.where, call.conference, call.ended_at = "ended", None, self._clock()
        for recording in self.active(call):
            recording.spans.append("completed")
        self._interrupt(call, _Left("hangup"))
        self._note(call, call.status)

    def active(self, call: Call) -> list[Recording]:
        """The recordings that are being made of a call."""
        return [each for each in self.recordings.values() if each.call == call.sid and each.status in ACTIVE]

    def record(self, call: Call) -> Recording:
        recording = Recording(self._sid("RE"), call.sid)
        self.recordings[recording.sid] = recording
        self._note(call, "recording")
        return recording

    def turn(self, call: Call, recording: Recording, status: str) -> None:
        """Pause a recording, go on with it, or stop it for good."""
        if recording.status != status:
            recording.spans.append(status)
            self._note(call, f"recording {status}")

    def open_message(self, from_: str, to: str, body: str, direction: str, status: str) -> Message:
        message = Message(self._sid("SM"), from_, to, body, direction, status, self._clock())
        self.messages[message.sid] = message
        self._note()
        return message

    def send(self, message: Message, callback: str) -> None:
        self._spawn(self._deliver(message, callback))

    async def _deliver(self, message: Message, callback: str) -> None:
        lost = message.to in self.undeliverable
        for status in ("sent", "undelivered" if lost else "delivered"):
            message.status = status
            self._note()
            params = {"MessageSid": message.sid, "SmsSid": message.sid, "MessageStatus": status, "SmsStatus": status}
            params |= {"AccountSid": self.account_sid, "ApiVersion": API, "From": message.from_, "To": message.to}
            if status == "undelivered":
                params["ErrorCode"] = "30003"
            await self._tell(message.sid, Source(callback, params=params))

    def _replies(self, sid: str, hook: Webhook) -> list[str]:
        """What a messaging webhook's answer says back: plain text is a text, as with Twilio."""
        self._accepted(sid, hook)
        if not hook.body.strip():
            return []
        if hook.media_type == "text/plain":
            return [hook.body]
        self._accepted(sid, hook, XML)
        verbs = [verb for verb in self._parse(sid, hook.body) if verb.tag == "Message"]
        return [(verb.findtext("Body") or verb.text or "").strip() for verb in verbs]

    # Legs

    async def _leg(self, call: Call, begin: Step) -> None:
        """A call from ringing to its end, after which the status callback tells the final status."""
        try:
            if call.direction == "inbound" or await self._ring(call):
                await self._follow(call, begin)
        except _Broken:
            self._answered(call)  # a caller is told, by a voice, that an application error has occurred
        except _Left:
            pass  # hung up while it rang
        finally:
            self.end(call)
            self._progress(call, "completed")

    async def _ring(self, call: Call) -> bool:
        if call.ended:
            return False
        call.status = "initiated"
        self._progress(call, "initiated")
        phone = self._phones.get(call.to)
        outcome = "failed" if phone is None else "busy"
        if phone is not None and not phone.busy:
            call.status = "ringing"
            self._progress(call, "ringing")
            outcome = await self._hold(call, self._outcome(call, phone))
        if outcome == "in-progress":
            self._answered(call)
        else:
            self.end(call, outcome)
        return outcome == "in-progress"

    async def _outcome(self, call: Call, phone: Phone) -> str:
        after_s = 0.0 if phone.reject and phone.answer_after_s is None else phone.answer_after_s
        reacts = after_s is not None and after_s < call.timeout_s
        await _race(self._sleep(after_s if reacts and after_s is not None else call.timeout_s), call.picked_up.wait())
        if call.picked_up.is_set():
            return "in-progress"
        if not reacts:
            return "no-answer"
        return "busy" if phone.reject else "in-progress"

    def _answered(self, call: Call) -> None:
        if call.status == "in-progress" or call.ended:
            return
        call.status, call.where, call.answered_at = "in-progress", "document", self._clock()
        self._progress(call, "answered")
        phone = self._phones.get(call.from_ if call.direction == "inbound" else call.to)
        if phone is not None and phone.hang_up_after_s is not None:
            self._spawn(self._hang_up_later(call, phone.hang_up_after_s))

    async def _hang_up_later(self, call: Call, after_s: float) -> None:
        await _race(self._sleep(after_s), self._when(lambda: call.ended))
        self.hang_up(call.sid)

    async def _follow(self, call: Call, begin: Step) -> None:
        """One document after another, until the last is over or the call is."""
        step = begin
        while True:
            try:
                source = await step()
            except _Left as left:
                source = left.source
            if source is None:
                return self._answered(call)
            step = self._reader(call, source)

    def _reader(self, call: Call, source: Source) -> Step:
        return lambda: self._read(call, source)

    async def _read(self, call: Call, source: Source) -> Source | None:
        base, verbs = await self._document(call, source)
        self._at(call, "document")
        return await self._perform(call, base, verbs, VERBS)

    async def _document(self, call: Call, source: Source) -> tuple[str, list[Element]]:
        call.documents += 1
        if call.documents > MAX_DOCUMENTS:
            raise self._broken(call.sid, 12400, "too many documents in one call")
        if source.twiml is not None:
            return "", self._parse(call.sid, source.twiml)
        params = {**self._about(call), **source.params}
        asked = self._keep(self._request(source.url, params, source.method, source.repeat))
        hook = await self._hold(call, asyncio.shield(asked))  # a caller who goes does not take back the question
        self._accepted(call.sid, hook, XML)
        return source.url, self._parse(call.sid, hook.body)

    def _accepted(self, sid: str, hook: Webhook, media_types: tuple[str, ...] = ()) -> None:
        if not 200 <= hook.status < 300:
            raise self._broken(sid, 11200 if hook.status else 11205, f"{hook.url} answered {hook.status}")
        if media_types and hook.media_type not in media_types:
            raise self._broken(sid, 12300, f"{hook.url} answered with content type {hook.media_type or 'none'}")

    def _parse(self, sid: str, text: str) -> list[Element]:
        if len(text) > MAX_DOCUMENT_CHARS:
            raise self._broken(sid, 11750, "the document is too large")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise self._broken(sid, 12100, "documents with a DTD are refused")
        try:
            root = ElementTree.fromstring(text.strip())  # noqa: S314 - no DTD, so no entities to expand
        except (ElementTree.ParseError, ValueError) as error:
            raise self._broken(sid, 12100, f"not XML: {error}") from error
        if root.tag != "Response":
            raise self._broken(sid, 12102, f"the root element is <{root.tag}>, not <Response>")
        if sum(1 for _ in root.iter()) - 1 > MAX_VERBS:
            raise self._broken(sid, 12200, "too many verbs in one document")
        return list(root)

    # Verbs

    async def _perform(self, call: Call, base: str, verbs: list[Element], allowed: frozenset[str]) -> Source | None:
        """The document's verbs in order. What it returns follows the document; None: it is over."""
        for verb in verbs:
            if verb.tag not in allowed:
                raise self._broken(call.sid, 12200, f"<{verb.tag}> is not allowed here")
            if verb.tag == "Redirect":
                return Source(_join(base, _text(verb)), method=verb.get("method", "POST"))
            if verb.tag == "Leave":
                raise _LeftQueue
            if verb.tag not in ("Reject", "Pause"):
                self._answered(call)
            if verb.tag in ("Hangup", "Reject"):
                self.end(call, "busy" if verb.get("reason") == "busy" else "no-answer")
                raise _Left("hangup")
            follows = await self._act(call, base, verb)
            if follows is not None:
                return follows
        return None

    async def _act(self, call: Call, base: str, verb: Element) -> Source | None:
        self._note(call, f"{verb.tag.lower()} {''.join(verb.itertext()).strip()}".strip())
        if verb.tag == "Enqueue":
            return await self._enqueue(call, base, verb)
        if verb.tag == "Dial":
            return await self._dial(call, base, verb)
        if verb.tag == "Gather":
            return await self._gather(call, base, verb)
        if verb.tag == "Record":
            return await self._message(call, base, verb)
        if verb.tag == "Pause":
            await self._pass(call, _number(verb.get("length"), 1.0))
            return None
        loops = int(_number(verb.get("loop"), 1.0)) or MAX_LOOPS
        for _ in range(min(loops, MAX_LOOPS)):
            await self._pass(call, SAY_S if verb.tag == "Say" else PLAY_S)
        return None

    async def _gather(self, call: Call, base: str, verb: Element) -> Source | None:
        """What is said within it ends with the first key; after the last of it, `timeout` is waited for each key."""
        most, timeout_s, last = self._gathering(call, verb)
        call.gathers, call.digits = True, ""

        def is_done() -> bool:
            return (most is not None and len(call.digits) >= most) or (last != "" and last in call.digits)

        try:
            await self._say_until_pressed(call, base, list(verb))
            while not is_done():
                before = call.digits
                await self._hold(call, self._when_within(lambda before=before: call.digits != before, timeout_s))  # type: ignore[misc]
                if call.digits == before:
                    break
        finally:
            call.gathers = False
        digits = call.digits.partition(last)[0] if last else call.digits
        if not digits and verb.get("actionOnEmptyResult") != "true":
            return None
        url = _join(base, verb.get("action", "")) if verb.get("action") else base
        return Source(url, method=verb.get("method", "POST"), params={"Digits": digits[:most]})

    def _gathering(self, call: Call, verb: Element) -> tuple[int | None, float, str]:
        """(numDigits, timeout, finishOnKey) of a Gather that a strict reader takes."""
        most, timeout, last = verb.get("numDigits"), verb.get("timeout", "5"), verb.get("finishOnKey", "#")
        wrong = [name for name in verb.attrib if name not in GATHER]
        wrong += ["numDigits"] if most is not None and not (most.isdigit() and int(most)) else []
        wrong += ["timeout"] if not (timeout.isdigit() and int(timeout)) else []
        wrong += ["finishOnKey"] if last and last not in KEYS else []
        wrong += ["input"] if verb.get("input", "dtmf") != "dtmf" else []
        wrong += ["method"] if verb.get("method", "POST") not in ("POST", "GET") else []
        if wrong or any(each.tag not in IN_GATHER for each in verb):
            raise self._broken(call.sid, 12200, f"<Gather> with {wrong or [each.tag for each in verb]}")
        return int(most) if most else None, float(timeout), last

    async def _message(self, call: Call, base: str, verb: Element) -> Source | None:
        """A message until a key, the hang-up or its greatest length. Those who call here speak without a pause."""
        wrong = [name for name in verb.attrib if name not in RECORD]
        most_s = verb.get("maxLength", "3600")
        wrong += ["maxLength"] if not (most_s.isdigit() and int(most_s)) else []
        if wrong or len(verb):
            raise self._broken(call.sid, 12200, f"<Record> with {wrong or [each.tag for each in verb]}")
        recording, began = self.record(call), self._clock()
        ending: _Left | None = None
        call.gathers, call.digits = True, ""
        try:
            await self._hold(call, self._when_within(lambda: bool(call.digits), float(most_s)))
        except _Left as left:
            ending = left
        finally:
            call.gathers = False
        self.turn(call, recording, "completed")
        params = {
            "RecordingSid": recording.sid,
            "RecordingUrl": f"https://api.twilio.com/{API}/Accounts/{self.account_sid}/Recordings/{recording.sid}",
            "RecordingDuration": str(math.ceil(self._clock() - began)),
            "Digits": "hangup" if ending is not None else call.digits,
        }
        return await self._after(call, base, verb, params, ending)

    async def _say_until_pressed(self, call: Call, base: str, verbs: list[Element]) -> None:
        said = asyncio.ensure_future(self._perform(call, base, verbs, IN_GATHER))
        pressed = asyncio.ensure_future(self._when(lambda: bool(call.digits)))
        try:
            await asyncio.wait((said, pressed), return_when=asyncio.FIRST_COMPLETED)
            if said.done():
                said.result()
        finally:
            said.cancel()
            pressed.cancel()

    async def _enqueue(self, call: Call, base: str, verb: Element) -> Source | None:
        name = _text(verb)
        if not name:
            raise self._broken(call.sid, 12200, "<Enqueue> without a name")
        line = self._lines.setdefault(name, Line(self._sid("QU")))
        ending: Exception | None = None
        try:
            result = await self._in_line(call, base, verb, line)
        except _Left as left:
            ending, result = left, left.result
        except _Broken as broken:
            ending, result = broken, "error"
        params = {"QueueResult": result, "QueueSid": line.sid, "QueueTime": str(int(call.queue_s))}
        self._note(call, f"left queue {name}: {result}")
        return await self._after(call, base, verb, params, ending)

    async def _in_line(self, call: Call, base: str, verb: Element, line: Line) -> str:
        """The wait, and the talk with whoever ends it. Returns the QueueResult."""
        line.waiting[call.sid] = since = self._clock()
        self._at(call, "queue")
        try:
            await self._wait_in(call, base, verb, line)
        except _LeftQueue:
            return "leave"
        except _Left as left:
            if left.bridge is None:
                raise
            bridge = left.bridge
        finally:
            line.waiting.pop(call.sid, None)
            call.queue_s = self._clock() - since
        try:
            await self._talk(call, bridge)
        except _Left as left:
            raise _Left("redirected-from-bridged" if left.source else "bridged", left.source) from None
        return "bridged"

    async def _wait_in(self, call: Call, base: str, verb: Element, line: Line) -> None:
        """The wait document again and again; without one, music for ever. Only an exception ends it."""
        if not verb.get("waitUrl"):
            await self._hold(call, asyncio.Event().wait())
        first = Source(_join(base, verb.get("waitUrl", "")), method=verb.get("waitUrlMethod", "POST"))
        while True:
            source: Source | None = first
            lasted = False
            while source is not None:
                document = await self._document(
                    call, replace(source, params={**self._about_wait(call, line), **source.params})
                )
                lasted = lasted or any(each.tag in LASTING for each in document[1])
                source = await self._perform(call, *document, WAIT_VERBS)
            if not lasted:
                await self._pass(call, SILENCE_S)

    async def _dial(self, call: Call, base: str, verb: Element) -> Source | None:
        nouns = list(verb) or [verb]
        kind = nouns[0].tag
        known = kind in ("Dial", "Number", "Conference", "Queue") and _text(nouns[0]) and not nouns[0].get("url")
        if len(nouns) > 1 or not known:
            raise self._broken(call.sid, 12200, "<Dial> here is of one Number, Conference or Queue without url")
        params: dict[str, str] = {}
        ending: _Left | None = None
        try:
            if kind == "Conference":
                await self._confer(call, nouns[0], params)
            elif kind == "Queue":
                await self._dequeue(call, verb, nouns[0], params)
            else:
                await self._dial_number(call, base, verb, nouns[0], params)
        except _Left as left:
            ending = left
        return await self._after(call, base, verb, params, ending)

    async def _confer(self, call: Call, noun: Element, params: dict[str, str]) -> None:
        name, seat = _text(noun), self._seat(call, noun)
        if seat.coach is not None and not self._is_in(name, seat.coach):
            self._broken(call.sid, 13240, f"{seat.coach} is not in the conference {name}")
            params |= {"DialCallStatus": "failed"}
            return  # to the action of the Dial, says Twilio
        room = self._rooms.setdefault(name, Room())
        room.members[call.sid] = seat
        room.started = room.started or noun.get("startConferenceOnEnter", "true") != "false"
        call.conference = name
        params |= {"DialCallStatus": "answered"}
        self._at(call, f"conference:{name}")
        try:
            await self._hold(call, self._when(lambda: room.over))
        finally:
            call.conference = None
            room.members.pop(call.sid, None)
            if noun.get("endConferenceOnExit") == "true" or not room.members:
                room.over = True
            if room.over and self._rooms.get(name) is room:
                del self._rooms[name]
            self._note(call, f"left conference {name}")

    def _seat(self, call: Call, noun: Element) -> Seat:
        """Anything that is not said as Twilio wants it is an error here, though there it may be a mere warning."""
        muted = noun.get("muted", "false")
        if set(noun.keys()) - SEAT or muted not in ("true", "false"):
            raise self._broken(call.sid, 12200, f"<Conference> with {dict(noun.items())}")
        return Seat(muted == "true", noun.get("coach"))

    def _is_in(self, conference: str, sid: str) -> bool:
        room = self._rooms.get(conference)
        return room is not None and room.started and sid in room.members

    async def _dequeue(self, call: Call, verb: Element, noun: Element, params: dict[str, str]) -> None:
        line = self._lines.get(_text(noun))
        params["DialCallStatus"] = "failed" if line is None else "no-answer"
        if line is None:
            return
        await self._hold(call, self._when_within(lambda: bool(line.waiting), _number(verb.get("timeout"), 30.0)))
        if line.waiting:
            caller = self.calls[next(iter(line.waiting))]
            params |= {"DialCallStatus": "answered", "DialCallSid": caller.sid}
            bridge = Bridge(answered=True)
            self._interrupt(caller, _Left("bridged", bridge=bridge))
            await self._talk(call, bridge)

    async def _dial_number(self, call: Call, base: str, verb: Element, noun: Element, params: dict[str, str]) -> None:
        callback = _join(base, noun.get("statusCallback", "")) if noun.get("statusCallback") else ""
        leg = self.open_call(verb.get("callerId") or call.from_, _text(noun), "outbound-dial", callback, call.sid)
        leg.callback_events = frozenset(noun.get("statusCallbackEvent", "completed").split())
        leg.timeout_s = _number(verb.get("timeout"), 30.0)
        bridge = Bridge()
        self._spawn(self._dialled(leg, bridge))
        try:
            await self._talk(call, bridge)
        finally:
            if leg.bridge is bridge or not bridge.answered:
                self.end(leg)
            params |= {"DialCallSid": leg.sid, "DialCallStatus": "completed" if bridge.answered else leg.status}
            params |= {"DialCallDuration": str(leg.duration_s)} if bridge.answered else {}

    async def _dialled(self, leg: Call, bridge: Bridge) -> None:
        async def begin() -> None:
            bridge.answered = True
            await self._talk(leg, bridge)

        try:
            await self._leg(leg, begin)
        finally:
            self._over(bridge)

    async def _talk(self, call: Call, bridge: Bridge) -> None:
        call.bridge = bridge
        self._at(call, "bridge")
        try:
            await self._hold(call, self._when(lambda: bridge.over))
        finally:
            call.bridge = None
            self._over(bridge)

    def _over(self, bridge: Bridge) -> None:
        bridge.over = True
        self._note()

    async def _after(
        self, call: Call, base: str, verb: Element, params: dict[str, str], ending: Exception | None
    ) -> Source | None:
        """The verb's `action` is what follows it. When the verb was cut short, it is asked all the same, for nothing."""
        action = verb.get("action")
        source = Source(_join(base, action), method=verb.get("method", "POST"), params=params) if action else None
        if ending is None:
            self._at(call, "document")
            return source
        if source is not None:
            await self._tell(call.sid, replace(source, params={**self._about(call), **params}))
        raise ending

    # Waiting, interrupting, telling

    async def _hold(self, call: Call, work: Awaitable[T]) -> T:
        """Wait for the work, unless the leg is pulled out of it; being pulled out comes first."""
        task = asyncio.ensure_future(work)
        either: list[asyncio.Future[Any]] = [task, call.signal]
        try:
            if not call.signal.done():
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if call.signal.done():
                left, call.signal = call.signal.result(), asyncio.get_running_loop().create_future()
                raise left
            return task.result()
        finally:
            task.cancel()

    def _interrupt(self, call: Call, left: _Left) -> None:
        """Pull the leg out of whatever it waits for; the last word counts."""
        for line in self._lines.values():
            line.waiting.pop(call.sid, None)
        if call.signal.done():
            unheard = call.signal.result().bridge
            if unheard is not None:
                self._over(unheard)
            call.signal = asyncio.get_running_loop().create_future()
        call.signal.set_result(left)

    async def _pass(self, call: Call, seconds: float) -> None:
        await self._hold(call, self._sleep(seconds))

    async def _when(self, predicate: Callable[[], bool]) -> None:
        async with self._news:
            await self._news.wait_for(predicate)

    async def _when_within(self, predicate: Callable[[], bool], seconds: float) -> None:
        await _race(self._when(predicate), self._sleep(seconds))

    def _note(self, call: Call | None = None, event: str = "") -> None:
        """Something changed: whoever waits looks again."""
        if call is not None and event:
            call.events.append(event)
        if not self._news_on_its_way:
            self._news_on_its_way = True
            self._spawn(self._spread())

    async def _spread(self) -> None:
        self._news_on_its_way = False
        async with self._news:
            self._news.notify_all()

    def _at(self, call: Call, where: str) -> None:
        if not call.ended:
            call.where = where
            self._note()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        if self._closed:
            work.close()
            return
        self._keep(work)

    def _keep(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _progress(self, call: Call, event: str) -> None:
        """Callbacks of one call go out in order, each when the one before was answered."""
        self._note(call, "" if event == "completed" else event)
        if not call.callback or event not in call.callback_events:
            return
        params = {**self._about(call), "Timestamp": _stamp(self._clock()) or "", "SequenceNumber": str(call.told)}
        params["CallbackSource"] = "call-progress-events"
        if event == "completed":
            params |= {"CallDuration": str(call.duration_s), "Duration": str(-(-call.duration_s // 60))}
        call.told += 1
        self._spawn(self._tell_in_turn(call, Source(call.callback, params=params)))

    async def _tell_in_turn(self, call: Call, source: Source) -> None:
        async with call.telling:
            await self._tell(call.sid, source)

    async def _tell(self, sid: str, source: Source) -> None:
        """A webhook whose answer changes nothing."""
        if source.url:
            hook = await self._request(source.url, dict(source.params), source.method)
            try:
                self._accepted(sid, hook)
            except _Broken:
                pass  # on record

    async def _request(self, url: str, params: dict[str, str], method: str = "POST", repeat: int = 1) -> Webhook:
        """Ask a webhook, signed; repeats carry the same token and their answers are not looked at."""
        url = url.partition("#")[0]
        if method == "GET":
            url, form = f"{url}{'&' if '?' in url else '?'}{urlencode(params)}", None
        else:
            form = params
        self._count += 1
        token = self._digest("token", self._count)
        hooks = [await self._send(method, url, params, form, token) for _ in range(max(1, repeat))]
        return hooks[0]

    async def _send(
        self, method: str, url: str, params: dict[str, str], form: dict[str, str] | None, token: str
    ) -> Webhook:
        try:
            request = self._client.build_request(method, url, data=form)
            url = str(request.url)
            request.headers["X-Twilio-Signature"] = self._sign(url, form or {})
            request.headers["I-Twilio-Idempotency-Token"] = token
            async with asyncio.timeout(WEBHOOK_TIMEOUT_S):
                answer = await self._client.send(request)
            media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
            hook = Webhook(url, params, answer.status_code, answer.text, media_type)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
            hook = Webhook(url, params, 0, f"{type(error).__name__}: {error}")
        self.log.append(hook)
        self._note()
        return hook

    def _about(self, call: Call) -> dict[str, str]:
        params = {"CallSid": call.sid, "AccountSid": self.account_sid, "ApiVersion": API, "Direction": call.direction}
        params |= {"From": call.from_, "To": call.to, "Caller": call.from_, "Called": call.to}
        params["CallStatus"] = call.status
        return params | ({"ParentCallSid": call.parent} if call.parent else {})

    def _about_wait(self, call: Call, line: Line) -> dict[str, str]:
        waits = {sid: self._clock() - since for sid, since in line.waiting.items()}
        return {
            "QueueSid": line.sid,
            "QueuePosition": str(list(waits).index(call.sid) + 1),
            "QueueTime": str(int(waits[call.sid])),
            "AvgQueueTime": str(int(sum(waits.values()) / len(waits))),
            "CurrentQueueSize": str(len(waits)),
        }

    def _broken(self, sid: str, code: int, message: str) -> _Broken:
        self.errors.append(Fault(sid, code, message))
        self._note()
        return _Broken(message)

    def _digest(self, kind: str, number: int) -> str:
        return hashlib.sha256(f"{self.account_sid}/{kind}/{number}".encode()).hexdigest()[:32]

    def _sid(self, prefix: str) -> str:
        self._count += 1
        return prefix + self._digest(prefix, self._count)


async def _race(*runners: Awaitable[object]) -> None:
    """Wait for the first of them and drop the others."""
    tasks = [asyncio.ensure_future(runner) for runner in runners]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def _is_heard(seat: Seat, by: str) -> bool:
    return not seat.muted and seat.coach in (None, by)


def _text(element: Element) -> str:
    return (element.text or "").strip()


def _join(base: str, reference: str) -> str:
    """What is no URL stays what it is, and fails when it is asked."""
    try:
        return urljoin(base, reference)
    except ValueError:
        return reference


def _number(text: str | None, default: float) -> float:
    """A number of seconds or repetitions as an attribute gives it, within reason."""
    try:
        number = float(text or default)
    except ValueError:
        return default
    return min(number, 14_400.0) if number >= 0 else default


class _Api:
    """The REST API under /2010-04-01/Accounts/{account}/."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self.app = FastAPI(openapi_url=None)
        base, guard = f"/{API}/Accounts/{{account}}", [Depends(self._check)]
        for path, method, handler in (
            ("Messages.json", "POST", self._create_message),
            ("Messages.json", "GET", self._list_messages),
            ("Calls.json", "POST", self._create_call),
            ("Calls/{sid}.json", "POST", self._update_call),
            ("Calls/{sid}.json", "GET", self._get_call),
            ("Recordings/{recording}.mp3", "GET", self._get_recording),
            ("Calls/{sid}/Recordings.json", "POST", self._create_recording),
            ("Calls/{sid}/Recordings/{recording}.json", "POST", self._update_recording),
        ):
            self.app.add_api_route(f"{base}/{path}", handler, methods=[method], dependencies=guard)
        self.app.add_exception_handler(_Refused, _refused)
        self.app.add_exception_handler(404, _refused)

    async def _check(self, request: Request, account: str) -> None:
        if not self._carrier.admits(request.headers.get("authorization", "")):
            raise _Refused(401, 20003, "Authenticate")
        if account != self._carrier.account_sid:
            raise _not_found(request)

    async def _create_message(self, request: Request, account: str) -> JSONResponse:
        form = await _form(request)
        to, from_ = _needed(form, "To", 21604), _needed(form, "From", 21603)
        body = _needed(form, "Body", 21602)
        if len(body) > MAX_TEXT_CHARS:
            raise _Refused(400, 21617, f"The message body exceeds the {MAX_TEXT_CHARS} character limit")
        message = self._carrier.open_message(from_, to, body, "outbound-api", "queued")

        async def afterwards() -> None:
            self._carrier.send(message, form.get("StatusCallback", ""))

        return JSONResponse(_message_json(account, message), 201, background=BackgroundTask(afterwards))

    async def _list_messages(self, request: Request, account: str) -> JSONResponse:
        """The newest first, page by page. Times are the carrier's own clock's."""
        asked = request.query_params
        since, until = (_instant(asked.get(f"DateSent{side}")) for side in "><")
        wanted = [
            message
            for message in reversed(self._carrier.messages.values())
            if asked.get("To") in (None, message.to) and asked.get("From") in (None, message.from_)
            if (since is None or message.created_at >= since) and (until is None or message.created_at <= until)
        ]
        size, page = int(_number(asked.get("PageSize"), 50)), int(_number(asked.get("Page"), 0))
        shown = wanted[page * size : (page + 1) * size]
        more = {**asked, "Page": str(page + 1), "PageToken": f"PA{page + 1}"}
        has_more = (page + 1) * size < len(wanted)
        body = {
            "messages": [_message_json(account, message) for message in shown],
            "page": page,
            "page_size": size,
            "next_page_uri": f"{request.url.path}?{urlencode(more)}" if has_more else None,
        }
        return JSONResponse(body)

    async def _create_call(self, request: Request, account: str) -> JSONResponse:
        form = await _form(request)
        to, from_ = _needed(form, "To", 21201), _needed(form, "From", 21213)
        source = _source(form)
        if source is None:
            raise _Refused(400, 21205, "Url parameter is required")
        call = self._carrier.open_call(from_, to, "outbound-api", form.get("StatusCallback", ""))
        call.timeout_s = _number(form.get("Timeout"), 60.0)
        if form.get("MachineDetection", "Enable") not in DETECTIONS:
            raise _Refused(400, 20001, "MachineDetection is Enable or DetectMessageEnd")
        call.detects, call.records = "MachineDetection" in form, form.get("Record") == "true"
        self._carrier.subscribe(call, (await request.form()).getlist("StatusCallbackEvent"))

        async def afterwards() -> None:
            self._carrier.ring(call, source)

        return JSONResponse(_call_json(account, call), 201, background=BackgroundTask(afterwards))

    async def _update_call(self, request: Request, account: str, sid: str) -> JSONResponse:
        form = await _form(request)
        call, source, status = self._known(request, sid), _source(form), form.get("Status")
        if call.ended or (source is not None and not status and call.status != "in-progress"):
            raise _Refused(400, 21220, "Unable to update record. Call is not in-progress. Cannot redirect.")
        if status not in (None, "completed", "canceled") or (status is None and source is None):
            raise _Refused(400, 20001, "Url, Twiml or a Status of completed or canceled is required")
        if status == "completed" or (status == "canceled" and call.status != "in-progress"):
            self._carrier.end(call)
        elif status is None and source is not None:
            self._carrier.redirect(call, source)
        return JSONResponse(_call_json(account, call))

    async def _get_call(self, request: Request, account: str, sid: str) -> JSONResponse:
        return JSONResponse(_call_json(account, self._known(request, sid)))

    async def _get_recording(self, request: Request, account: str, recording: str) -> Response:
        """Told of a moment before it can be had, as the real one does."""
        found = self._carrier.recordings.get(recording)
        if found is None or found.status != "completed":
            raise _not_found(request)
        found.asked += 1
        if found.asked == 1:
            raise _not_found(request)
        return Response(b"ID3" + recording.encode(), media_type="audio/mpeg")

    async def _create_recording(self, request: Request, account: str, sid: str) -> JSONResponse:
        call = self._known(request, sid)
        if call.status != "in-progress":
            raise _Refused(400, 21220, "Unable to create record. Requested resource is not eligible for recording")
        return JSONResponse(_recording_json(account, self._carrier.record(call)), 201)

    async def _update_recording(self, request: Request, account: str, sid: str, recording: str) -> JSONResponse:
        form, call = await _form(request), self._known(request, sid)
        active = self._carrier.active(call)
        if recording == "Twilio.CURRENT" and len(active) > 1:
            raise _Refused(400, 16108, "Request failed due to concurrent recordings")
        found = next((each for each in active if recording in (each.sid, "Twilio.CURRENT")), None)
        if found is None:
            raise _not_found(request)
        status = _needed(form, "Status", 20001)
        behaves = form.get("PauseBehavior", "silence") in ("skip", "silence")
        if status not in ("paused", "in-progress", "stopped") or not behaves:
            raise _Refused(400, 20001, "Status is paused, in-progress or stopped; PauseBehavior skip or silence")
        self._carrier.turn(call, found, status)
        return JSONResponse(_recording_json(account, found))

    def _known(self, request: Request, sid: str) -> Call:
        if sid not in self._carrier.calls:
            raise _not_found(request)
        return self._carrier.calls[sid]


def _not_found(request: Request) -> _Refused:
    return _Refused(404, 20404, f"The requested resource {request.url.path} was not found")


async def _refused(request: Request, error: Exception) -> JSONResponse:
    refusal = error if isinstance(error, _Refused) else _not_found(request)
    body = {"code": refusal.code, "message": refusal.message, "status": refusal.status}
    body["more_info"] = f"https://www.twilio.com/docs/errors/{refusal.code}"
    headers = {"WWW-Authenticate": 'Basic realm="Twilio API"'} if refusal.status == 401 else None
    return JSONResponse(body, refusal.status, headers)


async def _form(request: Request) -> dict[str, str]:
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str) and value}


def _needed(form: dict[str, str], name: str, code: int) -> str:
    if name not in form:
        raise _Refused(400, code, f"A '{name}' parameter is required")
    return form[name]


def _source(form: dict[str, str]) -> Source | None:
    if "Url" not in form and "Twiml" not in form:
        return None
    return Source(form.get("Url", ""), None if "Url" in form else form["Twiml"], form.get("Method", "POST"))


def _instant(said: str | None) -> float | None:
    return None if said is None else datetime.fromisoformat(said).timestamp()


def _stamp(at: float | None) -> str | None:
    return None if at is None else format_datetime(datetime.fromtimestamp(at, UTC))


def _call_json(account: str, call: Call) -> dict[str, str | None]:
    return {
        "sid": call.sid,
        "account_sid": account,
        "api_version": API,
        "from": call.from_,
        "to": call.to,
        "direction": call.direction,
        "status": call.status,
        "parent_call_sid": call.parent,
        "duration": str(call.duration_s) if call.ended else None,
        "date_created": _stamp(call.created_at),
        "start_time": _stamp(call.answered_at),
        "end_time": _stamp(call.ended_at),
        "uri": f"/{API}/Accounts/{account}/Calls/{call.sid}.json",
    }


def _recording_json(account: str, recording: Recording) -> dict[str, str]:
    uri = f"/{API}/Accounts/{account}/Calls/{recording.call}/Recordings/{recording.sid}.json"
    return {"sid": recording.sid, "call_sid": recording.call, "status": recording.status, "uri": uri}


def _message_json(account: str, message: Message) -> dict[str, str | None]:
    return {
        "sid": message.sid,
        "account_sid": account,
        "api_version": API,
        "from": message.from_,
        "to": message.to,
        "body": message.body,
        "direction": message.direction,
        "status": message.status,
        "num_media": "0",
        "num_segments": "1",
        "error_code": None,
        "date_created": _stamp(message.created_at),
        "date_sent": _stamp(message.created_at),
        "uri": f"/{API}/Accounts/{account}/Messages/{message.sid}.json",
    }
