"""The supervisor's live view, from the engine's own numbers. Formulas are in docs/operating.md, Figures."""

from typing import Any

import msgspec

from agents.frames import agent_view, attended, participants_view
from router.config import Queue
from router.memory import Contact, Stats
from router.queueing import tier
from router.state import Pool

SHOWN_WAITING = 50


def live_view(pool: Pool, now: float) -> dict[str, Any]:
    return {
        "type": "live",
        "server_now": now,
        "queues": [queue_view(pool, queue, now) for queue in pool.memory.config.queues],
        "agents": [person_view(pool, profile.id) for profile in pool.memory.config.agents],
        "waiting": waiting_view(pool),
    }


def queue_view(pool: Pool, queue: Queue, now: float) -> dict[str, Any]:
    mine = [contact for contact in pool.contacts.values() if contact.queue == queue.id]
    waiting = [contact for contact in mine if contact.status in ("queued", "offered")]
    stats = today(pool, queue.id, now)
    ended = stats.answered + stats.abandoned
    return {
        "id": queue.id,
        "name": queue.name,
        "waiting": len(waiting),
        "longest_wait_s": max((now - contact.enqueued_at for contact in waiting), default=0),
        "offered": sum(1 for contact in mine if contact.status == "offered"),
        "active": sum(1 for contact in mine if contact.status in ("active", "held", "parked")),
        "callbacks": sum(1 for contact in mine if contact.callback is not None),
        "arrived_today": stats.arrived,
        "answered_today": stats.answered,
        "abandoned_today": stats.abandoned,
        "service_level": stats.answered_in_target / ended if ended else None,
        "service_level_target": queue.service_level,
        "next_wait": _wait(pool, queue.id),
        "asa_s": stats.wait_s / stats.answered if stats.answered else None,
    }


def _wait(pool: Pool, queue: str) -> dict[str, float] | None:
    """How long whoever comes now would wait; None while nobody waits, or that cannot be said."""
    place = pool.length(queue) + 1
    found: dict[str, float] | None = msgspec.to_builtins(pool.foretell(queue, place) if place > 1 else None)
    return found


def today(pool: Pool, queue: str, now: float) -> Stats:
    """The queue's figures of today; none while nothing has happened today."""
    if pool.memory.day != pool.local(now).date().isoformat():
        return Stats()
    return pool.memory.stats.get(queue) or Stats()


def person_view(pool: Pool, agent_id: str) -> dict[str, Any]:
    view = agent_view(pool, agent_id)
    agent = pool.agents.get(agent_id)
    return {
        "id": view.id,
        "name": view.name,
        "presence": view.presence,
        "reason": view.reason,
        "since": view.since or None,
        "connected": view.connected,
        "used_units": view.used_units,
        "units": view.units,
        "contacts": [work_view(pool, contact, agent_id) for contact in (pool.assigned(agent) if agent else ())],
        "attends": [work_view(pool, contact, agent_id) for contact in (attended(pool, agent) if agent else ())],
    }


def work_view(pool: Pool, contact: Contact, agent_id: str) -> dict[str, Any]:
    """A contact in somebody's hands; `role` is the part of somebody who has it not in his own."""
    guest = contact.participants.get(agent_id)
    return {
        "id": contact.id,
        "kind": contact.kind,
        "status": contact.status,
        "queue": contact.queue,
        "since": contact.since,
        "customer": customer_name(pool, contact),
        "role": guest.role if guest else None,
        "participants": [msgspec.to_builtins(each) for each in participants_view(contact)],
    }


def customer_name(pool: Pool, contact: Contact) -> str:
    identity = pool.conversations[contact.conversation].identity
    return identity.name or identity.value


def waiting_view(pool: Pool) -> list[dict[str, Any]]:
    rows = []
    for queue in pool.memory.config.queues:
        for position, contact in enumerate(pool.in_line(queue.id)[:SHOWN_WAITING], 1):
            rows.append(
                {
                    "id": contact.id,
                    "kind": contact.kind,
                    "queue": contact.queue,
                    "customer": customer_name(pool, contact),
                    "since": contact.enqueued_at,
                    "position": position,
                    "language": contact.language,
                    "tier": tier(contact, queue),
                    "head_start_s": contact.head_start_s,
                    "callback": contact.callback is not None,
                }
            )
    return sorted(rows, key=lambda row: (row["since"], row["id"]))[:SHOWN_WAITING]
