"""What becomes of a wait as time passes: steps one after the other, ends, and the doors that are closed or full.

A step changes what is asked for and never the place in line. One that is marked `skip_if_nobody` passes at once while
nobody who is signed in meets what it asks.
"""

from router import events
from router.effects import EndCaller
from router.memory import Contact
from router.state import skips_if_nobody
from router.turn import Turn


def step(turn: Turn, contact: Contact) -> None:
    """The contact comes to its next step."""
    number = contact.step + 1
    reached = turn.pool.queue(contact).steps[number - 1]
    turn.emit(events.ContactStepped(contact=contact.id, step=number))
    if reached.end is not None:
        end(turn, contact, "closed")


def pass_on(turn: Turn, contact: Contact) -> None:
    """Come to every step that is due already: those at 0 s, and those behind a step that nobody could serve."""
    queue = turn.pool.queue(contact)
    while contact.status == "queued" and contact.id in turn.pool.contacts and contact.step < len(queue.steps):
        is_due = turn.pool.waited_until(contact, queue.steps[contact.step].after_s) <= turn.now
        if not is_due and not (skips_if_nobody(contact, queue) and not turn.pool.anybody_for(contact)):
            return
        step(turn, contact)


def end(turn: Turn, contact: Contact, outcome: events.Outcome) -> None:
    """Nobody will take it any more. A caller is hung up on."""
    if contact.call is not None:
        turn.do(EndCaller(channel=contact.channel, call=contact.call))
    turn.emit(events.ContactCompleted(contact=contact.id, outcome=outcome))
