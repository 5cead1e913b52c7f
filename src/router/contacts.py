"""What an owner does with a contact: speak, hold, park, hand on, wrap up, complete, or begin one.

Only the owner may, and only in the statuses named; anything else is refused and changes nothing.
"""

from router import events
from router.config import MAX_WRAP_UP_S
from router.effects import CancelLeg, Deliver, EndCaller
from router.eligible import fits, has_offer, reachable
from router.inputs import (
    CompleteContact,
    ExtendWrapUp,
    HoldContact,
    ParkContact,
    ResumeContact,
    SendMessage,
    StartContact,
    TransferContact,
    WrapUpContact,
)
from router.intake import finish, has_room_to_finish, open_channel, open_conversation
from router.memory import Contact
from router.model import conversation_id, derive_id
from router.offers import EXCLUDE_S, accepted, make
from router.participants import hand_over
from router.presence import after_work
from router.replies import refuse
from router.skills import can_serve, requirement_sets
from router.talks import give_back, put_on_hold, take_up
from router.turn import OK, Answer, Refusal, Turn


def send_message(turn: Turn, wish: SendMessage) -> Answer:
    contact = turn.contact(wish.contact)
    guest = contact.participants.get(wish.agent)
    if wish.private:
        profile = turn.pool.profile(wish.agent)
        if contact.agent != wish.agent and guest is None and (profile is None or profile.role == "agent"):
            raise Refusal(409, "not-yours")
    else:
        if guest is None or not guest.speaks:
            contact = turn.owned(wish.contact, wish.agent, "active", "held", "parked")
        if contact.kind == "voice":
            raise Refusal(409, "channel-has-no-messages")
        refuse(turn, turn.pool.conversations[contact.conversation], turn.content)
    _say(turn, contact, wish.agent, wish.private)
    return Answer(contact=contact.id)


def _say(turn: Turn, contact: Contact, agent: str, private: bool) -> None:
    conversation = turn.pool.conversations[contact.conversation]
    turn.emit(
        events.MessageAdded(
            conversation=conversation.id,
            contact=contact.id,
            message=turn.input,
            number=conversation.messages + 1,
            author="agent",
            agent=agent,
            private=private,
        )
    )
    if private or contact.kind == "chat":
        return  # our own chat reads the journal; there is no provider to hand the message to
    turn.request(
        Deliver(
            channel=contact.channel,
            key=turn.input,
            conversation=conversation.id,
            contact=contact.id,
            thread=conversation.thread,
            identity=conversation.identity,
        )
    )


def hold(turn: Turn, wish: HoldContact) -> Answer:
    contact = turn.owned(wish.contact, wish.agent, "active")
    _needs_a_talk(contact)
    put_on_hold(turn, contact)
    return OK


def resume(turn: Turn, wish: ResumeContact) -> Answer:
    contact = turn.owned(wish.contact, wish.agent, "held", "parked")
    if turn.pool.profile(wish.agent) is None:
        raise Refusal(409, "not-configured")
    if contact.has_legs and any(guest.role == "consulted" for guest in contact.participants.values()):
        raise Refusal(409, "somebody-is-consulted")  # what is said to the owner is not for the customer's ears
    if contact.status == "parked" and fits(turn.pool, turn.pool.agents[wish.agent], contact.kind) != (True, 0):
        raise Refusal(409, "no-capacity")
    take_up(turn, contact)
    return OK


def park(turn: Turn, wish: ParkContact) -> Answer:
    contact = turn.owned(wish.contact, wish.agent, "active", "held")
    if contact.kind == "voice":
        raise Refusal(409, "a-call-cannot-be-parked")
    turn.emit(events.ContactParked(contact=contact.id, reason="by_agent"))
    return OK


def transfer(turn: Turn, wish: TransferContact) -> Answer:
    """Back to the waiting in its old place, for another queue or person. The caller hears music meanwhile."""
    contact = turn.owned(wish.contact, wish.agent, "active", "held", "parked")
    if (wish.queue is None) == (wish.to_agent is None):
        raise Refusal(422, "name-a-queue-or-an-agent")
    if wish.queue is not None and wish.queue not in turn.pool.lookup.queues:
        raise Refusal(404, "unknown-queue")
    if wish.to_agent in contact.participants and contact.participants[wish.to_agent].role != "monitoring":
        return hand_over(turn, contact, wish.to_agent, wish.note)
    if wish.to_agent is not None and (wish.to_agent == wish.agent or not reachable(turn.pool, wish.to_agent)):
        raise Refusal(409, "agent-not-there")
    if wish.to_agent is not None and not _is_able(turn, contact, wish.to_agent):
        raise Refusal(409, "agent-lacks-skill")
    _needs_a_talk(contact)
    queue = wish.queue or contact.queue
    until = turn.now + turn.pool.lookup.queues[queue].prefer_for_s if queue in turn.pool.lookup.queues else None
    give_back(
        turn,
        contact,
        events.ContactRequeued(
            contact=contact.id,
            reason="transferred",
            queue=queue,
            prefers=(wish.to_agent,) if wish.to_agent else (),
            prefer_until=until if wish.to_agent else None,
            by=wish.agent,
            note=wish.note,
            excluded_until=turn.now + EXCLUDE_S,
        ),
    )
    return OK


def _is_able(turn: Turn, contact: Contact, agent: str) -> bool:
    """Whether somebody meets what a contact asks for in its queue. Walls hold for colleagues too."""
    profile = turn.pool.profile(agent)
    return profile is not None and can_serve(profile, requirement_sets(contact, turn.pool.lookup))


def wrap_up(turn: Turn, wish: WrapUpContact) -> Answer:
    contact = turn.owned(wish.contact, wish.agent, "active", "held", "parked")
    if not has_room_to_finish(turn, contact):
        raise Refusal(409, "no-capacity")
    end_call_of(turn, contact)
    finish(turn, contact)
    return OK


def _needs_a_talk(contact: Contact) -> None:
    """A call can be held or handed on once both are on the line."""
    if contact.has_legs and (contact.call is None or contact.leg is None):
        raise Refusal(409, "nobody-on-the-line")


def end_call_of(turn: Turn, contact: Contact) -> None:
    """Hang up whatever a contact still has on the line, or lets ring."""
    if contact.ringing is not None:
        turn.do(CancelLeg(channel=contact.channel, leg=contact.ringing))
    if contact.call is not None:
        turn.do(EndCaller(channel=contact.channel, call=contact.call))
    if contact.leg is not None:
        turn.do(CancelLeg(channel=contact.channel, leg=contact.leg))


def extend_wrap_up(turn: Turn, wish: ExtendWrapUp) -> Answer:
    contact = turn.owned(wish.contact, wish.agent, "wrapping")
    until = min((contact.wrap_until or turn.now) + max(0.0, wish.seconds), contact.since + MAX_WRAP_UP_S)
    turn.emit(events.ContactWrapping(contact=contact.id, until=until))
    return OK


def complete(turn: Turn, wish: CompleteContact) -> Answer:
    contact = turn.owned(wish.contact, wish.agent, "active", "held", "parked", "wrapping")
    known = turn.pool.queue(contact).dispositions
    if wish.disposition is not None and known and wish.disposition not in known:
        raise Refusal(422, "unknown-disposition")
    if contact.status != "wrapping":
        end_call_of(turn, contact)
    turn.emit(
        events.ContactCompleted(
            contact=contact.id, outcome="handled", disposition=wish.disposition, note=wish.note, by=wish.agent
        )
    )
    after_work(turn, wish.agent)
    return OK


def start(turn: Turn, wish: StartContact) -> Answer:
    """An agent's own mail, message or call. A call rings the agent first, then the customer."""
    channel = open_channel(turn, wish.channel)
    agent = turn.agent(wish.agent)
    brand = turn.pool.brand(channel.brand)
    profile = turn.pool.lookup.agents[agent.id]
    if not agent.connections or agent.presence == "offline":
        raise Refusal(409, "not-signed-in")
    if fits(turn.pool, agent, channel.kind) != (True, 0) or has_offer(turn.pool, agent):
        raise Refusal(409, "no-capacity")
    if channel.kind == "chat" or (channel.kind == "voice" and not profile.phone):
        raise Refusal(409, "cannot-start-here")
    queue = wish.queue or channel.queue or (brand.default_queue if brand else "")
    if queue not in turn.pool.lookup.queues:
        raise Refusal(404, "unknown-queue")
    known = turn.pool.conversations.get(conversation_id(channel.id, wish.thread))
    if known is not None and known.contact is not None:
        raise Refusal(409, "conversation-is-open")
    if known is not None and turn.content is not None:
        refuse(turn, known, turn.content)
    conversation = known or open_conversation(turn, channel, wish.thread, wish.identity, wish.language)
    id_ = derive_id("contact", turn.input)
    turn.emit(
        events.ContactOpened(
            contact=id_,
            conversation=conversation.id,
            direction="outbound",
            queue=queue,
            enqueued_at=turn.now,
            target_s=turn.pool.lookup.queues[queue].target(channel.kind),
            attributes=wish.attributes,
            language=wish.language,
        )
    )
    contact = turn.pool.contacts[id_]
    make(turn, contact, turn.pool.agents.get(agent.id) or agent, "begun")
    if contact.kind != "voice":
        if contact.offer is not None:
            accepted(turn, contact)
        if turn.content is not None:
            _say(turn, contact, agent.id, private=False)
    return Answer(contact=id_, status=201, code="created")
