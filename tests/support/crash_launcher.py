"""`naru` with fail-points: the program that the kill tests start instead of it. Production code has no hooks for this.

Environment (no name begins with NARU_, which the settings would refuse):
- CRASH_AT=<point>:<n> ends the process with SIGKILL at the n-th passing of a point; POINTS lists the points.
- CRASH_TOLD=<file> gets the point's name as a line just before, so that a test knows what it has hit.
- SNAPSHOT_RECORDS=<n> saves a snapshot every n records, so that short lives begin from one too.
- LOST_CHAT_S=<s> is how long an agent who is away keeps chats: on a busy machine many short lives are a long absence.
- PLANT=ack-early acknowledges first and appends PLANT_DELAY_S later; PLANT=no-sync never syncs the log. Both are lies
  that the proofs must find out.

With the single argument `nursery` it imports once and then forks a center for every line on stdin, a JSON object with
`args` and `env`; it prints the center's pid, and its exit code when it has ended. Dying costs a center everything it
has in memory either way, but the imports, most of a start's time, need not be paid sixty times.
"""

import asyncio
import contextvars
import functools
import gc
import json
import os
import select
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

sys.path.pop(0)  # our own folder: its module names must not stand before anybody's

import naru.app
import naru.cli
import router.state
from channels.worker import Worker
from naru.bus.base import IN, JOURNAL, LogUnavailable
from naru.bus.sqlite import SqliteLog
from naru.center import Center
from naru.feed import Feed
from naru.fold import Fold
from naru.runtime import Owner
from naru.store.database import Database
from naru.store.files import StoredFiles
from naru.store.history import StoredHistory
from naru.store.projector import Projector
from naru.store.snapshots import StoredSnapshots

POINTS = (
    *(f"append:{topic}:{when}" for topic in (IN, JOURNAL) for when in ("before", "after")),
    "open:before",
    "open:after",
    "take:appended",
    "ask:appended",
    "ask:answered",
    "fold:before",
    *(
        f"store:{what}:{when}"
        for what in ("projector", "snapshot", "worker", "mailbox")
        for when in ("before", "after")
    ),
    "mailbox:delivered",
    "files:saved",
    "worker:claimed",
    "worker:sent",
    "worker:ended",
)

_passed = 0


def wanted() -> tuple[str, int]:
    """The point to die at, and at which passing."""
    name, _, count = os.environ.get("CRASH_AT", "").rpartition(":")
    return name, int(count or 0)


def point(name: str) -> None:
    """Pass a point; the process ends here if it is the one that was asked for."""
    global _passed
    if name != wanted()[0]:
        return
    _passed += 1
    if _passed == wanted()[1]:
        told = os.open(os.environ["CRASH_TOLD"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(told, f"{name}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)


class _Connection:
    """The log writer's connection, which tells before and after each commit what topics were in it."""

    def __init__(self, connection: sqlite3.Connection, topics: set[str]) -> None:
        self._connection = connection
        self._topics = topics

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, sql: str, *more: Any) -> Any:
        if sql != "COMMIT":
            return self._connection.execute(sql, *more)
        self._pass("before")
        done = self._connection.execute(sql, *more)
        self._pass("after")
        return done

    def executemany(self, sql: str, rows: Any) -> Any:
        return self._connection.executemany(sql, rows)

    def _pass(self, when: str) -> None:
        for topic in sorted(self._topics):
            point(f"append:{topic}:{when}")


def around(kind: type, method: str, before: str | None = None, after: str | None = None) -> None:
    """Pass a point before or after an asynchronous method."""
    original: Callable[..., Awaitable[Any]] = getattr(kind, method)

    @functools.wraps(original)
    async def wrapped(*args: Any, **named: Any) -> Any:
        if before is not None:
            point(before)
        result = await original(*args, **named)
        if after is not None:
            point(after)
        return result

    setattr(kind, method, wrapped)


_writer: contextvars.ContextVar[str] = contextvars.ContextVar("writer", default="other")


def names_its_writes(kind: type, method: str, name: str) -> None:
    """Call the transactions that a method makes by this name."""
    original: Callable[..., Awaitable[Any]] = getattr(kind, method)

    @functools.wraps(original)
    async def wrapped(*args: Any, **named: Any) -> Any:
        token = _writer.set(name)
        try:
            return await original(*args, **named)
        finally:
            _writer.reset(token)

    setattr(kind, method, wrapped)


def fail_points() -> None:
    commit = SqliteLog._commit

    def watched_commit(self: SqliteLog, connection: Any, jobs: Any) -> LogUnavailable | None:
        return commit(self, _Connection(connection, {job.key[0] for job in jobs}), jobs)  # type: ignore[arg-type]

    SqliteLog._commit = watched_commit  # type: ignore[method-assign]
    write = Database.write

    @asynccontextmanager
    async def watched_write(self: Database, workspace: str) -> AsyncIterator[Any]:
        async with write(self, workspace) as connection:
            yield connection
            point(f"store:{_writer.get()}:before")
        point(f"store:{_writer.get()}:after")

    Database.write = watched_write  # type: ignore[method-assign]
    take_in = Fold._take

    def watched_take_in(self: Fold, entry: Any) -> None:
        point("fold:before")
        take_in(self, entry)

    Fold._take = watched_take_in  # type: ignore[method-assign]
    names_its_writes(Projector, "run", "projector")
    names_its_writes(StoredSnapshots, "save", "snapshot")
    names_its_writes(Feed, "_save", "worker")
    names_its_writes(StoredHistory, "move_cursor", "mailbox")
    around(StoredHistory, "move_cursor", before="mailbox:delivered")
    around(StoredFiles, "save", after="files:saved")
    around(Owner, "_append_open", before="open:before", after="open:after")
    around(Center, "take", after="take:appended")
    around(Center, "_append", after="ask:appended")
    around(Center, "ask", after="ask:answered")
    around(Worker, "_claim", after="worker:claimed")
    around(Worker, "_end", before="worker:sent", after="worker:ended")


def acknowledge_early(delay_s: float) -> None:
    """The planted fault: what is answered as durable is appended only a moment later."""
    append = Center._append
    running: set[asyncio.Task[None]] = set()

    async def later(self: Center, envelope: Any) -> None:
        await asyncio.sleep(delay_s)
        await append(self, envelope)

    async def take(self: Center, workspace: str, actor: str, key: str, body: Any, content: Any = None) -> str:
        envelope = self.envelope(workspace, actor, key, body, content)
        task = asyncio.create_task(later(self, envelope))
        running.add(task)
        task.add_done_callback(running.discard)
        return envelope.id

    Center.take = take  # type: ignore[method-assign]


def never_sync() -> None:
    connect = SqliteLog._connect

    def careless(self: SqliteLog) -> sqlite3.Connection:
        connection = connect(self)
        connection.execute("PRAGMA synchronous=OFF")
        return connection

    SqliteLog._connect = careless  # type: ignore[method-assign]


def main() -> None:
    naru.app.SNAPSHOT_RECORDS = int(os.environ.get("SNAPSHOT_RECORDS", naru.app.SNAPSHOT_RECORDS))
    router.state.LOST_CHAT_S = float(os.environ.get("LOST_CHAT_S", router.state.LOST_CHAT_S))
    name, _ = wanted()
    if name:
        if name not in POINTS:
            raise SystemExit(f"no such fail-point: {name}")
        fail_points()
    plant = os.environ.get("PLANT")
    if plant == "ack-early":
        acknowledge_early(float(os.environ["PLANT_DELAY_S"]))
    elif plant == "no-sync":
        never_sync()
    elif plant is not None:
        raise SystemExit(f"no such plant: {plant}")
    naru.cli.main()


def nursery() -> None:
    """One center at a time, until stdin ends; a center that still runs then dies too."""
    gc.freeze()  # a center that collects once it has started does not look at what was there before it
    while line := sys.stdin.readline():
        birth = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(2, 1)
            os.environ.clear()
            os.environ.update(birth["env"])
            sys.argv[1:] = birth["args"]
            main()
            return
        print(pid, flush=True)
        life = os.pidfd_open(pid)
        ready, _, _ = select.select([life, 0], [], [])
        if life not in ready:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        os.close(life)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    nursery() if sys.argv[1:] == ["nursery"] else main()
