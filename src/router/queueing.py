"""Order of the waiting: strict tiers, and inside a tier one static key, so that nothing is ever re-sorted.

key = enqueued_at + target - head_start, ties by arrival number. With equal targets that is oldest first; with unequal
ones, unlike channels compare on one scale: whoever is nearest to breaking its promise comes first.
"""

from router.config import Queue
from router.memory import Contact

Place = tuple[int, float, int]
"""(tier, key, arrival): the least comes first."""


def place(contact: Contact, queue: Queue) -> Place:
    return (
        tier(contact, queue),
        contact.enqueued_at + queue.target(contact.kind) - contact.head_start_s,
        contact.arrival,
    )


def tier(contact: Contact, queue: Queue) -> int:
    """0 once `max_wait` is over; else what the last step, the rule, or the queue says, in this order."""
    if contact.promoted:
        return 0
    for step in reversed(queue.steps[: contact.step]):
        if step.tier is not None:
            return step.tier
    return contact.tier if contact.tier is not None else queue.tier
