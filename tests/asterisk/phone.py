"""SIP phones on one socket, as small as they can be: they call, ring, answer, are busy or silent, hang up, play a tone over
RTP and tell which tones they hear and which keys they are told of. They know nothing of Naru.
"""

import asyncio
import math
import re
import time
from collections.abc import Callable
from typing import Any

FRAME_S, FRAME = 0.02, 160
KEYS = 101
HEARD = 1600
"""Samples that are listened to at a time: 0.2 s, so that tones 5 Hz apart would be told apart."""
SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n"
    "a=ptime:20\r\na=sendrecv\r\n"
)


def _ulaw(sample: int) -> int:
    """G.711: a 14-bit sample as a byte."""
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), 32635) + 132
    exponent = magnitude.bit_length() - 8
    return ~(sign | (exponent << 4) | ((magnitude >> (exponent + 3)) & 0x0F)) & 0xFF


def _linear(byte: int) -> int:
    byte = ~byte & 0xFF
    magnitude = (((byte & 0x0F) << 3) + 132) << ((byte >> 4) & 0x07)
    return 132 - magnitude if byte & 0x80 else magnitude - 132


LINEAR = [_linear(byte) for byte in range(256)]


def strength(samples: list[int], hertz: int) -> float:
    """How much of a signal's energy is at a frequency, 0 to 1 (Goertzel); 0 for silence."""
    energy = sum(sample * sample for sample in samples)
    if energy < len(samples) * 100:
        return 0.0
    factor = 2 * math.cos(2 * math.pi * hertz / 8000)
    one = two = 0.0
    for sample in samples:
        one, two = sample + factor * one - two, one
    return float((one * one + two * two - factor * one * two) / (energy * len(samples) / 2))


class Voice(asyncio.DatagramProtocol):
    """One end of a talk's audio."""

    def __init__(self, hertz: int) -> None:
        self._tone = [_ulaw(int(8000 * math.sin(2 * math.pi * hertz * n / 8000))) for n in range(8000)]
        self.samples: list[int] = []
        self.keys: dict[bytes, str] = {}
        """By the time stamp of their packets, of which each key has several (RFC 4733)."""
        self.peer: tuple[str, int] | None = None
        self.transport: asyncio.DatagramTransport | None = None
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if len(data) > 12 and data[1] & 0x7F == KEYS:
            self.keys[data[4:8]] = "0123456789*#ABCD"[data[12] & 0x0F]
        elif len(data) > 12:
            self.samples = (self.samples + [LINEAR[byte] for byte in data[12:]])[-HEARD:]

    async def speak(self) -> None:
        start, number = time.perf_counter(), 0
        while True:
            payload = bytes(self._tone[(number * FRAME + n) % 8000] for n in range(FRAME))
            head = bytes((0x80, 0)) + number.to_bytes(4, "big")[2:] + (number * FRAME).to_bytes(4, "big") + b"naru"
            if self.peer is not None and self.transport is not None:
                self.transport.sendto(head + payload, self.peer)
            number += 1
            await asyncio.sleep(max(0.0, start + number * FRAME_S - time.perf_counter()))

    def hears(self, hertz: int) -> bool:
        return len(self.samples) == HEARD and strength(self.samples, hertz) > 0.2

    def forget(self) -> None:
        self.samples = []

    def close(self) -> None:
        if self.task is not None:
            self.task.cancel()
        if self.transport is not None:
            self.transport.close()


class Call:
    """One dialog of a phone. `state`: ringing, up, over. Times are of a monotonic clock, in seconds."""

    def __init__(self, user: str, id_: str, is_ours: bool) -> None:
        self.user = user
        self.id = id_
        self.is_ours = is_ours
        self.state = "ringing"
        self.status = 0
        self.came_at = time.perf_counter()
        self.up_at = self.over_at = 0.0
        self.head: dict[str, str] = {}
        self.remote = ""
        self.sequence = 1
        self.voice: Voice | None = None
        self.sdp = ""


class Phones(asyncio.DatagramProtocol):
    """All phones. `answers(user)` says what one does: "answer", "busy", "ring". `tones` are their voices, by user."""

    def __init__(self, exchange: tuple[str, int], tones: dict[str, int] | None = None) -> None:
        self._exchange = exchange
        self._tones = tones
        self._count = 0
        self.calls: dict[str, Call] = {}
        self.answers: Callable[[str], str] = lambda user: "answer"
        self.rings_s, self.talks_s = 0.05, 0.0
        """How long a phone rings before it is answered, and after what it hangs up by itself (0: never)."""
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.transport: asyncio.DatagramTransport | None = None

    async def open(self, port: int = 0) -> "Phones":
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", port))
        return self

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def close(self) -> None:
        for call in self.calls.values():
            if call.voice is not None:
                call.voice.close()
        for task in self._tasks:
            task.cancel()
        if self.transport is not None:
            self.transport.close()

    def of(self, user: str, state: str | None = None) -> list[Call]:
        return [call for call in self.calls.values() if call.user == user and state in (None, call.state)]

    # -- what people do

    async def dial(self, user: str, number: str) -> Call:
        self._count += 1
        call = Call(user, f"out-{self._count}-{self.port}", is_ours=True)
        self.calls[call.id] = call
        call.remote = f"sip:{number}@127.0.0.1:{self._exchange[1]}"
        call.head = {"From": f"<sip:{user}@127.0.0.1:{self.port}>;tag=f{self._count}", "To": f"<{call.remote}>"}
        self._request(call, "INVITE", await self._offer(call))
        return call

    async def hang_up(self, call: Call) -> None:
        if call.state == "up":
            self._request(call, "BYE")
        elif call.is_ours and call.state == "ringing":
            self._request(call, "CANCEL")
        self._over(call)

    def press(self, call: Call, key: str) -> None:
        """A key, as a SIP INFO (RFC 6086 with the usual body)."""
        self._request(call, "INFO", f"Signal={key}\r\nDuration=160\r\n", "application/dtmf-relay")

    async def _offer(self, call: Call) -> str:
        if self._tones is None:
            return SDP.format(port=self.port)  # nobody listens: this phone is only counted
        call.voice = Voice(self._tones.get(call.user, 1000))
        loop = asyncio.get_running_loop()
        voice = call.voice
        transport, _ = await loop.create_datagram_endpoint(lambda: voice, local_addr=("127.0.0.1", 0))
        voice.task = asyncio.create_task(voice.speak())
        return SDP.format(port=transport.get_extra_info("sockname")[1])

    def _over(self, call: Call) -> None:
        if call.state != "over":
            call.state, call.over_at = "over", time.perf_counter()
            if call.voice is not None:
                call.voice.close()

    # -- SIP

    def _request(self, call: Call, method: str, body: str = "", media_type: str = "application/sdp") -> None:
        if method in ("INVITE", "BYE", "INFO"):
            call.sequence += 1
        mine, theirs = ("From", "To") if call.is_ours else ("To", "From")
        lines = [
            f"{method} {call.remote} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};rport;branch=z9hG4bK{call.id}{call.sequence if method != 'ACK' else 'a'}",
            f"From: {call.head[mine]}",
            f"To: {call.head[theirs]}",
            f"Call-ID: {call.id}",
            f"CSeq: {call.sequence} {method}",
            f"Contact: <sip:{call.user}@127.0.0.1:{self.port}>",
            "Max-Forwards: 70",
        ]
        self._send(lines, body, media_type)

    def _reply(self, call: Call, head: dict[str, Any], status: str, body: str = "") -> None:
        tagged = head["To"] if ";tag=" in head["To"] else f"{head['To']};tag=t{call.id[-12:]}"
        if not call.is_ours:
            call.head = {"From": head["From"], "To": tagged}
        lines = [
            f"SIP/2.0 {status}",
            *(f"Via: {via}" for via in head["vias"]),
            f"From: {head['From']}",
            f"To: {tagged}",
            f"Call-ID: {call.id}",
            f"CSeq: {head['CSeq']}",
            f"Contact: <sip:{call.user}@127.0.0.1:{self.port}>",
        ]
        self._send(lines, body)

    def _send(self, lines: list[str], body: str, media_type: str = "application/sdp") -> None:
        kind = [f"Content-Type: {media_type}"] if body else []
        raw = "\r\n".join([*lines, *kind, f"Content-Length: {len(body)}", "", body])
        if self.transport is not None:
            self.transport.sendto(raw.encode(), self._exchange)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        text, _, body = data.decode(errors="replace").partition("\r\n\r\n")
        first, *rest = text.split("\r\n")
        head: dict[str, Any] = {"vias": []}
        for line in rest:
            name, _, value = line.partition(": ")
            if name == "Via":
                head["vias"].append(value)
            else:
                head.setdefault(name, value)
        if first.startswith("SIP/2.0"):
            self._answered(int(first.split()[1]), head, body)
        elif len(first.split()) == 3:  # anything shorter keeps the way open
            self._asked(first.split()[0], first.split()[1], head, body)

    def _answered(self, status: int, head: dict[str, Any], body: str) -> None:
        call = self.calls.get(head.get("Call-ID", ""))
        if call is None or not head["CSeq"].endswith("INVITE"):
            return
        call.status = status
        if status >= 200:
            call.head["To"] = head["To"]
            target = re.search(r"<([^>]+)>", head.get("Contact", ""))
            if target and status < 300:
                call.remote = target.group(1)
            self._request(call, "ACK")
            if status >= 300:
                self._over(call)
            elif call.state == "ringing":
                self._up(call, body)

    def _up(self, call: Call, body: str) -> None:
        call.state, call.up_at = "up", time.perf_counter()
        media = re.search(r"m=audio (\d+)", body)
        if call.voice is not None and media:
            call.voice.peer = ("127.0.0.1", int(media.group(1)))

    def _asked(self, method: str, uri: str, head: dict[str, Any], body: str) -> None:
        id_ = head.get("Call-ID", "")
        if method == "INVITE" and id_ not in self.calls:
            user = uri.removeprefix("sip:").split("@")[0]
            call = self.calls[id_] = Call(user, id_, is_ours=False)
            target = re.search(r"<([^>]+)>", head.get("Contact", ""))
            call.remote = target.group(1) if target else ""
            call.sdp = body
            self._start(self._ring(call, head))
            return
        known = self.calls.get(id_)
        if known is None:
            return
        if method == "INVITE":
            self._reply(known, head, "200 OK", SDP.format(port=self.port) if known.voice is None else "")
        elif method in ("BYE", "CANCEL"):
            self._reply(known, head, "200 OK")
            if method == "CANCEL" and known.state == "ringing":
                self._reply(known, {**head, "CSeq": head["CSeq"].replace("CANCEL", "INVITE")}, "487 Request Terminated")
            self._over(known)
        elif method != "ACK":
            self._reply(known, head, "200 OK")

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ring(self, call: Call, head: dict[str, Any]) -> None:
        what = self.answers(call.user)
        if what == "busy":
            self._reply(call, head, "486 Busy Here")
            self._over(call)
            return
        self._reply(call, head, "180 Ringing")
        await asyncio.sleep(self.rings_s)
        if what != "answer" or call.state != "ringing":
            return
        offer = await self._offer(call)
        self._reply(call, head, "200 OK", offer)
        self._up(call, call.sdp)
        if self.talks_s:
            await asyncio.sleep(self.talks_s)
            await self.hang_up(call)
