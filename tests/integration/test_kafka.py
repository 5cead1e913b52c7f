"""The log on Apache Kafka when Kafka is not well: topics as they must be, leaders that die, brokers that stand still."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import TopicPartition

from conftest import not_proved
from naru.broker import Broker
from naru.bus import topics
from naru.bus.base import IN, JOURNAL, LogUnavailable
from naru.bus.kafka import APPEND_S, KafkaLog
from support.kafka import Cluster, Node, NoKafka

SHARDS = 2


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes: two must have a record before it counts, so any one may die."""
    made = Cluster(tmp_path_factory.mktemp("kafka3"), nodes=3)
    try:
        made.start()
    except NoKafka as error:
        made.stop()
        not_proved("the log on three Kafka nodes", str(error))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def broker(cluster: Cluster) -> Broker:
    return Broker(servers=cluster.servers, replication=3)


@pytest.fixture
async def log(broker: Broker) -> AsyncIterator[KafkaLog]:
    await topics.make(broker, SHARDS)
    made = KafkaLog(broker)
    await made.start()
    yield made
    await made.close()


async def leader(cluster: Cluster, log: KafkaLog, topic: str, part: int) -> Node:
    assert log._producer is not None
    metadata = log._producer.client.cluster
    await log._producer.client.force_metadata_update()
    number = metadata.leader_for_partition(TopicPartition(topic, part))
    return cluster.nodes[number - 1]


async def appended(log: KafkaLog, value: bytes, tries: int = 12) -> int:
    """As the edges do it: again until it is taken. Every try is bounded."""
    for _ in range(tries):
        try:
            async with asyncio.timeout(APPEND_S + 1):
                return (await log.append(JOURNAL, 0, [value]))[0].offset
        except LogUnavailable:
            continue
    raise AssertionError("never taken")


async def everything(log: KafkaLog) -> list[bytes]:
    end = await log.end(JOURNAL, 0)
    found: list[bytes] = []
    async with asyncio.timeout(30):
        async for batch in log.read(JOURNAL, 0, 0):
            found += [record.value for record in batch]
            if batch[-1].offset + 1 >= end:
                return found
    return found


async def test_topics_are_made_as_they_must_be_and_once(broker: Broker) -> None:
    fresh = Broker(servers=broker.servers, replication=3, prefix="fresh")
    assert len(await topics.faults(fresh, SHARDS)) == len(topics.TOPICS)
    assert len(await topics.make(fresh, SHARDS)) == len(topics.TOPICS)
    assert await topics.make(fresh, SHARDS) == []
    assert await topics.faults(fresh, SHARDS) == []


async def test_a_topic_that_is_otherwise_is_named_with_the_mend(broker: Broker) -> None:
    odd = Broker(servers=broker.servers, replication=3, prefix="odd")
    await topics.make(odd, SHARDS)
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.servers)
    await admin.start()
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "odd.in", {"retention.ms": "1000"})])
    await admin.close()
    found = ""
    async with asyncio.timeout(30):
        while "topic odd.in has retention.ms=1000, not 259200000" not in found:  # until each node has heard of it
            found = "\n".join(await topics.faults(odd, SHARDS + 1))
    assert "topic odd.journal has 2 partitions, not 3: NARU_SHARDS is fixed at install" in found


async def test_no_broker_at_all_is_said_in_time() -> None:
    nowhere = Broker(servers="127.0.0.1:9", replication=1)
    with pytest.raises(LogUnavailable):
        await KafkaLog(nowhere).start()
    with pytest.raises(LogUnavailable):
        await topics.faults(nowhere, 1)


async def test_a_leader_that_dies_loses_nothing_that_was_acknowledged(cluster: Cluster, log: KafkaLog) -> None:
    acknowledged = [b"before"]
    await log.append(JOURNAL, 0, [b"before"])
    dead = await leader(cluster, log, "naru.journal", 0)
    dead.kill()
    for number in range(20):
        value = f"during {number}".encode()
        await appended(log, value)
        acknowledged.append(value)
    dead.start()
    dead.wait_open()
    found = await everything(log)
    order = [value for number, value in enumerate(found) if value in acknowledged and value not in found[:number]]
    assert order == acknowledged, "each is there, in the order in which it was acknowledged; a repeat may be"


async def test_a_reader_at_the_tail_lives_through_the_death_of_its_leader(cluster: Cluster, log: KafkaLog) -> None:
    start = await log.end(JOURNAL, 0)
    seen: list[bytes] = []

    async def follow() -> None:
        async for batch in log.read(JOURNAL, 0, start):
            seen.extend(record.value for record in batch)

    following = asyncio.create_task(follow())
    await appended(log, b"one")
    dead = await leader(cluster, log, "naru.journal", 0)
    dead.kill()
    await appended(log, b"two")
    async with asyncio.timeout(30):
        while b"two" not in seen:
            await asyncio.sleep(0.02)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    dead.start()
    dead.wait_open()
    assert seen[0] == b"one"


async def test_a_leader_that_stands_still_is_ambiguous_in_time_and_not_for_ever(
    cluster: Cluster, log: KafkaLog
) -> None:
    frozen = await leader(cluster, log, "naru.journal", 0)
    frozen.signal(signal.SIGSTOP)
    try:
        await appended(log, b"around the frozen one")
    finally:
        frozen.signal(signal.SIGCONT)
    # The one that wakes takes itself for the leader for a moment, and knows of an earlier end.
    async with asyncio.timeout(30):
        while b"around the frozen one" not in await everything(log):
            await asyncio.sleep(0.1)


async def test_a_consumer_that_dies_of_its_own_cancelling_is_closed_all_the_same(broker: Broker) -> None:
    """As aiokafka's does, when it is stopped while it pauses after a request that failed."""
    made = KafkaLog(broker)
    await made.start()
    assert made._tail.consumer is not None

    async def pauses() -> None:
        await asyncio.sleep(60)

    paused = asyncio.create_task(pauses())
    await asyncio.sleep(0)
    made._tail.consumer._fetcher._pending_tasks.add(paused)
    await made.close()
    assert paused.cancelled()
    assert asyncio.all_tasks() == {asyncio.current_task()}, "nothing of it is left"


async def test_log_time_of_inputs_is_the_brokers(log: KafkaLog) -> None:
    (stored,) = await log.append(IN, 1, [b"x"])
    async for batch in log.read(IN, 1, stored.offset):
        assert batch[0].t == stored.t > 1_700_000_000
        break
