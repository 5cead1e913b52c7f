"""Reading the journal: as valid records, and as the pools that follow. Readers act on the world, owners never.

`Journal` yields valid records with the inputs they answer. `Fold` keeps pools up to date from them and tells its
subscribers; gateways, workers and the snapshot writer share one fold per process.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import msgspec

from naru.bus.base import IN, JOURNAL, Log, Stored
from naru.keyring import Keyring
from naru.wire import Envelope, JournalReader, Record, decode_content, decode_envelope, decode_record
from router.memory import Memory, Seen
from router.model import Content
from router.state import Pool, apply

SCHEMA = 1


class Gap(Exception):
    """Records are missing between a reader's place and the oldest record kept: it must not go on."""


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """Where a reader is in one shard's journal: the next offset, and the state of the validity rule there."""

    shard: int
    offset: int = 0
    nonce: str = ""
    seq: int = -1
    in_next: int = 0


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    cursor: Cursor
    pools: dict[str, Memory] = {}
    workspaces: dict[str, str] = {}
    schema: int = SCHEMA


class Snapshots(Protocol):
    async def newest(self, shard: int) -> Snapshot | None: ...

    async def save(self, snapshot: Snapshot) -> None: ...


class Entry(msgspec.Struct, frozen=True):
    """A valid record, where the reader stands after it, and the input it answers, as it lies in the log (None: a timer).

    Most readers need neither the input nor the whole cursor of most records, so both are made when they are asked for.
    """

    record: Record
    shard: int
    offset: int
    input: bytes | None = None

    @property
    def cursor(self) -> Cursor:
        """A record that counts says itself where the validity rule stands after it."""
        record = self.record
        return Cursor(shard=self.shard, offset=self.offset, nonce=record.n, seq=record.s, in_next=record.i)

    @property
    def position(self) -> str:
        return f"{self.shard}.{self.offset}"

    @property
    def envelope(self) -> Envelope | None:
        """The input; None too when it cannot be read, as its owner could not."""
        if self.input is None:
            return None
        try:
            return decode_envelope(self.input)
        except msgspec.MsgspecError:
            return None


class Journal:
    """One shard's valid records from a cursor on, with the inputs they answer, for ever."""

    def __init__(self, log: Log, cursor: Cursor, with_inputs: bool = True) -> None:
        self._log = log
        self.cursor = cursor
        self.rule = JournalReader(cursor.nonce, cursor.seq, cursor.in_next)
        self._inputs = _Inputs(log, cursor.shard, cursor.in_next) if with_inputs else None

    async def entries(self) -> AsyncIterator[list[Entry]]:
        async for batch in self._log.read(JOURNAL, self.cursor.shard, self.cursor.offset):
            if batch[0].offset != self.cursor.offset:
                raise Gap(f"shard {self.cursor.shard}: journal begins at {batch[0].offset}, not {self.cursor.offset}")
            entries = [entry for stored in batch if (entry := await self._entry(stored)) is not None]
            self.cursor = Cursor(
                shard=self.cursor.shard,
                offset=batch[-1].offset + 1,
                nonce=self.rule.nonce,
                seq=self.rule.seq,
                in_next=self.rule.in_next,
            )
            yield entries

    async def _entry(self, stored: Stored) -> Entry | None:
        """A record that counts, with its input; None for what does not."""
        record = decode_record(stored.value)
        if not self.rule.accept(record) or not isinstance(record, Record):
            return None
        answered = await self._inputs.at(record.i - 1) if record.re and self._inputs is not None else None
        return Entry(record, self.cursor.shard, stored.offset + 1, answered)


class _Inputs:
    """The input topic read in step with the journal. An input always precedes the record that answers it."""

    def __init__(self, log: Log, shard: int, start: int) -> None:
        self._batches = log.read(IN, shard, start)
        self._batch: list[Stored] = []
        self._place = 0  # in the batch: records answer inputs in order, so none is sought before it

    async def at(self, offset: int) -> bytes | None:
        while not self._batch or self._batch[-1].offset < offset:
            self._batch, self._place = await anext(self._batches), 0
        while self._batch[self._place].offset < offset:
            self._place += 1
        found = self._batch[self._place]
        return found.value if found.offset == offset else None


def fold(pools: dict[str, Pool], record: Record) -> Pool:
    """Bring the record's pool up to date with it, and return the pool."""
    pool = pools.get(record.pool)
    if pool is None:
        pool = pools[record.pool] = Pool()
    for event in record.ev:
        apply(pool, event, record.t)
    close(pool, record)
    pool.settled()
    return pool


def close(pool: Pool, record: Record) -> None:
    """What every record does to its pool besides its events: time goes on, and answers are remembered."""
    memory = pool.memory
    memory.t = max(memory.t, record.t)
    for reply in record.re:
        if reply.input not in memory.seen:
            answer = Seen(t=memory.t, hash=reply.hash, status=reply.status, code=reply.code, contact=reply.contact)
            pool.remember(reply.input, answer)


class Applied:
    """A record that the fold has just taken in."""

    __slots__ = ("_keyring", "_opened", "entry", "pool", "record")

    def __init__(self, entry: Entry, pool: Pool, keyring: Keyring) -> None:
        self.entry = entry
        self.record = entry.record
        self.pool = pool
        self._keyring = keyring
        self._opened: tuple[Content | None] | None = None

    def content(self) -> Content | None:
        """What was said. It is opened when somebody asks: most of what is said concerns nobody who is here."""
        if self._opened is None:
            self._opened = (open_content(self._keyring, self.entry.envelope),)
        return self._opened[0]


Subscriber = Callable[[Applied], None]


class Fold:
    """The pools of some shards as the journal says they are, never ahead of it."""

    def __init__(self, log: Log, shards: range, keyring: Keyring, snapshots: Snapshots) -> None:
        self._log = log
        self._shards = shards
        self._keyring = keyring
        self._snapshots = snapshots
        self._subscribers: list[Subscriber] = []
        self._moved = asyncio.Condition()
        self.pools: dict[str, Pool] = {}
        self.workspaces: dict[str, str] = {}
        self.cursors: dict[int, Cursor] = {}
        self._homes: dict[str, int] = {}  # pool -> its shard
        self.ignored = 0

    def subscribe(self, subscriber: Subscriber) -> None:
        self._subscribers.append(subscriber)

    async def restore(self) -> None:
        """From the newest snapshots to the journal's present end."""
        for shard in self._shards:
            snapshot = await self._snapshots.newest(shard) or Snapshot(cursor=Cursor(shard=shard))
            self.cursors[shard] = snapshot.cursor
            self.workspaces |= snapshot.workspaces
            self.pools |= {pool: Pool(memory) for pool, memory in snapshot.pools.items()}
            self._homes |= dict.fromkeys(snapshot.pools, shard)
            end = await self._log.end(JOURNAL, shard)
            if self.cursors[shard].offset > end:
                raise Gap(
                    f"shard {shard}: the journal ends at {end}, but {self.cursors[shard].offset} was read already"
                )
            if self.cursors[shard].offset < end:
                await self._run(shard, until=end)

    async def run(self) -> None:
        """Follow every shard for ever."""
        async with asyncio.TaskGroup() as group:
            for shard in self._shards:
                group.create_task(self._run(shard))

    async def _run(self, shard: int, until: int | None = None) -> None:
        journal = Journal(self._log, self.cursors[shard])
        async for entries in journal.entries():
            # Who rings a phone for these records reads them at this moment too. In two passes of the loop it has asked for
            # that; after one, its caller waits until the desks are shown it (0.8 ms, with ten of them).
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            for entry in entries:
                self._take(entry)
            self.cursors[shard] = journal.cursor
            self.ignored += journal.rule.ignored
            journal.rule.ignored = 0
            async with self._moved:
                self._moved.notify_all()
            if until is not None and journal.cursor.offset >= until:
                return

    def _take(self, entry: Entry) -> None:
        record = entry.record
        pool = fold(self.pools, record)
        self.workspaces[record.pool] = record.workspace
        self._homes[record.pool] = entry.shard
        applied = Applied(entry, pool, self._keyring)
        for subscriber in self._subscribers:
            subscriber(applied)

    def snapshot(self, shard: int) -> Snapshot:
        """A shard's own pools as they are now. Another shard's would come back older or newer than their own journal."""
        own = [pool for pool, home in self._homes.items() if home == shard]
        return Snapshot(
            cursor=self.cursors[shard],
            pools={pool: self.pools[pool].memory for pool in own},
            workspaces={pool: self.workspaces[pool] for pool in own},
        )

    async def reach(self, shard: int, offset: int, timeout_s: float) -> bool:
        """Wait until the fold has come to this offset; False when it takes longer."""
        if shard not in self.cursors:
            return False
        try:
            async with asyncio.timeout(timeout_s), self._moved:
                await self._moved.wait_for(lambda: self.cursors[shard].offset >= offset)
        except TimeoutError:
            return False
        return True


def open_content(keyring: Keyring, envelope: Envelope | None) -> Content | None:
    if envelope is None or envelope.content is None:
        return None
    return decode_content(keyring.open(envelope.workspace, "content", envelope.content))


class SnapshotWriter:
    """Saves the fold every so often. The fold has read only valid records, so a snapshot is valid by construction."""

    def __init__(
        self,
        fold: Fold,
        snapshots: Snapshots,
        every_s: float,
        every_records: int,
        mine: Callable[[int], bool] = lambda shard: True,
    ) -> None:
        self._mine = mine
        self._fold = fold
        self._snapshots = snapshots
        self._every_s = every_s
        self._every_records = every_records
        self._saved: dict[int, int] = {}

    async def run(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        waited = 0.0
        while True:
            await sleep(1.0)
            waited += 1.0
            due = waited >= self._every_s
            for shard, cursor in list(self._fold.cursors.items()):
                grown = cursor.offset - self._saved.get(shard, 0)
                if self._mine(shard) and (grown >= self._every_records or (grown > 0 and due)):
                    await self.save(shard)
            if due:
                waited = 0.0

    async def save(self, shard: int) -> None:
        snapshot = self._fold.snapshot(shard)
        await self._snapshots.save(snapshot)
        self._saved[shard] = snapshot.cursor.offset
