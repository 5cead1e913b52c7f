"""The talk between an owner and a customer: held, taken up again, given back to the line. On a call the customer's leg is
moved as the contact is, between the room and the music.
"""

from router import events
from router.effects import CancelLeg, HoldCaller, JoinCaller
from router.memory import Contact
from router.presence import after_work
from router.turn import Turn


def put_on_hold(turn: Turn, contact: Contact) -> None:
    turn.emit(events.ContactHeld(contact=contact.id))
    _to_the_music(turn, contact)


def take_up(turn: Turn, contact: Contact) -> None:
    turn.emit(events.ContactResumed(contact=contact.id))
    to_the_room(turn, contact)


def give_back(turn: Turn, contact: Contact, requeued: events.ContactRequeued) -> None:
    """Out of its owner's hands and into the line: a caller hears music, the owner's leg is hung up."""
    owner, leg, was_held = contact.agent or "", contact.leg, contact.status == "held"
    turn.emit(requeued)
    if not was_held:
        _to_the_music(turn, contact)
    if leg is not None:
        turn.do(CancelLeg(channel=contact.channel, leg=leg))
    after_work(turn, owner)


def to_the_room(turn: Turn, contact: Contact) -> None:
    if contact.call is not None:
        turn.do(JoinCaller(channel=contact.channel, contact=contact.id, call=contact.call))


def _to_the_music(turn: Turn, contact: Contact) -> None:
    if contact.call is not None:
        turn.do(HoldCaller(channel=contact.channel, contact=contact.id, call=contact.call))
