"""Snapshots in the database: checked by SHA-256, and none read that a newer schema wrote.

The newest three are kept for starting from. Of the older ones the first of every hour is kept as long as the journal
goes back to it: from there a past decision is explained.
"""

import asyncio
import hashlib
import zlib
from collections.abc import Callable

import msgspec
import structlog
from sqlalchemy import ColumnElement, Select, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from naru.bus.base import LogUnavailable
from naru.fold import SCHEMA, Cursor, Snapshot
from naru.store.database import HOUSE, Database, StoreUnavailable
from naru.store.tables import snapshots

KEEP = 3
"""The newest, to start from."""
APART_S = 3600.0
MOST = 200
"""In all. A week of hours is 168."""
log = structlog.get_logger("naru.snapshots")


class StoredSnapshots:
    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    async def newest(self, shard: int) -> Snapshot | None:
        """The newest snapshot that is whole; a damaged one is passed over, loudly."""
        return await self._first_whole(shard, snapshots.c.shard == shard)

    async def newest_body(self, shard: int) -> bytes | None:
        """The same, as it is stored."""
        return await self._first_body(shard, snapshots.c.shard == shard)

    async def before(self, shard: int, offset: int) -> Snapshot | None:
        """The newest whole one that stands at this offset of the journal or earlier."""
        return await self._first_whole(shard, (snapshots.c.shard == shard) & (snapshots.c.position <= offset))

    async def _first_whole(self, shard: int, where: ColumnElement[bool]) -> Snapshot | None:
        body = await self._first_body(shard, where)
        return None if body is None else await asyncio.to_thread(_read, body)

    async def _first_body(self, shard: int, where: ColumnElement[bool]) -> bytes | None:
        async with self._database.read(HOUSE) as connection:
            places = select(snapshots.c.position).where(where).order_by(snapshots.c.position.desc())
            for position in (await connection.scalars(places)).all():
                body = await self._whole(connection, shard, position)
                if body is not None:
                    return body
        return None

    async def _whole(self, connection: AsyncConnection, shard: int, position: int) -> bytes | None:
        where = (snapshots.c.shard == shard) & (snapshots.c.position == position)
        row = (await connection.execute(select(snapshots).where(where))).one()
        if row.schema != SCHEMA or hashlib.sha256(row.body).hexdigest() != row.sha256:
            log.error("snapshot.unusable", shard=shard, position=position, schema=row.schema)
            return None
        return bytes(row.body)

    async def place(self, shard: int, t: float) -> int:
        """Where the newest one saved before this time stands, 0 when there is none."""
        where = (snapshots.c.shard == shard) & (snapshots.c.saved_at < t)
        async with self._database.read(HOUSE) as connection:
            return await connection.scalar(select(func.max(snapshots.c.position)).where(where)) or 0

    async def oldest(self, shard: int) -> Cursor | None:
        """Where the oldest one stands that a start may need: what comes after it must be kept."""
        async with self._database.read(HOUSE) as connection:
            body = await connection.scalar(
                select(snapshots.c.body)
                .where(snapshots.c.position.in_(_newest(shard)), snapshots.c.shard == shard)
                .order_by(snapshots.c.position)
                .limit(1)
            )
        return None if body is None else _read(body).cursor

    async def forget(self, shard: int, before: int) -> None:
        """Drop what stands where the journal no longer goes back to, but for the newest."""
        old = (snapshots.c.shard == shard) & (snapshots.c.position < before)
        async with self._database.write(HOUSE) as connection:
            await connection.execute(delete(snapshots).where(old, snapshots.c.position.not_in(_newest(shard))))

    async def save(self, snapshot: Snapshot) -> None:
        body = zlib.compress(msgspec.msgpack.encode(snapshot), 1)
        cursor = snapshot.cursor
        async with self._database.write(HOUSE) as connection:
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
                select(snapshots.c.position, snapshots.c.saved_at)
                .where(snapshots.c.shard == cursor.shard)
                .order_by(snapshots.c.position.desc())
            )
            gone = superfluous([(row.position, row.saved_at) for row in rows])
            await connection.execute(
                delete(snapshots).where(snapshots.c.shard == cursor.shard, snapshots.c.position.in_(gone))
            )


class Remembered:
    """The newest snapshots for owners, kept in memory too: a shard changes hands while the database is away as well.

    They are kept as bytes, for an owner goes on with what it is given.
    """

    def __init__(self, stored: StoredSnapshots) -> None:
        self._stored = stored
        self._kept: dict[int, bytes] = {}

    async def refresh(self, shard: int) -> None:
        """Raises StoreUnavailable."""
        body = await self._stored.newest_body(shard)
        if body is not None:
            self._kept[shard] = body

    async def newest(self, shard: int) -> Snapshot | None:
        """Raises LogUnavailable when there is neither the database nor a memory of it: try again later."""
        try:
            await self.refresh(shard)
        except StoreUnavailable as error:
            if shard not in self._kept:
                raise LogUnavailable(f"no snapshot of shard {shard} can be had: {error}") from error
        body = self._kept.get(shard)
        return None if body is None else await asyncio.to_thread(_read, body)

    async def save(self, snapshot: Snapshot) -> None:
        await self._stored.save(snapshot)


def superfluous(kept: list[tuple[int, float]]) -> list[int]:
    """The positions to drop of these (position, saved at), newest first: all but the newest and the first of each hour."""
    hours = [int(saved_at // APART_S) for _, saved_at in kept]
    is_first = [number + 1 == len(kept) or hours[number + 1] != hour for number, hour in enumerate(hours)]
    return [position for n, (position, _) in enumerate(kept) if n >= KEEP and (n >= MOST or not is_first[n])]


def _newest(shard: int) -> Select[tuple[int]]:
    places = select(snapshots.c.position).where(snapshots.c.shard == shard)
    return places.order_by(snapshots.c.position.desc()).limit(KEEP)


def _read(body: bytes) -> Snapshot:
    return msgspec.msgpack.decode(zlib.decompress(body), type=Snapshot)
