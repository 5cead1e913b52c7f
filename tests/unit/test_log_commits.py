"""What the embedded log commits together, and what becomes of it when a commit fails."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from naru.bus.base import LogUnavailable, Stored
from naru.bus.sqlite import SqliteLog


class Commits:
    """The commits of a log, each as the topics of its records; those in `failing`, by number, fail. None is made while
    `may_go` is not set."""

    def __init__(self, log: SqliteLog) -> None:
        self.made: list[list[str]] = []
        self.failing: set[int] = set()
        self.may_go = threading.Event()
        self.may_go.set()
        self._commit = log._commit
        log._commit = self.commit  # type: ignore[method-assign]

    def commit(self, connection: Any, jobs: Any) -> LogUnavailable | None:
        self.made.append([job.key[0] for job in jobs])
        self.may_go.wait(10)
        if len(self.made) in self.failing:
            return LogUnavailable("the disk is full")
        return self._commit(connection, jobs)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[SqliteLog]:
    log = SqliteLog(tmp_path / "log.sqlite", lambda: 1000.0)
    yield log
    await log.close()


async def answering(log: SqliteLog) -> None:
    """Decides what it reads, as an owner does."""
    async for batch in log.read("in", 0, await log.end("in", 0), ahead=True):
        await log.append("journal", 0, [b"decided " + stored.value for stored in batch])


@contextlib.asynccontextmanager
async def owner(log: SqliteLog) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(answering(log))
    await asyncio.sleep(0)
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def there(log: SqliteLog, topic: str) -> list[Stored]:
    found: list[Stored] = []
    async for batch in log.read(topic, 0, 0):
        found += batch
        if len(found) == await log.end(topic, 0):
            break
    return found


async def test_an_input_and_its_decision_share_a_commit(log: SqliteLog) -> None:
    commits = Commits(log)
    async with owner(log):
        for value in (b"a", b"b", b"c"):
            await log.append("in", 0, [value])
    assert commits.made == [["in", "journal"]] * 3
    assert [stored.value for stored in await there(log, "journal")] == [b"decided a", b"decided b", b"decided c"]


async def test_what_comes_during_a_commit_goes_with_its_decisions_into_the_next(log: SqliteLog) -> None:
    commits = Commits(log)
    async with owner(log):
        commits.may_go.clear()
        appends = [asyncio.create_task(log.append("in", 0, [b"first"]))]
        while not commits.made:
            await asyncio.sleep(0)
        appends += [asyncio.create_task(log.append("in", 0, [b"x"])) for _ in range(5)]
        await asyncio.sleep(0)
        commits.may_go.set()
        await asyncio.gather(*appends)
    assert commits.made == [["in", "journal"], ["in"] * 5 + ["journal"]]


async def test_nobody_else_sees_what_is_not_durable(log: SqliteLog) -> None:
    seen: list[bytes] = []

    async def follow() -> None:
        async for batch in log.read("in", 0, 0):
            seen.extend(stored.value for stored in batch)

    following = asyncio.create_task(follow())
    ahead = log.read("in", 0, 0, ahead=True)
    appending = asyncio.create_task(log.append("in", 0, [b"a"]))
    assert [stored.value for stored in await anext(ahead)] == [b"a"]
    assert (seen, await log.end("in", 0)) == ([], 0)
    await appending
    await asyncio.sleep(0)
    assert (seen, await log.end("in", 0)) == ([b"a"], 1)
    following.cancel()


async def test_a_failed_commit_takes_with_it_what_was_decided_of_it(log: SqliteLog, tmp_path: Path) -> None:
    commits = Commits(log)
    commits.failing = {2}
    async with owner(log) as deciding:
        await log.append("in", 0, [b"kept"])
        with pytest.raises(LogUnavailable, match="the disk is full"):
            await log.append("in", 0, [b"lost"])
        with pytest.raises(LogUnavailable):
            await deciding
    assert (await log.end("in", 0), await log.end("journal", 0)) == (1, 1)
    async with owner(log):
        assert (await log.append("in", 0, [b"again"]))[0].offset == 1
    await log.close()
    reopened = SqliteLog(tmp_path / "log.sqlite", lambda: 1000.0)
    assert [stored.value for stored in await there(reopened, "in")] == [b"kept", b"again"]
    assert [stored.value for stored in await there(reopened, "journal")] == [b"decided kept", b"decided again"]
    await reopened.close()


async def test_a_reader_ahead_who_waits_hears_that_what_he_read_is_gone(log: SqliteLog) -> None:
    Commits(log).failing = {1}
    ahead = log.read("in", 0, 0, ahead=True)
    appending = asyncio.create_task(log.append("in", 0, [b"lost"]))
    assert [stored.value for stored in await anext(ahead)] == [b"lost"]
    with pytest.raises(LogUnavailable, match="did not become durable"):
        await anext(ahead)
    with pytest.raises(LogUnavailable):
        await appending


async def test_what_waits_when_the_log_is_closed_rests_on_nothing_that_failed(log: SqliteLog, tmp_path: Path) -> None:
    commits = Commits(log)
    commits.failing = {1}
    commits.may_go.clear()
    first = asyncio.create_task(log.append("in", 0, [b"lost"]))
    while not commits.made:
        await asyncio.sleep(0)
    second = asyncio.create_task(log.append("journal", 0, [b"decided lost"]))
    await asyncio.sleep(0)
    commits.may_go.set()
    await log.close()  # before it has been told that the first one failed
    outcomes = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [LogUnavailable, LogUnavailable]
    reopened = SqliteLog(tmp_path / "log.sqlite", lambda: 1000.0)
    assert (await reopened.end("in", 0), await reopened.end("journal", 0)) == (0, 0)
    await reopened.close()
