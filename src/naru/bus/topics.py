"""The topics on Kafka: made once by `naru db upgrade`, and looked at by every role before it starts.

What keeps records safe (replication, min.insync, no unclean election) and what gives them their time is the topic's
own, so it is said here and nowhere else. A topic that is otherwise is named with the mend and never changed silently.
"""

import asyncio
from typing import NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code

from naru.broker import Broker
from naru.bus.base import DLQ, EVENTS, HINTS, IN, JOURNAL, WORKERS, LogUnavailable
from naru.bus.kafka import MAX_REQUEST_BYTES

HOUR_MS = 3_600_000
LEADER_TRIES, LEADER_EVERY_S = 50, 0.2


class Topic(NamedTuple):
    """`parts` None is as many as there are shards."""

    name: str
    kept_h: int
    parts: int | None = None
    log_append_time: bool = False


TOPICS = (
    Topic(IN, 72, log_append_time=True),
    Topic(JOURNAL, 7 * 24),
    Topic(DLQ, 30 * 24),
    Topic(EVENTS, 7 * 24),
    Topic(WORKERS, 1, parts=1),
    Topic(HINTS, 1, parts=1),
)


def configured(topic: Topic, broker: Broker) -> dict[str, str]:
    return {
        "retention.ms": str(topic.kept_h * HOUR_MS),
        "retention.bytes": "-1",
        "cleanup.policy": "delete",
        "message.timestamp.type": "LogAppendTime" if topic.log_append_time else "CreateTime",
        "max.message.bytes": str(MAX_REQUEST_BYTES),
        "min.insync.replicas": str(2 if broker.replication > 2 else 1),
        "unclean.leader.election.enable": "false",
    }


async def make(broker: Broker, shards: int) -> list[str]:
    """Make what is missing; returns the names made. Raises LogUnavailable."""
    admin = await _admin(broker)
    try:
        there = set(await admin.list_topics())
        missing = [topic for topic in TOPICS if broker.topic(topic.name) not in there]
        wanted = [
            NewTopic(
                broker.topic(topic.name),
                topic.parts or shards,
                broker.replication,
                topic_configs=configured(topic, broker),
            )
            for topic in missing
        ]
        if wanted:
            answer = await admin.create_topics(wanted)
            for name, code, *said in answer.topic_errors:
                if code:
                    raise LogUnavailable(f"topic {name} cannot be made: {for_code(code).__name__} {said}")
            await _led(admin, [topic.name for topic in wanted])
        return [topic.name for topic in wanted]
    except (KafkaError, OSError, TimeoutError) as error:
        raise LogUnavailable(f"{type(error).__name__}: {error}") from error
    finally:
        await admin.close()


async def _led(admin: AIOKafkaAdminClient, names: list[str]) -> None:
    """Until every partition has a leader, which follows a little after it is made."""
    for _ in range(LEADER_TRIES):
        described = await admin.describe_topics(names)
        leaders = [partition["leader"] for topic in described for partition in topic["partitions"]]
        if leaders and min(leaders) >= 0 and all(topic["error_code"] == 0 for topic in described):
            return
        await asyncio.sleep(LEADER_EVERY_S)


async def faults(broker: Broker, shards: int) -> list[str]:
    """What is missing or otherwise than it must be, one fault a line with its mend. Raises LogUnavailable."""
    admin = await _admin(broker)
    try:
        there = set(await admin.list_topics())
        missing = [t for t in TOPICS if broker.topic(t.name) not in there]
        found = [f"topic {broker.topic(t.name)} is missing: naru db upgrade makes it" for t in missing]
        for topic in TOPICS:
            if topic not in missing:
                found += await _differences(admin, broker, topic, shards)
        return found
    except (KafkaError, OSError, TimeoutError) as error:
        raise LogUnavailable(f"{type(error).__name__}: {error}") from error
    finally:
        await admin.close()


async def _differences(admin: AIOKafkaAdminClient, broker: Broker, topic: Topic, shards: int) -> list[str]:
    name = broker.topic(topic.name)
    found = []
    (described,) = await admin.describe_topics([name])
    partitions = described["partitions"]
    parts = topic.parts or shards
    if len(partitions) != parts:
        found.append(f"topic {name} has {len(partitions)} partitions, not {parts}: NARU_SHARDS is fixed at install")
    replicas = min((len(partition["replicas"]) for partition in partitions), default=0)
    if replicas < broker.replication:
        found.append(
            f"topic {name} has {replicas} replicas, not {broker.replication}: reassign it, or set NARU_KAFKA_REPLICATION"
        )
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    values = {entry[0]: entry[1] for answer in answers for resource in answer.resources for entry in resource[4]}
    for setting, wanted in configured(topic, broker).items():
        if values.get(setting) != wanted:
            found.append(
                f"topic {name} has {setting}={values.get(setting)}, not {wanted}: kafka-configs --alter sets it"
            )
    return found


async def _admin(broker: Broker) -> AIOKafkaAdminClient:
    admin = AIOKafkaAdminClient(**broker.client())
    try:
        await admin.start()
    except (KafkaError, OSError, TimeoutError) as error:
        await admin.close()
        raise LogUnavailable(f"no Kafka at {broker.servers}: {error}") from error
    return admin
