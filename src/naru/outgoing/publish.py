"""Publishes events to a topic, in CloudEvents' binary mode, each contact's in the order in which they happened.

The projector numbers events in the database (outbox says why), so what is to be published is laid out there too, in
journal order, and what is in the table is what has not been published. Rows go only after every send of theirs is
durable: a crash in between sends them again, under the same ids.

One process should publish a shard at a time (whoever owns it). Two at once lose nothing: they repeat each other.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from naru.outgoing import cloudevents, deliveries
from naru.outgoing.cloudevents import CloudEvent
from naru.store.database import HOUSE, Database

POLL_S = 0.1
BATCH = 500


class Topic(Protocol):
    async def send(self, partition_key: str, value: bytes, headers: list[tuple[str, bytes]]) -> None:
        """Return when the message is durable. Raises LogUnavailable; it may or may not be there then."""
        ...


class Publisher:
    """Drains one shard's rows into the topic."""

    def __init__(self, database: Database, topic: Topic, shard: int, mine: Callable[[], bool] = lambda: True) -> None:
        self._mine = mine
        self._database = database
        self._topic = topic
        self._shard = shard

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """For ever. Raises LogUnavailable, StoreUnavailable; begun anew it goes on where it was."""
        while True:
            if not self._mine() or not await self.publish():
                await sleep(POLL_S)

    async def publish(self) -> int:
        """Publish what is there now, at most BATCH. Returns how many."""
        async with self._database.read(HOUSE) as connection:
            rows = await deliveries.first(connection, self._shard, BATCH)
        if not rows:
            return 0
        by_key: dict[str, list[CloudEvent]] = {}
        for row in rows:
            event = cloudevents.decode(row.body)
            by_key.setdefault(event.partitionkey, []).append(event)
        # One after another within a contact, so that the order is ours and not the client's; contacts beside each other.
        ended = await asyncio.gather(*(self._send(some) for some in by_key.values()), return_exceptions=True)
        for error in ended:
            if isinstance(error, BaseException):
                raise error
        async with self._database.write(HOUSE) as connection:
            await deliveries.published(connection, self._shard, rows[-1])
        return len(rows)

    async def _send(self, some: list[CloudEvent]) -> None:
        for event in some:
            await self._topic.send(*cloudevents.binary(event))
