"""What is to be delivered, as rows: laid out by the projector, taken on a lease, and settled by how it ended.

Taking a row counts a try and puts off when it is due by LEASE_S, on condition that nobody has counted one since it was
read: so of several processes one has it, and a dead one's row is due again by itself. LEASE_S is far over the longest
try (sending.TOTAL_S), which leaves room for clocks that differ.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from naru.outgoing.outbox import TOPIC
from naru.store import tables as db

LEASE_S = 60.0
AT_ONCE = 10
MAX_TAKERS = 1000
MAX_WAITING = {TOPIC: 1_000_000}
MAX_WAITING_WEBHOOK = 100_000
MAX_FAILED = 100
"""Of each webhook the newest so many failures are kept to be looked at."""

c = db.deliveries.c
Found = Any
"""A row of the table; not every query reads every column."""


def _of(workspace: str, taker: str, failed: bool = False) -> Any:
    return and_(c.workspace == workspace, c.taker == taker, c.failed == failed)


def _this(row: Found) -> Any:
    key = (c.workspace, c.taker, c.shard, c.position, c.place)
    return and_(*(column == getattr(row, column.name) for column in key))


async def takers(connection: AsyncConnection, now: float) -> list[tuple[str, str]]:
    """Which webhooks, as (workspace, id), have something due, whoever has waited longest first."""
    due = select(c.workspace, c.taker).where(c.failed.is_(False), c.due_at <= now, c.taker != TOPIC)
    by_age = due.group_by(c.workspace, c.taker).order_by(func.min(c.due_at), c.workspace, c.taker)
    found = await connection.execute(by_age.limit(MAX_TAKERS))
    return [(row.workspace, row.taker) for row in found]


async def take(connection: AsyncConnection, workspace: str, taker: str, now: float) -> list[Found]:
    """The oldest that are due, at most AT_ONCE, for this process alone until LEASE_S from now. `tries` counts this one."""
    due = select(db.deliveries).where(_of(workspace, taker), c.due_at <= now)
    mine = []
    for row in list(await connection.execute(due.order_by(c.made_at, c.position, c.place).limit(AT_ONCE))):
        where = and_(_this(row), c.tries == row.tries, c.failed.is_(False))
        values = {"tries": row.tries + 1, "due_at": now + LEASE_S}
        taken = await connection.execute(update(db.deliveries).where(where).values(**values))
        if taken.rowcount == 1:
            mine.append(row)
    return mine


async def done(connection: AsyncConnection, row: Found) -> None:
    await connection.execute(delete(db.deliveries).where(_this(row)))


async def again(connection: AsyncConnection, row: Found, due_at: float, detail: str, failed: bool) -> None:
    """Put off, or given up. A row that somebody else has taken since is theirs to settle."""
    where = and_(_this(row), c.tries == row.tries + 1)
    values = {"due_at": due_at, "detail": detail, "failed": failed}
    await connection.execute(update(db.deliveries).where(where).values(**values))


async def backlog(connection: AsyncConnection) -> list[tuple[str, str, bool, int, float]]:
    """(workspace, taker, failed, rows, newest) of everybody who has any."""
    group = (c.workspace, c.taker, c.failed)
    query = select(*group, func.count(), func.max(c.made_at)).group_by(*group).order_by(*group)
    return [tuple(row) for row in await connection.execute(query)]


async def keep_newest(connection: AsyncConnection, workspace: str, taker: str, failed: bool, keep: int) -> int:
    """Forget all but the newest so many (fewer only where they are of one moment), which two may do at once without
    harm. Returns how many went."""
    mine = _of(workspace, taker, failed)
    last = select(c.made_at).where(mine).order_by(c.made_at.desc()).limit(1).offset(keep)
    gone = await connection.execute(delete(db.deliveries).where(mine, c.made_at <= last.scalar_subquery()))
    return gone.rowcount


def most(taker: str, failed: bool) -> int:
    return MAX_FAILED if failed else MAX_WAITING.get(taker, MAX_WAITING_WEBHOOK)


async def report(connection: AsyncConnection, workspace: str, taker: str, limit: int) -> dict[str, Any]:
    """How many wait and since when, how many have failed, and the newest that did not arrive at once."""
    counts = select(c.failed, func.count().label("rows"), func.min(c.made_at).label("oldest"))
    mine = and_(c.workspace == workspace, c.taker == taker)
    known = {row.failed: row for row in await connection.execute(counts.where(mine).group_by(c.failed))}
    columns = (c.event, c.type, c.made_at, c.due_at, c.tries, c.failed, c.detail)
    troubled = select(*columns).where(mine, c.detail.is_not(None)).order_by(c.made_at.desc(), c.position.desc())
    return {
        "waiting": known[False].rows if False in known else 0,
        "oldest_waiting_at": known[False].oldest if False in known else None,
        "failed": known[True].rows if True in known else 0,
        "items": [_shown(row) for row in await connection.execute(troubled.limit(limit))],
    }


def _shown(row: Found) -> dict[str, Any]:
    return {
        "id": row.event,
        "type": row.type,
        "made_at": row.made_at,
        "tries": row.tries,
        "failed": row.failed,
        "next_try_at": None if row.failed else row.due_at,
        "detail": row.detail,
    }


# -- the topic's rows, which are drained in order


async def first(connection: AsyncConnection, shard: int, limit: int) -> Sequence[Found]:
    """The topic's oldest rows of a shard, in journal order."""
    mine = select(c.position, c.place, c.body).where(c.taker == TOPIC, c.shard == shard)
    return (await connection.execute(mine.order_by(c.position, c.place).limit(limit))).all()


async def published(connection: AsyncConnection, shard: int, last: Found) -> None:
    """Forget the topic's rows of a shard up to and with this one."""
    until = (c.position < last.position) | ((c.position == last.position) & (c.place <= last.place))
    await connection.execute(delete(db.deliveries).where(c.taker == TOPIC, c.shard == shard, until))
