"""The talk between an owner and a customer: held, taken up again, given back to the line. On a call the customer's leg is
moved as the contact is, between the room and the music; and who monitors it is heard as his manner says.
"""

from typing import Literal

from router import events
from router.effects import CancelLeg, HoldCaller, JoinCaller, RingLeg, SetManner
from router.memory import Contact
from router.model import Manner
from router.presence import after_work
from router.turn import Turn

CUSTOMER_RINGS_S = 45.0
"""How long a customer's phone rings when an agent calls."""


def ring_customer(
    turn: Turn,
    contact: Contact,
    key: str,
    timeout_s: float = CUSTOMER_RINGS_S,
    side: Literal["customer", "first"] = "customer",
) -> None:
    """Dial the customer's phone: the number that was promised a call, else the customer's own. A campaign shows its own
    number."""
    callback, rules = contact.callback, turn.pool.lookup.campaigns.get(contact.campaign or "")
    turn.request(
        RingLeg(
            channel=contact.channel,
            key=key,
            contact=contact.id,
            side=side,
            address=callback.number if callback else turn.pool.conversations[contact.conversation].identity.value,
            timeout_s=timeout_s,
            caller_id=rules.caller_id if rules is not None else None,
        )
    )


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


def set_manner(turn: Turn, contact: Contact, agent: str) -> None:
    """Every leg that monitors comes in unheard, so until both phones are answered there is nothing to change."""
    guest = contact.participants[agent]
    if guest.leg is None or contact.leg is None:
        return
    turn.do(
        SetManner(
            channel=contact.channel, contact=contact.id, leg=guest.leg, manner=guest.manner, owner_leg=contact.leg
        )
    )


def renew_manners(turn: Turn, contact: Contact, *manners: Manner) -> None:
    """The owner has come to the phone, or is another: who speaks in one of these manners has to be told of it."""
    for agent, guest in contact.participants.items():
        if guest.manner in manners:
            set_manner(turn, contact, agent)
