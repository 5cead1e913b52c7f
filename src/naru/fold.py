"""Reading the journal: as valid records, and as the pools that follow. Readers act on the world, owners never.

`Journal` yields valid records with the inputs they answer. `Fold` keeps pools up to date from them and tells its
subscribers; gateways, workers and the snapshot writer share one fold per process.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import msgspec

from naru.bus.base import IN, JOURNAL, Log
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
    """A valid record, where the reader stands after it, and the input it answers (None for a timer)."""

    record: Record
    cursor: Cursor
    envelope: Envelope | None = None

    @property
    def position(self) -> str:
        return f"{self.cursor.shard}.{self.cursor.offset}"


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
            entries = []
            for stored in batch:
                record = decode_record(stored.value)
                valid = self.rule.accept(record)
                self.cursor = Cursor(
                    shard=self.cursor.shard,
                    offset=stored.offset + 1,
                    nonce=self.rule.nonce,
                    seq=self.rule.seq,
                    in_next=self.rule.in_next,
                )
                if valid and isinstance(record, Record):
                    envelope = None
                    if record.re and self._inputs is not None:
                        envelope = await self._inputs.at(record.i - 1)
                    entries.append(Entry(record, self.cursor, envelope))
            yield entries


class _Inputs:
    """The input topic read in step with the journal. An input always precedes the record that answers it."""

    def __init__(self, log: Log, shard: int, start: int) -> None:
        self._batches = log.read(IN, shard, start)
        self._batch: list[tuple[int, bytes]] = []

    async def at(self, offset: int) -> Envelope | None:
        while not self._batch or self._batch[-1][0] < offset:
            self._batch = [(stored.offset, stored.value) for stored in await anext(self._batches)]
        for known, value in self._batch:
            if known == offset:
                try:
                    return decode_envelope(value)
                except msgspec.MsgspecError:
                    return None
        return None


def fold(pools: dict[str, Pool], record: Record) -> Pool:
    """Bring the record's pool up to date with it, and return the pool."""
    if record.pool not in pools:
        pools[record.pool] = Pool()
    pool = pools[record.pool]
    for event in record.ev:
        apply(pool, event, record.t)
    close(pool, record)
    pool.settled()
    return pool


def close(pool: Pool, record: Record) -> None:
    """What every record does to its pool besides its events: time goes on, and answers are remembered."""
    pool.memory.t = max(pool.memory.t, record.t)
    for reply in record.re:
        answer = Seen(t=pool.t, hash=reply.hash, status=reply.status, code=reply.code, contact=reply.contact)
        if reply.input not in pool.memory.seen:
            pool.remember(reply.input, answer)


class Applied(msgspec.Struct, frozen=True):
    """A record that the fold has just taken in. `content` is what was said, opened."""

    entry: Entry
    pool: Pool
    content: Content | None = None

    @property
    def record(self) -> Record:
        return self.entry.record


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
        pool = fold(self.pools, entry.record)
        self.cursors[entry.cursor.shard] = entry.cursor
        self.workspaces[entry.record.pool] = entry.record.workspace
        self._homes[entry.record.pool] = entry.cursor.shard
        applied = Applied(entry, pool, self._content(entry))
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

    def _content(self, entry: Entry) -> Content | None:
        return open_content(self._keyring, entry.envelope)

    async def reach(self, shard: int, offset: int, timeout_s: float) -> bool:
        """Wait until the fold has come to this offset; False when it takes longer."""

        if shard not in self.cursors:
            return False

        async def reached() -> None:
            async with self._moved:
                await self._moved.wait_for(lambda: self.cursors[shard].offset >= offset)

        try:
            await asyncio.wait_for(reached(), timeout_s)
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
