"""The embedded log: one SQLite file in WAL mode with synchronous=FULL, one writer thread with group commit.

What waits while a commit is on its way to the disk goes together into the next one, so the cost of a sync is shared.
The newest records are kept in memory, so readers that keep up never touch the disk.
"""

import asyncio
import collections
import concurrent.futures
import queue
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from naru.bus.base import LogUnavailable, Stored

TAIL_RECORDS = 4096
READ_BATCH = 256
COMMIT_RECORDS = 512

T = TypeVar("T")
_Key = tuple[str, int]
_Job = tuple[asyncio.AbstractEventLoop, "asyncio.Future[list[Stored]]", _Key, Sequence[bytes]]


class SqliteLog:
    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._path = path
        self._jobs: queue.Queue[_Job | None] = queue.Queue(maxsize=10_000)
        self._tails: dict[_Key, collections.deque[Stored]] = {}
        self._ends: dict[_Key, int] = {}  # the writer thread's
        self._visible: dict[_Key, int] = {}  # the event loop's, with the tails
        self._last_t = 0.0
        self._grown: dict[_Key, asyncio.Event] = {}
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
        loop = asyncio.get_running_loop()
        done: asyncio.Future[list[Stored]] = loop.create_future()
        try:
            self._jobs.put_nowait((loop, done, (topic, part), values))
        except queue.Full:
            raise LogUnavailable("too many appends are waiting") from None
        return await done

    async def read(self, topic: str, part: int, start: int) -> AsyncIterator[list[Stored]]:
        key = (topic, part)
        grown = self._grown.setdefault(key, asyncio.Event())
        at = start
        while not self._closed:
            batch = self._from_tail(key, at)
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
            if self._visible.get(key, 0) <= at:
                await grown.wait()

    def _from_tail(self, key: _Key, at: int) -> list[Stored] | None:
        """Records from `at` on out of memory; None when memory does not go back that far."""
        if at >= self._visible.get(key, 0):
            return []
        tail = self._tails.get(key)
        if not tail or tail[0].offset > at:
            return None
        skip = at - tail[0].offset
        return [tail[i] for i in range(skip, min(len(tail), skip + READ_BATCH))]

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
        for grown in self._grown.values():
            grown.set()
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        self._threads.shutdown()
        self._reader.close()

    # -- the writer thread

    def _write(self) -> None:
        connection = self._connect()
        while (job := self._jobs.get()) is not None:
            jobs = [job]
            records = len(job[3])
            while records < COMMIT_RECORDS:
                try:
                    more = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    self._jobs.put(None)
                    break
                jobs.append(more)
                records += len(more[3])
            self._commit(connection, jobs)
        connection.close()

    def _commit(self, connection: sqlite3.Connection, jobs: list[_Job]) -> None:
        ends = dict(self._ends)
        t = max(self._last_t, self._clock())
        written: list[list[Stored]] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            for _, _, key, values in jobs:
                start = ends.get(key, 0)
                ends[key] = start + len(values)
                stored = [Stored(start + i, t, bytes(value)) for i, value in enumerate(values)]
                rows = ((*key, record.offset, record.t, record.value) for record in stored)
                connection.executemany("INSERT INTO log VALUES (?, ?, ?, ?, ?)", rows)
                written.append(stored)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._tell(jobs, LogUnavailable(str(error)))
            return
        self._ends, self._last_t = ends, t
        self._tell(jobs, written)

    def _tell(self, jobs: list[_Job], outcome: "list[list[Stored]] | LogUnavailable") -> None:
        for number, (loop, done, key, _) in enumerate(jobs):
            result = outcome if isinstance(outcome, LogUnavailable) else outcome[number]
            try:
                loop.call_soon_threadsafe(self._resolve, done, key, result)
            except RuntimeError:
                return  # the loop has ended before its answer came: nobody is left to tell

    def _resolve(
        self, done: "asyncio.Future[list[Stored]]", key: _Key, result: "list[Stored] | LogUnavailable"
    ) -> None:
        """On the event loop: make the records visible to readers, and tell who appended them."""
        if isinstance(result, LogUnavailable):
            if not done.done():
                done.set_exception(result)
            return
        self._tails.setdefault(key, collections.deque(maxlen=TAIL_RECORDS)).extend(result)
        if result:
            self._visible[key] = result[-1].offset + 1
        if not done.done():
            done.set_result(result)
        if key in self._grown:
            self._grown[key].set()
