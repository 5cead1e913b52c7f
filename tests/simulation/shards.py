"""One shard under attack: owners that crash, freeze, come back as zombies and compete, on a log that fails, under virtual time.

The real `Owner`, `Fold`, `SnapshotWriter` and `Center` run on a log in memory whose appends are refused, are lost on
their way back, land late, after the crash of who sent them, or twice; the store of the snapshots is away at times, or
has only older ones. Nobody sleeps: the event loop's clock jumps. What is left in the log is then judged by a rule of
validity written down a second time, and decided again from several places of its history.

`PYTHONPATH=tests python -m simulation.shards --seed N` repeats one.
"""

import argparse
import asyncio
import logging
import selectors
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog

from naru import tame
from naru.bus.base import DLQ, IN, JOURNAL, LogUnavailable, Stored
from naru.center import Center
from naru.fold import Fold, Snapshot, SnapshotWriter, fold
from naru.keyring import Keyring
from naru.runtime import Owner
from naru.sim.checks import Fault, consistent
from naru.sim.faults import centers
from naru.sim.faults.dice import Dice
from naru.sim.faults.ledger import Ledger
from naru.sim.faults.run import difference
from naru.store.database import StoreUnavailable
from naru.wire import Envelope, Open, Record, decode_envelope, decode_record, encode, input_id
from router import inputs, state
from router.memory import Memory
from router.model import Content, Identity, Text, Thread
from router.state import Pool

INPUTS = 24
BEGAN = 1_774_700_000.0
MAX_TRIES = 60
NO_INPUT = b"\xff no input at all"


# -- virtual time


class _NoWaiting(selectors.BaseSelector):
    """Instead of waiting for so long, it is so much later."""

    def __init__(self) -> None:
        self.now = 0.0
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = selectors.SelectorKey(fileobj, 0, events, data)
        self._keys[fileobj] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits for everybody")
        self.now += max(0.0, timeout)
        return []

    def get_map(self) -> Any:
        return self._keys

    def close(self) -> None:
        self._keys.clear()


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._without_waiting = _NoWaiting()
        super().__init__(self._without_waiting)

    def time(self) -> float:
        return self._without_waiting.now


# -- the log, and what may go wrong on the way to it


class Disk:
    """What has been stored. It never forgets and never lies."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.stored: dict[tuple[str, int], list[Stored]] = {}
        self._waiting: list[asyncio.Future[None]] = []

    def all(self, topic: str) -> list[Stored]:
        return self.stored.setdefault((topic, 0), [])

    def store(self, topic: str, values: Sequence[bytes]) -> list[Stored]:
        kept = self.all(topic)
        t = round(max(self._clock(), kept[-1].t if kept else 0.0), 3)
        new = [Stored(len(kept) + number, t, bytes(value)) for number, value in enumerate(values)]
        kept += new
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if not one.done():
                one.set_result(None)
        return new

    async def grown(self) -> None:
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        await waiting


class Wire:
    """One process's way to the log: a `Log` whose calls fail as a network and a disk do. `trouble` is how often."""

    def __init__(self, disk: Disk, dice: Dice, trouble: float = 0.0) -> None:
        self._disk, self._dice, self.trouble = disk, dice, trouble
        self.calls = 0
        self._thawed = asyncio.Event()
        self._thawed.set()

    def freeze(self, seconds: float) -> None:
        """The process stands still; what it was about to do, it does when it wakes."""
        self._thawed.clear()
        asyncio.get_running_loop().call_later(seconds, self._thawed.set)

    async def _takes_time(self) -> None:
        dice = self._dice
        self.calls += 1
        await asyncio.sleep(dice.seconds(0.5, 6) if dice.chance(self.trouble / 4) else dice.seconds(0, 0.01))
        await self._thawed.wait()

    async def append(self, topic: str, part: int, values: Sequence[bytes]) -> list[Stored]:
        dice, disk = self._dice, self._disk
        try:
            await self._takes_time()
        except asyncio.CancelledError:  # a crash: what was on its way may arrive all the same
            if dice.chance(self.trouble):
                self._lands_later(topic, values)
            raise
        if not dice.chance(self.trouble):
            return disk.store(topic, values)
        fate = dice.count(1, 5)
        if fate == 1:
            raise LogUnavailable("planted: not stored")
        if fate == 2:
            disk.store(topic, values)
            raise LogUnavailable("planted: stored, but nobody was told")
        if fate == 3:
            self._lands_later(topic, values)
            raise LogUnavailable("planted: stored later")
        new = disk.store(topic, values)
        if fate == 4:
            disk.store(topic, values)
        else:
            self._lands_later(topic, values)
        await asyncio.sleep(dice.seconds(0, 0.2))
        return new

    def _lands_later(self, topic: str, values: Sequence[bytes]) -> None:
        later = self._dice.seconds(0.1, 9)
        asyncio.get_running_loop().call_later(later, self._disk.store, topic, list(values))

    async def read(self, topic: str, part: int, start: int, ahead: bool = False) -> AsyncIterator[list[Stored]]:
        at = start
        while True:
            await self._takes_time()
            if self._dice.chance(self.trouble / 10):
                raise LogUnavailable("planted: cannot be read")
            batch = self._disk.all(topic)[at : at + self._dice.count(1, 12)]
            if batch:
                at = batch[-1].offset + 1
                yield batch
            else:
                await self._disk.grown()

    async def end(self, topic: str, part: int) -> int:
        await self._takes_time()
        return len(self._disk.all(topic))

    async def begin(self, topic: str, part: int) -> int:
        return 0

    async def since(self, topic: str, part: int, t: float) -> int:
        return next((stored.offset for stored in self._disk.all(topic) if stored.t >= t), await self.end(topic, part))

    async def trim(self, topic: str, part: int, before: int) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        pass


class Snapshots:
    """The store of the snapshots. `trouble` is how often it is away, or its newest is damaged and an older one counts."""

    def __init__(self, dice: Dice, trouble: float = 0.0) -> None:
        self._dice, self.trouble = dice, trouble
        self.saved: list[bytes] = []
        self.away = 0

    async def newest(self, shard: int) -> Snapshot | None:
        await self._answers()
        if self.saved and self._dice.chance(self.trouble):
            return read_snapshot(self._dice.pick(self.saved))
        return read_snapshot(self.saved[-1]) if self.saved else None

    async def save(self, snapshot: Snapshot) -> None:
        await self._answers()
        self.saved.append(msgspec.msgpack.encode(snapshot))

    async def _answers(self) -> None:
        if self._dice.chance(self.trouble):
            self.away += 1
            await asyncio.sleep(self._dice.seconds(0, 2))
            raise StoreUnavailable("planted: the store is away")


def read_snapshot(saved: bytes) -> Snapshot:
    return msgspec.msgpack.decode(saved, type=Snapshot)


# -- the story


@dataclass
class Figures:
    seeds: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Figures") -> None:
        self.seeds += other.seeds
        self.counts += other.counts


@dataclass
class Failure:
    seed: int
    check: str
    what: str

    def __str__(self) -> str:
        command = f"PYTHONPATH=tests python -m simulation.shards --seed {self.seed}"
        return f"shard, seed {self.seed}: {self.check}: {self.what}\nrepeat it with\n  {command}"


KEYRING = Keyring(bytes(32), bytes)


class BlindOwner(Owner):
    """One that never sees another's claim, as if the reader of its own journal stood still: a zombie to its end."""

    async def _watch(self) -> None:
        await asyncio.Event().wait()


def owner_of(
    wire: Wire,
    snapshots: Snapshots,
    worker: str,
    clock: Callable[[], float],
    nonce: Callable[[], str],
    should_own: Callable[[], bool] = lambda: True,
    blind: bool = False,
) -> Owner:
    kind = BlindOwner if blind else Owner
    return kind(wire, 0, KEYRING, snapshots, worker, clock, nonce, should_own=should_own)


class Attack:
    """A center of one shard, its people, and everything that happens to its processes."""

    def __init__(self, seed: int) -> None:
        self.dice = Dice(seed, "shard")
        self.disk = Disk(self.now)
        self.snapshots = Snapshots(self.dice, 0.15)
        self.figures = Figures(seeds=1)
        self.answers: dict[str, tuple[int, str, str | None]] = {}
        self.owners: list[tuple[Owner, Wire, asyncio.Task[None]]] = []
        self.dead: list[asyncio.Task[None]] = []
        self.wires: list[Wire] = []
        self._nonces = 0
        self._config = centers.draw(self.dice)
        self._names = 0

    def now(self) -> float:
        return BEGAN + asyncio.get_running_loop().time()

    def _count(self, what: str) -> None:
        self.figures.counts[what] += 1

    def counted(self, records: int) -> None:
        counts = self.figures.counts
        counts["records"] += records
        counts["inputs stored"] += len(self.disk.all(IN))
        counts["steps"] += sum(wire.calls for wire in self.wires)
        counts["store away"] += self.snapshots.away
        counts += ignored(self.disk.all(JOURNAL))

    # -- processes

    def starts(self, trouble: float) -> None:
        """One more owner, whoever else believes to be one."""
        wire = self._wire(trouble)
        blind, stubborn = self.dice.chance(0.6), self.dice.chance(0.15)

        def should_own() -> bool:
            """The newest should; who was told so earlier goes on until it is fenced. Some have a view of their own."""
            return stubborn or (bool(self.owners) and self.owners[-1][1] is wire)

        owner = owner_of(wire, self.snapshots, f"w{self._nonces}", self.now, self._nonce, should_own, blind)
        self.owners.append((owner, wire, asyncio.create_task(owner.run())))
        self._count("owner started")

    def _wire(self, trouble: float = 0.0) -> Wire:
        self.wires.append(Wire(self.disk, self.dice, trouble))
        return self.wires[-1]

    def _nonce(self) -> str:
        self._count("claim begun")
        self._nonces += 1
        return f"n{self._nonces}"

    def kills(self) -> None:
        """Wherever it is now: between reading, deciding and appending."""
        if self.owners:
            _, _, task = self.owners.pop(self.dice.count(0, len(self.owners) - 1))
            self.dead.append(task)
            task.cancel()
            self._count("owner killed")

    async def reads(self) -> None:
        """A gateway's fold: begins from the newest snapshot. While the store is away, nobody starts."""
        wire = self._wire()
        while True:
            self.fold = Fold(wire, range(1), KEYRING, self.snapshots)
            self.center = Center(self.sender, self.fold, KEYRING, 1, self.now)
            try:
                await self.fold.restore()
                break
            except StoreUnavailable:
                await asyncio.sleep(0.5)
        self.reading = asyncio.create_task(self.fold.run())
        self._count("reader started")

    async def trouble(self) -> None:
        """For as long as the story lasts, something happens to somebody."""
        dice = self.dice
        while True:
            await asyncio.sleep(dice.seconds(0.05, 3))
            what = dice.weighted((25, 20, 20, 20, 15))
            if what == 0:
                self.kills()
                if not self.owners or dice.chance(0.5):
                    self.starts(dice.pick((0.0, 0.1, 0.3)))
            elif what == 1 and self.owners:
                dice.pick(self.owners)[1].freeze(dice.seconds(0.5, 25))
                self._count("owner frozen")
            elif what == 2:
                for _ in range(dice.count(1, 3)):  # at the same moment
                    if len(self.owners) < 4:
                        self.starts(dice.pick((0.0, 0.1, 0.3)))
            elif what == 3:
                await self.saves()
            elif what == 4:
                self.reading.cancel()
                self.dead.append(self.reading)
                await self.reads()

    async def saves(self) -> None:
        try:
            await SnapshotWriter(self.fold, self.snapshots, 60, 5000).save(0)
            self._count("snapshot")
        except StoreUnavailable:
            pass

    # -- people

    async def asks(self, key: str, wish: inputs.Input, text: str | None = None) -> None:
        """As an edge does: the same thing again until it is answered."""
        content = Content(parts=(Text(text=text),)) if text is not None else None
        for _ in range(MAX_TRIES):
            try:
                answer, _ = await self.center.ask("ws", "edge", key, wish, content)
            except LogUnavailable:
                self._count("append refused")
                await asyncio.sleep(self.dice.seconds(0.1, 2))
                continue
            if answer is not None:
                self.answers[key] = (answer.status, answer.code, answer.contact)
                self._count("answered")
                if self.dice.chance(0.8):
                    return
                if self.dice.chance(0.5):
                    return  # else the answer has got lost on its way, and it is asked again
            self._count("asked again")
        raise Fault("answered", f"{key}, {type(wish).__name__}, is never answered")

    def _wish(self) -> tuple[inputs.Input, str | None]:
        dice, pool = self.dice, self.fold.pools.get("ws") or Pool()
        agent = dice.pick(self._config.agents).id
        offered = [contact for contact in pool.contacts.values() if contact.offer is not None]
        held = [contact for contact in pool.contacts.values() if contact.agent is not None]
        what = dice.weighted((30, 15, 15, 20, 15, 5))
        if what == 1:
            return inputs.Connect(agent=agent, connection=f"g:1:{agent}"), None
        if what == 2:
            presence = dice.pick(("available", "available", "away", "offline"))
            return inputs.SetPresence(agent=agent, presence=presence), None  # type: ignore[arg-type]
        if what == 3 and offered:
            contact = dice.pick(offered)
            if contact.has_legs:
                return inputs.AnswerLeg(channel=contact.channel, key=contact.offer.id, leg=f"leg-{contact.id}"), None
            return inputs.AcceptOffer(agent=contact.offer.agent, offer=contact.offer.id), None
        if what == 4 and held:
            contact = dice.pick(held)
            if dice.chance(0.4):
                return inputs.SendMessage(agent=contact.agent, contact=contact.id), "hello"
            return inputs.CompleteContact(agent=contact.agent, contact=contact.id), None
        if what == 5:
            config = centers.draw(dice, self._config)
            version = pool.memory.version + 1
            return inputs.ApplyConfig(version=version, config=config, holidays=centers.HOLIDAYS), None
        self._names += 1
        who = f"c{dice.count(1, 8)}"
        channel = dice.pick([channel.id for channel in self._config.channels])
        identity = Identity(scope="t", kind="external", value=who)
        thread, key = Thread(external=who), f"m{self._names}"
        return inputs.ReceiveMessage(channel=channel, thread=thread, identity=identity, dedupe_key=key), "hello"

    async def lives(self) -> None:
        self.sender = self._wire(0.15)
        self.starts(0.0)
        await self.reads()
        await self.asks("config", inputs.ApplyConfig(version=1, config=self._config, holidays=centers.HOLIDAYS))
        first = self._config.agents[:5]
        for agent in first:
            await self.asks(f"{agent.id}-on", inputs.Connect(agent=agent.id, connection=f"g:1:{agent.id}"))
            await self.asks(f"{agent.id}-there", inputs.SetPresence(agent=agent.id, presence="available"))
        trouble = asyncio.create_task(self.trouble())
        asked = []
        for number in range(INPUTS):
            if self.dice.chance(0.03):
                self.disk.store(IN, [NO_INPUT])
            wish, text = self._wish()
            asked.append(asyncio.create_task(self.asks(f"i{number}", wish, text)))
            await asyncio.sleep(self.dice.pick((0.0, 0.0, 0.01, 0.3, 2.0, 12.0)))
        await self._heals(trouble, asked)

    async def _heals(self, trouble: asyncio.Task[None], asked: list[asyncio.Task[None]]) -> None:
        """In the end one owner is left and nothing fails any more: everything must be answered."""
        trouble.cancel()
        await asyncio.gather(trouble, return_exceptions=True)
        while self.owners:
            self.kills()
        self.sender.trouble = self.snapshots.trouble = 0
        if self.reading.done() or self.reading.cancelling():
            await self.reads()
        self.starts(0.0)
        await asyncio.gather(*asked)
        await asyncio.sleep(15)  # what was stored late has landed
        await self._rests()
        tasks = [task for _, _, task in self.owners] + [self.reading, *self.dead]
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise Fault("it broke", f"{type(outcome).__name__}: {outcome}")

    async def _rests(self) -> None:
        """All that is stored is decided and read, a tick of the last moment too."""
        for _ in range(600):
            cursor = self.fold.cursors[0]
            if cursor.in_next == len(self.disk.all(IN)) and cursor.offset == len(self.disk.all(JOURNAL)):
                return
            await asyncio.sleep(0.1)
        raise Fault("readers agree", f"of {len(self.disk.all(IN))} inputs a reader knows this: {self.fold.cursors}")


# -- the judgement


def valid(journal: list[Stored]) -> list[tuple[int, Record]]:
    """The records that count, with their offsets: the rule of durability.md, written down a second time."""
    nonce, seq, found = "", -1, []
    for stored in journal:
        record = decode_record(stored.value)
        if isinstance(record, Open):
            if record.prev == nonce and record.n != nonce:
                nonce, seq = record.n, -1
        elif record.n == nonce and record.s == seq + 1:
            seq += 1
            found.append((stored.offset, record))
    return found


def ignored(journal: list[Stored]) -> Counter[str]:
    """What dead and doubled owners have written, by what makes it void."""
    nonce, seq, found = "", -1, Counter[str]()
    for stored in journal:
        record = decode_record(stored.value)
        if isinstance(record, Open):
            if record.prev == nonce and record.n != nonce:
                nonce, seq = record.n, -1
            else:
                found["claims ignored"] += 1
        elif record.n != nonce:
            found["zombie records ignored"] += 1
        elif record.s == seq + 1:
            seq += 1
        else:
            found["doubled records ignored"] += 1
    return found


def decision(record: Record) -> bytes:
    """What was decided, whoever decided it."""
    return encode(msgspec.structs.replace(record, n="", s=0))


def folded(records: list[Record], since: Snapshot | None = None) -> dict[str, Pool]:
    pools = {name: Pool(memory) for name, memory in since.pools.items()} if since else {}
    for record in records:
        fold(pools, record)
    return pools


def same_pools(what: str, one: dict[str, Pool], other: dict[str, Pool]) -> None:
    if one.keys() != other.keys():
        raise Fault(what, f"{sorted(one)} and {sorted(other)}")
    for name, pool in one.items():
        if as_read(pool) != as_read(other[name]):
            raise Fault(what, difference(as_read(pool), as_read(other[name])))


def as_read(pool: Pool) -> Memory:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(pool.memory), type=Memory)


def one_history(disk: Disk, records: list[Record]) -> None:
    """Every input is decided once, in order, and whoever asks again is told the same and changes nothing."""
    at, answered = 0, {}
    for record in records:
        if record.i == at + 1:
            at += 1
            _answers_its_input(disk, record, at - 1, answered)
        elif record.i != at or record.re:
            raise Fault("one history", f"after {at} inputs comes {record}")
    if at != len(disk.all(IN)):
        raise Fault("one history", f"{at} of {len(disk.all(IN))} inputs are decided")


def _answers_its_input(disk: Disk, record: Record, offset: int, answered: dict[str, bytes]) -> None:
    try:
        envelope: Envelope | None = decode_envelope(disk.all(IN)[offset].value)
    except msgspec.MsgspecError:
        envelope = None
    asked = [envelope.id] if envelope is not None and envelope.pool else []
    if [reply.input for reply in record.re] != asked:
        raise Fault("one history", f"{record.re} answers {asked}")
    for reply in record.re:
        told = encode(reply)
        if answered.setdefault(reply.input, told) != told:
            raise Fault("decided once", f"{reply} after {answered[reply.input]!r}")
        if record.ev and answered.get(f"{reply.input} happened"):
            raise Fault("decided once", f"{reply.input} happens twice")
        answered[f"{reply.input} happened"] = b"yes" if record.ev else b""


async def decided_again(attack: Attack, records: list[tuple[int, Record]], boundary: int) -> None:
    """An owner that finds only the first so many records, on the same inputs, comes to the same others."""
    disk = Disk(attack.now)
    disk.stored[IN, 0] = list(attack.disk.all(IN))
    until = records[boundary][0] if boundary < len(records) else len(attack.disk.all(JOURNAL))
    disk.store(JOURNAL, [stored.value for stored in attack.disk.all(JOURNAL)[:until]])
    kept = Snapshots(attack.dice)
    earlier = [saved for saved in attack.snapshots.saved if read_snapshot(saved).cursor.offset <= until]
    if earlier and attack.dice.chance(0.7):
        kept.saved.append(attack.dice.pick(earlier))
    owner = owner_of(Wire(disk, attack.dice), kept, "again", lambda: 0.0, lambda: "again")
    running = asyncio.create_task(owner.run())
    await asyncio.sleep(30)
    running.cancel()
    outcome = (await asyncio.gather(running, return_exceptions=True))[0]
    if isinstance(outcome, Exception):
        raise Fault("it broke", f"when deciding again: {outcome}")
    again = valid(disk.all(JOURNAL))
    mine, theirs = [[decision(record) for _, record in each] for each in (records, again)]
    if mine != theirs:
        number = next((n for n, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), len(theirs))
        raise Fault("restored is the same", f"from record {boundary} on; record {number} of {len(mine)} is another")


async def judged(attack: Attack) -> None:
    disk = attack.disk
    counted = valid(disk.all(JOURNAL))
    records = [record for _, record in counted]
    attack.counted(len(records))
    one_history(disk, records)
    _acknowledged(attack, records)
    pools = folded(records)
    same_pools("readers agree", pools, attack.fold.pools)
    for saved in attack.dice.some(attack.snapshots.saved, 4):
        snapshot = read_snapshot(saved)
        later = [record for offset, record in counted if offset >= snapshot.cursor.offset]
        same_pools("from a snapshot", pools, folded(later, snapshot))
    ledger = Ledger()
    for record in records:
        for event in record.ev:
            ledger.note(event, record.t)
    ledger.agrees(pools["ws"])
    consistent(pools["ws"])
    for _ in range(2):
        await decided_again(attack, counted, attack.dice.count(0, len(counted)))


def _acknowledged(attack: Attack, records: list[Record]) -> None:
    """Whatever was answered stands in the journal so, and what was no input stands aside."""
    told = {reply.input: (reply.status, reply.code, reply.contact) for record in records for reply in record.re}
    for key, answer in attack.answers.items():
        if told.get(input_id("ws", "edge", key)) != answer:
            raise Fault("acknowledged", f"{key} was told {answer}, and the journal does not say so")
    aside = {stored.value for stored in attack.disk.all(DLQ)}
    for stored in attack.disk.all(IN):
        if stored.value == NO_INPUT and NO_INPUT not in aside:
            raise Fault("acknowledged", "what could not be read is lost")


async def _attack(attack: Attack) -> None:
    await attack.lives()
    await judged(attack)


async def _ends() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()  # type: ignore[union-attr]
    await asyncio.gather(*rest, return_exceptions=True)  # type: ignore[arg-type]


def run(seed: int) -> tuple[Figures, Failure | None]:
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    state.FORESEEN_GROUPS = 0 if seed % 5 else 5_000  # it saves time and must change nothing else
    loop = VirtualLoop()
    attack: list[Attack] = []

    async def go() -> None:
        attack.append(Attack(seed))
        await _attack(attack[0])

    failure = None
    try:
        loop.run_until_complete(go())
    except Fault as fault:
        failure = Failure(seed, fault.check, fault.what)
    except Exception as error:  # noqa: BLE001 - whatever breaks is a finding
        failure = Failure(seed, "it broke", f"{type(error).__name__}: {error}")
    finally:
        loop.run_until_complete(_ends())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
    return attack[0].figures, failure


def main() -> int:
    parser = argparse.ArgumentParser(prog="simulation.shards")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", help="a range, as 1-100")
    given = parser.parse_args()
    tame.tame()
    first, _, last = (given.seeds or str(given.seed)).partition("-")
    total, failed = Figures(), 0
    for seed in range(int(first), int(last or first) + 1):
        figures, failure = run(seed)
        total.add(figures)
        if failure is not None:
            failed += 1
            print(failure, end="\n\n")
    print(f"{total.seeds} seeds: " + ", ".join(f"{what} {count}" for what, count in total.counts.most_common()))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
