"""Snapshots in the database: checked by SHA-256, the newest three kept, and none read that a newer schema wrote."""

import hashlib
import zlib
from collections.abc import Callable

import msgspec
import structlog
from sqlalchemy import delete, insert, select

from naru.fold import SCHEMA, Cursor, Snapshot
from naru.store.database import Database
from naru.store.tables import snapshots

KEEP = 3
log = structlog.get_logger("naru.snapshots")


class StoredSnapshots:
    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    async def newest(self, shard: int) -> Snapshot | None:
        """The newest snapshot that is whole; a damaged one is passed over, loudly."""
        async with self._database.read() as connection:
            rows = await connection.execute(
                select(snapshots).where(snapshots.c.shard == shard).order_by(snapshots.c.position.desc())
            )
            for row in rows:
                if row.schema != SCHEMA or hashlib.sha256(row.body).hexdigest() != row.sha256:
                    log.error("snapshot.unusable", shard=shard, position=row.position, schema=row.schema)
                    continue
                return msgspec.msgpack.decode(zlib.decompress(row.body), type=Snapshot)
        return None

    async def oldest(self, shard: int) -> Cursor | None:
        """Where the oldest kept snapshot stands: what comes after it is still needed."""
        async with self._database.read() as connection:
            body = await connection.scalar(
                select(snapshots.c.body).where(snapshots.c.shard == shard).order_by(snapshots.c.position).limit(1)
            )
        return None if body is None else msgspec.msgpack.decode(zlib.decompress(body), type=Snapshot).cursor

    async def save(self, snapshot: Snapshot) -> None:
        body = zlib.compress(msgspec.msgpack.encode(snapshot), 1)
        cursor = snapshot.cursor
        async with self._database.write() as connection:
            await connection.execute(
                delete(snapshots).where(snapshots.c.shard == cursor.shard, snapshots.c.position == cursor.offset)
            )
            await connection.execute(
                insert(snapshots).values(
                    shard=cursor.shard,
                    position=cursor.offset,
                    schema=snapshot.schema,
                    sha256=hashlib.sha256(body).hexdigest(),
                    saved_at=self._clock(),
                    body=body,
                )
            )
            rows = await connection.execute(
                select(snapshots.c.position)
                .where(snapshots.c.shard == cursor.shard)
                .order_by(snapshots.c.position.desc())
                .offset(KEEP)
            )
            old = [row.position for row in rows]
            await connection.execute(
                delete(snapshots).where(snapshots.c.shard == cursor.shard, snapshots.c.position.in_(old))
            )
