"""Whether an agent may be given a contact now, as lanes for the indexes.

`router.reasons` says the same a second time, as the first reason why not; the tests compare them after every step.
"""

from typing import TYPE_CHECKING

from router import capacity
from router.cells import CLOSED, IDLE, INTERRUPTING, KIND_NUMBER, SIGNED, Lanes, State
from router.config import Agent as Profile
from router.memory import Agent
from router.model import KINDS, Kind

if TYPE_CHECKING:
    from router.state import Pool

FULL_LOAD = 8
"""Load is counted in eighths of an agent's units."""


def reachable(pool: "Pool", agent_id: str) -> bool:
    """On shift, if perhaps busy or away for a moment: worth waiting for."""
    agent = pool.agents.get(agent_id)
    return agent is not None and agent.presence in ("available", "away")


def signed_in(agent: Agent) -> bool:
    return agent.presence == "available" and bool(agent.connections)


def used_units(pool: "Pool", agent: Agent) -> int:
    """Capacity units in use: offers and wrap-up hold theirs, parked contacts do not."""
    return sum([capacity.cost(kind) for kind, _ in held_kinds(pool, agent)])


def held_kinds(pool: "Pool", agent: Agent) -> list[tuple[Kind, bool]]:
    """(kind, can be interrupted now) of everything that holds an agent's units."""
    contacts, held = pool.contacts, []
    for id_ in agent.contacts:
        contact = contacts[id_]
        status = contact.status
        if status != "parked":
            held.append((contact.kind, status == "active" or status == "held"))
    return held + attended(pool, agent) if agent.attends else held


def has_offer(pool: "Pool", agent: Agent) -> bool:
    """Whether something is offered to the agent now: one thing at a time."""
    contacts = pool.contacts
    for id_ in agent.contacts:  # noqa: SIM110 - asked at every change of an agent: a generator costs as much again
        if contacts[id_].status == "offered":
            return True
    return False


def attended(pool: "Pool", agent: Agent) -> list[tuple[Kind, bool]]:
    """Calls of others that the agent is on: one has but two ears. To read along costs nothing."""
    kinds = (pool.contacts[id_].kind for id_ in agent.attends if id_ in pool.contacts)
    return [(kind, False) for kind in kinds if kind == "voice"]


def fits(pool: "Pool", agent: Agent, kind: Kind) -> tuple[bool, int]:
    """Whether the agent has room for one more of a kind, and how many units must be interrupted for it."""
    profile = pool.profile(agent.id)
    if profile is None or agent.kept_for is not None:
        return False, 0
    return capacity.fits(kind, held_kinds(pool, agent), profile.units, profile.maximum, profile.at_once)


# -- for the indexes


def state_of(pool: "Pool", agent: Agent) -> State:
    """An agent as the indexes see one."""
    if not signed_in(agent):
        return 0, agent.idle_stamp, CLOSED
    profile = pool.profile(agent.id)
    if profile is None or agent.cools_until is not None or agent.kept_for is not None:
        return SIGNED, agent.idle_stamp, CLOSED
    if not agent.contacts and not agent.attends:
        return SIGNED | IDLE, agent.idle_stamp, pool.lanes(profile, ())
    return SIGNED, agent.idle_stamp, _lanes(pool, agent, profile)


def is_open(pool: "Pool", agent: Agent, kind: Kind) -> bool:
    """Whether an agent could be offered a contact of this kind now."""
    return state_of(pool, agent)[2][KIND_NUMBER[kind]] >= 0


def _lanes(pool: "Pool", agent: Agent, profile: Profile) -> Lanes:
    return CLOSED if has_offer(pool, agent) else pool.lanes(profile, tuple(held_kinds(pool, agent)))


def room_of(profile: Profile) -> tuple[object, ...]:
    """All of a profile that `lanes_of` depends on."""
    return profile.units, profile.at_once, bool(profile.phone), tuple(sorted(profile.maximum.items()))


def lanes_of(profile: Profile, held: tuple[tuple[Kind, bool], ...]) -> Lanes:
    """The lanes of somebody who holds this: (kind, can be interrupted now) of each contact."""
    load = min(FULL_LOAD, sum(capacity.cost(kind) for kind, _ in held) * FULL_LOAD // profile.units)
    found = []
    for kind in KINDS:
        open_, short = capacity.fits(kind, held, profile.units, profile.maximum, profile.at_once)
        reachable_ = kind != "voice" or bool(profile.phone)
        found.append((load + INTERRUPTING if short else load) if open_ and reachable_ else -1)
    return tuple(found) if max(found) >= 0 else CLOSED
