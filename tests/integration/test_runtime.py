"""Owner, fold, snapshots and restart, on a real log in one process with a clock of its own."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from naru.bus.base import DLQ, IN, JOURNAL, LogUnavailable
from naru.bus.sqlite import SqliteLog
from naru.center import Center
from naru.fold import Applied, Cursor, Fold, Gap, Journal, Snapshot, SnapshotWriter
from naru.keyring import Keyring
from naru.runtime import Owner
from naru.store.database import StoreUnavailable
from naru.wire import Open, Record, decode_record
from router import engine, inputs
from router.model import Content, Identity, Text, Thread
from router.state import Pool
from router.turn import Answer
from support.story import agent, center
from support.waiting import within


class Snapshots:
    def __init__(self) -> None:
        self.saved: list[bytes] = []

    async def newest(self, shard: int) -> Snapshot | None:
        return msgspec.msgpack.decode(self.saved[-1], type=Snapshot) if self.saved else None

    async def save(self, snapshot: Snapshot) -> None:
        self.saved.append(msgspec.msgpack.encode(snapshot))


class Shard:
    """One shard with everything around it but the network. `now` is moved by hand."""

    def __init__(self, folder: Path, snapshots: Snapshots | None = None, start: float = 1000.0) -> None:
        self.now = start
        self.count = 0
        self.keyring = Keyring(bytes(32), lambda size: bytes(size))
        self.snapshots = snapshots or Snapshots()
        self.log = SqliteLog(folder / "log.sqlite", lambda: self.now)
        self.fold = Fold(self.log, range(1), self.keyring, self.snapshots)
        self.center = Center(self.log, self.fold, self.keyring, 1, lambda: self.now)
        self.should_own = True
        self.owner = Owner(
            self.log,
            0,
            self.keyring,
            self.snapshots,
            "w",
            lambda: self.now,
            self._nonce,
            should_own=lambda: self.should_own,
        )
        self.tasks: list[asyncio.Task[None]] = []

    def _nonce(self) -> str:
        self.count += 1
        return f"nonce-{self.now}-{self.count}"

    async def __aenter__(self) -> "Shard":
        await self.fold.restore()
        self.tasks = [asyncio.create_task(self.fold.run()), asyncio.create_task(self.owner.run())]
        await within(self.owner.owning.wait(), 30)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.log.close()

    async def ask(self, body: inputs.Input, key: str | None = None, text: str | None = None) -> Answer:
        self.count += 1
        content = Content(parts=(Text(text=text),)) if text else None
        answer, _ = await self.center.ask("ws", "test", key or f"k{self.count}", body, content, timeout_s=30)
        assert answer is not None
        return answer

    async def journal(self) -> list[Record]:
        found: list[Record] = []
        end = await self.log.end(JOURNAL, 0)
        async for batch in self.log.read(JOURNAL, 0, 0):
            found += [r for s in batch if isinstance(r := decode_record(s.value), Record)]
            if batch[-1].offset + 1 >= end:
                return found
        return found

    def memory(self) -> object:
        return msgspec.to_builtins(self.fold.pools["ws"].memory)


def message(key: str, who: str = "ann") -> inputs.ReceiveMessage:
    identity = Identity(scope="t", kind="external", value=who)
    return inputs.ReceiveMessage(channel="chat", thread=Thread(external=who), identity=identity, dedupe_key=key)


CONFIG = inputs.ApplyConfig(version=1, config=center(agent("mina")))


async def test_what_is_asked_is_decided_once_and_folds_to_what_the_owner_has(tmp_path: Path) -> None:
    async with Shard(tmp_path) as shard:
        await shard.ask(CONFIG)
        first = await shard.ask(message("m1"), "same", "hello")
        again = await shard.ask(message("m1"), "same", "hello")
        assert (again.status, again.contact) == (200, first.contact)
        other = await shard.ask(message("m1"), "same", "something else")
        assert (other.status, other.code) == (422, "id-reused")
        owners = msgspec.to_builtins(shard.owner._pools["ws"].memory)
        assert owners == shard.memory()


async def test_an_owner_makes_a_workspaces_pool_once_and_not_for_every_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Pool] = []
    monkeypatch.setattr("naru.runtime.Pool", lambda *memory: made.append(Pool(*memory)) or made[-1])
    async with Shard(tmp_path) as shard:
        for number in range(5):
            await shard.ask(message(f"m{number}"), text="hello")
    assert len(made) == 1


async def test_the_same_asked_several_times_at_once_is_answered_each_time(tmp_path: Path) -> None:
    async with Shard(tmp_path) as shard:
        await shard.ask(CONFIG)
        asking = [asyncio.create_task(shard.center.ask("ws", "test", "same", message("m1"))) for _ in range(4)]
        await asyncio.sleep(0)
        asking[0].cancel()  # who is impatient goes alone
        none, *answers = await asyncio.gather(*asking, return_exceptions=True)
        assert isinstance(none, asyncio.CancelledError)
        assert [answer[0].status for answer in answers] == [200, 200, 200]
        assert shard.center._asked == {}


async def test_what_was_decided_of_an_input_that_did_not_become_durable_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An input and its decision share a commit: when it fails, the owner has decided something that never was."""
    async with Shard(tmp_path) as shard:
        await shard.ask(CONFIG)
        with monkeypatch.context() as failing:
            failing.setattr(shard.log, "_commit", lambda connection, jobs: LogUnavailable("the disk is full"))
            with pytest.raises(LogUnavailable, match="the disk is full"):
                await shard.ask(message("m1"), key="m1")
        await within(shard.owner.idle.wait(), 30)
        await within(shard.owner.owning.wait(), 30)
        assert (await shard.ask(message("m1"), key="m1")).code == "ok"
        records = await shard.journal()
        assert [len(record.re) for record in records] == [1, 1]
        assert len(shard.fold.pools["ws"].contacts) == 1


async def test_what_was_said_is_opened_only_for_those_who_ask(tmp_path: Path) -> None:
    opened: list[str] = []

    class Counting(Keyring):
        def open(self, workspace: str, use: str, sealed: bytes) -> bytes:
            opened.append(workspace)
            return super().open(workspace, use, sealed)

    async with Shard(tmp_path) as shard:
        shard.fold._keyring = Counting(bytes(32), lambda size: bytes(size))
        records: list[Applied] = []
        shard.fold.subscribe(records.append)
        await shard.ask(CONFIG)
        await shard.ask(message("m1"), text="hello")
        assert opened == []
        said = records[-1].content()
        assert said is not None
        assert said.text == "hello"
        assert records[-1].content() is said
        assert (opened, records[0].content()) == (["ws"], None)


async def test_a_record_says_itself_where_its_reader_stands_after_it(tmp_path: Path) -> None:
    async with Shard(tmp_path) as shard:
        records: list[Applied] = []
        shard.fold.subscribe(records.append)
        for number in range(5):
            await shard.ask(message(f"m{number}"), text="hello")
        journal = Journal(shard.log, Cursor(shard=0))
        async for entries in journal.entries():
            if journal.cursor.offset == await shard.log.end(JOURNAL, 0):
                break
        assert entries[-1].cursor == journal.cursor == shard.fold.cursors[0]
        for record in records:
            again = Journal(shard.log, record.entry.cursor)
            if record is not records[-1]:
                following = await anext(again.entries())
                assert following[0].record.s == record.record.s + 1
                assert again.rule.ignored == 0
                assert following[0].envelope is not None


async def test_a_timer_fires_by_a_tick_when_nothing_else_happens(tmp_path: Path) -> None:
    async with Shard(tmp_path) as shard:
        await shard.ask(CONFIG)
        await shard.ask(inputs.Connect(agent="mina", connection="g:1"))
        await shard.ask(inputs.SetPresence(agent="mina", presence="available"))
        await shard.ask(message("m1"), text="hello")
        assert shard.fold.pools["ws"].due_at() == pytest.approx(1020.5)
        shard.now = 1020.6
        await shard.ask(inputs.Connect(agent="mina", connection="g:2"))
        assert shard.fold.pools["ws"].agents["mina"].presence == "unresponsive"


async def test_a_restart_goes_on_from_the_journal_without_deciding_again(tmp_path: Path) -> None:
    async with Shard(tmp_path) as shard:
        await shard.ask(CONFIG)
        for number in range(5):
            await shard.ask(message(f"m{number}", f"c{number}"), text="hello")
        before = shard.memory()
        records = len(await shard.journal())
    async with Shard(tmp_path, start=1001.0) as shard:
        assert shard.memory() == before
        assert len(await shard.journal()) == records
        assert len(shard.owner._pools["ws"].contacts) == 5


async def test_a_restart_from_a_snapshot_is_the_same_as_from_the_beginning(tmp_path: Path) -> None:
    snapshots = Snapshots()
    async with Shard(tmp_path, snapshots) as shard:
        await shard.ask(CONFIG)
        await shard.ask(message("m1"), text="hello")
        await SnapshotWriter(shard.fold, snapshots, 60, 5000).save(0)
        await shard.ask(message("m2", "ben"), text="hello")
        before = shard.memory()
    async with Shard(tmp_path, snapshots, start=1001.0) as shard:
        assert shard.memory() == before
        assert msgspec.to_builtins(shard.owner._pools["ws"].memory) == before


async def test_an_owner_waits_for_a_store_that_is_away_and_then_owns(tmp_path: Path) -> None:
    class Away(Snapshots):
        left = 2

        async def newest(self, shard: int) -> Snapshot | None:
            Away.left -= 1
            if Away.left >= 0:
                raise StoreUnavailable("planted")
            return await super().newest(shard)

    async with Shard(tmp_path) as shard:
        await shard.ask(CONFIG)
        owner = Owner(shard.log, 0, shard.keyring, Away(), "late", lambda: shard.now, lambda: "late")
        shard.tasks.append(asyncio.create_task(owner.run()))
        await within(owner.owning.wait(), 30)
        assert msgspec.to_builtins(owner._pools["ws"].memory) == shard.memory()


async def test_a_missing_stretch_of_the_journal_stops_the_restore_loudly(tmp_path: Path) -> None:
    async with Shard(tmp_path) as shard:
        await shard.ask(CONFIG)
        await shard.ask(message("m1"), text="hello")
        await shard.log.trim(JOURNAL, 0, 2)
    again = Shard(tmp_path)
    with pytest.raises(Gap):
        await again.fold.restore()
    await again.log.close()


async def test_a_poison_input_is_rejected_kept_aside_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(turn: object, wish: object) -> object:
        raise ZeroDivisionError("planted")

    async with Shard(tmp_path) as shard:
        await shard.ask(CONFIG)
        monkeypatch.setitem(engine.HANDLERS, inputs.ReceiveReceipt, broken)
        await shard.center.take("ws", "test", "poison", inputs.ReceiveReceipt(message="x", status="sent"))
        answer = await shard.ask(message("m1"), text="hello")
        assert answer.status == 200
        assert await shard.log.end(DLQ, 0) == 1
        nonces = {record.n for record in await shard.journal()}
        assert len(nonces) == 2, "the owner began anew with another nonce"


async def test_bytes_that_are_no_input_are_rejected_and_kept_aside(tmp_path: Path) -> None:
    async with Shard(tmp_path) as shard:
        await shard.ask(CONFIG)
        await shard.log.append(IN, 0, [b"\xff not json"])
        assert (await shard.ask(message("m1"), text="hello")).status == 200
        assert await shard.log.end(DLQ, 0) == 1


async def test_an_owner_that_was_fenced_stops_and_takes_over_again_only_when_it_should(tmp_path: Path) -> None:
    async with Shard(tmp_path) as shard:
        await shard.ask(CONFIG)
        shard.should_own = False
        usurper = Open(n="usurper", prev=shard.owner._nonce, worker="x")
        await shard.log.append(JOURNAL, 0, [msgspec.json.encode(usurper)])
        await until(lambda: not shard.owner.owning.is_set())
        await shard.center.take("ws", "test", "late", message("m1"))
        assert not shard.fold.pools["ws"].contacts, "nobody owns the shard, so nothing is decided"
        shard.should_own = True
        assert (await shard.ask(message("m1"), "late")).status == 200
        assert len(shard.fold.pools["ws"].contacts) == 1, "decided once, by whoever came next"


async def test_inputs_that_are_gone_before_they_were_decided_stop_the_owner_loudly(tmp_path: Path) -> None:
    async with Shard(tmp_path) as shard:
        await shard.ask(CONFIG)
    again = Shard(tmp_path)
    for number in range(3):
        await again.log.append(IN, 0, [f"{number}".encode()])
    await again.log.trim(IN, 0, 3)
    await again.log.close()
    again = Shard(tmp_path)
    await again.log.append(IN, 0, [b"next"])
    with pytest.raises(Gap, match="inputs 1 to 2 are gone"):
        await within(again.owner.run(), 30)
    await again.log.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0)


async def test_what_people_say_is_refused_while_history_is_days_behind(tmp_path: Path) -> None:
    async with Shard(tmp_path) as shard:
        await shard.ask(CONFIG)
        refused: list[str] = []
        shard.center.refused = refused.append
        shard.center.closed.add(0)
        with pytest.raises(LogUnavailable, match="two days behind"):
            await shard.center.take("ws", "channel:chat", "m1", message("m1"), Content(parts=(Text(text="hello"),)))
        await shard.center.take("ws", "naru", "c", inputs.Connect(agent="mina", connection="g:1:1"))
        assert refused == ["history"], "what says nothing can be taken"
