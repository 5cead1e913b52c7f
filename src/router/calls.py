"""Phone: calls that wait, legs that ring, and the many ways in which either is gone.

Answering the phone accepts the offer; busy declines it; no answer times it out; a leg that failed withdraws it. The
provider may tell all this late, twice or out of order: whatever no longer fits is answered and changes nothing.
"""

from router import callbacks, campaigns, events, lines
from router.effects import CancelLeg, Deliver, EndCaller, RingLeg
from router.inputs import AnswerLeg, ClaimSend, EndCall, EndLeg, EndSend, LeaveLine, ReceiveCall
from router.intake import customer_left, finish, open_channel, open_conversation, open_inbound
from router.memory import Contact, Offer, Send, leg_key, rings_first
from router.model import Side, conversation_id
from router.offers import EXCLUDE_S, LEG_COOLDOWN_S, accepted, decline_open, joined, not_reached, over, ring_agent
from router.presence import after_work
from router.replies import overtook
from router.talks import ring_customer, set_manner
from router.turn import OK, Answer, Refusal, Turn
from router.waits import end


def receive_call(turn: Turn, wish: ReceiveCall) -> Answer:
    channel = open_channel(turn, wish.channel)
    known = turn.pool.conversations.get(conversation_id(channel.id, wish.thread))
    if known is not None:
        contact = turn.pool.contacts.get(known.contact or "")
        if contact is None or contact.call != wish.thread.external:
            raise Refusal(409, "already-over")  # told again after its end, or found on the line after we have let it go
        return Answer(code="duplicate", contact=contact.id)
    conversation = open_conversation(turn, channel, wish.thread, wish.identity, wish.language)
    contact = open_inbound(turn, channel, conversation, wish)
    if contact.id not in turn.pool.contacts:
        return Answer(code="not-taken", contact=contact.id)
    return Answer(contact=contact.id)


def leave_line(turn: Turn, wish: LeaveLine) -> Answer:
    """409 once an agent's phone rings: the caller is better served by staying; and for whom we have called ourselves."""
    contact = _contact_of_call(turn, wish.channel, wish.call)
    if contact is None:
        raise Refusal(404, "unknown-call")
    if contact.status != "queued":
        raise Refusal(409, f"contact-is-{contact.status}")
    if contact.reach_by is not None:
        raise Refusal(409, "called-by-us")
    if wish.to == "voicemail":
        end(turn, contact, "voicemail", "voicemail")
        return Answer(contact=contact.id)
    number = callbacks.number_of(turn, contact, wish.number)
    if number is None:
        raise Refusal(422, "number-needed")
    end(turn, contact, "closed", "callback", number)
    return Answer(contact=contact.id)


def end_call(turn: Turn, wish: EndCall) -> Answer:
    return _caller_gone(turn, _contact_of_call(turn, wish.channel, wish.thread.external))


def _caller_gone(turn: Turn, contact: Contact | None) -> Answer:
    if contact is None:
        return Answer(code="already-over")
    _cancel_agent_leg(turn, contact)
    customer_left(turn, contact)
    return OK


def _cancel_agent_leg(turn: Turn, contact: Contact) -> None:
    for leg in (contact.leg, contact.ringing):
        if leg is not None:
            turn.do(CancelLeg(channel=contact.channel, leg=leg))


def _contact_of_call(turn: Turn, channel: str, call: str) -> Contact | None:
    """The open contact whose customer is on this call."""
    contact = turn.pool.on_line(channel, call)
    return contact if contact is not None and contact.call == call else None


# -- legs: an offer's own has the offer's id as key; those of a contact that an agent holds, and of a callback that rings
# its customer first, are named by `leg_key`


def _in_hand(turn: Turn, channel: str, name: str) -> Contact | None:
    """The call that an agent holds, by one of its names. Legs and calls are named by its provider."""
    contact = turn.pool.on_line(channel, name)
    return contact if contact is not None and contact.is_in_hand else None


def _awaited(turn: Turn, channel: str, key: str) -> tuple[Contact, Side] | None:
    """The contact, held by an agent or, as a callback, offered to one, that waits for this leg to be answered."""
    contact = turn.pool.on_line(channel, key)
    if contact is None:
        return None
    if contact.is_in_hand:
        if contact.leg is None and key == leg_key(contact, "agent"):
            return contact, "agent"
        if contact.call is None and key == leg_key(contact, "customer"):
            return contact, "customer"
    return (contact, "customer") if rings_first(contact, key) else None


def _guest(turn: Turn, channel: str, key: str, leg: str | None = None) -> tuple[Contact, str] | None:
    """The contact and the participant that a leg was ordered for (`key`), or whose leg it is."""
    for name in filter(None, (key, leg)):
        contact = _in_hand(turn, channel, name)
        if contact is None:
            continue
        for agent, guest in contact.participants.items():
            if (guest.key == key and guest.leg is None) or (leg is not None and guest.leg == leg):
                return contact, agent
    return None


def answer_leg(turn: Turn, wish: AnswerLeg) -> Answer:
    """409 tells the edge to hang up the leg that answered: nobody waits for it any more."""
    dialled = lines.line(turn.pool, wish.key)
    if dialled is not None:
        return lines.answered(turn, dialled, wish)
    offered = turn.pool.contact_of_offer(wish.key)
    if offered is not None and turn.pool.rings_customer(offered):
        raise Refusal(409, "customer-first")
    if offered is not None:
        accepted(turn, offered)
        return _agent_answered(turn, offered, wish.leg)
    match _awaited(turn, wish.channel, wish.key):
        case contact, "agent":
            return _agent_answered(turn, contact, wish.leg)
        case contact, _:
            by = wish.answered_by
            if contact.offer is not None:
                return _came_first(turn, contact, contact.offer, wish)
            turn.emit(events.LegJoined(contact=contact.id, leg=wish.leg, side="customer", answered_by=by))
            return Answer(contact=contact.id)
    guest = _guest(turn, wish.channel, wish.key, wish.leg)
    if guest is not None:
        _guest_answered(turn, *guest, wish.leg)
        return Answer(contact=guest[0].id)
    known = turn.pool.on_line(wish.channel, wish.leg)
    if known is not None and wish.leg in (known.leg, known.call):
        return Answer(contact=known.id)
    raise Refusal(409, "offer-is-over")


def _agent_answered(turn: Turn, contact: Contact, leg: str) -> Answer:
    joined(turn, contact, leg)
    if contact.has_legs and contact.call is None:
        if contact.campaign is not None:
            campaigns.ask_again(turn, contact)
            return Answer(contact=contact.id)
        ring_customer(turn, contact, leg_key(contact, "customer"))
    return Answer(contact=contact.id)


def _came_first(turn: Turn, contact: Contact, offer: Offer, wish: AnswerLeg) -> Answer:
    """The customer of a callback has answered, and hears music: now the agent's phone rings."""
    if wish.answered_by in ("machine", "fax"):
        turn.do(CancelLeg(channel=contact.channel, leg=wish.leg))
        _unreached(turn, contact, "customer", wish.answered_by)
        return Answer(contact=contact.id)
    turn.emit(events.LegJoined(contact=contact.id, leg=wish.leg, side="customer", answered_by=wish.answered_by))
    ring_agent(turn, contact, offer.agent, offer.id)
    return Answer(contact=contact.id)


def _guest_answered(turn: Turn, contact: Contact, agent: str, leg: str) -> None:
    guest = contact.participants[agent]
    if guest.leg is not None:
        return
    turn.emit(events.LegJoined(contact=contact.id, leg=leg, side="guest", agent=agent))
    if guest.manner != "listen":
        set_manner(turn, contact, agent)


def end_leg(turn: Turn, wish: EndLeg) -> Answer:
    dialled = lines.line(turn.pool, wish.key)
    if dialled is not None:
        lines.line_ended(turn, dialled, wish.cause)
        return OK
    offered = turn.pool.contact_of_offer(wish.key)
    if offered is not None and offered.offer is not None and offered.offer.leg in (None, wish.leg):
        _unanswered(turn, offered, wish.cause)
        return OK
    held = _in_hand(turn, wish.channel, wish.leg)
    if held is not None and held.leg == wish.leg:
        _hang_up_caller(turn, held)
        if held.callback is not None:
            _back_to_the_line(turn, held)
        else:
            finish(turn, held)
        return OK
    awaited = _awaited(turn, wish.channel, wish.key)
    if awaited is not None:
        _unreached(turn, *awaited, wish.cause)
        return OK
    guest = _guest(turn, wish.channel, wish.key, wish.leg)
    if guest is not None:
        _guest_gone(turn, *guest, reason=f"leg-{wish.cause}")
        return OK
    return _caller_gone(turn, _contact_of_call(turn, wish.channel, wish.leg))


def _guest_gone(turn: Turn, contact: Contact, agent: str, reason: str) -> None:
    turn.emit(events.ParticipantLeft(contact=contact.id, agent=agent, reason=reason))
    after_work(turn, agent)


def _hang_up_caller(turn: Turn, contact: Contact) -> None:
    if contact.call is not None:
        turn.do(EndCaller(channel=contact.channel, call=contact.call))
    if contact.ringing is not None:
        turn.do(CancelLeg(channel=contact.channel, leg=contact.ringing))


def _unanswered(turn: Turn, contact: Contact, cause: str) -> None:
    """The phone that an offer rang is down, so there is nothing left to hang up."""
    offer = contact.offer
    assert offer is not None
    id_, agent, until = offer.id, offer.agent, turn.now + EXCLUDE_S
    if cause == "busy":
        decline_open(turn, contact, offer, "busy")
        return
    if cause == "no_answer":
        turn.emit(events.OfferTimedOut(offer=id_, contact=contact.id, agent=agent, excluded_until=until))
    else:
        turn.emit(
            events.OfferWithdrawn(
                offer=id_,
                contact=contact.id,
                agent=agent,
                reason=f"leg-{cause}",
                cools_until=turn.now + LEG_COOLDOWN_S,
            )
        )
    over(turn, contact, agent)


def _unreached(turn: Turn, contact: Contact, side: Side, cause: str) -> None:
    """A phone that was dialled for a contact in an agent's hands did not answer, or could not be dialled."""
    agent = contact.agent or ""
    if contact.offer is not None:
        not_reached(turn, contact, cause)
    elif side == "customer":
        if contact.leg is not None:
            turn.do(CancelLeg(channel=contact.channel, leg=contact.leg))
        if contact.callback is not None:
            callbacks.unreached(turn, contact, cause)
        elif contact.campaign is not None:
            lines.line_ended(turn, contact, cause)
            after_work(turn, agent)
        else:
            finish(turn, contact)
    elif contact.call is None and contact.callback is None:
        turn.emit(events.ContactCompleted(contact=contact.id, outcome="failed"))
        after_work(turn, agent)
    else:
        _back_to_the_line(turn, contact)


def _back_to_the_line(turn: Turn, contact: Contact) -> None:
    """The agent cannot be reached, or is gone before the customer who is to be called back has answered."""
    agent, until = contact.agent or "", turn.now + EXCLUDE_S
    turn.emit(
        events.ContactRequeued(contact=contact.id, queue=contact.queue, reason="leg-failed", excluded_until=until)
    )
    after_work(turn, agent)


# -- sends: what a worker claims and ends


def claim_send(turn: Turn, wish: ClaimSend) -> Answer:
    send = turn.pool.memory.sends.get(wish.key)
    if send is None:
        raise Refusal(409, "not-wanted")
    if send.worker is not None:
        if send.worker != wish.worker:
            raise Refusal(409, "claimed")
        return OK
    wanted = _wanted(turn, wish.key, send)
    stale = wanted and lines.is_stale(turn, send)
    if not wanted or stale:
        turn.emit(events.SendEnded(key=wish.key, contact=send.contact, result="rejected", detail="no longer wanted"))
        if stale:
            lines.stale(turn, turn.pool.contacts[send.contact])
        return Answer(code="not-wanted")
    turn.emit(events.SendClaimed(key=wish.key, worker=wish.worker))
    return OK


def _wanted(turn: Turn, key: str, send: Send) -> bool:
    """A message is always wanted; a leg only while its offer or its contact waits for it."""
    if not isinstance(send.effect, RingLeg):
        return True
    channel = send.effect.channel
    known = (
        lines.line(turn.pool, key),
        turn.pool.contact_of_offer(key),
        _awaited(turn, channel, key),
        _guest(turn, channel, key),
    )
    return any(one is not None for one in known)


def end_send(turn: Turn, wish: EndSend) -> Answer:
    send = turn.pool.memory.sends.get(wish.key)
    if send is None:
        return Answer(code="already-over")
    known = overtook(turn, wish.key, send.effect.channel, wish.externals)
    turn.emit(
        events.SendEnded(
            key=wish.key, contact=send.contact, result=wish.result, externals=wish.externals, detail=wish.detail
        )
    )
    if isinstance(send.effect, RingLeg):
        _dialled(turn, wish, send)
    for receipt in known if isinstance(send.effect, Deliver) else ():
        turn.emit(receipt)
    return OK


def _dialled(turn: Turn, wish: EndSend, send: Send) -> None:
    """A leg was ordered. Unclear is as good as failed: should its phone ring after all, its answer is refused. Somebody
    whom a campaign calls may hear it ring, and is not to hear nobody: it is answered, or ends by its timer."""
    if wish.result == "uncertain" and lines.calls_a_person(turn.pool, send):
        return
    offered, awaited = turn.pool.contact_of_offer(wish.key), _awaited(turn, send.effect.channel, wish.key)
    guest, dialled = _guest(turn, send.effect.channel, wish.key), lines.line(turn.pool, wish.key)
    if dialled is not None:
        if wish.result == "rejected":
            lines.line_ended(turn, dialled, "failed")
    elif wish.result == "accepted":
        contact = turn.pool.contacts.get(send.contact)
        answered = _legs_of(contact) if contact else []
        for leg in wish.externals:  # it may have answered already, or be wanted no more before we knew its name
            if offered is None and awaited is None and guest is None and leg not in answered:
                turn.do(CancelLeg(channel=send.effect.channel, leg=leg))
    elif offered is not None:
        _unanswered(turn, offered, "failed")
    elif awaited is not None:
        _unreached(turn, *awaited, "failed")
    elif guest is not None:
        _guest_gone(turn, *guest, reason="leg-failed")


def _legs_of(contact: Contact) -> list[str | None]:
    return [contact.leg, contact.call, *(guest.leg for guest in contact.participants.values())]
