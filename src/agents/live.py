"""The supervisor's live view, from the engine's own numbers. Formulas are in docs/operating.md, Figures."""

from typing import Any

from agents.frames import agent_view
from router.config import Queue
from router.memory import Stats
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
        "arrived_today": stats.arrived,
        "answered_today": stats.answered,
        "abandoned_today": stats.abandoned,
        "service_level": stats.answered_in_target / ended if ended else None,
        "service_level_target": queue.service_level,
        "asa_s": stats.wait_s / stats.answered if stats.answered else None,
    }


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
        "contacts": [
            {"id": c.id, "kind": c.kind, "status": c.status, "queue": c.queue, "since": c.since}
            for c in (pool.assigned(agent) if agent else ())
        ],
    }


def waiting_view(pool: Pool) -> list[dict[str, Any]]:
    rows = []
    for queue in pool.memory.config.queues:
        for position, contact in enumerate(pool.in_line(queue.id)[:SHOWN_WAITING], 1):
            identity = pool.conversations[contact.conversation].identity
            rows.append(
                {
                    "id": contact.id,
                    "kind": contact.kind,
                    "queue": contact.queue,
                    "customer": identity.name or identity.value,
                    "since": contact.enqueued_at,
                    "position": position,
                    "language": contact.language,
                }
            )
    return sorted(rows, key=lambda row: (row["since"], row["id"]))[:SHOWN_WAITING]
