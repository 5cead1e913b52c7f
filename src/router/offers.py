"""Life of an offer: a lease on a contact, made to one agent, that ends in exactly one way.

Accepted, declined, timed out (then the agent is `unresponsive` until back by hand: RONA), or withdrawn (the place in
line is kept and nobody is blamed).
"""

from router import capacity, events
from router.callbacks import UNDIALLED, unreached
from router.effects import CancelLeg, JoinCaller, RingLeg
from router.eligible import used_units
from router.inputs import AcceptOffer, DeclineOffer
from router.memory import Agent, Contact, Offer, leg_key
from router.model import ByHand, derive_id
from router.presence import after_work, free_those_who_wait_for
from router.talks import CUSTOMER_RINGS_S, renew_manners, ring_customer
from router.turn import Answer, Refusal, Turn
from router.waits import pass_on

EXCLUDE_S = 60.0
"""How long a contact is not offered again to an agent who declined it or let it ring."""
MAX_EXCLUSIONS_OF_AN_AGENT = 32
LEG_COOLDOWN_S = 5.0
"""How long an agent whose phone could not be reached is offered nothing."""
OUTAGE_S = 5.0
"""An offer that is found this late ended because we were away: nobody is blamed."""


def make(turn: Turn, contact: Contact, agent: Agent, hand: ByHand | None = None) -> None:
    queue = turn.pool.queue(contact)
    customer_first = turn.pool.calls_customer_first(contact)
    before_s = CUSTOMER_RINGS_S if customer_first else 0.0
    attempt = contact.attempt + 1
    offer = derive_id("offer", contact.id, str(attempt))
    turn.emit(
        events.OfferMade(
            offer=offer,
            contact=contact.id,
            agent=agent.id,
            attempt=attempt,
            shown_until=turn.now + before_s + queue.offer_timeout_s,
            hand=hand,
        )
    )
    if customer_first:
        ring_customer(turn, contact, leg_key(contact, "customer"), side="first")
    elif turn.pool.rings_at_once(contact):
        ring_agent(turn, contact, agent.id, offer)
    elif queue.auto_accept and not contact.has_legs:
        accepted(turn, contact)


def ring_agent(turn: Turn, contact: Contact, agent: str, key: str) -> None:
    profile = turn.pool.profile(agent)
    turn.request(
        RingLeg(
            channel=contact.channel,
            key=key,
            contact=contact.id,
            side="agent",
            address=(profile.phone if profile else None) or "",
            timeout_s=turn.pool.queue(contact).offer_timeout_s,
            at_once=contact.reach_by is not None or contact.called_back,
        )
    )


def accept(turn: Turn, wish: AcceptOffer) -> Answer:
    contact, _ = _open_offer(turn, wish.offer, wish.agent)
    if turn.pool.rings_customer(contact):
        raise Refusal(409, "customer-first")
    if turn.pool.rings_at_once(contact):
        raise Refusal(409, "answer-the-phone")
    accepted(turn, contact)
    if contact.has_legs:
        ring_agent(turn, contact, wish.agent, derive_id("leg", contact.id, str(contact.attempt)))
    return Answer(contact=contact.id)


def accepted(turn: Turn, contact: Contact) -> None:
    """The offer becomes an assignment; work that may be interrupted makes room."""
    offer = contact.offer
    assert offer is not None
    turn.emit(events.OfferAccepted(offer=offer.id, contact=contact.id, agent=offer.agent))
    make_room(turn, turn.pool.agents[offer.agent])


def make_room(turn: Turn, agent: Agent) -> None:
    """Work that may be interrupted is put aside for what has come on top of it."""
    profile = turn.pool.profile(agent.id)
    units = profile.units if profile else 0
    for other in turn.pool.assigned(agent):
        yields = other.kind in capacity.INTERRUPTIBLE and other.is_in_hand
        if yields and used_units(turn.pool, agent) > units:
            turn.emit(events.ContactParked(contact=other.id, reason="interrupted"))


def decline(turn: Turn, wish: DeclineOffer) -> Answer:
    contact, offer = _open_offer(turn, wish.offer, wish.agent)
    declined(turn, contact, offer, wish.reason)
    return Answer(contact=contact.id)


def declined(turn: Turn, contact: Contact, offer: Offer, reason: str | None) -> None:
    hang_up(turn, contact, offer)
    decline_open(turn, contact, offer, reason)


def decline_open(turn: Turn, contact: Contact, offer: Offer, reason: str | None) -> None:
    """Whoever declines more contacts at a time than an agent may be excluded from cools down until the next is over."""
    agent, until = offer.agent, turn.now + EXCLUDE_S
    others = [turn.pool.contacts[id_].excluded.get(agent) for id_ in turn.pool.excluding]
    ends = [end for end in others if end is not None]
    turn.emit(
        events.OfferDeclined(
            offer=offer.id,
            contact=contact.id,
            agent=agent,
            reason=reason,
            excluded_until=until,
            cools_until=min(ends) if len(ends) >= MAX_EXCLUSIONS_OF_AN_AGENT else None,
        )
    )
    over(turn, contact, agent)


def timed_out(turn: Turn, contact: Contact, lateness_s: float) -> None:
    offer = contact.offer
    assert offer is not None
    hang_up(turn, contact, offer)
    if turn.pool.rings_customer(contact):  # nobody has told how that ended, and it is not the agent's fault
        not_reached(turn, contact, "unknown" if contact.ringing is not None else UNDIALLED)
        return
    turn.emit(
        events.OfferTimedOut(
            offer=offer.id,
            contact=contact.id,
            agent=offer.agent,
            excluded_until=turn.now + EXCLUDE_S,
            blame=lateness_s <= OUTAGE_S,
        )
    )
    free_those_who_wait_for(turn, offer.agent)
    over(turn, contact, offer.agent)


def not_reached(turn: Turn, contact: Contact, cause: str) -> None:
    """The customer of a callback, who was rung before any agent's phone, is not there: its agent is free."""
    offer = contact.offer
    assert offer is not None
    turn.emit(events.OfferWithdrawn(offer=offer.id, contact=contact.id, agent=offer.agent, reason=f"customer-{cause}"))
    unreached(turn, contact, cause)
    after_work(turn, offer.agent)


def withdraw(turn: Turn, contact: Contact, reason: str, cools_until: float | None = None) -> None:
    offer = contact.offer
    assert offer is not None
    hang_up(turn, contact, offer)
    turn.emit(
        events.OfferWithdrawn(
            offer=offer.id, contact=contact.id, agent=offer.agent, reason=reason, cools_until=cools_until
        )
    )
    over(turn, contact, offer.agent)


def over(turn: Turn, contact: Contact, agent: str) -> None:
    """An offer has ended unaccepted. An own call that its agent did not take is over with it: nobody is on the line."""
    if contact.direction == "outbound" and contact.kind == "voice" and contact.call is None:
        turn.emit(events.ContactCompleted(contact=contact.id, outcome="failed"))
    after_work(turn, agent)


def hang_up(turn: Turn, contact: Contact, offer: Offer) -> None:
    """Stop the agent's phone from ringing, or the customer's who would be called first. A leg whose name we do not know yet
    is cancelled when we learn it."""
    for leg in (offer.leg, contact.ringing):
        if leg is not None:
            turn.do(CancelLeg(channel=contact.channel, leg=leg))


def joined(turn: Turn, contact: Contact, leg: str) -> None:
    """The agent's leg is in the room: bring the caller in."""
    turn.emit(events.LegJoined(contact=contact.id, leg=leg, side="agent"))
    if contact.call is not None:
        turn.do(JoinCaller(channel=contact.channel, contact=contact.id, call=contact.call))
    renew_manners(turn, contact, "whisper", "barge")


def _open_offer(turn: Turn, offer: str, agent: str) -> tuple[Contact, Offer]:
    contact = turn.pool.contact_of_offer(offer)
    if contact is None or contact.offer is None:
        raise Refusal(409, "offer-is-over")
    if contact.offer.agent != agent:
        raise Refusal(404, "unknown-offer")
    return contact, contact.offer


def settle(turn: Turn) -> None:
    """Bring what became waiting and who became free together, until nothing more fits. Never polls."""
    pool = turn.pool
    while pool.dirty_contacts or pool.dirty_agents or pool.outbound_looks_again():
        if pool.dirty_contacts:
            _offer_all(turn, [pool.contacts[id_] for id_ in pool.dirty_contacts if id_ in pool.contacts])
        if pool.dirty_agents:
            _give_all(turn, [pool.agents[id_] for id_ in pool.dirty_agents])
        if pool.outbound_looks_again() and not pool.dirty_contacts and not pool.dirty_agents:
            _offer_all(turn, pool.outbound_heads())


def _give_all(turn: Turn, freed: list[Agent]) -> None:
    """Give each the contact that comes first, longest idle first."""
    pool = turn.pool
    pool.dirty_agents.clear()
    if len(freed) > 1:
        freed.sort(key=lambda agent: (agent.idle_stamp, agent.id))
    for agent in freed:
        contact = pool.contact_for(agent)
        if contact is not None:
            make(turn, contact, _longest_idle(turn, contact, agent))


def _longest_idle(turn: Turn, contact: Contact, freed: Agent) -> Agent:
    """Outbound work may have waited for one more to be idle: then it goes to whoever has been idle longest."""
    if not contact.is_outbound:
        return freed
    chosen = turn.pool.agent_for(contact) or freed
    if chosen is not freed:
        turn.pool.look_again(freed)
    return chosen


def _offer_all(turn: Turn, waiting: list[Contact]) -> None:
    """Offer each to somebody, inbound work first, in order of their places."""
    pool = turn.pool
    pool.dirty_contacts.clear()
    places = pool.matching.line.waiters
    if len(waiting) > 1:
        waiting = [c for c in waiting if c.status == "queued"]
        waiting.sort(key=lambda c: (c.is_outbound, places[c.arrival].place))
    for contact in waiting:
        if contact.status == "queued" and pool.queue(contact).steps:
            pass_on(turn, contact)
        if contact.status == "queued" and contact.id in pool.contacts:
            agent = pool.agent_for(contact)
            if agent is not None:
                make(turn, contact, agent)
