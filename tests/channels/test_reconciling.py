"""Asking afterwards what there was: spans that overlap, pages, what is one with what had come, and what goes wrong.

The provider is one of ours that counts in seconds; it is asked by the house's own reconciler, over requests without a net.
"""

import asyncio
import itertools
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import msgspec
import pytest

from channels.base import Account, Call, Found, Item, Line, Span
from channels.connections import Connections
from channels.elsewhere import following
from channels.polling import Poller
from channels.ports import Unavailable
from channels.providers.twilio_sms import TwilioSms
from channels.reconciling import EVERY_S, LONGEST_S, MOST_CALLS, OLD_S, OVERLAP_S, START_S, Reconciler
from channels.tokens import Tokens
from router.inputs import ReceiveMessage, ReceiveReceipt
from router.model import Identity, Thread
from support.channel import NOW, account

OURS = account(TwilioSms())
LIST = "https://carrier.example/list"


class Carrier:
    """Lists two messages a page, the newest first. `messages` are (id, when); `fault` is answered instead."""

    span_s = 3600.0

    def __init__(self) -> None:
        self.messages: list[tuple[str, float]] = []
        self.receipts: list[str] = []
        self.asked: list[tuple[float, float, int]] = []
        self.status = 200
        self.endless = False
        self.answer_by: float | None = None

    def since(self, account: Account, span: Span, now: float) -> tuple[Call, ...]:
        return (Call(method="GET", url=f"{LIST}?start={span.start}&end={span.end}&page=0"),)

    def found(self, account: Account, call: Call, span: Span, status: int, body: bytes, now: float) -> Found:
        if status != 200:
            return Found(fault=f"{status} no", stale=status == 401)
        said = json.loads(body)
        items = [
            Item(id_, message(id_, at, self.answer_by if at else None)) if at else Item(f"{id_}:sent", receipt(id_))
            for id_, at in said["messages"]
        ]
        return Found(items=tuple(items), more=following(call, said["next"]))

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        asked = {name: value for name, [value] in parse_qs(urlsplit(str(request.url)).query).items()}
        start, end, page = float(asked["start"]), float(asked["end"]), int(asked["page"])
        self.asked.append((start, end, page))
        if self.status != 200:
            return httpx2.Response(self.status)
        rows = sorted((m for m in self.messages if start <= m[1] <= end), key=lambda m: -m[1])
        rows += [(id_, 0.0) for id_ in self.receipts]
        is_last = len(rows) <= (page + 1) * 2 and not self.endless
        link = "" if is_last else f"/list?start={start}&end={end}&page={page + 1}"
        return httpx2.Response(200, json={"messages": rows[page * 2 : page * 2 + 2], "next": link})


def message(id_: str, at: float | None, answer_by: float | None = None) -> ReceiveMessage:
    who = Identity(scope="e164", kind="phone", value="+8210")
    return ReceiveMessage(
        channel="c", thread=Thread(external="+8210"), identity=who, dedupe_key=id_, occurred_at=at, answer_by=answer_by
    )


def receipt(external: str) -> ReceiveReceipt:
    return ReceiveReceipt(channel="c", external=external, status="sent")


class House:
    def __init__(self) -> None:
        self.t = NOW
        self.carrier = Carrier()
        self.taken: list[Item] = []
        self.place: dict[str, Any] = {}
        self.last: float | None = None
        self.ours: set[str] = set()
        self.slept: list[float] = []
        self.away = False
        self.begin()

    def begin(self) -> None:
        """A worker takes the channel over: it knows the place, and no more."""
        client = httpx2.AsyncClient(transport=httpx2.MockTransport(self.carrier.answer))
        tokens = Tokens({OURS.provider: TwilioSms()}, None, client, lambda: self.t)  # type: ignore[arg-type]
        self.line = Line(
            take=self._take,
            ask=self._none,
            comments=self._none,
            look=lambda call: None,
            cursor=self._cursor,
            move_cursor=self._move,
            clock=lambda: self.t,
            sleep=self._sleep,
            sent=lambda external: external in self.ours,
        )
        self.reconciler = Reconciler(OURS, self.carrier, self.line, self._last, client, tokens)

    async def _take(self, item: Item) -> None:
        if self.away:
            raise Unavailable("the log is away")
        if item.key == "odd":
            raise ValueError("nobody foresaw this")
        self.taken.append(item)

    async def _none(self, *_: Any) -> None:
        return None

    async def _cursor(self) -> dict[str, Any]:
        return self.place

    async def _move(self, cursor: dict[str, Any]) -> None:
        self.place = json.loads(json.dumps(cursor))

    async def _last(self) -> float | None:
        return self.last

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.t += seconds

    @property
    def keys(self) -> list[str]:
        return [item.key for item in self.taken]


async def test_a_channel_that_was_just_connected_asks_for_nothing_that_was_before() -> None:
    house = House()
    house.carrier.messages = [("old", NOW - 50)]
    assert (await house.reconciler.once()).fault is None
    assert (house.carrier.asked, house.taken, house.place) == ([], [], {"to": NOW})


async def test_what_came_while_we_were_away_is_found_in_its_order_and_once() -> None:
    house = House()
    await house.reconciler.once()
    house.t += 1800
    house.carrier.messages = [(f"m{n}", NOW + 100 * n) for n in range(1, 6)]
    house.begin()
    assert not (await house.reconciler.once()).is_behind
    assert house.keys == ["m1", "m2", "m3", "m4", "m5"]
    assert [page for _, _, page in house.carrier.asked] == [0, 1, 2]
    assert all(item.late for item in house.taken), "the history has to be asked whether it knows them"
    house.t += 60
    await house.reconciler.once()
    assert len(house.taken) == 5, "what this worker took is not taken again"


async def test_spans_overlap_and_a_long_absence_is_worked_off_in_several() -> None:
    house = House()
    house.place = {"to": NOW - 3 * 3600}
    for _ in range(10):
        if not (await house.reconciler.once()).is_behind:
            break
    spans = [(start, end) for start, end, _ in house.carrier.asked]
    assert spans[0] == (NOW - 3 * 3600 - OVERLAP_S, NOW - 2 * 3600 - OVERLAP_S)
    assert all(later[0] == earlier[1] - OVERLAP_S for earlier, later in itertools.pairwise(spans))
    assert spans[-1][1] == NOW and house.place == {"to": NOW}


async def test_what_the_owner_has_not_wanted_is_off_and_keeps_its_place() -> None:
    house = House()
    house.place = {"to": NOW - 60}
    house.carrier.since = lambda *_: ()  # type: ignore[method-assign, assignment, return-value]
    await run(house, 2)
    assert (house.reconciler.state, house.carrier.asked) == ("off", [])


async def test_what_is_older_than_anybody_waits_is_not_asked_for() -> None:
    house = House()
    house.place = {"to": NOW - 90 * 86400}
    await house.reconciler.once()
    assert house.carrier.asked[0][0] == NOW - LONGEST_S


@pytest.mark.parametrize("to", ["x", True, None, [], NOW + 1e9])
async def test_a_place_of_any_kind_is_borne(to: Any) -> None:
    house = House()
    house.place, house.last = {"to": to}, NOW - 60
    assert (await house.reconciler.once()).fault is None
    assert house.place == {"to": NOW} and house.carrier.asked[0][1] == NOW


async def test_without_a_place_it_begins_a_little_before_the_last_message() -> None:
    house = House()
    house.last = NOW - 60
    await house.reconciler.once()
    assert house.carrier.asked == [(NOW - 60 - OVERLAP_S, NOW, 0)]


async def test_what_is_old_hurries_nobody_unless_its_clock_still_runs() -> None:
    house = House()
    house.place = {"to": NOW - OLD_S}
    house.carrier.messages = [("old", NOW - OLD_S - 1), ("new", NOW - OLD_S + 1)]
    await house.reconciler.once()
    await house.reconciler.once()
    patience = {item.key: item.body.patient for item in house.taken if isinstance(item.body, ReceiveMessage)}
    assert patience == {"old": True, "new": False}
    house.begin()
    house.taken.clear()
    house.carrier.answer_by = NOW + 60
    house.place = {"to": NOW - OLD_S}
    await house.reconciler.once()
    assert [getattr(item.body, "patient", None) for item in house.taken] == [False, False]


async def test_what_became_of_messages_that_are_not_ours_is_left() -> None:
    house = House()
    house.place, house.ours = {"to": NOW - 60}, {"SM1"}
    house.carrier.receipts = ["SM1", "SM2", "SM3"]
    await house.reconciler.once()
    assert house.keys == ["SM1:sent"]


@pytest.mark.parametrize("status", [401, 403, 429, 500])
async def test_a_refusal_moves_nothing_and_is_told(status: int) -> None:
    house = House()
    house.place = {"to": NOW - 60}
    house.carrier.status = status
    assert (await house.reconciler.once()).fault == f"{status} no"
    assert house.place == {"to": NOW - 60}


async def test_a_page_that_fails_takes_nothing_of_the_span() -> None:
    """All or nothing: the place cannot say which pages were taken."""
    house = House()
    house.place = {"to": NOW - 600}
    house.carrier.messages = [(f"m{n}", NOW - n) for n in range(5)]

    async def fails_later(seconds: float) -> None:
        house.carrier.status = 503

    house.reconciler._line = msgspec.structs.replace(house.line, sleep=fails_later)
    assert (await house.reconciler.once()).fault == "503 no"
    assert (house.taken, house.place) == ([], {"to": NOW - 600})


async def test_a_list_without_an_end_is_cut_and_does_not_hold_the_place_for_ever() -> None:
    house = House()
    house.place = {"to": NOW - 60}
    house.carrier.endless = True
    assert (await house.reconciler.once()).fault is None
    assert len(house.carrier.asked) == MOST_CALLS
    assert house.place == {"to": NOW}


async def test_what_cannot_be_taken_in_at_all_keeps_nobody_else_out() -> None:
    house = House()
    house.place = {"to": NOW - 60}
    house.carrier.messages = [("before", NOW - 9), ("odd", NOW - 8), ("after", NOW - 7)]
    assert (await house.reconciler.once()).fault is None
    assert (house.keys, house.place) == (["before", "after"], {"to": NOW})


class Enough(Exception):
    pass


async def run(house: House, naps: int) -> None:
    async def sleep(seconds: float) -> None:
        await house._sleep(seconds)
        if len(house.slept) >= naps:
            raise Enough

    house.reconciler._line = msgspec.structs.replace(house.line, sleep=sleep)
    with pytest.raises(Enough):
        await house.reconciler.run()


async def test_it_begins_soon_and_comes_back_every_ten_minutes_or_so_at_its_own_moment() -> None:
    house = House()
    await run(house, 4)
    first, *others = house.slept
    assert 0 <= first <= START_S
    assert all(0.9 * EVERY_S <= pause <= 1.1 * EVERY_S and pause == others[0] for pause in others)
    assert house.reconciler.state == "ok"


async def test_after_failures_it_waits_longer_and_longer_but_never_longer_than_it_would_anyway() -> None:
    house = House()
    house.place = {"to": NOW - 60}
    house.carrier.status = 403
    await run(house, 9)
    assert house.slept[1:4] == [30, 60, 120] and max(house.slept) <= 1.1 * EVERY_S
    assert house.reconciler.state == "failed: 403 no"


async def test_what_cannot_be_kept_is_found_again() -> None:
    house = House()
    house.place, house.away = {"to": NOW - 60}, True
    house.carrier.messages = [("m1", NOW - 5)]
    await run(house, 2)
    assert house.reconciler.state.startswith("failed: nowhere to put it") and house.place == {"to": NOW - 60}
    house.away = False
    await house.reconciler.once()
    assert house.keys == ["m1"]


async def test_what_nobody_foresaw_ends_neither_a_reconciler_nor_a_poller() -> None:
    house = House()
    house.place = {"to": NOW - 60}
    house.carrier.found = lambda *_: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    await run(house, 3)
    assert house.reconciler.state.startswith("failed: ZeroDivisionError")

    class Broken:
        def poll(self, *_: Any) -> Call:
            raise ZeroDivisionError("by nothing")

    house.slept.clear()
    await_again = house.reconciler._line
    poller = Poller(OURS, Broken(), await_again, house.reconciler._client, house.reconciler._tokens)  # type: ignore[arg-type]
    with pytest.raises(Enough):
        await poller.run()
    assert poller.state.startswith("failed: ZeroDivisionError")


@pytest.mark.parametrize(
    ("link", "goes"),
    [
        ("/list?page=2", "https://carrier.example/list?page=2"),
        ("https://carrier.example/other", "https://carrier.example/other"),
        ("https://thief.example/list?page=2", None),
        ("http://carrier.example/list?page=2", None),
        ("//thief.example/x", None),
        ("https://carrier.example@thief.example/", None),
        ("https://[", None),
        ("", None),
        (LIST, None),
        ("/" + "x" * 5000, None),
    ],
)
def test_a_next_page_is_only_where_the_first_one_was(link: str, goes: str | None) -> None:
    call = Call(method="GET", url=LIST, basic=("user", "secret"))
    found = following(call, link)
    assert [one.url for one in found] == ([goes] if goes else [])
    assert all(one.basic == call.basic for one in found)


class Accounts:
    """Two channels: one that may be asked for, one whose owner does not want it."""

    providers = {"carrier": Carrier()}

    def all(self) -> list[Account]:
        ours = msgspec.structs.replace(OURS, provider="carrier", settings={})
        unwanted = msgspec.structs.replace(ours, channel="quiet", settings={"reconcile": "no"})
        return [msgspec.structs.replace(ours, channel="sms"), unwanted]


class Places:
    """What a worker keeps of a channel, by name."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}

    async def cursor(self, workspace: str, channel: str) -> dict[str, Any]:
        return self.kept.get(channel, {})

    async def move_cursor(self, workspace: str, channel: str, cursor: dict[str, Any]) -> None:
        self.kept[channel] = cursor

    async def last_received(self, workspace: str, channel: str) -> float | None:
        return NOW - 60


async def test_only_the_worker_that_holds_a_channel_asks() -> None:
    """And one that lets go of it asks no more; its successor goes on from the same place."""
    carrier, places, held = Carrier(), Places(), {"first": False, "second": False}
    accounts = Accounts()
    accounts.providers = {"carrier": carrier}
    carrier.transport = "webhook"  # type: ignore[attr-defined]
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(carrier.answer))
    tokens = Tokens(accounts.providers, None, client, lambda: NOW)  # type: ignore[arg-type]

    async def nap(seconds: float) -> None:
        await asyncio.sleep(0 if seconds <= START_S else 3600)

    def worker(name: str) -> Connections:
        return Connections(
            accounts,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            places,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            client,
            tokens,
            lambda: NOW,
            lambda workspace, channel: held[name],
            nap,
        )

    async def connected(*workers: Connections) -> None:
        for one in workers:
            one.connect()
        for _ in range(50):
            await asyncio.sleep(0)

    first, second = worker("first"), worker("second")
    await connected(first, second)
    assert carrier.asked == []
    held["first"] = True
    await connected(first, second)
    assert carrier.asked == [(NOW - 60 - OVERLAP_S, NOW, 0)]
    assert (first.reconciling("ws", "sms"), first.reconciling("ws", "quiet")) == ("ok", None)
    held.update(first=False, second=True)
    await connected(first, second)
    assert carrier.asked[1:] == [(NOW - OVERLAP_S, NOW, 0)]
    assert (first.reconciling("ws", "sms"), second.reconciling("ws", "sms")) == (None, "ok")
    assert places.kept == {"sms/reconciled": {"to": NOW}}
    await first.close()
    await second.close()
