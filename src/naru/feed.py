"""Feeding the channel worker: the journal's effects of those channels that it holds, none left out when one moves.

A worker's place in a shard's journal is kept once a second: the newest before which everything is done. Who holds a
channel is kept too. Whoever takes one over begins where its holder's place was, and only when what was left is done it
is said to be held; the one before goes on until it reads that. So each effect is carried out at least once, and what
must not be done twice is claimed in the log first (channels.worker).
"""

import asyncio
import collections
from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy import delete, insert, select

from channels.accounts import Accounts
from channels.worker import Worker
from naru.bus.base import Log
from naru.fold import Cursor, Entry, Fold, Journal, Snapshots
from naru.store import tables as db
from naru.store.database import HOUSE, Database, StoreUnavailable, enter
from naru.store.projector import known_cursor, load_cursor, move_cursor
from naru.wire import Record
from router.effects import CopyFiles, Deliver
from router.events import ConfigApplied

SAVE_S = 1.0
BEFORE_NAMES = "worker"
"""The reader's name in databases from before workers had names."""

log = structlog.get_logger("naru.feed")

Key = tuple[str, str]
"""(workspace, channel)"""


def _waits_for_fold(record: Record) -> bool:
    """Messages are read from the history, which follows the fold, and a configuration is in force once it is folded. A
    phone is rung at once: whoever waits should not wait for desks to be shown it first."""
    said = any(isinstance(effect, Deliver | CopyFiles) for effect in record.fx)
    return said or any(isinstance(event, ConfigApplied) for event in record.ev)


class Feed:
    """One shard's effects for one worker. `mine(workspace, channel)` says what it should hold."""

    def __init__(
        self,
        log: Log,
        shard: int,
        fold: Fold,
        snapshots: Snapshots,
        database: Database,
        accounts: Accounts,
        worker: Worker,
        name: str,
        mine: Callable[[str, str], bool],
        shard_of: Callable[[str], int],
    ) -> None:
        self._log = log
        self._shard = shard
        self._fold = fold
        self._snapshots = snapshots
        self._database = database
        self._accounts = accounts
        self._worker = worker
        self._name = name
        self._mine = mine
        self._shard_of = shard_of
        self._at = Cursor(shard=shard)
        self._held: set[Key] = set()
        self._done: Cursor | None = None
        self._owed: list[tuple[int, set[Key]]] = []
        self._passed: collections.deque[tuple[int, Cursor]] = collections.deque()

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """For ever: follow the journal from its present end. What is older comes by taking channels over."""
        self._at = self._fold.cursors[self._shard]
        self._held.clear()
        self._owed.clear()
        self._passed.clear()
        self._done = None
        saved = await load_cursor(self._database, self._reader(self._name), self._shard)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            while True:
                try:
                    await self._take_over()
                    saved = await self._save(saved)
                except StoreUnavailable as error:
                    # Calls must be joined and ended meanwhile; what is not saved is done once more after a crash.
                    log.warning("feed.unsaved", shard=self._shard, error=str(error))
                await sleep(SAVE_S)

    def _reader(self, worker: str) -> str:
        return f"worker:{worker}"

    async def _follow(self) -> None:
        journal = Journal(self._log, self._at, with_inputs=False)
        async for entries in journal.entries():
            if any(_waits_for_fold(entry.record) for entry in entries):
                await self._fold.reach(self._shard, journal.cursor.offset, 60)
            self._give(entries, self._held)
            self._at = journal.cursor
            self._passed.append((self._worker.ordered, journal.cursor))

    def _give(self, entries: list[Entry], channels: set[Key]) -> None:
        for entry in entries:
            workspace = entry.record.workspace
            wanted = [effect for effect in entry.record.fx if (workspace, effect.channel) in channels]
            self._worker.record(workspace, wanted)

    # -- who holds what

    async def _take_over(self) -> None:
        configured = {
            (account.workspace, account.channel)
            for account in self._accounts.all()
            if self._shard_of(account.workspace) == self._shard
        }
        mine = {key for key in configured if self._mine(*key)}
        if not mine - self._held and not self._held - mine:
            return
        holders = await self._holders()
        self._held = {key for key in self._held if key in mine or holders.get(key) == self._name}
        gained = mine - self._held
        for holder in sorted({holders.get(key, "") for key in gained}):
            await self._from(holder, {key for key in gained if holders.get(key, "") == holder})

    async def _from(self, holder: str, channels: set[Key]) -> None:
        """Do what this holder may have left undone in these channels, and go on with them."""
        start = await self._place(holder)
        if start.offset < self._at.offset:
            journal = Journal(self._log, start, with_inputs=False)
            async for entries in journal.entries():
                self._give([entry for entry in entries if entry.offset <= self._at.offset], channels)
                if journal.cursor.offset >= self._at.offset:
                    break
        # Nothing is awaited since the last look at where we are: what comes now is given to us.
        self._held |= channels
        self._owed.append((self._worker.ordered, channels))

    async def _place(self, holder: str) -> Cursor:
        """A holder's place. Of a channel that nobody held yet: the newest snapshot's, whose age is a minute or so."""
        for reader in (self._reader(holder), BEFORE_NAMES) if holder else (BEFORE_NAMES,):
            known = await known_cursor(self._database, reader, self._shard)
            if known is not None:
                return known
        snapshot = await self._snapshots.newest(self._shard)
        return snapshot.cursor if snapshot else Cursor(shard=self._shard)

    async def _holders(self) -> dict[Key, str]:
        c = db.effect_holders.c
        async with self._database.read(HOUSE) as connection:
            rows = await connection.execute(select(c.workspace, c.channel, c.worker))
            return {(row.workspace, row.channel): row.worker for row in rows}

    # -- places

    async def _save(self, saved: Cursor) -> Cursor:
        done: Cursor | None = None
        while self._passed and self._passed[0][0] <= self._worker.done_up_to:
            done = self._done = self._passed.popleft()[1]
        if self._done is not None and self._done.offset > saved.offset:
            done = self._done  # perhaps it could not be saved the last time
        if saved.offset == 0 and done is None:
            done = self._at  # whoever takes over from us must find a place
        if done is not None and done.offset > saved.offset:
            async with self._database.write(HOUSE) as connection:
                await move_cursor(connection, self._reader(self._name), saved, done)
            saved = done
        while self._owed and self._owed[0][0] <= self._worker.done_up_to:
            await self._hold(self._owed[0][1])
            del self._owed[0]
        return saved

    async def _hold(self, channels: set[Key]) -> None:
        table = db.effect_holders
        async with self._database.write(HOUSE) as connection:
            for workspace, channel in sorted(channels):
                await enter(connection, workspace)
                where = (table.c.workspace == workspace) & (table.c.channel == channel)
                await connection.execute(delete(table).where(where))
                await connection.execute(insert(table).values(workspace=workspace, channel=channel, worker=self._name))
