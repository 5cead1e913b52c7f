"""Whether an agent may be given a contact now: as lanes for the indexes, and as the first reason why not, in words.

Both say the same in two ways; the tests compare them after every step.
"""

from typing import TYPE_CHECKING

from router import capacity
from router.cells import CLOSED, INTERRUPTING, Lanes, State
from router.config import Agent as Profile
from router.memory import Agent, Contact
from router.model import KINDS, Kind
from router.skills import Requirements, lacks, requirement_sets

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
    return sum(capacity.cost(contact.kind) for contact in pool.assigned(agent) if contact.status != "parked")


def held_kinds(pool: "Pool", agent: Agent) -> list[tuple[Kind, bool]]:
    """(kind, can be interrupted now) of everything that holds an agent's units."""
    if not agent.contacts:
        return []
    return [(c.kind, c.status in ("active", "held")) for c in pool.assigned(agent) if c.status != "parked"]


def fits(pool: "Pool", agent: Agent, kind: Kind) -> tuple[bool, int]:
    """Whether the agent has room for one more of a kind, and how many units must be interrupted for it."""
    profile = pool.profile(agent.id)
    if profile is None:
        return False, 0
    return capacity.fits(kind, held_kinds(pool, agent), profile.units, profile.maximum, profile.at_once)


# -- for the indexes


def idle_lanes(profile: Profile) -> Lanes:
    """The lanes of somebody who holds nothing."""
    return tuple(
        0
        if capacity.fits(kind, [], profile.units, profile.maximum, profile.at_once)[0]
        and (kind != "voice" or profile.phone)
        else -1
        for kind in KINDS
    )


def state_of(pool: "Pool", agent: Agent) -> State:
    """An agent as the indexes see one."""
    if not signed_in(agent):
        return False, agent.idle_stamp, CLOSED, False
    profile = pool.profile(agent.id)
    if profile is None or agent.cools_until is not None:
        return True, agent.idle_stamp, CLOSED, False
    if not agent.contacts:
        return True, agent.idle_stamp, pool.idle_lanes(profile), True
    return True, agent.idle_stamp, _lanes(pool, agent, profile), False


def _lanes(pool: "Pool", agent: Agent, profile: Profile) -> Lanes:
    if any(contact.status == "offered" for contact in pool.assigned(agent)):
        return CLOSED
    held = held_kinds(pool, agent)
    load = min(FULL_LOAD, sum(capacity.cost(kind) for kind, _ in held) * FULL_LOAD // profile.units)
    found = []
    for kind, idle in zip(KINDS, pool.idle_lanes(profile), strict=True):
        lane = -1
        if idle >= 0:
            open_, short = capacity.fits(kind, held, profile.units, profile.maximum, profile.at_once)
            if open_:
                lane = load + INTERRUPTING if short else load
        found.append(lane)
    return tuple(found)


# -- in words


def why_not_open(pool: "Pool", agent: Agent, kind: Kind) -> str | None:
    """Why an agent can be given nothing of this kind now, in plain words; None when open."""
    profile = pool.profile(agent.id)
    if profile is None:
        return "not in the configuration"
    if agent.presence != "available":
        return agent.presence + (f" ({agent.reason})" if agent.reason else "")
    if not agent.connections:
        return "not connected"
    if agent.cools_until is not None:
        return f"cooling down until {pool.local(agent.cools_until):%H:%M:%S}"
    if kind == "voice" and not profile.phone:
        return "has no phone"
    if any(contact.status == "offered" for contact in pool.assigned(agent)):
        return "has an open offer"
    if fits(pool, agent, kind)[0]:
        return None
    held = held_kinds(pool, agent)
    same = sum(1 for other, _ in held if other == kind)
    most = profile.maximum.get(kind, capacity.MAXIMUM[kind])
    if same >= most:
        return f"{kind} {same} of {most}"
    if profile.at_once is not None and len(held) >= profile.at_once:
        return f"{len(held)} of {profile.at_once} contacts"
    return f"{used_units(pool, agent)} of {profile.units} units"


def excluded(pool: "Pool", contact: Contact, agent_id: str) -> bool:
    """An exclusion is ignored while nobody else who is signed in could take the contact."""
    if agent_id not in contact.excluded:
        return False
    return any(
        any(other not in contact.excluded and _could_serve(pool, pool.agents[other], requires) for other in pool.agents)
        for _, requires in requirement_sets(contact, pool.lookup)
        if _could_serve(pool, pool.agents[agent_id], requires)
    )


def _could_serve(pool: "Pool", agent: Agent, requires: Requirements) -> bool:
    profile = pool.profile(agent.id)
    return profile is not None and signed_in(agent) and lacks(profile, requires) is None


def why_not(pool: "Pool", contact: Contact, agent: Agent) -> str | None:
    """Why an agent is passed over for a contact: the first reason; None when eligible."""
    profile = pool.profile(agent.id)
    if profile is not None:
        missing = [lacks(profile, requires) for _, requires in requirement_sets(contact, pool.lookup)]
        need = None if None in missing else missing[0]
        if need is not None:
            level = profile.level(need.skill)
            return f"lacks {need.skill}" if level is None else f"skill {need.skill} {level} < {need.level}"
    closed = why_not_open(pool, agent, contact.kind)
    if closed is not None:
        return closed
    if excluded(pool, contact, agent.id):
        return f"excluded until {pool.local(contact.excluded[agent.id]):%H:%M:%S}"
    return None
