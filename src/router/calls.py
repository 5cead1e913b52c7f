"""Phone: calls that wait, legs that ring, and the many ways in which either is gone.

Answering the phone accepts the offer; busy declines it; no answer times it out; a leg that failed withdraws it. The
provider may tell all this late, twice or out of order: whatever no longer fits is answered and changes nothing.
"""

from router import events
from router.effects import CancelLeg, EndCaller, RingLeg
from router.inputs import AnswerLeg, ClaimSend, EndCall, EndLeg, EndSend, ReceiveCall
from router.intake import customer_left, finish, open_channel, open_conversation, open_inbound
from router.memory import Contact
from router.model import conversation_id, derive_id
from router.offers import LEG_COOLDOWN_S, accepted, declined, joined, timed_out, withdraw
from router.presence import after_work
from router.turn import OK, Answer, Refusal, Turn


def receive_call(turn: Turn, wish: ReceiveCall) -> Answer:
    channel = open_channel(turn, wish.channel)
    known = turn.pool.conversations.get(conversation_id(channel.id, wish.thread))
    if known is not None:
        return Answer(code="duplicate", contact=known.contact or known.last_contact)
    conversation = open_conversation(turn, channel, wish.thread, wish.identity, wish.language)
    contact = open_inbound(turn, channel, conversation, wish)
    if contact.id not in turn.pool.contacts:
        turn.do(EndCaller(channel=channel.id, call=wish.thread.external))
        return Answer(status=200, code="overflowed", contact=contact.id)
    return Answer(contact=contact.id)


def end_call(turn: Turn, wish: EndCall) -> Answer:
    contact = _contact_of_call(turn, wish.channel, wish.thread.external)
    if contact is None:
        return Answer(code="already-over")
    if contact.leg is not None:
        turn.do(CancelLeg(channel=contact.channel, leg=contact.leg))
    customer_left(turn, contact)
    return OK


def _contact_of_call(turn: Turn, channel: str, call: str) -> Contact | None:
    """The open contact whose customer is on this call. A handful of calls are open at once, so a scan will do."""
    for contact in turn.pool.contacts.values():
        if contact.call == call and contact.channel == channel and contact.status != "wrapping":
            return contact
    return None


def answer_leg(turn: Turn, wish: AnswerLeg) -> Answer:
    """409 tells the edge to hang up the leg that answered: nobody waits for it any more."""
    contact = turn.pool.contact_of_offer(wish.key)
    if contact is not None:
        accepted(turn, contact)
        joined(turn, contact, wish.leg)
        if contact.direction == "outbound" and contact.call is None:
            _ring_customer(turn, contact)
        return Answer(contact=contact.id)
    for other in turn.pool.contacts.values():
        if other.status in ("active", "held") and wish.key == _leg_key(other, "leg"):
            joined(turn, other, wish.leg)
            return Answer(contact=other.id)
        if other.status in ("active", "held") and wish.key == _leg_key(other, "customer-leg"):
            turn.emit(events.LegJoined(contact=other.id, leg=wish.leg, side="customer"))
            return Answer(contact=other.id)
        if other.leg == wish.leg:
            return Answer(contact=other.id)
    raise Refusal(409, "offer-is-over")


def _leg_key(contact: Contact, side: str) -> str:
    return derive_id(side, contact.id, str(contact.attempt))


def _ring_customer(turn: Turn, contact: Contact) -> None:
    conversation = turn.pool.conversations[contact.conversation]
    key = _leg_key(contact, "customer-leg")
    turn.request(
        RingLeg(
            channel=contact.channel,
            key=key,
            contact=contact.id,
            side="customer",
            address=conversation.identity.value,
            timeout_s=45,
        )
    )


def end_leg(turn: Turn, wish: EndLeg) -> Answer:
    contact = turn.pool.contact_of_offer(wish.key)
    if contact is not None and contact.offer is not None and contact.offer.leg in (None, wish.leg):
        _unanswered(turn, contact, wish)
        return OK
    for other in list(turn.pool.contacts.values()):
        if other.status in ("active", "held") and wish.leg == other.leg:
            turn.do(EndCaller(channel=other.channel, call=other.call or ""))
            finish(turn, other)
            return OK
        if other.status in ("active", "held") and wish.key == _leg_key(other, "leg") and other.leg is None:
            agent = other.agent or ""
            turn.emit(events.ContactRequeued(contact=other.id, queue=other.queue, reason="leg-failed"))
            after_work(turn, agent)
            return OK
        if other.status in ("active", "held") and wish.key == _leg_key(other, "customer-leg"):
            if other.leg is not None:
                turn.do(CancelLeg(channel=other.channel, leg=other.leg))
            finish(turn, other)
            return OK
    return Answer(code="already-over")


def _unanswered(turn: Turn, contact: Contact, wish: EndLeg) -> None:
    assert contact.offer is not None
    contact.offer.leg = None  # nothing left to hang up
    outbound = contact.direction == "outbound"
    if wish.cause == "busy":
        declined(turn, contact, contact.offer, "busy")
    elif wish.cause == "no_answer":
        timed_out(turn, contact, 0)
    else:
        withdraw(turn, contact, f"leg-{wish.cause}", cools_until=turn.now + LEG_COOLDOWN_S)
    if outbound:
        turn.emit(events.ContactCompleted(contact=contact.id, outcome="failed"))


def claim_send(turn: Turn, wish: ClaimSend) -> Answer:
    send = turn.pool.memory.sends.get(wish.key)
    if send is None:
        raise Refusal(409, "not-wanted")
    if send.worker is not None:
        if send.worker != wish.worker:
            raise Refusal(409, "claimed")
        return OK
    if not _still_wanted(turn, wish.key, send.contact):
        turn.emit(events.SendEnded(key=wish.key, contact=send.contact, result="rejected", detail="no longer wanted"))
        return Answer(status=409, code="not-wanted")
    turn.emit(events.SendClaimed(key=wish.key, worker=wish.worker))
    return OK


def _still_wanted(turn: Turn, key: str, contact_id: str) -> bool:
    """A message is always wanted; a leg only while its offer or its contact waits for it."""
    contact = turn.pool.contacts.get(contact_id)
    channel = turn.pool.channel(contact.channel) if contact else None
    if contact is None or channel is None or contact.kind != "voice":
        return contact is not None or key not in turn.pool.waiting.offers
    return key in turn.pool.waiting.offers or key in (_leg_key(contact, "leg"), _leg_key(contact, "customer-leg"))


def end_send(turn: Turn, wish: EndSend) -> Answer:
    send = turn.pool.memory.sends.get(wish.key)
    if send is None:
        return Answer(code="already-over")
    turn.emit(
        events.SendEnded(
            key=wish.key, contact=send.contact, result=wish.result, externals=wish.externals, detail=wish.detail
        )
    )
    contact = turn.pool.contacts.get(send.contact)
    channel = turn.pool.channel(send.effect.channel)
    if channel is None or channel.kind != "voice":
        return OK
    offered = turn.pool.contact_of_offer(wish.key)
    if wish.result == "accepted":
        wanted = contact is not None and wish.key in (
            _leg_key(contact, "leg"),
            _leg_key(contact, "customer-leg"),
        )
        if offered is None and not wanted and not (contact and contact.leg in wish.externals):
            for leg in wish.externals:  # the offer ended before we knew the leg's name
                turn.do(CancelLeg(channel=send.effect.channel, leg=leg))
    elif offered is not None and offered.offer is not None:
        withdraw(turn, offered, "leg-failed", cools_until=turn.now + LEG_COOLDOWN_S)
        if offered.direction == "outbound":
            turn.emit(events.ContactCompleted(contact=offered.id, outcome="failed"))
    elif contact is not None and contact.status in ("active", "held") and wish.key == _leg_key(contact, "customer-leg"):
        if contact.leg is not None:
            turn.do(CancelLeg(channel=contact.channel, leg=contact.leg))
        finish(turn, contact)
    elif contact is not None and contact.status == "active" and wish.key == _leg_key(contact, "leg"):
        agent = contact.agent or ""
        turn.emit(events.ContactRequeued(contact=contact.id, queue=contact.queue, reason="leg-failed"))
        after_work(turn, agent)
    return OK
