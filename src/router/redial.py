"""Who hangs up while waiting, and calls again within two minutes, has the place of before.

In a surge lines break and people try again: without this everyone who does goes to the end, and holds a second line
besides. The place is the old `enqueued_at`, as though the caller had never hung up: steps and `max_wait_s` count on.
Kept for one caller in one queue, once; never for callers without a number, who would take each other's place.
"""

from router.memory import Abandoned, Contact, Conversation, Memory
from router.model import Identity

REDIAL_S = 120.0
REMEMBER = 10_000
"""Abandoned calls of one pool that are remembered at once; the oldest goes first."""
LEAST_DIGITS = 5
NAMELESS = frozenset(("266696687", "7378742833", "2562533", "8656696", "86282452253"))
"""What TwiML providers send for callers who withhold their number: ANONYMOUS, RESTRICTED, BLOCKED, UNKNOWN and
UNAVAILABLE on a phone's keys (twilio.com/docs/voice, caller id)."""


def is_known(identity: Identity) -> bool:
    """Whether a caller has a number of his own."""
    digits = "".join(letter for letter in identity.value if letter.isdigit())
    plain = all(letter.isdigit() or letter in "+-() " for letter in identity.value)
    return identity.kind == "phone" and plain and len(digits) >= LEAST_DIGITS and digits not in NAMELESS


def remember(memory: Memory, contact: Contact, conversation: Conversation) -> None:
    """A call was hung up while it waited."""
    if contact.kind != "voice" or contact.call is None or not is_known(conversation.identity):
        return
    key, kept = caller(conversation.customer, contact.queue), memory.abandoned
    kept.pop(key, None)
    kept[key] = Abandoned(contact.id, float(contact.enqueued_at), float(memory.t))
    while len(kept) > REMEMBER or next(iter(kept.values())).t < memory.t - REDIAL_S:
        del kept[next(iter(kept))]


def kept(memory: Memory, conversation: Conversation, queue: str, now: float) -> Abandoned | None:
    """What this caller gave up in this queue a moment ago."""
    found = memory.abandoned.get(caller(conversation.customer, queue))
    return found if found is not None and conversation.kind == "voice" and now - found.t <= REDIAL_S else None


def used(memory: Memory, conversation: Conversation, queue: str) -> None:
    """A caller is in line again; what was kept for him is his or is over."""
    if conversation.kind == "voice":
        memory.abandoned.pop(caller(conversation.customer, queue), None)


def caller(customer: str, queue: str) -> str:
    """Under what a caller is known in a queue."""
    return f"{customer}/{queue}"
