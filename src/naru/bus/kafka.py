"""The log on Apache Kafka: explicit partitions, acks=all, no consumer groups, no transactions.

One producer and one consumer at the tail per process, whoever reads: the newest records of a partition are kept in
memory once and shared, as in the embedded log. A reader that is further behind reads with a consumer of its own until
it has caught up. Every wait is bounded; an append that fails or takes too long is ambiguous, as the port says.
"""

import asyncio
import collections
import contextlib
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from naru.broker import Broker
from naru.bus.base import LogUnavailable, Stored

MAX_BATCH_BYTES = 4_000_000
MAX_REQUEST_BYTES = 8_000_000
TAIL_BYTES = 2_000_000
"""Of each partition's newest records, kept in memory for its readers."""
READ_BATCH = 256
APPEND_S = 6.0
ASK_S = 5.0
FETCH_WAIT_MS = 250
AGAIN_S = 0.5

GROUP = 500

Waiting = tuple[bytes, "asyncio.Future[Stored]"]

log = structlog.get_logger("naru.kafka")


class KafkaLog:
    """`start` before use."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._producer: AIOKafkaProducer | None = None
        self._tail = _Tail(broker, self._end)
        self._asker: AIOKafkaConsumer | None = None
        self._closed = False
        self._waiting: dict[TopicPartition, list[Waiting]] = {}
        self._sending: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Raises LogUnavailable when no broker answers."""
        producer = AIOKafkaProducer(
            **self._broker.client(),
            acks="all",
            linger_ms=0,
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=MAX_REQUEST_BYTES,
        )
        # Offsets are asked for by a consumer that follows nothing: one that does knows the leaders of what it follows only,
        # and what it asks would stand in line behind its own waiting for new records.
        asker = _consumer(self._broker)
        try:
            await producer.start()
            await asker.start()
            await self._tail.start()
        except (KafkaError, OSError) as error:
            await producer.stop()
            await asker.stop()
            raise LogUnavailable(str(error)) from error
        self._producer, self._asker = producer, asker

    async def append(self, topic: str, part: int, values: Sequence[bytes]) -> list[Stored]:
        """As the port says; what fits into one batch (4 MB) is all or nothing, of more than that a first part may stay.

        Several records are a batch of their own, so that a turn is one produce. Of single ones, those that come while a
        request is on its way go together in the next: a commit for a group, as in the embedded log.
        """
        partition = TopicPartition(self._broker.topic(topic), part)
        if len(values) != 1:
            return await self._send(partition, values)
        done: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.get(partition)
        if waiting is None:
            waiting = self._waiting[partition] = []
            self._sending.add(task := asyncio.create_task(self._send_waiting(partition, waiting)))
            task.add_done_callback(self._sending.discard)
        waiting.append((values[0], done))
        return [await done]

    async def _send_waiting(self, partition: TopicPartition, waiting: list[Waiting]) -> None:
        """Until nobody waits any more: all who wait now, in one request."""
        while waiting:
            group = waiting[:GROUP]
            del waiting[:GROUP]
            try:
                stored = await self._send(partition, [value for value, _ in group])
            except LogUnavailable as error:
                for _, done in group:
                    if not done.done():
                        done.set_exception(error)
                continue
            for (_, done), record in zip(group, stored, strict=True):
                if not done.done():
                    done.set_result(record)
        del self._waiting[partition]

    async def _send(self, partition: TopicPartition, values: Sequence[bytes]) -> list[Stored]:
        if self._closed or self._producer is None:
            raise LogUnavailable("the log is closed")
        stored: list[Stored] = []
        with _translated():
            async with asyncio.timeout(APPEND_S):
                for batch, held in self._batches(values):
                    sent = await self._producer.send_batch(batch, partition.topic, partition=partition.partition)
                    stored += _stored(await sent, held)
        return stored

    def _batches(self, values: Sequence[bytes]) -> list[tuple[Any, list[bytes]]]:
        assert self._producer is not None
        batches: list[tuple[Any, list[bytes]]] = []
        for value in values:
            if not batches or batches[-1][0].append(key=None, value=value, timestamp=None) is None:
                batches.append((self._producer.create_batch(), []))
                if batches[-1][0].append(key=None, value=value, timestamp=None) is None:
                    raise LogUnavailable(f"a record of {len(value)} bytes fits into no batch")
            batches[-1][1].append(value)
        for batch, _ in batches:
            batch.close()
        return batches

    async def publish(self, topic: str, part: int, value: bytes, headers: list[tuple[str, bytes]]) -> None:
        """One record for others to read, with headers; durable on return. Raises LogUnavailable."""
        if self._closed or self._producer is None:
            raise LogUnavailable("the log is closed")
        with _translated():
            async with asyncio.timeout(APPEND_S):
                sent = await self._producer.send(self._broker.topic(topic), value, partition=part, headers=headers)
                await sent

    async def read(self, topic: str, part: int, start: int, ahead: bool = False) -> AsyncIterator[list[Stored]]:
        partition = TopicPartition(self._broker.topic(topic), part)
        at = start
        while not self._closed:
            self._tail.check()
            tail = await self._tail.of(partition)
            batch = tail.since(at)
            if batch is None:
                async for batch in self._behind(partition, at, tail):
                    at = batch[-1].offset + 1
                    yield batch
            elif batch:
                at = batch[-1].offset + 1
                yield batch
            else:
                await tail.grows(at)

    async def _behind(self, partition: TopicPartition, at: int, tail: "_Newest") -> AsyncIterator[list[Stored]]:
        """What the tail no longer holds, up to where it begins."""
        consumer = _consumer(self._broker)
        try:
            with _translated():
                await consumer.start()
                consumer.assign([partition])
                async with asyncio.timeout(ASK_S):
                    at = max(at, (await consumer.beginning_offsets([partition]))[partition])
            consumer.seek(partition, at)
            while at < tail.begins and not self._closed:
                with _translated():
                    found = await consumer.getmany(partition, timeout_ms=FETCH_WAIT_MS, max_records=READ_BATCH)
                batch = [_read(record) for record in found.get(partition, ()) if record.offset < tail.begins]
                if batch:
                    at = batch[-1].offset + 1
                    yield batch
        finally:
            await _stopped(consumer)

    async def end(self, topic: str, part: int) -> int:
        return await self._end(TopicPartition(self._broker.topic(topic), part))

    async def begin(self, topic: str, part: int) -> int:
        partition = TopicPartition(self._broker.topic(topic), part)
        return int(await self._asked(partition, lambda asker: asker.beginning_offsets([partition])))

    async def since(self, topic: str, part: int, t: float) -> int:
        partition = TopicPartition(self._broker.topic(topic), part)
        end = await self._end(partition)  # asked first: what comes meanwhile is not older than `t`
        found = await self._asked(partition, lambda asker: asker.offsets_for_times({partition: max(0, _ms(t))}))
        return end if found is None else int(found.offset)

    async def _end(self, partition: TopicPartition) -> int:
        return int(await self._asked(partition, lambda asker: asker.end_offsets([partition])))

    async def _asked(self, partition: TopicPartition, ask: Callable[[AIOKafkaConsumer], Awaitable[Any]]) -> Any:
        if self._asker is None:
            raise LogUnavailable("the log is not started")
        with _translated():
            async with asyncio.timeout(ASK_S):
                return (await ask(self._asker))[partition]

    async def trim(self, topic: str, part: int, before: int) -> None:
        """Asks the broker to delete; the topics' own retention does so besides."""
        partition = TopicPartition(self._broker.topic(topic), part)
        with _translated():
            admin = AIOKafkaAdminClient(**self._broker.client())
            try:
                await admin.start()
                async with asyncio.timeout(ASK_S):
                    await admin.delete_records({partition: RecordsToDelete(before_offset=before)})
            finally:
                await admin.close()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self._tail.close()
        for client in (self._producer, self._asker):
            if client is not None:
                await _stopped(client)


class KafkaTopic:
    """A topic for others to read, whose messages of one key stay in order."""

    def __init__(self, log: KafkaLog, topic: str, parts: int) -> None:
        self._log, self._topic, self._parts = log, topic, parts

    async def send(self, partition_key: str, value: bytes, headers: list[tuple[str, bytes]]) -> None:
        """Durable on return. Raises LogUnavailable."""
        part = zlib.crc32(partition_key.encode()) % self._parts
        await self._log.publish(self._topic, part, value, headers)


class _Newest:
    """One partition's newest records, and where they begin and end."""

    def __init__(self, begins: int) -> None:
        self.begins = self.ends = begins
        self._records: collections.deque[Stored] = collections.deque()
        self._bytes = 0
        self._grown = asyncio.Event()

    def add(self, records: list[Stored]) -> None:
        """Records that are not the next ones (a broker lost some, or retention took them) begin a new tail."""
        if records[0].offset != self.ends:
            log.error("log.gap", expected=self.ends, found=records[0].offset)
            self._records.clear()
            self._bytes, self.begins = 0, records[0].offset
        self._records.extend(records)
        self._bytes += sum(len(record.value) for record in records)
        self.ends = records[-1].offset + 1
        while self._bytes > TAIL_BYTES and len(self._records) > READ_BATCH:
            self._bytes -= len(self._records.popleft().value)
            self.begins = self._records[0].offset
        self.wake()

    def wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()

    def since(self, at: int) -> list[Stored] | None:
        """Records from `at` on, none at the end; None when they do not go back that far."""
        if at < self.begins:
            return None
        skip = at - self.begins
        return [self._records[i] for i in range(skip, min(len(self._records), skip + READ_BATCH))]

    async def grows(self, at: int) -> None:
        grown = self._grown
        if self.ends <= at:
            await grown.wait()


class _Tail:
    """The ends of all partitions that somebody here reads, followed by one consumer."""

    def __init__(self, broker: Broker, end: Callable[[TopicPartition], Awaitable[int]]) -> None:
        self._broker = broker
        self._end = end
        self._newest: dict[TopicPartition, _Newest] = {}
        self._joining = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._any = asyncio.Event()
        self.consumer: AIOKafkaConsumer | None = None

    async def start(self) -> None:
        self.consumer = _consumer(self._broker)
        await self.consumer.start()
        self._task = asyncio.create_task(self._follow())
        self._task.add_done_callback(lambda _: self._wake_all())

    def check(self) -> None:
        """A tail that has died of something nobody foresaw must not be waited for. Raises what it died of."""
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    async def of(self, partition: TopicPartition) -> _Newest:
        """A partition's tail; one that was not followed yet begins at the present end. Raises LogUnavailable."""
        if partition not in self._newest:
            async with self._joining:
                if partition not in self._newest:
                    await self._join(partition)
        return self._newest[partition]

    async def _join(self, partition: TopicPartition) -> None:
        consumer = self.consumer
        if consumer is None:
            raise LogUnavailable("the log is not started")
        self._newest[partition] = _Newest(await self._end(partition))
        self._assign(consumer)
        self._any.set()

    def _assign(self, consumer: AIOKafkaConsumer) -> None:
        """An assignment is made as a whole, and each partition goes on where its tail ends."""
        consumer.assign(list(self._newest))
        for partition, newest in self._newest.items():
            consumer.seek(partition, newest.ends)

    async def _follow(self) -> None:
        await self._any.wait()
        while True:
            try:
                await self._take()
            except OffsetOutOfRangeError as error:
                await self._move(error.args[0])
            except KafkaError as error:
                log.warning("tail.waits", error=str(error)[:300])
                await asyncio.sleep(AGAIN_S)

    async def _take(self) -> None:
        assert self.consumer is not None
        found = await self.consumer.getmany(timeout_ms=FETCH_WAIT_MS, max_records=2_000)
        for partition, records in found.items():
            newest = self._newest[partition]
            fresh = [_read(record) for record in records if record.offset >= newest.ends]
            if fresh:
                newest.add(fresh)

    async def _move(self, places: dict[TopicPartition, int]) -> None:
        """The broker no longer, or not yet again, has what comes next: go on where it begins. Readers see the gap."""
        assert self.consumer is not None
        for partition, place in places.items():
            log.error("tail.out-of-range", topic=partition.topic, part=partition.partition, offset=place)
            with contextlib.suppress(KafkaError):
                begins = (await self.consumer.beginning_offsets([partition]))[partition]
                self.consumer.seek(partition, max(begins, 0) if begins > place else place)
        await asyncio.sleep(AGAIN_S)

    def _wake_all(self) -> None:
        for newest in self._newest.values():
            newest.wake()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._wake_all()
        if self.consumer is not None:
            await _stopped(self.consumer)


def _consumer(broker: Broker) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        **broker.client(),
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=FETCH_WAIT_MS,
        max_partition_fetch_bytes=MAX_BATCH_BYTES,
    )


async def _stopped(client: Any) -> None:
    """Stop a client within bounds, whatever Kafka says to it.

    A consumer whose broker has just failed cancels its own requests and dies of that (aiokafka 0.14, `Fetcher.close`):
    nobody has cancelled us, and its connections are still to be closed.
    """
    stopping = asyncio.create_task(client.stop())
    await asyncio.wait({stopping}, timeout=ASK_S)
    stopping.cancel()
    ended: Any = (await asyncio.gather(stopping, return_exceptions=True))[0]
    if isinstance(ended, asyncio.CancelledError):
        connections = client._client if isinstance(client, AIOKafkaConsumer) else client.client
        await asyncio.gather(connections.close(), return_exceptions=True)
    elif isinstance(ended, Exception) and not isinstance(ended, KafkaError | TimeoutError):
        raise ended


def _stored(sent: Any, values: Sequence[bytes]) -> list[Stored]:
    """Of the metadata of a record or of a batch: its offset is that of the first."""
    t = max(0, sent.timestamp or 0) / 1000
    return [Stored(sent.offset + number, t, bytes(value)) for number, value in enumerate(values)]


def _read(record: Any) -> Stored:
    return Stored(record.offset, record.timestamp / 1000, record.value or b"")


def _ms(t: float) -> int:
    """Whole milliseconds, upwards: a record of that time or later is sought."""
    return -int(-t * 1000 // 1)


@contextlib.contextmanager
def _translated() -> Any:
    try:
        yield
    except (KafkaError, TimeoutError, OSError) as error:
        raise LogUnavailable(f"{type(error).__name__}: {error}"[:500]) from error
