"""The campaigns' ledger as the journal goes on: what became of each attempt, and when its person's turn comes again.

A row is made when leave to call is given (`naru.campaigns.reserving`) and each of its further columns is written once:
the record that says so may be projected again after a crash, and an attempt that was given up may be answered late.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from naru.store import tables as db
from naru.store.rows import put_all_if_absent
from router import events

TALKS_S = 600.0
"""When somebody with whom a talk is open may be asked for again."""
LOCKS: dict[str, str] = {"nobody_free": "lock_s", "machine": "machine_lock_s"}
"""After these nobody is rung for a while but with an agent for him; for how long says the law of his country."""
FREE_AGAIN = frozenset(("stale", "refused"))
"""Ends by which nobody was rung: the person's turn is as before."""


def _row(workspace: str, attempt: str) -> Any:
    return (db.attempts.c.workspace == workspace) & (db.attempts.c.id == attempt)


def _holder(workspace: str, attempt: str) -> Any:
    c = db.prospects.c
    return (c.workspace == workspace) & (c.held_by == attempt)


async def opened(connection: AsyncConnection, workspace: str, attempt: str, contact: str, t: float) -> None:
    """A line rings, or an agent looks."""
    c = db.attempts.c
    await connection.execute(
        update(db.attempts).where(_row(workspace, attempt), c.contact.is_(None)).values(contact=contact, dialled_at=t)
    )


async def answered(connection: AsyncConnection, workspace: str, contact: str, by: str | None, t: float) -> None:
    c = db.attempts.c
    where = (c.workspace == workspace) & (c.contact == contact) & c.answered_at.is_(None)
    await connection.execute(update(db.attempts).where(where).values(answered_at=t, answered_by=by))


async def dropped(connection: AsyncConnection, workspace: str, attempt: str, reason: str, t: float) -> None:
    """Nobody was called by it, unless it has a contact: then it is only that its person has come, or came twice."""
    c, p = db.attempts.c, db.prospects.c
    row = (await connection.execute(select(c.contact).where(_row(workspace, attempt)))).first()
    if reason == "answered" or (row is not None and row.contact is not None):
        return
    if row is not None:
        values = {"outcome": "dropped", "disposition": reason, "ended_at": t}
        await connection.execute(
            update(db.attempts).where(_row(workspace, attempt), c.outcome.is_(None)).values(values)
        )
    values = {"state": "ready", "held_by": None, "changed_at": t}
    if reason == "conversation-open":  # somebody talks with him already
        values["next_at"] = t + TALKS_S
    await connection.execute(update(db.prospects).where(_holder(workspace, attempt), p.state == "held").values(values))


async def ended(connection: AsyncConnection, workspace: str, event: events.ContactCompleted, t: float) -> None:
    attempt = event.attempt or ""
    p = db.prospects.c
    row = (await connection.execute(select(db.attempts).where(_row(workspace, attempt)))).first()
    if row is not None and row.outcome is None:
        k = db.contacts.c
        mine = (k.workspace == workspace) & (k.id == event.contact)
        talked = await connection.scalar(select(k.agent).where(mine))
        await connection.execute(
            update(db.attempts)
            .where(_row(workspace, attempt))
            .values(
                contact=event.contact,
                dialled_at=row.dialled_at if row.dialled_at is not None else t,
                agent=talked or row.agent,
                outcome=event.outcome,
                disposition=event.disposition,
                ended_at=t,
            )
        )
    person = (
        await connection.execute(select(db.prospects).where(_holder(workspace, attempt), p.state == "held"))
    ).first()
    if person is not None:
        await connection.execute(
            update(db.prospects).where(p.workspace == workspace, p.id == person.id).values(_turn(row, person, event, t))
        )
    if row is not None and event.disposition in row.after["refusals"]:
        await refuse(connection, workspace, [row.value], "said so", event.by or "agent", t)


def _turn(row: Any, person: Any, event: events.ContactCompleted, t: float) -> dict[str, Any]:
    """What a person is after an attempt: free again, to be tried again at a time, or done with."""
    now: dict[str, Any] = {"held_by": None, "changed_at": t, "outcome": event.outcome}
    if row is None or event.outcome in FREE_AGAIN:  # an agent looked and did not dial, or was too late to
        return {**now, "state": "ready", "next_at": t + 60.0}
    tried = person.attempts + 1
    now["attempts"] = tried
    if event.outcome in LOCKS:  # a machine may have been a person who was taken for one
        now["lock_until"] = t + row.after[LOCKS[event.outcome]]
    retry_s = _retry_s(row.after["retry_s"], event)
    if retry_s is None or tried >= row.after["most"]:
        return {**now, "state": "done"}
    return {**now, "state": "ready", "next_at": t + retry_s}


def _retry_s(given: dict[str, float], event: events.ContactCompleted) -> float | None:
    """After how long a person is tried again, by what the agent says of the talk or by how the line ended; None: never."""
    if event.outcome == "nobody_free":
        return 0.0
    if event.outcome == "cut_short":
        return given.get("no_answer")
    return given.get(event.disposition or "", given.get(event.outcome))


async def refuse(
    connection: AsyncConnection,
    workspace: str,
    values: Sequence[str],
    source: str,
    by: str,
    t: float,
    scope: str = "workspace",
) -> None:
    """Numbers are on a list from now on, and whoever was to be called by one of them is not."""
    p = db.prospects.c
    row = {"workspace": workspace, "scope": scope, "source": source, "made_by": by, "made_at": t}
    await put_all_if_absent(connection, db.suppressions, [{**row, "value": value} for value in values])
    if scope == "workspace":
        where = (p.workspace == workspace) & p.value.in_(values) & (p.state == "ready")
        await connection.execute(update(db.prospects).where(where).values(state="done", outcome="listed", changed_at=t))
