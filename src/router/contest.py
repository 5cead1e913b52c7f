"""A freed agent's choice, made a second time: all who wait in the order of this agent, and why each may not be taken."""

import math
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from router.explained import Contest, Other
from router.memory import Contact
from router.queueing import Place, key_of, place, tier
from router.reasons import Blending, Case, Reason, agent_of, because

if TYPE_CHECKING:
    from router.state import Pool

MAX_CONTACTS = 50


class Waiting(NamedTuple):
    """A waiting contact as an agent compares it: (tier, rank among the queues served first, place), the least first."""

    rank: tuple[int, int, Place]
    contact: Contact
    queue: str
    reason: Reason | None

    def told(self, reason: Reason) -> Other:
        return Other(self.contact.id, self.queue, self.rank[0], key_of(self.rank[2]), reason)


def line_of(pool: "Pool", agent_id: str) -> list[Waiting]:
    """All who wait, in the order in which this agent would take them."""
    blending = Blending(pool)
    waiting = (contact for contact in pool.contacts.values() if contact.status == "queued")
    found = [_compared(pool, Case(pool, contact, blending), agent_id) for contact in waiting]
    return sorted(found, key=lambda waiting: waiting.rank)


def _compared(pool: "Pool", case: Case, agent_id: str) -> Waiting:
    contact, profile = case.contact, pool.profile(agent_id)
    first = profile.serves_first if profile else ()
    reason = case.first_reason(agent_of(pool, agent_id))
    ways = case.ways(agent_id) if reason is None else range(len(case.sets))
    queues = [contact.queue] if case.prefers else [case.sets[way][0].id for way in ways]
    rank, number = min((first.index(queue) if queue in first else len(first), n) for n, queue in enumerate(queues))
    own = pool.queue(contact)
    place_ = place(contact, own, pool.due_by(contact, own.target(contact.kind)))
    return Waiting((tier(contact, own), rank, place_), contact, queues[number], reason)


def contest(pool: "Pool", contact: Contact, agent_id: str) -> Contest | None:
    """What came before it and after it, if this contact is the first that the agent could take; else None."""
    line = line_of(pool, agent_id)
    number = next((n for n, waiting in enumerate(line) if waiting.reason is None), None)
    if number is None or line[number].contact.id != contact.id:
        return None
    best = line[number]
    before = [waiting.told(waiting.reason) for waiting in line[:number] if waiting.reason is not None]
    heads: dict[str, Waiting] = {}
    for waiting in line[number + 1 :]:
        if waiting.reason is None:
            heads.setdefault(waiting.queue, waiting)
    after = [head.told(_later(head, best, agent_id)) for head in heads.values()]
    more = counted(each.reason for each in before[MAX_CONTACTS:])
    return Contest(len(line), tuple(before[:MAX_CONTACTS]), more, tuple(after[:MAX_CONTACTS]))


def _later(head: Waiting, best: Waiting, agent_id: str) -> Reason:
    if head.rank[0] != best.rank[0]:
        return because("later_tier", tier=head.rank[0], best=best.rank[0])
    if head.rank[1] != best.rank[1]:
        return because("served_later", agent=agent_id, first=best.queue)
    due, best_due = key_of(head.rank[2]), key_of(best.rank[2])
    if due == best_due:
        return because("later_arrival")
    if due - best_due < 1:
        return because("later_moment", ms=math.ceil((due - best_due) * 1000))
    return because("later_key", due=due, best=best_due)


def counted(reasons: Iterable[Reason]) -> dict[str, int]:
    """How often each code."""
    return dict(sorted(Counter(reason.code for reason in reasons).items()))
