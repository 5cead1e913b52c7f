"""Callbacks: whoever waits on the phone may hang up and keep the place in line, and is rung when it is reached.

The contact waits on like any other, only that nobody is on the line. When it is offered the agent's phone rings first,
and the customer's when that is answered; or, where the queue says so, the customer's first, and the agent is kept for
the talk meanwhile. A customer who does not answer is tried again later, so many times. One who asked for a certain time
comes into the line at that time. Whoever calls again meanwhile gets the place that was kept, and is not called back
besides.
"""

import msgspec

from router import events, redial
from router.inputs import CancelCallback
from router.memory import Abandoned, Contact, Conversation
from router.presence import after_work
from router.turn import OK, Answer, Refusal, Turn

AGAIN_S = (600.0, 3600.0)
"""How long after each try that nobody answered the next one is made. After the last there is none."""
UNDIALLED = "undialled"
"""Why a try was none: nobody has done what was ordered, for the worker that dials is away. It does not count."""
FURTHEST_S = 31 * 86_400.0
"""So far ahead a callback may be ordered."""


def number_of(turn: Turn, contact: Contact, wished: str | None = None) -> str | None:
    """Where a caller can be rung; None for one who withholds the number and names none."""
    identity = turn.pool.conversations[contact.conversation].identity
    if wished is not None:
        identity = msgspec.structs.replace(identity, kind="phone", value=wished)
    return identity.value if redial.is_known(identity) else None


def promise(turn: Turn, contact: Contact, number: str, at: float | None = None) -> None:
    """The contact waits from now on without anybody on the line. A time that has passed is none."""
    when = at if at is not None and at > turn.now else None
    turn.emit(events.CallbackPromised(contact=contact.id, number=number, at=when))


def due(turn: Turn, contact: Contact) -> None:
    """Its time has come. After a try it has its old place, before that the time asked for is its place."""
    place = contact.enqueued_at if contact.attempt else turn.now
    until = turn.now + turn.pool.queue(contact).prefer_for_s if contact.prefers else None
    turn.emit(events.CallbackDue(contact=contact.id, enqueued_at=place, prefer_until=until))


def unreached(turn: Turn, contact: Contact, cause: str) -> None:
    """Nobody answered: the agent, if one held it, is free for others; the customer is tried again later or no more."""
    assert contact.callback is not None
    agent, tries = contact.agent, contact.callback.tries
    if cause == UNDIALLED:
        turn.emit(events.CallbackFailed(contact=contact.id, cause=cause, again_at=turn.now + AGAIN_S[0], counts=False))
    elif tries < len(AGAIN_S):
        turn.emit(events.CallbackFailed(contact=contact.id, cause=cause, again_at=turn.now + AGAIN_S[tries]))
    else:
        turn.emit(events.ContactCompleted(contact=contact.id, outcome="unreached"))
    if agent is not None:
        after_work(turn, agent)


def cancel(turn: Turn, wish: CancelCallback) -> Answer:
    """409 once an agent has it: then it is the agent's to end."""
    contact = turn.contact(wish.contact)
    if contact.callback is None:
        raise Refusal(409, "no-callback")
    if contact.status not in ("queued", "scheduled"):
        raise Refusal(409, f"contact-is-{contact.status}")
    turn.emit(events.ContactCompleted(contact=contact.id, outcome="closed", by=wish.by))
    return OK


def called_again(turn: Turn, conversation: Conversation, queue: str) -> Abandoned | None:
    """The callback that a caller was promised in this queue is over, for he has called himself. Its place is his, as if he
    had hung up just now, unless it was for a later time."""
    id_ = turn.pool.memory.callbacks.get(redial.caller(conversation.customer, queue))
    contact = turn.pool.contacts.get(id_ or "")
    if contact is None or contact.callback is None or contact.status not in ("queued", "scheduled"):
        return None
    has_place = contact.status == "queued" or contact.callback.tries > 0
    turn.emit(events.ContactCompleted(contact=contact.id, outcome="called_again"))
    return Abandoned(contact.id, float(contact.enqueued_at), turn.now) if has_place else None
