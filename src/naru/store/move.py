"""Moving an embedded center's database to PostgreSQL, and, where Kafka is named, what its log says to the new topics.

All or nothing: everything is written in one transaction, read back, compared row by row with where it came from, and
only then committed. On Kafka the shards are new, so it is not the old journal that moves but the state it comes to: a
snapshot for each new shard, at the beginning of an empty journal. Decisions of before can no longer be explained there.
"""

import hashlib
import json
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
from sqlalchemy import Table, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from naru.fold import SCHEMA, Cursor, Snapshot
from naru.store import tables as db
from naru.store.database import HOUSE, Database
from naru.store.files import Bodies
from naru.store.rows import clean
from router.memory import Memory

ROWS = 500
OF_THE_LOG = ("snapshots", "reader_cursors")
"""They speak of places in a log, and go along only where the log stays."""

Tell = Callable[[str, int], None]
"""(table, rows so far)"""


class CannotMove(Exception):
    """Nothing was changed. The text says why."""


async def move(
    source: Database,
    target: Database,
    bodies: Bodies | None,
    pools: dict[str, tuple[str, Memory]] | None,
    shard_of: Callable[[str], int],
    now: float,
    tell: Tell,
) -> dict[str, int]:
    """Copy, compare, commit. Returns the rows of each table. Raises CannotMove.

    `pools` are (workspace, memory) by pool where the log moves too; None where it stays. `bodies` are the files' where
    they are to go into the database.
    """
    counts: dict[str, int] = {}
    async with source.read(HOUSE) as old, target.write(HOUSE) as new:
        await _must_be_empty(new)
        for table in db.metadata.sorted_tables:
            if table.name not in ("file_bodies", *(() if pools is None else OF_THE_LOG)):
                counts[table.name] = await _copy(old, new, table, tell)
                await _compare(old, new, table)
        if bodies is not None:
            counts["file_bodies"] = await _copy_bodies(old, new, bodies, tell)
        if pools is not None:
            counts["snapshots"] = await _write_pools(new, pools, shard_of, now)
    return counts


async def _must_be_empty(new: AsyncConnection) -> None:
    for table in db.metadata.sorted_tables:
        if await new.scalar(select(func.count()).select_from(table)):
            raise CannotMove(f"the database moved to is not empty: {table.name} has rows")


async def _copy(old: AsyncConnection, new: AsyncConnection, table: Table, tell: Tell) -> int:
    count = 0
    async for rows in _rows(old, table):
        await new.execute(insert(table), [clean(dict(row._mapping)) for row in rows])
        count += len(rows)
        tell(table.name, count)
    return count


async def _compare(old: AsyncConnection, new: AsyncConnection, table: Table) -> None:
    """Row by row, in the order of the key, as both sides give them now."""
    theirs = _each(new, table)
    async for row in _each(old, table):
        other = await anext(theirs, None)
        if other != row:
            raise CannotMove(f"{table.name}: what was written is not what was read: {row} became {other}"[:500])
    if await anext(theirs, None) is not None:
        raise CannotMove(f"{table.name}: there are more rows than were read")


async def _each(connection: AsyncConnection, table: Table) -> AsyncIterator[str]:
    async for rows in _rows(connection, table):
        for row in rows:
            plain = {name: _plain(value) for name, value in clean(dict(row._mapping)).items()}
            yield json.dumps(plain, sort_keys=True, ensure_ascii=False)


async def _rows(connection: AsyncConnection, table: Table) -> AsyncIterator[list[Any]]:
    """In pieces, by the key; bytes, not a language's rules, say what comes first, so both sides agree."""
    key = list(table.primary_key.columns)
    postgresql = connection.dialect.name == "postgresql"
    order = [c.collate("C") if postgresql and c.type.python_type is str else c for c in key]
    result = await connection.stream(select(table).order_by(*order).execution_options(yield_per=ROWS))
    async for rows in result.partitions(ROWS):
        yield list(rows)


def _plain(value: Any) -> Any:
    return hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else value


async def _copy_bodies(old: AsyncConnection, new: AsyncConnection, bodies: Bodies, tell: Tell) -> int:
    c = db.files.c
    known = list(await old.execute(select(c.workspace, c.sha256).order_by(c.workspace, c.sha256)))
    table = db.file_bodies
    for number, row in enumerate(known, 1):
        body = await bodies.get(row.workspace, row.sha256)
        await new.execute(insert(table).values(workspace=row.workspace, sha256=row.sha256, body=body))
        where = (table.c.workspace == row.workspace) & (table.c.sha256 == row.sha256)
        if await new.scalar(select(table.c.body).where(where)) != body:
            raise CannotMove(f"file {row.sha256} is not what was read")
        tell("file_bodies", number)
    return len(known)


async def _write_pools(
    new: AsyncConnection, pools: dict[str, tuple[str, Memory]], shard_of: Callable[[str], int], now: float
) -> int:
    shards = sorted({shard_of(pool) for pool in pools})
    for shard in shards:
        mine = {pool: kept for pool, kept in pools.items() if shard_of(pool) == shard}
        snapshot = Snapshot(
            cursor=Cursor(shard=shard),
            pools={pool: memory for pool, (_, memory) in mine.items()},
            workspaces={pool: workspace for pool, (workspace, _) in mine.items()},
        )
        body = zlib.compress(msgspec.msgpack.encode(snapshot), 1)
        digest = hashlib.sha256(body).hexdigest()
        values = {"schema": SCHEMA, "sha256": digest, "saved_at": now, "body": body}
        await new.execute(insert(db.snapshots).values(shard=shard, position=0, **values))
        where = (db.snapshots.c.shard == shard) & (db.snapshots.c.position == 0)
        again = msgspec.msgpack.decode(
            zlib.decompress(await new.scalar(select(db.snapshots.c.body).where(where)) or b""), type=Snapshot
        )
        if msgspec.to_builtins(again) != msgspec.to_builtins(snapshot):
            raise CannotMove(f"the state of shard {shard} is not what was folded")
    return len(shards)
