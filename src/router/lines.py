"""A campaign's lines: they ring before an agent has them, and end in one of many ways.

Who answers goes to whoever of those kept has been idle longest, and who has not reached an agent in time hears why. What
the provider tells late, or never, ends a line too.
"""

from router import events
from router.effects import CancelLeg, EndCaller, RingLeg
from router.inputs import AnswerLeg
from router.memory import Agent, Contact, Send
from router.offers import make, timed_out, withdraw
from router.presence import after_work
from router.state import Pool
from router.turn import Answer, Turn

CONNECT_WITHIN_S = 2.0
"""Within which an agent must be there, for a campaign that is configured no more."""
FAIR_S = 1.0
"""Whoever was given this long to pick up, and did not, is blamed."""
DIAL_WITHIN_S = 2.0
"""Between leave to call and the call (routing.md, Blending and outbound)."""

ENDS = {"busy": "busy", "failed": "invalid"}
"""How a line's causes are told; of all others nobody answered."""


def line(pool: Pool, key: str) -> Contact | None:
    """The contact that a campaign's ringing line belongs to."""
    for state in pool.memory.campaigns.values():
        if key in state.lines:
            return pool.contacts[state.lines[key]]
    return None


def calls_a_person(pool: Pool, send: Send) -> bool:
    """Whether an order is to ring somebody whom a campaign calls."""
    contact = pool.contacts.get(send.contact)
    ring = send.effect
    return (
        isinstance(ring, RingLeg) and ring.side == "customer" and contact is not None and contact.campaign is not None
    )


def is_stale(turn: Turn, send: Send) -> bool:
    """Too long ago was it allowed: what was checked then may be otherwise now."""
    return calls_a_person(turn.pool, send) and turn.now - send.at > DIAL_WITHIN_S


def answered(turn: Turn, contact: Contact, wish: AnswerLeg) -> Answer:
    """A line was picked up. A machine is hung up on; a person goes to whoever is kept, longest idle first."""
    if wish.answered_by in ("machine", "fax"):
        turn.do(CancelLeg(channel=contact.channel, leg=wish.leg))
        turn.emit(events.ContactCompleted(contact=contact.id, outcome=wish.answered_by))
        return Answer(contact=contact.id)
    rules = turn.pool.lookup.campaigns.get(contact.campaign or "")
    within_s = rules.connect_within_s if rules is not None else CONNECT_WITHIN_S
    turn.emit(
        events.LineAnswered(
            contact=contact.id, leg=wish.leg, reach_by=turn.now + within_s, answered_by=wish.answered_by
        )
    )
    connect(turn, contact)
    return Answer(contact=contact.id)


def connect(turn: Turn, contact: Contact) -> None:
    """Somebody has answered: to whoever is kept and has been idle longest, or the next when that one's phone failed."""
    kept = longest_idle(turn.pool, contact.campaign or "")
    agent = next((agent for agent in kept if agent.id not in contact.excluded), None)
    if agent is not None:
        make(turn, contact, agent, "kept")


def line_ended(turn: Turn, contact: Contact, cause: str) -> None:
    turn.emit(events.ContactCompleted(contact=contact.id, outcome=ENDS.get(cause, "no_answer")))  # type: ignore[arg-type]


def stale(turn: Turn, contact: Contact) -> None:
    give_up(turn, contact, "stale")


def line_lost(turn: Turn, contact: Contact) -> None:
    """Nobody has told how it ended; perhaps it never rang. It is not guessed, and nobody is called again for it."""
    give_up(turn, contact, "uncertain")


def nobody_free(turn: Turn, contact: Contact) -> None:
    """Somebody has answered and no agent is there in time: told why, and let go. An agent who has let it ring will not
    have the next one too; one whose phone nobody has dialled, for the worker is away, has let nothing ring."""
    rang_s = turn.now - contact.offer.made_at if contact.offer is not None and contact.offer.leg is not None else 0.0
    if rang_s >= FAIR_S:
        timed_out(turn, contact, turn.now - turn.at)
    elif contact.offer is not None:
        withdraw(turn, contact, "too-late")
    if contact.call is not None:
        turn.do(EndCaller(channel=contact.channel, call=contact.call, say="nobody_free", language=contact.language))
    turn.emit(events.ContactCompleted(contact=contact.id, outcome="nobody_free"))


def longest_idle(pool: Pool, campaign: str) -> list[Agent]:
    kept = [pool.agents[id_] for id_ in pool.kept.get(campaign, ())]
    return sorted(kept, key=lambda agent: (agent.idle_stamp, agent.id))


def give_up(turn: Turn, contact: Contact, outcome: str) -> None:
    """Before anybody has answered: every phone that rings, or waits, is hung up."""
    agent = contact.agent
    for leg in (contact.leg, contact.ringing):
        if leg is not None:
            turn.do(CancelLeg(channel=contact.channel, leg=leg))
    turn.emit(events.ContactCompleted(contact=contact.id, outcome=outcome))  # type: ignore[arg-type]
    if agent is not None:
        after_work(turn, agent)
