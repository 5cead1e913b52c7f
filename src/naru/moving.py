"""`naru db move`: everything that an embedded center has, into the PostgreSQL and the Kafka that the settings name."""

import asyncio
import base64
import contextlib
import sqlite3
from collections.abc import Callable

import msgspec

from naru.app import Naru
from naru.bus import topics
from naru.bus.base import IN, JOURNAL
from naru.bus.kafka import KafkaLog
from naru.center import shard_of
from naru.settings import Settings
from naru.store.database import Database
from naru.store.files import FolderBodies
from naru.store.move import CannotMove, move

SETTLE_S, SETTLE_TRIES = 30.0, 150


async def move_center(settings: Settings, tell: Callable[[str, int], None]) -> dict[str, int]:
    """The rows moved, by table. Raises CannotMove, Busy, LogUnavailable, StoreUnavailable.

    The embedded center is started once more, so that everything taken in is decided and in the history, and stopped;
    nobody else can use its folder meanwhile. It stays as it was.
    """
    if not settings.database_url:
        raise CannotMove("name the database to move to: NARU_DATABASE_URL")
    embedded = msgspec.structs.replace(settings, kafka="", database_url="", shards=_shards_of(settings))
    house = Naru(embedded)
    await house.start()
    target = Database(settings.store_url)
    try:
        _same_key(settings, house)
        await _settle(house)
        if not settings.embedded:
            await _topics_must_be_empty(settings)
        pools = {pool: (house.fold.workspaces[pool], kept.memory) for pool, kept in house.fold.pools.items() if pool}
        return await move(
            house.database,
            target,
            None if settings.embedded else FolderBodies(settings.folder / "files"),
            None if settings.embedded else pools,
            lambda pool: shard_of(pool, settings.shards),
            house.clock(),
            tell,
        )
    finally:
        await target.close()
        await house.stop()


def _shards_of(settings: Settings) -> int:
    """The embedded log's own number of shards, which its folder knows; the settings' is that of the log moved to."""
    file = settings.folder / "log.sqlite"
    if not file.exists():
        raise CannotMove(f"{settings.folder} is no data folder: there is no log.sqlite")
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as log:
        (last,) = log.execute("SELECT MAX(part) FROM log WHERE topic = ?", (JOURNAL,)).fetchone()
    return int(last or 0) + 1


def _same_key(settings: Settings, house: Naru) -> None:
    file = settings.folder / "master.key"
    if (
        settings.master_key
        and file.exists()
        and base64.b64decode(file.read_bytes()) != base64.b64decode(settings.master_key)
    ):
        raise CannotMove(f"NARU_MASTER_KEY is not the key of {file}: what is sealed could not be read any more")


async def _settle(house: Naru) -> None:
    """Everything that was taken in is decided, and everything decided is in the history."""
    for shard in range(house.settings.shards):
        for _ in range(SETTLE_TRIES):
            await house.fold.reach(shard, await house.log.end(JOURNAL, shard), SETTLE_S)
            if house.fold.cursors[shard].in_next >= await house.log.end(IN, shard):
                break
            await asyncio.sleep(SETTLE_S / SETTLE_TRIES)
        else:
            raise CannotMove(f"shard {shard} is still deciding what was taken in; try again")
    for workspace in tuple(house.fold.pools):  # a pool may yet appear while we wait for another
        for _ in range(30):
            if await house.settled(workspace):
                break
        else:
            raise CannotMove("history is behind the journal; try again")


async def _topics_must_be_empty(settings: Settings) -> None:
    await topics.make(settings.broker, settings.shards)
    log = KafkaLog(settings.broker)
    await log.start()
    try:
        for shard in range(settings.shards):
            for topic in (IN, JOURNAL):
                if await log.end(topic, shard):
                    raise CannotMove(f"the log moved to is not empty: topic {settings.broker.topic(topic)} has records")
    finally:
        await log.close()
