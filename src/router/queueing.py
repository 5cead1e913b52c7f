"""Order of the waiting: strict tiers, and inside a tier one static key, so that nothing is ever re-sorted.

key = enqueued_at + target - head_start, ties by arrival number. With equal targets that is oldest first; with unequal
ones, unlike channels compare on one scale: whoever is nearest to breaking its promise comes first. The target is laid
over the queue's hours, where it has any.
"""

from router.config import Queue, Step
from router.memory import Contact

ARRIVAL_BITS = 44
KEY_BITS = 56
TIER_SHIFT = ARRIVAL_BITS + KEY_BITS
ARRIVAL = (1 << ARRIVAL_BITS) - 1
KEY = (1 << KEY_BITS) - 1
NOWHERE = 1 << TIER_SHIFT + 8
"""Behind everybody."""

Place = int
"""tier (0 to 9), key (whole microseconds), arrival number, in one integer: the least comes first."""


def place(contact: Contact, queue: Queue, due_at: float) -> Place:
    """`due_at` is the moment by which the contact should be answered: enqueued_at + target, over the queue's hours."""
    key = round((due_at - contact.head_start_s) * 1e6)
    return tier(contact, queue) << TIER_SHIFT | min(max(key, 0), KEY) << ARRIVAL_BITS | contact.arrival


def key_of(place: Place) -> float:
    """Seconds since the epoch."""
    return (place >> ARRIVAL_BITS & KEY) / 1e6


def tier(contact: Contact, queue: Queue) -> int:
    """0 once `max_wait` is over; else what a supervisor, the last step, the rule, or the queue says, in this order."""
    if contact.promoted:
        return 0
    if contact.hand_tier is not None:
        return contact.hand_tier
    for step in reversed(queue.steps[: contact.step]):
        if step.tier is not None:
            return step.tier
    return contact.tier if contact.tier is not None else queue.tier


def next_step(contact: Contact, queue: Queue) -> Step | None:
    """The step that a waiting contact comes to next. None hurries one that had lain there before us, or touches somebody
    who has answered our call, and whoever was promised a callback is not sent away."""
    stays = contact.patient or contact.reach_by is not None or contact.called_back
    following = queue.steps[contact.step] if contact.step < len(queue.steps) and not stays else None
    return None if following is None or (contact.callback is not None and following.end is not None) else following
