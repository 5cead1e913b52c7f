"""Who is there: connections, presence, and what happens to the work of an agent who is lost.

An agent is lost when the last connection is gone. Nothing new is offered from that moment; offers go back after 5 s,
chats, SMS and social messages after 45 s; mail stays, parked, and a call lives as long as its leg. Coming back in time
changes nothing.
"""

from router import events
from router.capacity import INTERRUPTIBLE, cost
from router.eligible import reachable, used_units
from router.inputs import Connect, Disconnect, SetPresence, StartGateway
from router.memory import Agent
from router.model import Kind
from router.turn import OK, Answer, Refusal, Turn

LIVE: tuple[Kind, ...] = ("chat", "sms", "social")
"""Conversations in which somebody waits for an answer now."""


def connect(turn: Turn, wish: Connect) -> Answer:
    agent = turn.agent(wish.agent)
    if wish.connection not in agent.connections:
        turn.emit(events.AgentConnected(agent=agent.id, connection=wish.connection))
    return OK


def disconnect(turn: Turn, wish: Disconnect) -> Answer:
    agent = turn.pool.agents.get(wish.agent)
    if agent is not None and wish.connection in agent.connections:
        _disconnected(turn, agent, wish.connection)
    return OK


def start_gateway(turn: Turn, wish: StartGateway) -> Answer:
    """Connections are named `gateway:boot:number`; a gateway's earlier ones died with it."""
    for agent in list(turn.pool.agents.values()):
        for connection in list(agent.connections):
            if connection.startswith(f"{wish.gateway}:"):
                _disconnected(turn, agent, connection)
    return OK


def _disconnected(turn: Turn, agent: Agent, connection: str) -> None:
    turn.emit(events.AgentDisconnected(agent=agent.id, connection=connection))
    if not agent.connections and agent.kept_for is not None:
        turn.emit(events.AgentLetGo(agent=agent.id, reason="agent-lost"))


def set_presence(turn: Turn, wish: SetPresence) -> Answer:
    agent = turn.agent(wish.agent)
    if wish.by not in (None, wish.agent) and wish.presence == "available" and not agent.connections:
        raise Refusal(409, "not-connected")
    if wish.when == "after" and agent.contacts:
        turn.emit(events.PresencePlanned(agent=agent.id, presence=wish.presence, reason=wish.reason))
        return Answer(code="planned")
    if wish.presence == "draining" and not agent.contacts:
        change(turn, agent.id, "offline", wish.reason, wish.by)
    elif (agent.presence, agent.reason) != (wish.presence, wish.reason) or agent.planned is not None:
        change(turn, agent.id, wish.presence, wish.reason, wish.by)
    return OK


def change(turn: Turn, agent: str, presence: str, reason: str | None = None, by: str | None = None) -> None:
    """Change presence. Offers open to somebody who is no longer available go back without blame; who goes offline
    leaves live conversations to others, while mail and tasks are parked until their customer's next word."""
    from router.offers import withdraw

    for contact in turn.pool.assigned(turn.pool.agents[agent]) if agent in turn.pool.agents else ():
        if contact.status == "offered" and presence != "available":
            withdraw(turn, contact, "agent-left")
        elif presence == "offline" and contact.kind in LIVE and contact.status in ("active", "held", "parked"):
            why = "agent-lost" if reason == "lost" else "agent-left"
            turn.emit(events.ContactRequeued(contact=contact.id, queue=contact.queue, reason=why))
        elif presence == "offline" and contact.kind in INTERRUPTIBLE and contact.is_in_hand:
            turn.emit(events.ContactParked(contact=contact.id, reason="by_agent"))
    if presence == "offline" and agent in turn.pool.agents:
        for attended in list(turn.pool.agents[agent].attends):
            turn.dismiss(turn.pool.contacts[attended], agent, "left")
    kept = turn.pool.agents.get(agent)
    if presence != "available" and kept is not None and kept.kept_for is not None:
        turn.emit(events.AgentLetGo(agent=agent, reason="agent-left"))
    turn.emit(events.PresenceChanged(agent=agent, presence=presence, reason=reason, by=by))  # type: ignore[arg-type]
    free_those_who_wait_for(turn, agent)


def dismiss(turn: Turn, agent: str) -> None:
    """Somebody is no longer configured: what is held goes to others, but for a call, which lives as long as its leg."""
    change(turn, agent, "offline", "removed")
    for contact in turn.pool.assigned(turn.pool.agents[agent]):
        if contact.kind in INTERRUPTIBLE and contact.status == "parked":
            turn.emit(events.ContactRequeued(contact=contact.id, queue=contact.queue, reason="agent-left"))


def free_those_who_wait_for(turn: Turn, agent: str) -> None:
    """Nobody waits for a person who has gone, unless another of the preferred is still there."""
    if reachable(turn.pool, agent):
        return
    waiting = [c for c in turn.pool.contacts.values() if c.status == "queued" and agent in c.prefers]
    for contact in waiting:
        if not any(reachable(turn.pool, other) for other in contact.prefers):
            turn.emit(events.PreferenceEnded(contact=contact.id))


def after_work(turn: Turn, agent_id: str) -> None:
    """An assignment or offer has ended: take up what was interrupted, else what was planned."""
    agent = turn.pool.agents[agent_id]
    profile = turn.pool.profile(agent_id)
    units = profile.units if profile else 0
    for contact in turn.pool.assigned(agent):
        if contact.parked_for == "interrupted" and used_units(turn.pool, agent) + cost(contact.kind) <= units:
            turn.emit(events.ContactResumed(contact=contact.id))
    if agent.contacts:
        return
    if agent.planned is not None:
        change(turn, agent_id, *agent.planned)
    elif agent.presence == "draining":
        change(turn, agent_id, "offline")


def lost_offers(turn: Turn, agent: Agent) -> None:
    from router.offers import withdraw

    for contact in turn.pool.assigned(agent):
        if contact.status == "offered":
            withdraw(turn, contact, "agent-lost")


def lost(turn: Turn, agent: Agent) -> None:
    change(turn, agent.id, "offline", "lost")
