"""Explaining what is: why a contact waits, or went to whom it went, and why an agent has nothing. In plain words."""

from router.eligible import reachable, why_not, why_not_open
from router.memory import Agent, Contact
from router.model import KINDS
from router.queueing import tier
from router.skills import requirements
from router.state import Pool


def why_contact(pool: Pool, contact: Contact) -> list[str]:
    queue = pool.queue(contact)
    needs = ", ".join(f"{need.skill} {need.level}" for need in requirements(contact, queue))
    due_at = pool.due_by(contact, queue.target(contact.kind))
    lines = [
        f"queue {queue.name}, tier {tier(contact, queue)}, should be answered by {pool.local(due_at):%Y-%m-%d %H:%M:%S}",
        f"requires {needs}",
        f"configuration version {pool.memory.version}",
    ]
    if contact.agent is not None:
        return [*lines, f"held by {contact.agent} since {pool.local(contact.accepted_at or contact.since):%H:%M:%S}"]
    if contact.offer is not None:
        return [*lines, f"offered to {contact.offer.agent} (attempt {contact.attempt}), chosen by {queue.strategy}"]
    lines.append(f"waits at position {pool.position(contact)}")
    if contact.prefers:
        there = [agent for agent in contact.prefers if reachable(pool, agent)]
        lines.append(f"waits for {', '.join(there)} until {pool.local(contact.prefer_until or 0):%H:%M:%S}")
    for id_ in sorted(pool.lookup.agents):
        agent = pool.agents.get(id_) or Agent(id=id_)
        lines.append(f"{id_}: {why_not(pool, contact, agent) or 'eligible'}")
    return lines


def why_idle(pool: Pool, agent_id: str) -> list[str]:
    agent = pool.agents.get(agent_id) or Agent(id=agent_id)
    lines = [f"{kind}: {why_not_open(pool, agent, kind) or 'open'}" for kind in KINDS]
    waiting = [contact for contact in pool.contacts.values() if contact.status == "queued"]
    return lines + [f"{c.id} in {c.queue}: {why_not(pool, c, agent) or 'eligible'}" for c in waiting[:50]]
