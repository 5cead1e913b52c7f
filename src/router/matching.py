"""Who gets whom: the indexes over the waiting, and the pure choice with its explanation.

Contacts wait in one heap per group (queue, requirements, strategy), or, while they prefer somebody, in that agent's
personal heap. Removal is lazy: an entry counts only while it is the contact's current place.
"""

import heapq
from typing import TYPE_CHECKING

from router import capacity
from router.memory import Agent, Contact
from router.model import Kind
from router.queueing import Place, place
from router.skills import Requirements, lacks, requirements, score

if TYPE_CHECKING:
    from router.state import Pool

Group = tuple[str, Requirements, Kind]
Entry = tuple[Place, str]


class Waiting:
    """The waiting contacts of a pool, by group and by preferred agent."""

    def __init__(self, pool: "Pool") -> None:
        self.pool = pool
        self.offers: dict[str, str] = {c.offer.id: c.id for c in pool.contacts.values() if c.offer is not None}
        self.groups: dict[Group, list[Entry]] = {}
        self.personal: dict[str, list[Entry]] = {}
        self.current: dict[str, tuple[Place, Group, tuple[str, ...]]] = {}
        self.lengths: dict[str, int] = {}
        self.excluding: dict[str, None] = {}
        """Those who wait with an exclusion: it is ignored once nobody else is there, so they look again when one goes."""

    def put(self, contact: Contact) -> None:
        """Index a contact as it now is, or take it out when it no longer waits."""
        if contact.status != "queued":
            self.drop(contact)
            return
        queue = self.pool.queue(contact)
        group = (contact.queue, requirements(contact, queue), contact.kind)
        prefers = contact.prefers
        now = (place(contact, queue), group, prefers)
        if self.current.get(contact.id) == now and bool(contact.excluded) == (contact.id in self.excluding):
            return
        self.drop(contact)
        if contact.excluded:
            self.excluding[contact.id] = None
        self.current[contact.id] = now
        self.lengths[contact.queue] = self.lengths.get(contact.queue, 0) + 1
        for agent in prefers:
            heapq.heappush(self.personal.setdefault(agent, []), (now[0], contact.id))
        if not prefers:
            heapq.heappush(self.groups.setdefault(group, []), (now[0], contact.id))

    def drop(self, contact: Contact) -> None:
        was = self.current.pop(contact.id, None)
        if was is not None:
            self.lengths[was[1][0]] -= 1
        self.excluding.pop(contact.id, None)

    def of(self, queue: str) -> list[Contact]:
        """A queue's waiting contacts in the order in which they will be served."""
        mine = sorted((now[0], id_) for id_, now in self.current.items() if now[1][0] == queue)
        return [self.pool.contacts[id_] for _, id_ in mine]

    def positions(self) -> dict[str, int]:
        """Everybody's position in line at once."""
        counts: dict[str, int] = {}
        found: dict[str, int] = {}
        for _, queue, id_ in sorted((now[0], now[1][0], id_) for id_, now in self.current.items()):
            found[id_] = counts[queue] = counts.get(queue, 0) + 1
        return found

    def position(self, contact: Contact) -> int:
        """1 for the next one of its queue; 0 when it does not wait."""
        mine = self.current.get(contact.id)
        if mine is None:
            return 0
        return 1 + sum(1 for now in self.current.values() if now[1][0] == contact.queue and now[0] < mine[0])

    def best(self, heap: list[Entry], group: Group, agent: str) -> Entry | None:
        """The first entry of a heap that still counts and is not excluded for this agent."""
        aside: list[Entry] = []
        found: Entry | None = None
        while heap:
            entry = heap[0]
            now = self.current.get(entry[1])
            if now is None or now[0] != entry[0] or now[1] != group:
                heapq.heappop(heap)
            elif excluded(self.pool, self.pool.contacts[entry[1]], agent):
                aside.append(heapq.heappop(heap))
            else:
                found = entry
                break
        for entry in aside:
            heapq.heappush(heap, entry)
        return found

    def first_for(self, agent: Agent) -> Entry | None:
        """The first of those who wait for this agent in person that the agent can take now."""
        heap = self.personal.get(agent.id)
        if not heap:
            return None
        waiting = sorted({e for e in heap if (now := self.current.get(e[1])) and now[0] == e[0] and agent.id in now[2]})
        self.personal[agent.id] = waiting  # sorted is a heap, and what is over has gone
        takes = (entry for entry in waiting if why_not(self.pool, self.pool.contacts[entry[1]], agent) is None)
        return next(takes, None)


def reachable(pool: "Pool", agent_id: str) -> bool:
    """On shift, if perhaps busy or away for a moment: worth waiting for."""
    agent = pool.agents.get(agent_id)
    return agent is not None and agent.presence in ("available", "away")


def excluded(pool: "Pool", contact: Contact, agent_id: str) -> bool:
    """An exclusion is ignored while nobody else who is signed in could take the contact."""
    if agent_id not in contact.excluded:
        return False
    requires = requirements(contact, pool.queue(contact))
    return any(
        other != agent_id and other not in contact.excluded and _could_serve(pool, pool.agents[other], requires)
        for other in pool.agents
    )


def _could_serve(pool: "Pool", agent: Agent, requires: Requirements) -> bool:
    profile = pool.profile(agent.id)
    return profile is not None and _signed_in(agent) and lacks(profile, requires) is None


def _signed_in(agent: Agent) -> bool:
    return agent.presence == "available" and bool(agent.connections)


def why_not_open(pool: "Pool", agent: Agent, kind: Kind) -> str | None:
    """Why an agent can be given nothing of this kind now, in plain words; None when open."""
    profile = pool.profile(agent.id)
    if profile is None:
        return "not in the configuration"
    if agent.presence != "available":
        return agent.presence + (f" ({agent.reason})" if agent.reason else "")
    if not agent.connections:
        return "not connected"
    if agent.cools_until is not None and agent.cools_until > pool.t:
        return f"cooling down until {pool.local(agent.cools_until):%H:%M:%S}"
    if kind == "voice" and not profile.phone:
        return "has no phone"
    if agent.contacts and any(contact.status == "offered" for contact in pool.assigned(agent)):
        return "has an open offer"
    held = held_kinds(pool, agent)
    fits, _ = capacity.fits(kind, held, profile.units, profile.maximum)
    if not fits:
        same = sum(1 for other, _ in held if other == kind)
        most = profile.maximum.get(kind, capacity.MAXIMUM[kind])
        return f"{kind} {same} of {most}" if same >= most else f"{used_units(pool, agent)} of {profile.units} units"
    return None


def held_kinds(pool: "Pool", agent: Agent) -> list[tuple[Kind, bool]]:
    """(kind, can be interrupted now) of everything that holds an agent's units."""
    if not agent.contacts:
        return []
    return [(c.kind, c.status in ("active", "held")) for c in pool.assigned(agent) if c.status != "parked"]


def why_not(pool: "Pool", contact: Contact, agent: Agent, requires: Requirements | None = None) -> str | None:
    """Why an agent is passed over for a contact: the first reason; None when eligible."""
    profile = pool.profile(agent.id)
    if profile is not None:
        need = lacks(profile, requirements(contact, pool.queue(contact)) if requires is None else requires)
        if need is not None:
            level = profile.level(need.skill)
            return f"lacks {need.skill}" if level is None else f"skill {need.skill} {level} < {need.level}"
    closed = why_not_open(pool, agent, contact.kind)
    if closed is not None:
        return closed
    if excluded(pool, contact, agent.id):
        return f"excluded until {pool.local(contact.excluded[agent.id]):%H:%M:%S}"
    return None


def agent_for(pool: "Pool", contact: Contact) -> Agent | None:
    """The agent who should be offered a waiting contact now; None when it must wait."""
    prefers = pool.waiting.current[contact.id][2]
    for preferred in prefers:
        agent = pool.agents.get(preferred)
        if agent is not None and why_not(pool, contact, agent) is None:
            return agent
    if prefers:
        return None
    requires = requirements(contact, pool.queue(contact))
    eligible = [agent for agent in pool.agents.values() if why_not(pool, contact, agent, requires) is None]
    return min(eligible, key=lambda agent: _order(pool, contact, agent, requires), default=None)


def _order(pool: "Pool", contact: Contact, agent: Agent, requires: Requirements) -> tuple[int, int, int, str]:
    """Least first: nobody's work interrupted, then the queue's strategy, then longest idle, then id."""
    profile = pool.lookup.agents[agent.id]
    interrupts = 0
    if agent.contacts:
        _, interrupts = capacity.fits(contact.kind, held_kinds(pool, agent), profile.units, profile.maximum)
    by = 0
    match pool.queue(contact).strategy:
        case "best_skill":
            by = -score(profile, requires)
        case "least_loaded":
            by = used_units(pool, agent) * 8 // profile.units
        case "most_loaded":
            by = -(used_units(pool, agent) * 8 // profile.units)
    return interrupts, by, agent.idle_stamp, agent.id


def contact_for(pool: "Pool", agent: Agent) -> Contact | None:
    """The waiting contact a freed agent should be offered: the least place over the groups and the personal heap."""
    profile = pool.profile(agent.id)
    if profile is None or not pool.waiting.current or not _signed_in(agent):
        return None
    open_for = {kind: why_not_open(pool, agent, kind) is None for kind in capacity.MAXIMUM}
    heads: list[Entry] = []
    for group, heap in pool.waiting.groups.items():
        if heap and open_for[group[2]] and lacks(profile, group[1]) is None:
            head = pool.waiting.best(heap, group, agent.id)
            if head is not None:
                heads.append(head)
    own = pool.waiting.first_for(agent)
    if own is not None:
        heads.append(own)
    return pool.contacts[min(heads)[1]] if heads else None


def used_units(pool: "Pool", agent: Agent) -> int:
    """Capacity units in use: offers and wrap-up hold theirs, parked contacts do not."""
    return sum(capacity.cost(contact.kind) for contact in pool.assigned(agent) if contact.status != "parked")
