"""The pool as it was: folded anew from the newest snapshot before the moment of interest, apart from the living one.

The rule: the server goes on meanwhile. One past is folded at a time; what takes long (a snapshot, the folding, the
telling) runs in a thread, the reading gives way after every batch, and how far one may read is bounded.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Protocol, TypeVar

from agents.ports import NotRetained, Unavailable
from naru.bus.base import JOURNAL, Log
from naru.fold import Cursor, Entry, Fold, Gap, Journal, Snapshot, fold
from naru.retention import KEEP_S
from naru.wire import Record, decode_record
from router.events import Event
from router.memory import Memory
from router.state import Pool, apply

MAX_RECORDS = 2_000_000
"""How far after a snapshot a moment may lie: an hour of a very busy center, about a minute's work."""
MAX_ASKED = 8
LONGEST_S = 110.0
MARGIN_S = 60.0
"""How far a snapshot's own time and the log's may be apart."""

T = TypeVar("T")
Sought = tuple[str, Callable[[Event], bool]]


class Shelf(Protocol):
    """The snapshots that are kept (naru.store.snapshots)."""

    async def before(self, shard: int, offset: int) -> Snapshot | None:
        """The newest one that stands at this offset of the journal or earlier."""
        ...

    async def place(self, shard: int, t: float) -> int:
        """Where the newest one saved before this time stands, 0 when there is none."""
        ...


class Pasts:
    """The past of every pool, for those who ask why."""

    def __init__(self, log: Log, fold: Fold, shelf: Shelf, shard_of: Callable[[str], int]) -> None:
        self._log = log
        self._fold = fold
        self._shelf = shelf
        self._shard_of = shard_of
        self._alone = asyncio.Lock()
        self._asked = 0

    async def now(self, workspace: str, tell: Callable[[Pool], T]) -> T:
        """The pool as the journal says it is at the moment of the call."""
        shard = self._shard_of(workspace)
        until = self._fold.cursors[shard].offset
        async with self._turn():
            past = await self._folded(workspace, shard, until, None)
            return await asyncio.to_thread(tell, past.pool)

    async def before(self, workspace: str, sought: Sought, after: float, tell: Callable[[Pool, Event], T]) -> T:
        """The pool just before an event. Its record is looked for first, unfolded; then what leads to it is folded."""
        shard = self._shard_of(workspace)
        until = self._fold.cursors[shard].offset
        async with self._turn():
            at = max(await self._shelf.place(shard, after - MARGIN_S), await self._log.begin(JOURNAL, shard))
            while (at := await self._find(sought, shard, at, until)) < until:
                past = await self._folded(workspace, shard, at + 1, sought[1])
                if past.event is not None:
                    return await asyncio.to_thread(tell, past.pool, past.event)
                at += 1  # a dead owner wrote it: the record does not count
        raise NotRetained(f"the journal, which keeps {KEEP_S[JOURNAL] / 86400:g} days, does not hold it")

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """One at a time, few waiting, none for ever. What the journal no longer has is said so."""
        if self._asked >= MAX_ASKED:
            raise Unavailable("too many ask why at once")
        self._asked += 1
        try:
            async with asyncio.timeout(LONGEST_S), self._alone:
                yield
        except TimeoutError as error:
            raise Unavailable("the explanation takes too long") from error
        except Gap as error:
            raise NotRetained(str(error)) from error
        finally:
            self._asked -= 1

    async def _find(self, sought: Sought, shard: int, start: int, until: int) -> int:
        """The offset of the first record from `start` on that holds the event, `until` when none does."""
        name, is_it = sought[0].encode(), sought[1]
        if start < until:
            async for batch in self._log.read(JOURNAL, shard, start):
                for stored in batch:
                    if stored.offset < until and name in stored.value and _holds(stored.value, is_it):
                        return stored.offset
                if batch[-1].offset + 1 >= until:
                    break
                await asyncio.sleep(0)
        return until

    async def _folded(
        self, workspace: str, shard: int, until: int, seeks: Callable[[Event], bool] | None
    ) -> "_Folding":
        """The pool after all records before this offset, or just before the event sought, if the last one holds it."""
        newest = until if seeks is None else until - 1
        snapshot = await self._shelf.before(shard, newest) or Snapshot(cursor=Cursor(shard=shard))
        if snapshot.cursor.offset < await self._log.begin(JOURNAL, shard):
            raise NotRetained("no snapshot is left from which the journal could be folded up to it")
        if until - snapshot.cursor.offset > MAX_RECORDS:
            raise NotRetained(f"the nearest snapshot is {until - snapshot.cursor.offset} records away from it")
        past = await asyncio.to_thread(_Folding, workspace, snapshot.pools.get(workspace), seeks)
        if snapshot.cursor.offset < until:
            journal = Journal(self._log, snapshot.cursor, with_inputs=False)
            async for entries in journal.entries():
                await asyncio.to_thread(past.take, [entry for entry in entries if entry.offset <= until])
                if journal.cursor.offset >= until:
                    break
        return past


class _Folding:
    """One pool on its way. It stops before the event that is sought."""

    def __init__(self, workspace: str, memory: Memory | None, seeks: Callable[[Event], bool] | None) -> None:
        self.workspace = workspace
        self.pool = Pool(memory)
        self.event: Event | None = None
        self._seeks = seeks

    def take(self, entries: list[Entry]) -> None:
        """Fold these, up to the event if it is among them."""
        for entry in entries:
            record = entry.record
            if record.pool != self.workspace:
                continue
            if self._seeks is not None and any(self._seeks(event) for event in record.ev):
                self._stop_in(record)
                return
            fold({self.workspace: self.pool}, record)

    def _stop_in(self, record: Record) -> None:
        assert self._seeks is not None
        number = next(n for n, event in enumerate(record.ev) if self._seeks(event))
        self.event = record.ev[number]
        self.pool.memory.t = max(self.pool.t, record.t)
        for event in record.ev[:number]:
            apply(self.pool, event, record.t)


def _holds(value: bytes, is_it: Callable[[Event], bool]) -> bool:
    record = decode_record(value)
    return isinstance(record, Record) and any(is_it(event) for event in record.ev)
