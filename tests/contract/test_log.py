"""What every log must do. One class, run on each implementation: the embedded one, and Apache Kafka itself."""

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from conftest import not_proved
from naru.broker import Broker
from naru.bus.base import Log, LogUnavailable, Stored
from naru.bus.kafka import TAIL_BYTES, KafkaLog
from naru.bus.sqlite import TAIL_RECORDS, SqliteLog

Open = Callable[[], Awaitable[Log]]
PREFIXES = (f"naru-{os.getpid()}-{number}-" for number in itertools.count())


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "kafka"])
async def open_log(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[Open]:
    """Opens the log, again and again if one likes: what was appended is still there."""
    async with contextlib.AsyncExitStack() as opened:
        broker = None
        if request.param == "kafka":
            servers, is_apache = request.getfixturevalue("protocol")
            if not is_apache and request.node.get_closest_marker("kafka_itself"):
                not_proved(f"{request.node.originalname} on Apache Kafka", "Apache Kafka, through java and mvn")
            broker = await _broker(servers)

        async def make() -> Log:
            log: Any
            if broker is None:
                log = SqliteLog(tmp_path / "log.sqlite", clock)
            else:
                log = KafkaLog(broker)
                await log.start()
            opened.push_async_callback(log.close)
            return log

        yield make


async def _broker(servers: str) -> Broker:
    """A broker's address, with the tests' topics made under a name of their own."""
    broker = Broker(servers=servers, replication=1, prefix=next(PREFIXES))
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    stamped = {"message.timestamp.type": "LogAppendTime", "max.message.bytes": "8000000"}
    await admin.create_topics([NewTopic(broker.topic(name), 2, 1, topic_configs=stamped) for name in ("t", "u")])
    await admin.close()
    return broker


@pytest.fixture
async def log(open_log: Open) -> Log:
    return await open_log()


async def take(log: Log, topic: str, count: int, start: int = 0, part: int = 0) -> list[Stored]:
    found: list[Stored] = []
    async with asyncio.timeout(30):
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

    async def test_what_was_appended_survives_closing(self, open_log: Open) -> None:
        first = await open_log()
        await first.append("t", 0, [b"a", b"b"])
        await first.close()
        second = await open_log()
        assert (await second.append("t", 0, [b"c"]))[0].offset == 2
        assert [record.value for record in await take(second, "t", 3)] == [b"a", b"b", b"c"]

    @pytest.mark.kafka_itself
    async def test_trimmed_records_are_gone_and_offsets_go_on(self, open_log: Open) -> None:
        log = await open_log()
        await log.append("t", 0, [b"a", b"b", b"c"])
        await log.trim("t", 0, 3)
        await log.close()
        log = await open_log()
        assert await log.begin("t", 0) == await log.end("t", 0) == 3
        assert (await log.append("t", 0, [b"d"]))[0].offset == 3
        assert (await take(log, "t", 1))[0].offset == 3
        assert await log.begin("t", 0) == 3

    @pytest.mark.kafka_itself
    async def test_a_reader_from_before_the_beginning_begins_there(self, open_log: Open) -> None:
        log = await open_log()
        await log.append("t", 0, [b"a", b"b", b"c"])
        await log.trim("t", 0, 2)
        await log.close()
        log = await open_log()
        assert [record.value for record in await take(log, "t", 1)] == [b"c"]

    @pytest.mark.kafka_itself
    async def test_the_first_record_since_a_time_is_found(self, log: Log, clock: Clock) -> None:
        stored: list[Stored] = []
        for at in (1000.0, 1010.0, 1020.0):
            clock.now = at
            stored += await log.append("t", 0, [b"x"])
        for record in stored:
            first = min(other.offset for other in stored if other.t >= record.t)
            assert await log.since("t", 0, record.t) == first
        assert await log.since("t", 0, 0) == 0
        assert await log.since("t", 0, stored[-1].t + 1) == 3

    async def test_many_writers_share_commits_and_lose_nothing(self, log: Log) -> None:
        await asyncio.gather(*(log.append("t", 0, [f"{n}".encode()]) for n in range(500)))
        found = await take(log, "t", 500)
        assert sorted(int(record.value) for record in found) == list(range(500))
        assert [record.offset for record in found] == list(range(500))

    async def test_a_reader_far_behind_reads_from_the_disk_without_a_gap(self, log: Log) -> None:
        total, size = TAIL_RECORDS + 500, TAIL_BYTES // TAIL_RECORDS
        for start in range(0, total, 500):
            await log.append("t", 0, [f"{n}".zfill(size).encode() for n in range(start, min(total, start + 500))])
        assert [record.offset for record in await take(log, "t", total)] == list(range(total))
        assert [record.offset for record in await take(log, "t", 1, start=total - 1)] == [total - 1]

    async def test_two_readers_of_one_log_see_the_same(self, open_log: Open) -> None:
        log = await open_log()
        fast = asyncio.create_task(take(log, "t", 300))
        for n in range(300):
            await log.append("t", 0, [f"{n}".encode()])
        assert await fast == await take(log, "t", 300)

    async def test_a_turn_of_large_records_stays_whole_and_in_order(self, log: Log) -> None:
        values = [bytes([n]) * 400_000 for n in range(12)]
        stored = await log.append("t", 0, values)
        assert [record.offset for record in stored] == list(range(12))
        assert [record.value for record in await take(log, "t", 12)] == values

    async def test_a_closed_log_says_that_it_is_unavailable(self, log: Log) -> None:
        await log.close()
        with pytest.raises(LogUnavailable):
            await log.append("t", 0, [b"a"])
