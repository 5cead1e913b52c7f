"""Which customers are one person, because somebody has said so, and which may be.

A customer is one identity and is never rewritten. What was said is kept as links between two of them, and a person is
whoever hangs together by links, found anew at each reading: chains and circles are one person, taking back is deleting
a link, and what has been said of the others stays. Nothing here joins anybody by itself.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from naru.store import tables as db
from router.model import Identity
from router.redial import is_known

MAX_LINKED = 100
"""So many customers are read as one person. The edge refuses to make one of more than 20 (agents.customers)."""
MAX_SUGGESTED = 5
ASKED_FOR_ALIKE = 50
LAST_DIGITS = 8
MAX_COUNTRY_CODE = 3
MAX_ALIKE = 320

Row = Any


# -- what looks alike


def alike(kind: str, value: str) -> str | None:
    """What an identity has in common with others of the same address under another scope or in another spelling: a mail
    address in small letters, a phone number's last eight digits. None where it says nothing of who it is."""
    if kind == "email":
        return _address(value)[:MAX_ALIKE] if "@" in value else None
    number = _number(value)
    if kind != "phone" or len(number) < LAST_DIGITS or not is_known(Identity(scope="", kind="phone", value=value)):
        return None
    return number[-LAST_DIGITS:]


def is_same_address(kind: str, one: str, other: str) -> bool:
    """Whether two values of one kind are the same address. One number may be written with its country's code and the
    other without: `+82 10-1234-5678` and `010-1234-5678`."""
    if kind == "email":
        return _address(one) == _address(other)
    short, long = sorted((_number(one), _number(other)), key=len)
    return long.endswith(short) and len(long) - len(short) <= MAX_COUNTRY_CODE


def _address(value: str) -> str:
    return value.strip().casefold()


def _number(value: str) -> str:
    """Its digits without leading zeros, which belong to the way one dials."""
    return "".join(letter for letter in value if letter in "0123456789").lstrip("0")


# -- links


def linked(workspace: str, customer: str) -> Select[str]:
    """The ids of all that hang together with a customer, its own among them. UNION ends where a circle closes."""
    link = db.customer_links.c
    found = select(literal(customer, db.customers.c.id.type).label("id")).cte("linked", recursive=True)
    further = select(link.other).where(link.workspace == workspace, link.customer == found.c.id)
    return select(found.union(further).c.id).limit(MAX_LINKED)


async def unlink(connection: AsyncConnection, workspace: str, customer: str, other: str | None) -> None:
    """Take away a customer's link to another, or all that it has, from both ends.

    In two statements: SQLite asks an inner query only when it needs it, when one statement's first rows are gone already.
    """
    link = db.customer_links.c
    mine: ColumnElement[bool] = link.customer == customer
    if other is not None:
        mine &= link.other == other
    others = select(link.other).where(link.workspace == workspace, mine)
    theirs = (link.other == customer) & link.customer.in_(others)
    for ends in (theirs, mine):
        await connection.execute(delete(db.customer_links).where(link.workspace == workspace, ends))


# -- the person


async def person(connection: AsyncConnection, workspace: str, customer: str) -> dict[str, Any] | None:
    """A customer as one of a person; None for one that is not known here.

    `person` is the customer among them who was there first: whoever of them is asked for, it is the same.
    """
    c, i, link = db.customers.c, db.identities.c, db.customer_links.c
    ids = list(await connection.scalars(linked(workspace, customer)))
    known = list(
        await connection.execute(
            select(db.customers).where(c.workspace == workspace, c.id.in_(ids)).order_by(c.first_seen, c.id)
        )
    )
    mine = next((row for row in known if row.id == customer), None)
    if mine is None:
        return None
    identities = list(
        await connection.execute(
            select(db.identities)
            .where(i.workspace == workspace, i.customer.in_(ids))
            .order_by(i.customer, i.scope, i.kind, i.value)
        )
    )
    links = await connection.execute(
        select(db.customer_links)
        .where(link.workspace == workspace, link.customer.in_(ids), link.customer < link.other)
        .order_by(link.made_at, link.customer, link.other)
    )
    return {
        "id": customer,
        "person": known[0].id,
        "name": mine.name or next((row.name for row in known if row.name), None),
        "first_seen": known[0].first_seen,
        "identities": [_identity(row) for row in identities],
        "customers": [_customer(row, identities) for row in known],
        "links": [
            {"customer": row.customer, "other": row.other, "by": row.made_by, "at": row.made_at} for row in links
        ],
        "maybe_same": await _maybe_same(connection, workspace, ids, identities),
    }


async def _maybe_same(
    connection: AsyncConnection, workspace: str, ids: list[str], identities: Iterable[Row]
) -> list[dict[str, Any]]:
    """Customers who are not of this person and have an address of his. The first known come first."""
    c, i = db.customers.c, db.identities.c
    mine = [row for row in identities if row.alike is not None]
    if not mine:
        return []
    rows = await connection.execute(
        select(db.identities, c.name, c.first_seen)
        .join(db.customers, (c.workspace == i.workspace) & (c.id == i.customer))
        .where(i.workspace == workspace, i.alike.in_({row.alike for row in mine}), i.customer.not_in(ids))
        .order_by(c.first_seen, c.id)
        .limit(ASKED_FOR_ALIKE)
    )
    found: dict[str, list[Row]] = {}
    for row in rows:
        if any(row.kind == own.kind and is_same_address(row.kind, row.value, own.value) for own in mine):
            found.setdefault(row.customer, []).append(row)
    return [
        {"id": id_, "name": those[0].name, "first_seen": those[0].first_seen, "identities": _identities(those)}
        for id_, those in list(found.items())[:MAX_SUGGESTED]
    ]


def _customer(row: Row, identities: Iterable[Row]) -> dict[str, Any]:
    mine = [identity for identity in identities if identity.customer == row.id]
    return {"id": row.id, "name": row.name, "first_seen": row.first_seen, "identities": _identities(mine)}


def _identities(rows: Iterable[Row]) -> list[dict[str, Any]]:
    return [_identity(row) for row in rows]


def _identity(row: Row) -> dict[str, Any]:
    return {"scope": row.scope, "kind": row.kind, "value": row.value}
