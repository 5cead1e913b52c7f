"""Why an agent is passed over for a contact: the first reason, as data. `router.words` says it in English and Korean.

Everything here is looked up in what the pool remembers, one contact and one agent at a time, and never in the indexes
of `cells` and `line`: so an explanation does not repeat a fault of theirs, and the tests compare the two. The order of
the questions is the order of the mending: what the agent can do, whether the agent is there and has room, and only then
what this one contact, or the work of others, has against it.
"""

from typing import TYPE_CHECKING

import msgspec

from router import capacity
from router.cells import IDLE, KIND_NUMBER
from router.config import Agent as Profile
from router.config import Queue
from router.eligible import fits, has_offer, held_kinds, signed_in, state_of, used_units
from router.memory import Agent, Contact
from router.model import KINDS, Kind, Requirement
from router.skills import Requirements, can_serve, lacks, requirement_sets, to_serve

if TYPE_CHECKING:
    from router.state import Pool

Param = str | int | float | tuple[str, ...]


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """`code` is stable; `params` are ids, numbers and times (log time in seconds) that the words name."""

    code: str
    params: dict[str, Param] = {}


def because(code: str, **params: Param) -> Reason:
    return Reason(code, params)


NO_PHONE, OPEN_OFFER = because("no_phone"), because("open_offer")


def agent_of(pool: "Pool", id_: str) -> Agent:
    """An agent as the pool knows it: one who has never been there is offline."""
    return pool.agents.get(id_) or Agent(id=id_)


# -- the agent alone


def why_not_open(pool: "Pool", agent: Agent, kind: Kind) -> Reason | None:
    """Why an agent can be given nothing of this kind now; None when open."""
    profile = pool.profile(agent.id)
    away = _why_away(agent, profile)
    if away is not None or profile is None:
        return away
    if kind == "voice" and not profile.phone:
        return NO_PHONE
    if has_offer(pool, agent):
        return OPEN_OFFER
    return None if fits(pool, agent, kind)[0] else _no_room(pool, agent, kind, profile)


def why_closed(pool: "Pool", agent: Agent) -> dict[Kind, Reason | None]:
    """`why_not_open` of every kind, for an agent's desk: what they share is looked at once."""
    profile = pool.profile(agent.id)
    away = _why_away(agent, profile)
    if away is not None or profile is None:
        return dict.fromkeys(KINDS, away)
    if has_offer(pool, agent):
        return {kind: NO_PHONE if kind == "voice" and not profile.phone else OPEN_OFFER for kind in KINDS}
    held = held_kinds(pool, agent)
    found: dict[Kind, Reason | None] = {}
    for kind in KINDS:
        room = capacity.fits(kind, held, profile.units, profile.maximum, profile.at_once)[0]
        found[kind] = None if room else _no_room(pool, agent, kind, profile)
    if not profile.phone:
        found["voice"] = NO_PHONE
    return found


def _why_away(agent: Agent, profile: Profile | None) -> Reason | None:
    """What closes an agent to every kind."""
    if profile is None:
        return because("not_configured")
    if agent.presence != "available":
        if agent.reason:
            return because("presence_for", presence=agent.presence, reason=agent.reason)
        return because("presence", presence=agent.presence)
    if not agent.connections:
        return because("not_connected")
    if agent.cools_until is not None:
        return because("cooling", until=agent.cools_until)
    if agent.kept_for is not None:
        return because("kept_for_campaign", campaign=agent.kept_for)
    return None


def _no_room(pool: "Pool", agent: Agent, kind: Kind, profile: Profile) -> Reason:
    held = held_kinds(pool, agent)
    same = sum(1 for other, _ in held if other == kind)
    most = profile.maximum.get(kind, capacity.MAXIMUM[kind])
    if same >= most:
        return because("kind_full", kind=kind, held=same, most=most)
    if profile.at_once is not None and len(held) >= profile.at_once:
        return because("contacts_full", held=len(held), most=profile.at_once)
    cost = capacity.cost(kind)
    return because("units_full", used=used_units(pool, agent), units=profile.units, kind=kind, cost=cost)


def missing(profile: Profile, need: Requirement) -> Reason:
    """What an agent has not, who does not meet this requirement."""
    wall, _, name = need.skill.partition(":")
    if wall == "brand":
        return because("other_brand", brand=name)
    if wall == "mode":
        return because(f"no_{name}")
    have = profile.level(need.skill)
    if have is not None:
        return because("level_too_low", skill=need.skill, have=have, need=need.level)
    return because("lacks_language", skill=need.skill) if wall == "lang" else because("lacks_skill", skill=need.skill)


# -- the agent and one contact


class Blending:
    """What keeps blended agents from outbound work at this moment, worked out once for all of them."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self._reserves = [(queue, to_serve(queue)) for queue in pool.memory.config.queues if queue.has_reserve]
        self._idle: dict[str, int] | None = None
        self._asked: dict[tuple[Kind, Requirements], str] | None = None

    def keeps(self, agent: Agent, profile: Profile) -> Reason | None:
        """Why a blended agent must stay with inbound work; None when free for outbound work."""
        if profile.mode != "blended":
            return None
        for queue, requires in self._reserves:
            if lacks(profile, requires) is None and self.idle(queue) <= self._pool.reserve(queue):
                return because("reserve", queue=queue.id, idle=self.idle(queue), kept=self._pool.reserve(queue))
        lanes = state_of(self._pool, agent)[2]
        for (kind, requires), queue_id in self.asked().items():
            if lanes[KIND_NUMBER[kind]] >= 0 and lacks(profile, requires) is None:
                return because("inbound_first", queue=queue_id)
        return None

    def idle(self, queue: Queue) -> int:
        """How many who could serve a queue hold nothing at all."""
        if self._idle is None:
            idle = [a for a in self._pool.agents.values() if state_of(self._pool, a)[0] & IDLE]
            profiles = [p for agent in idle if (p := self._pool.profile(agent.id)) is not None]
            self._idle = {
                known.id: sum(1 for profile in profiles if lacks(profile, requires) is None)
                for known, requires in self._reserves
            }
        return self._idle[queue.id]

    def asked(self) -> dict[tuple[Kind, Requirements], str]:
        """What inbound work that waits for anybody asks for, with a queue where it does."""
        if self._asked is None:
            self._asked = {}
            for contact in self._pool.contacts.values():
                if contact.status == "queued" and not contact.is_outbound and not preferred(self._pool, contact):
                    for queue, requires in requirement_sets(contact, self._pool.lookup):
                        self._asked.setdefault((contact.kind, requires), queue.id)
        return self._asked


def preferred(pool: "Pool", contact: Contact) -> tuple[str, ...]:
    """Those for whom a contact waits in person: they have been there, and meet what it asks for now."""
    if not contact.prefers:
        return ()
    sets = requirement_sets(contact, pool.lookup)
    known = ((id_, pool.profile(id_)) for id_ in contact.prefers if id_ in pool.agents)
    return tuple(id_ for id_, profile in known if profile is not None and can_serve(profile, sets))


class Case:
    """A waiting contact as it is weighed against one agent after another."""

    def __init__(self, pool: "Pool", contact: Contact, blending: Blending | None = None) -> None:
        self.pool = pool
        self.contact = contact
        self.sets = requirement_sets(contact, pool.lookup)
        self.prefers = preferred(pool, contact)
        self._blending = blending
        self._bars = [bool(contact.excluded) and self._holds(requires) for _, requires in self.sets]
        self._later: list[tuple[int, tuple[Requirements, ...]]] | None = None

    def _holds(self, requires: Requirements) -> bool:
        """Exclusions hold while somebody else who is signed in could take it."""
        for other in self.pool.agents.values():
            if other.id not in self.contact.excluded and signed_in(other):
                profile = self.pool.profile(other.id)
                if profile is not None and lacks(profile, requires) is None:
                    return True
        return False

    def ways(self, agent_id: str) -> list[int]:
        """The numbers of the requirement sets by which an agent could take it, exclusions regarded."""
        profile = self.pool.profile(agent_id)
        if profile is None:
            return []
        met = [number for number, (_, requires) in enumerate(self.sets) if lacks(profile, requires) is None]
        if agent_id not in self.contact.excluded:
            return met
        if self.prefers:  # whoever is excluded by one way is not asked in person either
            return [] if any(self._bars[number] for number in met) else met
        return [number for number in met if not self._bars[number]]

    def first_reason(self, agent: Agent) -> Reason | None:
        """Why an agent may not be given the contact now; None when eligible."""
        profile = self.pool.profile(agent.id)
        if profile is None:
            return because("not_configured")
        if not can_serve(profile, self.sets):
            return self._lacking(profile)
        closed = why_not_open(self.pool, agent, self.contact.kind)
        if closed is not None:
            return closed
        if self.prefers and agent.id not in self.prefers:
            return self._waits_for()
        if not self.ways(agent.id):
            return because("excluded", until=self.contact.excluded[agent.id])
        if self.prefers or not self.contact.is_outbound:
            return None
        self._blending = self._blending or Blending(self.pool)
        return self._blending.keeps(agent, profile)

    def _waits_for(self) -> Reason:
        until = self.contact.prefer_until
        if until is None:
            return because("not_preferred", agents=self.prefers)
        return because("not_preferred_until", agents=self.prefers, until=until)

    def _lacking(self, profile: Profile) -> Reason:
        need = lacks(profile, self.sets[0][1])
        assert need is not None
        for step, sets in self._later_steps():
            if any(lacks(profile, requires) is None for requires in sets):
                at = self.pool.waited_until(self.contact, self.sets[0][0].steps[step - 1].after_s)
                return because("outside_step", step=step, at=at, skill=need.skill, need=need.level)
        return missing(profile, need)

    def _later_steps(self) -> list[tuple[int, tuple[Requirements, ...]]]:
        """What will be asked for from each of the steps to come, up to the one that ends the wait."""
        if self._later is None:
            self._later = []
            steps = self.sets[0][0].steps
            for step in range(self.contact.step + 1, len(steps) + 1):
                if steps[step - 1].end is not None:
                    break
                then = msgspec.structs.replace(self.contact, step=step)
                self._later.append((step, tuple(r for _, r in requirement_sets(then, self.pool.lookup))))
        return self._later
