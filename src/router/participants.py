"""Who else is in a contact: colleagues who are consulted or joined, and supervisors who listen, whisper, barge in, move
and take over.

A contact has one owner; participants come and go beside it, and all go when the owner does (turn.py). On a call a
participant has a leg of its own, rung like an agent's and let into the same room.
"""

from router import events
from router.effects import CancelLeg, RingLeg
from router.eligible import fits, has_offer, is_open
from router.inputs import (
    ConferenceContact,
    ConsultAgent,
    LeaveContact,
    MonitorContact,
    MoveContact,
    ReprioritiseContact,
    TakeOver,
)
from router.memory import Agent, Contact
from router.model import Manner, Role, derive_id
from router.offers import accepted, make, make_room, withdraw
from router.presence import after_work
from router.talks import give_back, put_on_hold, renew_manners, set_manner, take_up, to_the_room
from router.turn import OK, Answer, Refusal, Turn

MAX_PARTICIPANTS = 8
GUEST_RINGS_S = 30.0


def consult(turn: Turn, wish: ConsultAgent) -> Answer:
    """On a call the customer is held first: what is asked is not for his ears."""
    contact = turn.owned(wish.contact, wish.agent, "active", "held")
    guest = _can_come(turn, contact, wish.to_agent)
    if contact.kind == "voice" and not is_open(turn.pool, guest, "voice"):
        raise Refusal(409, "agent-not-open")
    if contact.has_legs and (contact.call is None or contact.leg is None):
        raise Refusal(409, "nobody-on-the-line")
    if contact.call is not None and contact.status == "active":
        put_on_hold(turn, contact)
    _come_in(turn, contact, guest, "consulted")
    return OK


def conference(turn: Turn, wish: ConferenceContact) -> Answer:
    contact = turn.owned(wish.contact, wish.agent, "active", "held")
    consulted = [agent for agent, guest in contact.participants.items() if guest.role == "consulted"]
    if not consulted:
        raise Refusal(409, "nobody-consulted")
    for agent in consulted:
        turn.emit(events.ParticipantJoined(contact=contact.id, agent=agent, role="joined"))
    if contact.status == "held":
        take_up(turn, contact)
    return OK


def monitor(turn: Turn, wish: MonitorContact) -> Answer:
    """Come in, or, for whoever monitors already, another manner: on a call the same leg is heard otherwise."""
    contact = turn.contact(wish.contact)
    if not contact.is_in_hand:
        raise Refusal(409, f"contact-is-{contact.status}")
    _must_be_possible(contact, wish.manner)
    guest = contact.participants.get(wish.agent)
    if guest is not None and guest.role == "monitoring" and guest.manner != wish.manner:
        joined = events.ParticipantJoined(contact=contact.id, agent=wish.agent, role="monitoring", manner=wish.manner)
        turn.emit(joined)
        set_manner(turn, contact, wish.agent)
        return OK
    supervisor = _can_come(turn, contact, wish.agent)
    if contact.kind == "voice" and not _has_ears(turn, supervisor):
        raise Refusal(409, "agent-not-open")
    _come_in(turn, contact, supervisor, "monitoring", wish.manner)
    return OK


def _must_be_possible(contact: Contact, manner: Manner) -> None:
    """In writing a whisper is a private note, which whoever listens may write anyway."""
    if contact.kind == "voice" and not contact.has_legs and manner != "listen":
        raise Refusal(409, "call-is-elsewhere")
    if contact.kind != "voice" and manner == "whisper":
        raise Refusal(409, "whisper-by-note")


def leave(turn: Turn, wish: LeaveContact) -> Answer:
    """One goes oneself; only the owner sends others away, and nobody a supervisor who listens."""
    contact = turn.contact(wish.contact)
    guest = contact.participants.get(wish.agent)
    if guest is None:
        raise Refusal(404, "no-participant")
    if wish.by not in (None, wish.agent) and (wish.by != contact.agent or guest.role == "monitoring"):
        raise Refusal(403, "not-yours")
    turn.dismiss(contact, wish.agent, "left", wish.by)
    after_work(turn, wish.agent)
    return OK


def hand_over(turn: Turn, contact: Contact, to_agent: str, note: str | None) -> Answer:
    """A transfer to somebody who is in the contact already: no offer, no music, the talk goes on."""
    owner = contact.agent or ""
    guest = contact.participants[to_agent]
    if contact.has_legs and guest.leg is None:
        raise Refusal(409, "nobody-on-the-line")
    # Whoever is on a call has room for it; to read along in a chat takes none.
    if contact.kind != "voice" and fits(turn.pool, turn.pool.agents[to_agent], contact.kind) != (True, 0):
        raise Refusal(409, "no-capacity")
    for other in [name for name, one in contact.participants.items() if one.role == "consulted" and name != to_agent]:
        turn.dismiss(contact, other, "over")
        after_work(turn, other)
    leg, was_held = contact.leg, contact.status == "held"
    turn.emit(events.ContactHandedOver(contact=contact.id, agent=to_agent, note=note))
    if was_held:
        to_the_room(turn, contact)
    if leg is not None:
        turn.do(CancelLeg(channel=contact.channel, leg=leg))
    renew_manners(turn, contact, "whisper")
    after_work(turn, owner)
    return OK


# -- supervisors


def move(turn: Turn, wish: MoveContact) -> Answer:
    """The place in line goes with it."""
    contact = turn.contact(wish.contact)
    if wish.queue not in turn.pool.lookup.queues:
        raise Refusal(404, "unknown-queue")
    if contact.status not in ("queued", "offered"):
        raise Refusal(409, f"contact-is-{contact.status}")
    if contact.direction == "outbound" and contact.has_legs:
        raise Refusal(409, "an-own-call")
    if contact.status == "offered":
        withdraw(turn, contact, "moved")
    turn.emit(events.ContactRequeued(contact=contact.id, queue=wish.queue, reason="moved", by=wish.by))
    return OK


def reprioritise(turn: Turn, wish: ReprioritiseContact) -> Answer:
    contact = turn.contact(wish.contact)
    if contact.status not in ("queued", "offered"):
        raise Refusal(409, f"contact-is-{contact.status}")
    if wish.tier is None and wish.head_start_s is None:
        raise Refusal(422, "name-a-tier-or-a-head-start")
    if contact.promoted and wish.tier is not None:
        raise Refusal(409, "already-first")
    head_start_s = contact.head_start_s if wish.head_start_s is None else wish.head_start_s
    tier = contact.hand_tier if wish.tier is None else wish.tier
    turn.emit(events.ContactReprioritised(contact=contact.id, tier=tier, head_start_s=head_start_s, by=wish.by))
    return OK


def take_over(turn: Turn, wish: TakeOver) -> Answer:
    """From the line or from its owner. A caller hears music until the supervisor's phone is answered."""
    contact, agent = turn.contact(wish.contact), turn.agent(wish.agent)
    if contact.agent == agent.id or (contact.offer is not None and contact.offer.agent == agent.id):
        raise Refusal(409, "yours-already")
    is_begun = contact.direction == "outbound" or contact.agent is not None
    is_dialling = contact.has_legs and contact.call is None and is_begun  # a customer's phone may ring for its owner
    if contact.status in ("wrapping", "scheduled") or is_dialling:
        raise Refusal(409, f"contact-is-{contact.status}")
    if agent.id in contact.participants and contact.kind == "voice":
        turn.dismiss(contact, agent.id, "takes-over")  # whoever listens to a call has room for it
    else:
        _must_have_room(turn, contact, agent)
    if contact.agent is not None and not contact.has_legs:
        owner = contact.agent
        turn.emit(events.ContactTakenOver(contact=contact.id, agent=agent.id))
        after_work(turn, owner)
        return OK
    if contact.status == "offered":
        withdraw(turn, contact, "taken-over")
    elif contact.agent is not None:
        back = events.ContactRequeued(contact=contact.id, queue=contact.queue, reason="taken-over", by=agent.id)
        give_back(turn, contact, back)
    make(turn, contact, turn.pool.agents[agent.id], "taken")
    if contact.offer is not None and not contact.has_legs:
        accepted(turn, contact)
    return OK


def _must_have_room(turn: Turn, contact: Contact, agent: Agent) -> None:
    if contact.has_legs and not _has_ears(turn, agent):
        raise Refusal(409, "agent-not-open")
    if not agent.connections or agent.presence == "offline":
        raise Refusal(409, "not-signed-in")
    if fits(turn.pool, agent, contact.kind) != (True, 0):
        raise Refusal(409, "no-capacity")


# -- coming in


def _can_come(turn: Turn, contact: Contact, agent_id: str) -> Agent:
    """Whoever can be let in. Refuses with 404 or 409."""
    agent = turn.agent(agent_id)
    if agent.id == contact.agent or agent.id in contact.participants:
        raise Refusal(409, "is-in-already")
    if len(contact.participants) >= MAX_PARTICIPANTS:
        raise Refusal(409, "too-many-participants")
    if not agent.connections or agent.presence == "offline":
        raise Refusal(409, "agent-not-there")
    return agent


def _has_ears(turn: Turn, agent: Agent) -> bool:
    """A supervisor need not take offers to listen or to take over, but have a phone that is not in use."""
    profile = turn.pool.profile(agent.id)
    if profile is None or not profile.phone or not agent.connections or agent.presence == "offline":
        return False
    return not has_offer(turn.pool, agent) and fits(turn.pool, agent, "voice") == (True, 0)


def _come_in(turn: Turn, contact: Contact, agent: Agent, role: Role, manner: Manner | None = None) -> None:
    key = derive_id("guest", contact.id, agent.id, turn.input) if contact.has_legs else None
    turn.emit(events.ParticipantJoined(contact=contact.id, agent=agent.id, role=role, key=key, manner=manner))
    make_room(turn, turn.pool.agents[agent.id])
    profile = turn.pool.profile(agent.id)
    if key is not None and profile is not None:
        turn.request(
            RingLeg(
                channel=contact.channel,
                key=key,
                contact=contact.id,
                side="monitor" if role == "monitoring" else "agent",
                address=profile.phone or "",
                timeout_s=GUEST_RINGS_S,
            )
        )
