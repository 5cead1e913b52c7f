"""SMS by SMPP: bytes against `aiosmpplib`, an independent library; what is remembered of what may come again; and the
session against an SMSC of a few lines. The whole path is walked in `tests/integration/test_smpp.py`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiosmpplib import NPI, TON, DeliverSm, PhoneNumber, SmppMessage, SubmitSm
from hypothesis import given
from hypothesis import strategies as st

from channels import smpp_pdu as wire
from channels.base import Item, Line, Outgoing, Result, Submit, Unsendable
from channels.ports import Unavailable
from channels.providers.smpp import Smpp, setting, submit_bodies
from channels.smpp import Smsc
from channels.smpp_inbox import ANSWERED_LATE_S, MAX_GROUPS, MAX_HEARD, REPEATS_WITHIN_S, Inbox
from channels.smpp_pdu import Address, Pdu, Short
from router.effects import Deliver
from router.inputs import ReceiveMessage, ReceiveReceipt
from router.model import Content, Identity, Text, Thread
from support.channel import NOW, account, hook, nobody

SETTINGS = {"number": "15880000"}
OURS = account(Smpp(), SETTINGS)
KOREAN = "내일 도착합니다 😀"
LONG = "긴 문자입니다. 😀 " * 30


def deliver(value: str = "+821012345678", kind: Any = "phone") -> Deliver:
    return Deliver(
        channel="c",
        key="m1",
        conversation="v",
        contact="k",
        thread=Thread(external=value),
        identity=Identity(scope="e164", kind=kind, value=value),
    )


def outgoing(text: str) -> Outgoing:
    return Outgoing(Content(parts=(Text(text=text),)))


def ordered(text: str, **settings: Any) -> list[Short]:
    """What an SMSC reads of the submit_sm that carry a text."""
    ours = account(Smpp(), {**SETTINGS, **settings})
    order = Smpp().write(ours, deliver(), outgoing(text), NOW)
    bodies = submit_bodies(ours, order, 7)
    read = [wire.short(Pdu(wire.SUBMIT_SM, 0, 1, body)) for body in bodies]
    assert None not in read
    return [one for one in read if one is not None]


# -- the wire, read and written by an independent library


@pytest.mark.parametrize("text", ["Where is it? {5€} [ok]", KOREAN, "한글"])
def test_what_we_submit_is_read_by_another_library(text: str) -> None:
    (body,) = submit_bodies(OURS, Submit(source="SHOP", destination="+821012345678", text=text, reference="m1"), 7)
    raw = wire.frame(wire.SUBMIT_SM, 9, body)
    read = SubmitSm.from_pdu(raw, SmppMessage.parse_header(raw[:16]), "gsm0338")
    assert (read.short_message, read.sequence_num, read.registered_delivery) == (text, 9, 1)
    assert (read.source.number, read.source.ton) == ("SHOP", TON.ALPHANUMERIC)
    assert (read.destination.number, read.destination.ton, read.destination.npi) == (
        "821012345678",
        TON.INTERNATIONAL,
        NPI.ISDN,
    )


@pytest.mark.parametrize(("text", "encoding"), [("Hello {you} €", "gsm0338"), (KOREAN, "ucs2"), ("déjà", "latin_1")])
def test_what_another_library_writes_is_read(text: str, encoding: str) -> None:
    phone = PhoneNumber("821012345678", TON.INTERNATIONAL, NPI.ISDN)
    written = DeliverSm(short_message=text, source=phone, destination=PhoneNumber("15880000"), sequence_num=5)
    written.encoding = encoding
    written.set_encoding_info("gsm0338", None)
    (item,) = Smpp().read(OURS, hook(written.pdu(), method="SMPP"), nobody).items
    assert item.content is not None and item.content.text == text
    assert isinstance(item.body, ReceiveMessage) and item.body.identity.value == "+821012345678"


def test_another_librarys_receipt_is_read() -> None:
    said = {"id": "4711", "sub": 1, "dlvrd": 1, "stat": "DELIVRD", "err": 0, "text": "x"}
    text = "id:{id} sub:001 dlvrd:001 submit date:2611260411 done date:2611260412 stat:{stat} err:000 text:x"
    phone = PhoneNumber("821012345678", TON.INTERNATIONAL, NPI.ISDN)
    written = DeliverSm(short_message=text.format(**said), source=phone, destination=phone, esm_class=4)
    written.set_encoding_info("gsm0338", None)
    assert written.is_receipt() and written.parse_receipt()["id"] == "4711"
    (item,) = Smpp().read(OURS, hook(written.pdu(), method="SMPP"), nobody).items
    assert item.body == ReceiveReceipt(status="delivered", channel="c", external="4711")


# -- texts


@given(st.text(max_size=300))
def test_whatever_is_written_is_read_as_it_was(text: str) -> None:
    for coding, default in (
        ("auto", "gsm7"),
        ("auto", "latin1"),
        ("ucs2", "gsm7"),
        ("euckr", "gsm7"),
        ("auto", "euckr"),
    ):
        written = wire.written(text, coding, default)
        if written is None:
            continue
        pieces = written.pieces()
        assert all(len(piece) <= (written.alone if len(pieces) == 1 else written.part) for piece in pieces)
        # No letter is cut in two: each part can be read by itself.
        read = "".join(wire.text(piece, written.data_coding, default) for piece in pieces)
        assert read == text.encode("utf-16", "replace").decode("utf-16")


@pytest.mark.parametrize(
    ("text", "coding"), [("x" + "😀" * 99, "auto"), ("x" + "{" * 199, "auto"), ("x" + "가" * 199, "euckr")]
)
def test_no_letter_is_cut_in_two(text: str, coding: str) -> None:
    written = wire.written(text, coding)
    assert written is not None and len(written.pieces()) > 1
    assert "".join(wire.text(piece, written.data_coding) for piece in written.pieces()) == text


def test_a_text_takes_the_least_parts_that_its_alphabet_allows() -> None:
    assert len(ordered("x" * 160)) == 1 and len(ordered("x" * 161)) == 2
    assert len(ordered("가" * 70)) == 1 and len(ordered("가" * 71)) == 2
    assert len(ordered("가" * 70, data_coding="euckr")) == 1 and len(ordered("가" * 71, data_coding="euckr")) == 2
    assert {one.data_coding for one in ordered("가", data_coding="euckr")} == {0x0E}
    assert {one.data_coding for one in ordered("가", data_coding="euckr", default_alphabet="euckr")} == {0}


@pytest.mark.parametrize("long", ["parts", "payload"])
def test_long_texts_are_parts_or_a_payload(long: str) -> None:
    parts = ordered(LONG, long=long)
    assert [one.number for one in parts] == list(range(1, (6 if long == "parts" else 1) + 1))
    assert "".join(one.data.decode("utf-16-be") for one in parts) == LONG
    assert {one.reference for one in parts} == {7 if long == "parts" else 0}


@pytest.mark.parametrize(
    ("text", "settings", "to"),
    [
        (" ", {}, "+8210"),
        ("가" * 671, {}, "+8210"),
        ("x" * 1531, {}, "+8210"),
        ("가", {"data_coding": "gsm7"}, "+8210"),
        ("😀", {"data_coding": "euckr"}, "+8210"),
        ("hi", {}, "SHOP"),
    ],
)
def test_what_is_no_sms_is_said(text: str, settings: dict[str, Any], to: str) -> None:
    with pytest.raises(Unsendable):
        Smpp().write(account(Smpp(), {**SETTINGS, **settings}), deliver(to), outgoing(text), NOW)


def test_numbers_are_written_and_read_as_the_smsc_has_them() -> None:
    ours = account(Smpp(), {**SETTINGS, "country_code": "82", "numbers": "national", "destination_ton": 2})
    (body,) = submit_bodies(ours, Submit(source="15880000", destination="+821012345678", text="x", reference="m"), 1)
    read = wire.short(Pdu(wire.SUBMIT_SM, 0, 1, body))
    assert read is not None and read.destination == Address(2, 1, "01012345678")
    for source, wanted in (
        (Address(0, 1, "01012345678"), Identity(scope="e164", kind="phone", value="+821012345678")),
        (Address(1, 1, "821012345678"), Identity(scope="e164", kind="phone", value="+821012345678")),
        (Address(0, 1, "114"), Identity(scope="e164", kind="phone", value="114")),
        (Address(5, 0, "KB Bank"), Identity(scope="sms:c", kind="handle", value="KB Bank")),
    ):
        (item,) = Smpp().read(ours, hook(incoming("hi", source), method="SMPP"), nobody).items
        assert isinstance(item.body, ReceiveMessage) and item.body.identity == wanted
        assert (item.body.policy is not None) == (wanted.kind == "handle")


def test_numbers_in_settings_may_be_texts_and_nonsense_is_the_default() -> None:
    for value, wanted in (
        ("5019", 5019),
        (5019, 5019),
        ("x", 7),
        (None, 7),
        (True, 7),
        ("nan", 7),
        (1e999, 7),
        ([], 7),
    ):
        assert setting(account(Smpp(), {"port": value}), "port", 7) == wanted


@pytest.mark.parametrize(
    ("ids", "response", "receipt", "same"),
    [
        ("as_is", "4F1C", "4F1C", True),
        ("dec_to_hex", "4F1C", "0000020252", True),
        ("dec_to_hex", "4f1c", "20253", False),
        ("hex_to_dec", "20252", "00004F1C", True),
        ("hex_to_dec", "msg-1", "msg-1", True),
    ],
)
def test_ids_of_responses_and_receipts_are_the_same(ids: str, response: str, receipt: str, same: bool) -> None:
    found = wire.external(response, ids, from_receipt=False), wire.external(receipt, ids, from_receipt=True)
    assert (found[0] == found[1]) is same


# -- what may come again


def incoming(text: str, source: Address = Address(1, 1, "821012345678"), sequence: int = 1, **more: Any) -> bytes:
    message = Short(source=source, destination=Address(0, 1, "15880000"), data_coding=8, **more)
    letters = wire.written(text, "ucs2")
    assert letters is not None
    body = next(wire.parts(message, letters, 0, "payload"))
    return wire.frame(wire.DELIVER_SM, sequence, body)


def parts_of(text: str, reference: int = 7) -> list[bytes]:
    message = Short(source=Address(1, 1, "821012345678"), destination=Address(0, 1, "15880000"))
    letters = wire.written(text, "ucs2")
    assert letters is not None
    return [
        wire.frame(wire.DELIVER_SM, n, body) for n, body in enumerate(wire.parts(message, letters, reference, "parts"))
    ]


def inbox(saved: dict[str, Any] | None = None, session: int = 1) -> Inbox:
    made = Inbox(saved or {}, lambda raw: raw[::-1], lambda raw: raw[::-1])
    made.session = session
    return made


def test_equal_texts_on_one_connection_are_two() -> None:
    box = inbox()
    first = box.hear("x", 1, False, NOW)
    second = box.hear("x", 2, False, NOW + 1)  # both are under way
    box.answered(first, True, NOW + 1)
    box.answered(second, True, NOW + 1)
    assert len({first.name, second.name, box.hear("x", 3, False, NOW + 60).name}) == 3


@pytest.mark.parametrize("how", ["refused", "silent", "late", "same sequence"])
def test_what_the_smsc_sends_again_on_one_connection_is_one(how: str) -> None:
    box = inbox()
    first = box.hear("x", 1, False, NOW)
    later = NOW + ANSWERED_LATE_S + 1
    if how == "refused":
        box.answered(first, False, NOW)
    elif how == "late":
        box.answered(first, True, later)
    assert box.hear("x", 1 if how == "same sequence" else 2, False, later).name == first.name


def test_over_connections_and_restarts_only_what_is_proven_is_over() -> None:
    box = inbox()
    proven, open_ = box.hear("proven", 1, False, NOW), box.hear("open", 2, False, NOW)
    box.answered(proven, True, NOW)
    asked = box.answers
    box.answered(open_, True, NOW)
    box.proven(asked, NOW + 1)
    for again in (box, inbox(box.as_cursor(), session=0)):
        again.session += 1
        assert again.hear("proven", 1, False, NOW + 2).name != proven.name
        heard = again.hear("open", 2, False, NOW + 2)
        assert (heard.name, heard.again) == (open_.name, True)
        assert again.hear("open", 3, False, NOW + 3).name != open_.name  # that one has come already
        again.session += 1
        assert again.hear("open", 4, False, NOW + REPEATS_WITHIN_S + 9).name != open_.name


def test_what_is_remembered_is_bounded() -> None:
    box = inbox()
    for n in range(MAX_HEARD + 50):
        box.hear(f"x{n}", n + 1, False, NOW)
    assert len(inbox(box.as_cursor())._heard) == MAX_HEARD
    (raw, *_) = parts_of(LONG)
    room = []
    for n in range(3 * MAX_GROUPS):
        (pdu,) = wire.frames(raw)
        message = wire.short(pdu)
        assert message is not None
        other = Short(
            **{**{f: getattr(message, f) for f in message.__struct_fields__}, "source": Address(1, 1, str(n))}
        )
        room.append(box.add(other, box.hear(f"p{n}", n + 1, True, NOW), pdu, NOW + n / 1000))
    assert len(box.groups) == 2 * MAX_GROUPS and room.count(True) == 2 * MAX_GROUPS


def test_a_cursor_that_is_not_ours_to_open_is_an_empty_one() -> None:
    for saved in ({}, {"sealed": 7}, {"sealed": "!"}, {"sealed": "e30="}, {"sealed": ""}):
        assert Inbox(saved, bytes, lambda raw: None).groups == {}
        assert inbox(saved).groups == {}


# -- the session, with an SMSC of a few lines


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = NOW
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0.001)


class House:
    """What a session is given: it keeps what was taken, and refuses for as long as it is told to."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.taken: dict[str, Item] = {}
        self.takes = 0
        self.cursor: dict[str, Any] = {}
        self.refuses = 0
        self.unkept = 0
        self.order: list[str] = []
        self.busy: asyncio.Event | None = None

    async def _take(self, item: Item) -> None:
        self.takes += 1
        if self.busy is not None:
            await self.busy.wait()
        if self.refuses:
            self.refuses -= 1
            raise Unavailable("planted")
        self.taken.setdefault(item.key, item)
        self.order.append("taken")

    async def _move(self, cursor: dict[str, Any]) -> None:
        if self.unkept:
            self.unkept -= 1
            raise ConnectionError("planted")
        self.cursor = cursor
        self.order.append("kept")

    async def _cursor(self) -> dict[str, Any]:
        return self.cursor

    @property
    def line(self) -> Line:
        return Line(
            take=self._take,
            ask=None,  # type: ignore[arg-type]
            comments=None,  # type: ignore[arg-type]
            look=nobody,
            cursor=self._cursor,
            move_cursor=self._move,
            clock=self.clock,
            sleep=self.clock.sleep,
        )

    @property
    def texts(self) -> list[str]:
        return [item.content.text for item in self.taken.values() if item.content is not None]


class Peer:
    """The other side: all PDUs that came, and what a test has it answer. It binds everybody, and is asked nothing."""

    def __init__(self) -> None:
        self.came: list[Pdu] = []
        self.statuses: list[int | None] = []
        self.answers_enquiries = True
        self.writer: asyncio.StreamWriter | None = None
        self.port = 0
        self._more = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = wire.HEAD.unpack(await reader.readexactly(16))
                pdu = Pdu(head[1], head[2], head[3], await reader.readexactly(head[0] - 16))
                self.came.append(pdu)
                self._answer(pdu)
                self._more.set()
        writer.close()

    def _answer(self, pdu: Pdu) -> None:
        if pdu.command == wire.BIND_TRANSCEIVER:
            self.say(pdu.command | wire.RESPONSE, pdu.sequence, b"smsc\0")
        elif pdu.command == wire.ENQUIRE_LINK and self.answers_enquiries:
            self.say(pdu.command | wire.RESPONSE, pdu.sequence)
        elif pdu.command == wire.SUBMIT_SM:
            status = self.statuses.pop(0) if self.statuses else 0
            if status is not None:
                self.say(pdu.command | wire.RESPONSE, pdu.sequence, f"m{pdu.sequence}\0".encode(), status)

    def say(self, command: int, sequence: int, body: bytes = b"", status: int = 0) -> None:
        assert self.writer is not None
        self.writer.write(wire.frame(command, sequence, body, status))

    def raw(self, *pdus: bytes) -> None:
        assert self.writer is not None
        self.writer.write(b"".join(pdus))

    def of(self, command: int) -> list[Pdu]:
        return [pdu for pdu in self.came if pdu.command == command]

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                self._more.clear()
                await self._more.wait()

    async def responses(self, count: int) -> list[int]:
        """The statuses of our deliver_sm_resp, once there are so many."""
        command = wire.DELIVER_SM | wire.RESPONSE
        await self.until(lambda: len(self.of(command)) >= count)
        return [pdu.status for pdu in self.of(command)]


@contextlib.asynccontextmanager
async def bound(house: House, **settings: Any) -> AsyncIterator[tuple[Smsc, Peer]]:
    peer = Peer()
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    said = {**SETTINGS, "host": "127.0.0.1", "port": peer.port, **settings}
    session = Smsc(account(Smpp(), said), house.line)
    running = asyncio.create_task(session.run())
    try:
        await peer.until(lambda: bool(peer.of(wire.BIND_TRANSCEIVER)))
        async with asyncio.timeout(20):
            await session._ready.wait()
        yield session, peer
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        server.close()
        await server.wait_closed()


def order(text: str = "hello") -> Submit:
    return Submit(source="15880000", destination="+821012345678", text=text, reference="m1")


async def test_a_message_is_acknowledged_only_when_it_is_durable() -> None:
    house = House()
    house.refuses = 1
    async with bound(house) as (_, peer):
        peer.raw(incoming("안녕"))
        assert await peer.responses(1) == [wire.LATER] and house.texts == []
        peer.raw(incoming("안녕", sequence=2))
        assert await peer.responses(2) == [wire.LATER, wire.OK]
        peer.raw(incoming("안녕", sequence=3))
        await peer.responses(3)
    assert house.texts == ["안녕", "안녕"] and house.takes == 3
    assert house.order[:2] == ["kept", "taken"], "what it is called is kept before it is taken"


async def test_a_message_is_taken_even_if_the_database_is_away_and_a_part_is_not() -> None:
    house = House()
    first, *rest = parts_of(LONG)
    async with bound(house) as (_, peer):
        house.unkept = 10**6
        peer.raw(incoming("안녕"))
        peer.raw(first)
        assert await peer.responses(2) == [wire.OK, wire.LATER]
        house.unkept = 0
        peer.raw(first, *rest)
        assert set((await peer.responses(2 + 6))[2:]) == {wire.OK}
        async with asyncio.timeout(20):
            while len(house.texts) < 2:
                await asyncio.sleep(0.001)
    assert house.texts == ["안녕", LONG]


async def test_parts_that_do_not_come_are_waited_for_and_then_missed() -> None:
    house = House()
    _, second, *_ = parts_of(LONG)
    async with bound(house, parts_wait_s=30) as (_, peer):
        peer.raw(second)
        await peer.responses(1)
        async with asyncio.timeout(20):
            while not house.texts:
                await asyncio.sleep(0.001)
    (text,) = house.texts
    assert text.startswith("[…]") and text.endswith("[…]") and text.removeprefix("[…]").removesuffix("[…]") in LONG
    assert house.clock.now - NOW > 30


async def test_a_part_that_comes_while_its_message_is_given_up_is_not_lost() -> None:
    house = House()
    one, other = parts_of("가" * 100)
    async with bound(house, parts_wait_s=30) as (_, peer):
        house.busy = asyncio.Event()
        peer.raw(one)
        await peer.responses(1)
        async with asyncio.timeout(20):
            while not house.takes:
                await asyncio.sleep(0.001)
        peer.raw(other)
        await peer.responses(2)
        house.busy.set()
        async with asyncio.timeout(20):
            while len(house.texts) < 2:
                await asyncio.sleep(0.001)
    assert sorted(house.texts) == ["[…]" + "가" * 33, "가" * 67 + "[…]"]


async def test_another_long_text_under_the_same_number_does_not_mix() -> None:
    house = House()
    one, other = parts_of("가" * 100), parts_of("나" * 100)
    async with bound(house) as (_, peer):
        peer.raw(one[0], other[0], other[1])
        await peer.responses(3)
        async with asyncio.timeout(20):
            while len(house.texts) < 2:
                await asyncio.sleep(0.001)
    assert sorted(house.texts) == ["가" * 67 + "[…]", "나" * 100]


async def test_what_cannot_be_read_is_refused_for_good_and_unknown_commands_are_said() -> None:
    house = House()
    async with bound(house) as (session, peer):
        peer.raw(wire.frame(wire.DELIVER_SM, 4, b"\0\1\1"))
        assert await peer.responses(1) == [wire.NEVER]
        peer.say(0x03, 8)
        await peer.until(lambda: bool(peer.of(wire.GENERIC_NACK)))
        peer.say(wire.ENQUIRE_LINK, 9)
        await peer.until(lambda: bool(peer.of(wire.ENQUIRE_LINK | wire.RESPONSE)))
        assert (await session.send(order())).kind == "accepted"


async def test_throttling_slows_everything_down_and_loses_nothing() -> None:
    house = House()
    async with bound(house) as (session, peer):
        peer.statuses = [wire.THROTTLED, wire.THROTTLED, wire.OK]
        first, second = await session.send(order()), await session.send(order())
        assert (first.kind, first.detail, second.kind) == ("retry", "ESME_RTHROTTLED (0x58)", "retry")
        assert (await session.send(order())).kind == "accepted"
        assert [s for s in house.clock.slept if s in (1.0, 2.0)][:2] and 2.0 in house.clock.slept


async def test_the_window_is_never_exceeded() -> None:
    house = House()
    async with bound(house, window=3, response_s=60) as (session, peer):
        peer.statuses = [None] * 3
        sending = [asyncio.create_task(session.send(order())) for _ in range(5)]
        await peer.until(lambda: len(peer.of(wire.SUBMIT_SM)) == 3)
        peer.say(wire.ENQUIRE_LINK, 1)
        await peer.until(lambda: bool(peer.of(wire.ENQUIRE_LINK | wire.RESPONSE)))
        assert len(peer.of(wire.SUBMIT_SM)) == 3
        for pdu in peer.of(wire.SUBMIT_SM):
            peer.say(pdu.command | wire.RESPONSE, pdu.sequence, b"m\0")
        assert {one.kind for one in await asyncio.gather(*sending)} == {"accepted"}


async def test_of_a_connection_that_goes_down_what_was_written_is_uncertain_and_the_rest_is_not() -> None:
    house = House()
    async with bound(house, window=2) as (session, peer):
        peer.statuses = [None] * 2
        sending = [asyncio.create_task(session.send(order())) for _ in range(4)]
        await peer.until(lambda: len(peer.of(wire.SUBMIT_SM)) == 2)
        assert peer.writer is not None
        peer.writer.close()
        found = sorted(one.kind for one in await asyncio.gather(*sending))
        assert found == ["retry", "retry", "uncertain", "uncertain"]
        assert (await session.send(order())).kind == "accepted", "it is opened again by itself"


async def test_a_long_text_of_which_a_part_was_taken_is_finished_or_uncertain_but_never_begun_anew() -> None:
    house = House()
    async with bound(house) as (session, peer):
        peer.statuses = [wire.OK, wire.THROTTLED, wire.OK]
        done = await session.send(order("가" * 100))
        assert (done.kind, len(done.externals)) == ("accepted", 2)
        numbers = [read.number for pdu in peer.of(wire.SUBMIT_SM) if (read := wire.short(pdu)) is not None]
        assert numbers == [1, 2, 2]
        peer.statuses = [wire.OK, 0x0B]
        cut = await session.send(order("가" * 100))
        assert (cut.kind, cut.externals) == ("uncertain", ())
        assert cut.detail == "1 of 2 parts were taken; then: ESME_RINVDSTADR (0x0B)"
        peer.statuses = [0x0B]
        assert (await session.send(order("가" * 100))).kind == "rejected"


async def test_a_submit_without_answer_is_uncertain_and_a_silent_smsc_is_left() -> None:
    house = House()
    async with bound(house, response_s=0.05, enquire_link_s=30) as (session, peer):
        peer.statuses = [None]
        assert await session.send(order()) == Result("uncertain", detail="the SMSC did not answer within 0.05 s")
        peer.answers_enquiries = False
        peer.raw(incoming("안녕"))  # we want to know whether it has our answer
        await peer.until(lambda: len(peer.of(wire.BIND_TRANSCEIVER)) == 2)
        assert "has not answered enquire_link" in session.state or session.state in ("ok", "connecting")


async def test_an_smsc_that_unbinds_us_is_answered_and_bound_again() -> None:
    house = House()
    async with bound(house) as (session, peer):
        peer.say(wire.UNBIND, 3)
        await peer.until(lambda: len(peer.of(wire.BIND_TRANSCEIVER)) == 2)
        assert (await session.send(order())).kind == "accepted"
        assert peer.of(wire.UNBIND | wire.RESPONSE)
    await peer.until(lambda: bool(peer.of(wire.UNBIND)))


async def test_customers_words_are_sealed_in_the_database() -> None:
    house = House()
    async with bound(house) as (_, peer):
        peer.raw(parts_of(LONG)[0])
        await peer.responses(1)
    assert set(house.cursor) == {"sealed"} and "8210" not in str(house.cursor)
    async with bound(house) as (_, peer):
        peer.raw(*parts_of(LONG)[1:])
        await peer.responses(5)
        async with asyncio.timeout(20):
            while not house.texts:
                await asyncio.sleep(0.001)
    assert house.texts == [LONG]
