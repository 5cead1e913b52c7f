"""What becomes of a wait as time passes: steps one after the other, ends, and the doors that are closed or full.

A step changes what is asked for and never the place in line. One that is marked `skip_if_nobody` passes at once while
nobody who is signed in meets what it asks.
"""

from typing import Literal

from router import callbacks, events
from router.config import End
from router.effects import EndCaller, Words
from router.memory import Contact
from router.queueing import next_step
from router.state import skips_if_nobody
from router.turn import Turn


def step(turn: Turn, contact: Contact) -> None:
    """The contact comes to its next step."""
    number = contact.step + 1
    reached = turn.pool.queue(contact).steps[number - 1]
    turn.emit(events.ContactStepped(contact=contact.id, step=number))
    if reached.end is not None:
        end(turn, contact, "closed", reached.end)


def pass_on(turn: Turn, contact: Contact) -> None:
    """Come to every step that is due already: those at 0 s, and those behind a step that nobody could serve."""
    queue = turn.pool.queue(contact)
    while contact.status == "queued" and contact.id in turn.pool.contacts:
        following = next_step(contact, queue)
        if following is None:
            return
        is_due = turn.pool.waited_until(contact, following.after_s) <= turn.now
        if not is_due and not (skips_if_nobody(contact, queue) and not turn.pool.anybody_for(contact)):
            return
        step(turn, contact)


def end(
    turn: Turn,
    contact: Contact,
    outcome: Literal["closed", "after_hours", "overflowed", "voicemail"],
    how: End,
    number: str | None = None,
) -> None:
    """Nobody will take it now. Only callers are told, or called back: at `number`, else at their own if they have one."""
    back = None
    if contact.call is not None:
        back = number or callbacks.number_of(turn, contact) if how == "callback" else None
        _let_go(turn, contact, contact.call, _words(outcome, how, back))
    if back is not None:
        hours = turn.pool.hours(contact.queue, contact.brand)
        callbacks.promise(turn, contact, back, hours.next_open(turn.now) if hours else None)
    else:
        turn.emit(events.ContactCompleted(contact=contact.id, outcome=outcome))


def _words(outcome: Words, how: End, back: str | None) -> Words | None:
    """What is said before the line is cut: why, where nothing better can be said, and nothing to whoever is hung up on."""
    if how == "close":
        return None
    if how == "voicemail":
        return "voicemail"
    return outcome if back is None else "callback"


def _let_go(turn: Turn, contact: Contact, call: str, say: Words | None) -> None:
    caller = turn.pool.conversations[contact.conversation].identity if say == "voicemail" else None
    turn.do(EndCaller(channel=contact.channel, call=call, say=say, language=contact.language, caller=caller))
