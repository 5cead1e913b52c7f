"""A channel changes hands and none of its effects is left out: told with a journal written by hand and two workers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

import pytest

from channels.worker import Worker
from naru.bus.base import JOURNAL
from naru.bus.sqlite import SqliteLog
from naru.feed import Feed
from naru.fold import Cursor, Fold, Snapshot
from naru.keyring import Keyring
from naru.store import migrate
from naru.store.database import Database, StoreUnavailable, sqlite_url
from naru.store.projector import load_cursor
from naru.wire import Open, Record, encode
from router.effects import AnyEffect, CancelLeg, Deliver, Effect
from router.model import Identity, Thread

CHANNELS = ("phone", "mail")


class NoSnapshots:
    async def newest(self, shard: int) -> Snapshot | None:
        return None

    async def save(self, snapshot: Snapshot) -> None: ...


class Account:
    def __init__(self, channel: str) -> None:
        self.workspace, self.channel = "ws", channel


class Accounts:
    def all(self) -> list[Account]:
        return [Account(channel) for channel in CHANNELS]


class Hands(Worker):
    """A worker that notes what it is given; `busy` leaves it undone."""

    def __init__(self) -> None:
        self.given: list[str] = []
        self.ordered = 0
        self.done_up_to_now = 0
        self.busy = False

    def record(self, workspace: str, effects: Iterable[Effect]) -> None:
        for effect in effects:
            self.ordered += 1
            self.given.append(effect.key if isinstance(effect, Deliver) else effect.leg)  # type: ignore[attr-defined]
        if not self.busy:
            self.done_up_to_now = self.ordered

    @property
    def done_up_to(self) -> int:
        return self.done_up_to_now


class House:
    """One shard, its log and its database, and workers by name. `owners` says whose each channel should be."""

    def __init__(self, folder: Path) -> None:
        self.log = SqliteLog(folder / "log.sqlite", lambda: 1000.0)
        self.database = Database(sqlite_url(folder / "store.sqlite"))
        self.fold = Fold(self.log, range(1), Keyring(bytes(32), bytes), NoSnapshots())
        self.owners = dict.fromkeys(CHANNELS, "a")
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.seconds = asyncio.Condition()
        self.waiting: set[str] = set()
        self._seq = -1

    async def start(self) -> None:
        await self.log.append(JOURNAL, 0, [encode(Open(n="n", prev="", worker="r"))])
        await self.fold.restore()
        self.tasks["fold"] = asyncio.create_task(self.fold.run())

    async def orders(self, leg: str, channel: str = "phone") -> None:
        """The journal orders an effect, and the fold has seen it."""
        await self.writes(CancelLeg(channel=channel, leg=leg))
        await self.fold.reach(0, await self.log.end(JOURNAL, 0), 5)

    async def writes(self, effect: AnyEffect) -> None:
        self._seq += 1
        record = Record(n="n", s=self._seq, i=0, t=1000.0, workspace="ws", pool="ws", fx=(effect,))
        await self.log.append(JOURNAL, 0, [encode(record)])

    def works(self, name: str) -> Hands:
        hands = Hands()

        async def a_second(seconds: float) -> None:
            async with self.seconds:
                self.waiting.add(name)
                await self.seconds.wait()

        feed = Feed(
            self.log,
            0,
            self.fold,
            NoSnapshots(),
            self.database,
            Accounts(),  # type: ignore[arg-type]
            hands,
            name,
            lambda workspace, channel: self.owners[channel] == name,
            lambda workspace: 0,
        )
        self.tasks[name] = asyncio.create_task(feed.run(a_second))
        return hands

    async def a_second_passes(self) -> None:
        """Everybody goes once more round: looks whose each channel is, and saves its place."""
        await self.everybody_waits()
        async with self.seconds:
            self.waiting.clear()
            self.seconds.notify_all()
        await self.everybody_waits()

    async def everybody_waits(self) -> None:
        await holds(lambda: self.waiting == self.tasks.keys() - {"fold"})

    async def dies(self, name: str) -> None:
        task = self.tasks.pop(name)
        self.waiting.discard(name)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def end(self) -> None:
        for name in list(self.tasks):
            await self.dies(name)
        await self.log.close()
        await self.database.close()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    await asyncio.to_thread(migrate.upgrade, sqlite_url(tmp_path / "store.sqlite"))
    made = House(tmp_path)
    await made.start()
    yield made
    await made.end()


async def given(hands: Hands, *legs: str) -> None:
    await holds(lambda: hands.given == list(legs))


async def holds(predicate: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not predicate():
            await asyncio.sleep(0)


async def test_what_was_left_undone_by_one_that_died_is_done_by_the_next(house: House) -> None:
    first = house.works("a")
    await house.a_second_passes()
    await house.orders("done")
    await given(first, "done")
    await house.a_second_passes()
    first.busy = True
    await house.orders("undone")
    await given(first, "done", "undone")
    await house.dies("a")
    await house.orders("while nobody was there")
    house.owners = dict.fromkeys(CHANNELS, "b")
    second = house.works("b")
    await given(second, "undone", "while nobody was there")
    await house.orders("after")
    await given(second, "undone", "while nobody was there", "after")


async def test_one_that_begins_anew_goes_on_where_it_was(house: House) -> None:
    first = house.works("a")
    await house.a_second_passes()
    await house.orders("one")
    await given(first, "one")
    await house.a_second_passes()
    await house.dies("a")
    await house.orders("two")
    again = house.works("a")
    await given(again, "two")


async def test_a_channel_that_moves_between_two_who_live_is_done_at_least_once_throughout(house: House) -> None:
    first, second = house.works("a"), house.works("b")
    await house.a_second_passes()
    ordered = []
    for number in range(12):
        if number == 4:
            house.owners["phone"] = "b"
        await house.orders(f"{number}")
        ordered.append(f"{number}")
        if number % 3 == 0:
            await house.a_second_passes()
    await house.a_second_passes()
    await holds(lambda: set(first.given) | set(second.given) == set(ordered))
    assert second.given[-1] == "11" and "11" not in first.given


async def test_only_what_one_holds_is_given(house: House) -> None:
    house.owners["mail"] = "b"
    first = house.works("a")
    await house.a_second_passes()
    await house.orders("mine")
    await house.orders("another's", "mail")
    await house.orders("mine too")
    await given(first, "mine", "mine too")


async def test_while_the_database_is_away_effects_go_on_and_the_place_is_saved_later(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = house.works("a")
    await house.a_second_passes()

    def away(workspace: str) -> None:
        raise StoreUnavailable("planted")

    with monkeypatch.context() as patched:
        patched.setattr(house.database, "write", away)
        await house.orders("during")
        await given(first, "during")
        await house.a_second_passes()
        assert (await load_cursor(house.database, "worker:a", 0)).offset < await house.log.end(JOURNAL, 0)
    async with asyncio.timeout(30):
        while await load_cursor(house.database, "worker:a", 0) != Cursor(shard=0, offset=2, nonce="n", seq=0):
            await house.a_second_passes()


async def test_a_phone_does_not_wait_for_desks_and_a_message_does(house: House) -> None:
    """A message is read from the history, which follows the fold; whoever waits on the phone is not kept by it."""
    hands = house.works("a")
    await house.a_second_passes()
    await house.orders("before")
    await given(hands, "before")
    await house.dies("fold")
    await house.writes(CancelLeg(channel="phone", leg="rings"))
    await given(hands, "before", "rings")
    thread, identity = Thread(external="t"), Identity(scope="s", kind="phone", value="+8210")
    mail = Deliver(channel="mail", key="k", conversation="c", contact="x", thread=thread, identity=identity)
    await house.writes(mail)
    for _ in range(20):
        await asyncio.sleep(0)
    assert hands.given == ["before", "rings"]
    house.tasks["fold"] = asyncio.create_task(house.fold.run())
    await given(hands, "before", "rings", "k")
