"""What every log must do. One class, run on each implementation."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from naru.bus.base import Log, LogUnavailable, Stored
from naru.bus.sqlite import TAIL_RECORDS, SqliteLog


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def log(tmp_path: Path, clock: Clock) -> AsyncIterator[Log]:
    made = SqliteLog(tmp_path / "log.sqlite", clock)
    yield made
    await made.close()


async def take(log: Log, topic: str, count: int, start: int = 0, part: int = 0) -> list[Stored]:
    found: list[Stored] = []
    async with asyncio.timeout(10):
        async for batch in log.read(topic, part, start):
            found += batch
            if len(found) >= count:
                return found
    return found


class TestLog:
    async def test_records_come_back_in_order_with_their_offsets(self, log: Log) -> None:
        stored = await log.append("t", 0, [b"a", b"b"])
        stored += await log.append("t", 0, [b"c"])
        assert [record.offset for record in stored] == [0, 1, 2]
        assert [record.value for record in await take(log, "t", 3)] == [b"a", b"b", b"c"]
        assert [record.value for record in await take(log, "t", 1, start=2)] == [b"c"]
        assert await log.end("t", 0) == 3

    async def test_topics_and_parts_do_not_see_each_other(self, log: Log) -> None:
        await log.append("t", 0, [b"a"])
        await log.append("t", 1, [b"b"])
        await log.append("u", 0, [b"c"])
        assert [record.value for record in await take(log, "t", 1, part=1)] == [b"b"]
        assert await log.end("u", 1) == 0

    async def test_a_reader_at_the_end_is_woken_by_the_next_append(self, log: Log) -> None:
        reading = asyncio.create_task(take(log, "t", 1))
        await asyncio.sleep(0)
        await log.append("t", 0, [b"late"])
        assert (await reading)[0].value == b"late"

    async def test_time_never_goes_back(self, log: Log, clock: Clock) -> None:
        first = await log.append("t", 0, [b"a"])
        clock.now = 500.0
        second = await log.append("t", 0, [b"b"])
        assert second[0].t >= first[0].t

    async def test_what_was_appended_survives_closing(self, tmp_path: Path, clock: Clock) -> None:
        first = SqliteLog(tmp_path / "again.sqlite", clock)
        await first.append("t", 0, [b"a", b"b"])
        await first.close()
        second = SqliteLog(tmp_path / "again.sqlite", clock)
        assert (await second.append("t", 0, [b"c"]))[0].offset == 2
        assert [record.value for record in await take(second, "t", 3)] == [b"a", b"b", b"c"]
        await second.close()

    async def test_trimmed_records_are_gone_and_offsets_go_on(self, tmp_path: Path, clock: Clock) -> None:
        log = SqliteLog(tmp_path / "trim.sqlite", clock)
        await log.append("t", 0, [b"a", b"b", b"c"])
        await log.trim("t", 0, 3)
        await log.close()
        log = SqliteLog(tmp_path / "trim.sqlite", clock)
        assert await log.begin("t", 0) == await log.end("t", 0) == 3
        assert (await log.append("t", 0, [b"d"]))[0].offset == 3
        assert (await take(log, "t", 1))[0].offset == 3
        assert await log.begin("t", 0) == 3
        await log.close()

    async def test_the_first_record_since_a_time_is_found(self, log: Log, clock: Clock) -> None:
        for at in (1000.0, 1010.0, 1020.0):
            clock.now = at
            await log.append("t", 0, [b"x"])
        assert [await log.since("t", 0, t) for t in (0, 1000.5, 1020.0, 1021.0)] == [0, 1, 2, 3]

    async def test_many_writers_share_commits_and_lose_nothing(self, log: Log) -> None:
        await asyncio.gather(*(log.append("t", 0, [f"{n}".encode()]) for n in range(500)))
        found = await take(log, "t", 500)
        assert sorted(int(record.value) for record in found) == list(range(500))
        assert [record.offset for record in found] == list(range(500))

    async def test_a_reader_far_behind_reads_from_the_disk_without_a_gap(self, log: Log) -> None:
        total = TAIL_RECORDS + 500
        for start in range(0, total, 500):
            await log.append("t", 0, [f"{n}".encode() for n in range(start, min(total, start + 500))])
        assert [record.offset for record in await take(log, "t", total)] == list(range(total))

    async def test_a_closed_log_says_that_it_is_unavailable(self, log: Log) -> None:
        await log.close()
        with pytest.raises(LogUnavailable):
            await log.append("t", 0, [b"a"])
