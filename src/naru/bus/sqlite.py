"""The embedded log: one SQLite file in WAL mode with synchronous=FULL, one writer thread with group commit.

One commit is on its way to the disk at a time, and what comes meanwhile goes together into the next one, so the cost of
a sync is shared. A reader `ahead` is given records before they are durable: what it appends then goes into their commit
or a later one, and when one fails, so does all that was appended since. That is how an input and its decision share one
sync (ADR 17). The newest records are kept in memory, so readers that keep up never touch the disk.
"""

import asyncio
import collections
import concurrent.futures
import queue
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from naru.bus.base import LogUnavailable, Stored

TAIL_RECORDS = 4096
READ_BATCH = 256
COMMIT_RECORDS = 512
MAX_WAITING = 10_000

T = TypeVar("T")
_Key = tuple[str, int]


class _Job(NamedTuple):
    """One append: who waits for it, and its records with the offsets that they will have."""

    done: "asyncio.Future[list[Stored]]"
    key: _Key
    records: list[Stored]


class SqliteLog:
    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._path = path
        self._waiting: list[_Job] = []  # for the commit after the one on its way
        self._committing = False
        self._commits: queue.SimpleQueue[tuple[int, list[_Job]] | None] = queue.SimpleQueue()
        self._failures = 0  # that we have been told of: what is handed over rests on nothing that failed until then
        self._tails: dict[_Key, collections.deque[Stored]] = {}
        self._ends: dict[_Key, int] = {}  # of what was appended, durable or not
        self._visible: dict[_Key, int] = {}  # of what is durable
        self._last_t = 0.0
        self._grown: dict[_Key, asyncio.Event] = {}
        self._growing: dict[_Key, asyncio.Event] = {}  # for those who read ahead
        self._closed = False
        self._threads = concurrent.futures.ThreadPoolExecutor(2, "log-reader")
        self._reader = self._connect()
        self._reading = threading.Lock()
        self._load()
        self._thread = threading.Thread(target=self._write, name="log-writer", daemon=True)
        self._thread.start()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=5)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS log (topic TEXT, part INTEGER, off INTEGER, t REAL, value BLOB,"
            " PRIMARY KEY (topic, part, off)) WITHOUT ROWID"
        )
        connection.execute(
            "CREATE TABLE IF NOT EXISTS ends (topic TEXT, part INTEGER, off INTEGER, PRIMARY KEY (topic, part))"
        )
        return connection

    def _load(self) -> None:
        """Where each partition ends, even one whose records are all trimmed, and the last time given."""
        rows = self._reader.execute("SELECT topic, part, MAX(off) + 1, MAX(t) FROM log GROUP BY topic, part")
        for topic, part, end, t in rows.fetchall():
            self._ends[topic, part] = end
            self._last_t = max(self._last_t, t)
        for topic, part, end in self._reader.execute("SELECT topic, part, off FROM ends").fetchall():
            self._ends[topic, part] = max(end, self._ends.get((topic, part), 0))
        self._visible = dict(self._ends)

    async def append(self, topic: str, part: int, values: Sequence[bytes]) -> list[Stored]:
        if self._closed:
            raise LogUnavailable("the log is closed")
        if len(self._waiting) >= MAX_WAITING:
            raise LogUnavailable("too many appends are waiting")
        loop, key = asyncio.get_running_loop(), (topic, part)
        start = self._ends.get(key, 0)
        t = self._last_t = max(self._last_t, self._clock())
        records = [Stored(start + i, t, bytes(value)) for i, value in enumerate(values)]
        self._ends[key] = start + len(records)
        self._tails.setdefault(key, collections.deque()).extend(records)
        job = _Job(loop.create_future(), key, records)
        self._waiting.append(job)
        if key in self._growing:
            self._growing[key].set()
        if not self._committing:
            # Those who read ahead come before: what they append goes into the same commit.
            loop.call_soon(self._hand_over)
        return await job.done

    async def read(self, topic: str, part: int, start: int, ahead: bool = False) -> AsyncIterator[list[Stored]]:
        key = (topic, part)
        grown = (self._growing if ahead else self._grown).setdefault(key, asyncio.Event())
        ends = self._ends if ahead else self._visible
        at = start
        while not self._closed:
            batch = self._from_tail(key, at, ends.get(key, 0))
            if batch is None:
                end = self._visible.get(key, 0)
                batch = await self._in_thread(self._from_disk, key, at)
                if not batch:
                    at = end  # all that was there is trimmed
                    continue
            if batch:
                at = batch[-1].offset + 1
                yield batch
                continue
            grown.clear()
            if ends.get(key, 0) <= at:
                await grown.wait()
            if ahead and at > max(start, ends.get(key, 0)):
                raise LogUnavailable("what was read ahead did not become durable")

    def _from_tail(self, key: _Key, at: int, end: int) -> list[Stored] | None:
        """Records from `at` to `end` out of memory; None when memory does not go back that far, and the disk does."""
        if at >= end:
            return []
        tail = self._tails.get(key)
        if not tail or tail[0].offset > at:
            return None
        first = tail[0].offset
        return [tail[i] for i in range(at - first, min(end - first, at - first + READ_BATCH))]

    def _from_disk(self, key: _Key, at: int) -> list[Stored]:
        with self._reading:
            rows = self._reader.execute(
                "SELECT off, t, value FROM log WHERE topic=? AND part=? AND off>=? ORDER BY off LIMIT ?",
                (*key, at, READ_BATCH),
            ).fetchall()
        return [Stored(offset, t, value) for offset, t, value in rows]

    async def end(self, topic: str, part: int) -> int:
        return self._visible.get((topic, part), 0)

    async def begin(self, topic: str, part: int) -> int:
        return await self.since(topic, part, 0.0)

    async def since(self, topic: str, part: int, t: float) -> int:
        def first() -> int | None:
            query = "SELECT off FROM log WHERE topic=? AND part=? AND t>=? ORDER BY off LIMIT 1"
            with self._reading:
                row = self._reader.execute(query, (topic, part, t)).fetchone()
            return None if row is None else row[0]

        end = self._visible.get((topic, part), 0)
        found = await self._in_thread(first)
        return end if found is None else found

    async def trim(self, topic: str, part: int, before: int) -> None:
        def delete() -> None:
            with sqlite3.connect(self._path, isolation_level=None, timeout=30) as connection:
                end = self._visible.get((topic, part), 0)
                connection.execute("INSERT OR REPLACE INTO ends VALUES (?, ?, ?)", (topic, part, end))
                # In slices, so that the writer never waits long for its turn.
                while connection.execute(
                    "DELETE FROM log WHERE (topic, part, off) IN (SELECT topic, part, off FROM log"
                    " WHERE topic=? AND part=? AND off<? LIMIT ?)",
                    (topic, part, before, COMMIT_RECORDS),
                ).rowcount:
                    pass
            connection.close()

        await self._in_thread(delete)

    async def _in_thread(self, work: Callable[..., T], *args: object) -> T:
        """In a thread of the log's own, so that nobody else's waiting can hold it up. Raises LogUnavailable."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: work(*args))
        except sqlite3.Error as error:
            raise LogUnavailable(str(error)) from error

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for grown in (*self._grown.values(), *self._growing.values()):
            grown.set()
        if self._waiting:
            self._commits.put((self._failures, self._waiting))
            self._waiting = []
        self._commits.put(None)
        await asyncio.to_thread(self._thread.join)
        self._threads.shutdown()
        self._reader.close()

    # -- commits: handed over and settled on the event loop, written in the thread

    def _hand_over(self) -> None:
        """What waits is committed next, unless a commit is on its way: then it is when that is settled."""
        if self._committing or not self._waiting:
            return
        count = records = 0
        while count < len(self._waiting) and records < COMMIT_RECORDS:
            records += len(self._waiting[count].records)
            count += 1
        jobs, self._waiting = self._waiting[:count], self._waiting[count:]
        self._committing = True
        self._commits.put((self._failures, jobs))

    def _write(self) -> None:
        connection, failures = self._connect(), 0
        while (handed := self._commits.get()) is not None:
            known, jobs = handed
            error = self._commit(connection, jobs) if known == failures else LogUnavailable("a commit before it failed")
            failures += error is not None
            try:
                jobs[0].done.get_loop().call_soon_threadsafe(self._settle, jobs, error)
            except RuntimeError:  # the loop has ended before its answer came: nobody is left to tell
                self._committing = False
        connection.close()

    def _commit(self, connection: sqlite3.Connection, jobs: list[_Job]) -> LogUnavailable | None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            rows = ((*job.key, record.offset, record.t, record.value) for job in jobs for record in job.records)
            connection.executemany("INSERT INTO log VALUES (?, ?, ?, ?, ?)", rows)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            return LogUnavailable(str(error))
        return None

    def _settle(self, jobs: list[_Job], error: LogUnavailable | None) -> None:
        """Make the records visible to readers, and tell who appended them; after a failure, that they are not there."""
        self._committing = False
        if error is not None:
            self._forget(jobs, error)
            return
        for job in jobs:
            tail = self._tails[job.key]
            if job.records:
                self._visible[job.key] = job.records[-1].offset + 1
            while len(tail) > TAIL_RECORDS and tail[0].offset < self._visible[job.key]:
                tail.popleft()
            if not job.done.done():
                job.done.set_result(job.records)
            if job.key in self._grown:
                self._grown[job.key].set()
        if self._waiting:
            self._waiting[0].done.get_loop().call_soon(self._hand_over)

    def _forget(self, jobs: list[_Job], error: LogUnavailable) -> None:
        """Nothing that was appended since is there either: it may rest on what was read ahead."""
        self._failures += 1
        failed, self._waiting = [*jobs, *self._waiting], []
        for job in failed:
            tail = self._tails[job.key]
            end = self._ends[job.key] = self._visible.get(job.key, 0)
            while tail and tail[-1].offset >= end:
                tail.pop()
            if not job.done.done():
                job.done.set_exception(LogUnavailable(str(error)))
            if job.key in self._growing:
                self._growing[job.key].set()
