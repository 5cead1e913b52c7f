"""Explaining a decision of the router: pure functions over a pool as it was in the moment before, to values.

The rule: the choice is made a second time here, by looking at everybody and everything with `router.reasons`, in the
order that routing.md gives, and told with the first reason for each who was passed over. What an offer says of itself
(to whom it went) stands in the journal; if the choice made anew is another, the explanation says so.

The pool must stand just before the `OfferMade`: records folded up to its own, the record's earlier events applied one
by one, and `dirty_contacts`, `dirty_agents` being what these have touched (`naru.explain` does so).
"""

from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import msgspec

from router.cells import INTERRUPTING, KIND_NUMBER
from router.contest import MAX_CONTACTS, contest, counted, line_of
from router.eligible import state_of, used_units
from router.explained import Asked, Chosen, Contest, Explanation, How, Idle, Need, Passed
from router.memory import Contact
from router.model import KINDS, ByHand, Requirement, derive_id
from router.queueing import next_step, tier
from router.reasons import Case, Reason, agent_of, because, why_not_open
from router.skills import requirement_sets, score, walls

if TYPE_CHECKING:
    from router.state import Pool

MAX_AGENTS = 200
BY_HAND: tuple[str, ...] = get_args(ByHand)

# -- the questions


def offer_id(contact: str, attempt: int) -> str:
    """The id that a contact's offer of this number has (router.offers)."""
    return derive_id("offer", contact, str(attempt))


def explain_offer(pool: "Pool", contact_id: str, agent_id: str, hand: ByHand | None = None) -> Explanation:
    """Why a contact that waits is offered to this agent in the next event, and to nobody else."""
    contact = pool.contacts[contact_id]
    judged = _judge(pool, contact)
    won = None
    if hand is not None:
        chosen = Chosen(agent_id, hand, because(f"chosen_{hand}", agent=agent_id))
    else:
        won = contest(pool, contact, agent_id) if _may_be_freed(pool, contact, agent_id, judged) else None
        chosen = judged.chosen(agent_id, "arrived" if won is None else "freed")
    if won is not None:
        reason = because("chosen_freed", agent=agent_id, of=won.waiting)
        chosen = msgspec.structs.replace(chosen, reason=reason, of=won.waiting)
    passed, more = judged.passed_over(chosen)
    return _explanation(pool, contact, "offer", contact.attempt + 1, chosen, passed, more, won)


def explain_waiting(pool: "Pool", contact_id: str, outcome: str | None = None) -> Explanation:
    """Why a contact waits. With an `outcome` it ends in the next event, and has never been offered."""
    contact = pool.contacts[contact_id]
    left = because("nothing") if outcome is None else because("ended", outcome=outcome)
    passed, more = _judge(pool, contact).passed_over(None, left)
    about: Literal["waiting", "ended"] = "waiting" if outcome is None else "ended"
    found = _explanation(pool, contact, about, contact.attempt, None, passed, more, None)
    return msgspec.structs.replace(found, outcome=outcome)


def explain_idle(pool: "Pool", agent_id: str) -> Idle:
    """Why an agent has nothing more: what each kind is closed by, and the first reason for each contact that waits."""
    agent = agent_of(pool, agent_id)
    profile = pool.profile(agent_id)
    closed: dict[str, Reason] = {
        kind: reason for kind in KINDS if (reason := why_not_open(pool, agent, kind)) is not None
    }
    line = line_of(pool, agent_id)
    others = [waiting.told(waiting.reason or because("nothing")) for waiting in line]
    return Idle(
        agent=agent_id,
        t=pool.t,
        presence=agent.presence,
        presence_reason=agent.reason,
        since=agent.since,
        config_version=pool.memory.version,
        used_units=used_units(pool, agent),
        units=profile.units if profile else 0,
        closed=closed,
        waiting=len(line),
        contacts=tuple(others[:MAX_CONTACTS]),
        more=counted(other.reason for other in others[MAX_CONTACTS:]),
    )


# -- the agents, in the order of the choice


class Rank(NamedTuple):
    """The least is asked first: place among the preferred or number of the set, interrupting, strategy, idle stamp."""

    way: int
    interrupting: int
    by: int
    idle: int


LAST = 9
NEARNESS = {
    code: nearness
    for nearness, codes in enumerate(
        (
            ("excluded", "reserve", "inbound_first", "not_preferred", "not_preferred_until"),
            ("open_offer", "kind_full", "contacts_full", "units_full", "cooling"),
            ("not_connected", "presence", "presence_for", "no_phone"),
            ("outside_step", "level_too_low"),
        )
    )
    for code in codes
}
"""Those who could not take it are told with the nearest first."""


class _Judged:
    """Everybody, judged for one contact: those who could take it in the order of the choice, and the others."""

    def __init__(self, pool: "Pool", case: Case) -> None:
        self.pool = pool
        self.case = case
        self.ranked: list[tuple[Rank, str]] = []
        self.others: list[Passed] = []
        for id_ in pool.lookup.agents:
            reason = case.first_reason(agent_of(pool, id_))
            if reason is None:
                self.ranked.append((self._rank(id_), id_))
            else:
                self.others.append(Passed(id_, reason))
        self.ranked.sort(key=lambda ranked: ranked[0])
        self.others.sort(key=_nearness)

    def _rank(self, agent_id: str) -> Rank:
        if self.case.prefers:
            return Rank(self.case.prefers.index(agent_id), 0, 0, 0)
        way = self.case.ways(agent_id)[0]
        interrupting, load = self._lane(agent_id)
        strategy = self.case.sets[way][0].strategy
        by = -self._score(agent_id, way) if strategy == "best_skill" else 0
        by = {"least_loaded": load, "most_loaded": -load}.get(strategy, by)
        return Rank(way, interrupting, by, self.pool.agents[agent_id].idle_stamp)

    def _lane(self, agent_id: str) -> tuple[int, int]:
        """(would interrupt, load in eighths)."""
        return divmod(
            state_of(self.pool, self.pool.agents[agent_id])[2][KIND_NUMBER[self.case.contact.kind]], INTERRUPTING
        )

    def _score(self, agent_id: str, way: int) -> int:
        return score(self.pool.lookup.agents[agent_id], self.case.sets[way][1])

    def rank_of(self, agent_id: str) -> Rank | None:
        return next((rank for rank, id_ in self.ranked if id_ == agent_id), None)

    def chosen(self, agent_id: str, how: How) -> Chosen:
        rank = self.rank_of(agent_id)
        if rank is None:
            return Chosen(agent_id, how, because("differs"), of=len(self.ranked), agrees=False)
        of = len(self.ranked)
        ways = self.case.ways(agent_id)
        interrupting, load = self._lane(agent_id)
        stamps = sorted(self.pool.agents[id_].idle_stamp for _, id_ in self.ranked)
        return Chosen(
            agent=agent_id,
            how=how,
            reason=self._won(agent_id, ways[0], load),
            of=of,
            queue=self.case.sets[ways[0]][0].id,
            interrupts=bool(interrupting),
            score=self._score(agent_id, ways[0]),
            load=load,
            idle=1 + stamps.index(self.pool.agents[agent_id].idle_stamp),
            agrees=how == "freed" or self.ranked[0][1] == agent_id,
        )

    def _won(self, agent_id: str, way: int, load: int) -> Reason:
        of = len(self.ranked)
        if self.case.prefers:
            return because("chosen_preferred", agent=agent_id)
        if of == 1:
            return because("chosen_only", agent=agent_id)
        strategy = self.case.sets[way][0].strategy
        if strategy == "best_skill":
            return because("chosen_best_skill", agent=agent_id, of=of, score=self._score(agent_id, way))
        if strategy == "longest_idle":
            return because("chosen_longest_idle", agent=agent_id, of=of)
        return because(f"chosen_{strategy}", agent=agent_id, of=of, load=load)

    def passed_over(
        self, chosen: Chosen | None, left: Reason | None = None
    ) -> tuple[tuple[Passed, ...], dict[str, int]]:
        """Everybody but the chosen, with the first reason. `left` is said of those who have none."""
        if chosen is not None and chosen.how in BY_HAND:
            by_hand = because(chosen.how, agent=chosen.agent)
            found = [Passed(id_, by_hand) for id_ in self.pool.lookup.agents if id_ != chosen.agent]
        else:
            losers = [
                Passed(id_, left or self._lost(id_, rank, chosen))
                for rank, id_ in self.ranked
                if chosen is None or id_ != chosen.agent
            ]
            found = losers + [passed for passed in self.others if chosen is None or passed.agent != chosen.agent]
        return tuple(found[:MAX_AGENTS]), counted(passed.reason for passed in found[MAX_AGENTS:])

    def _lost(self, agent_id: str, rank: Rank, chosen: Chosen | None) -> Reason:
        """By what somebody who could have taken it came after the chosen."""
        best = self.rank_of(chosen.agent) if chosen is not None else None
        if chosen is None or best is None or not chosen.agrees:
            return because("nothing")
        if chosen.how == "freed":
            return because("chose_after", than=chosen.agent)
        if self.case.prefers:
            return because("preferred_later", than=chosen.agent)
        if rank.way != best.way:
            return because("other_queue", queue=self.case.sets[rank.way][0].id, first=self.case.sets[best.way][0].id)
        if rank.interrupting != best.interrupting:
            return because("would_interrupt")
        if rank.by != best.by:
            return self._by_strategy(rank, best)
        return because("idle_less", than=chosen.agent)

    def _by_strategy(self, rank: Rank, best: Rank) -> Reason:
        strategy = self.case.sets[rank.way][0].strategy
        if strategy == "best_skill":
            return because("lower_score", score=-rank.by, best=-best.by)
        if strategy == "least_loaded":
            return because("busier", load=rank.by, best=best.by)
        return because("less_busy", load=-rank.by, best=-best.by)


def _nearness(passed: Passed) -> tuple[int, str, str, str]:
    """Like reasons stand together."""
    reason = passed.reason
    return NEARNESS.get(reason.code, LAST), reason.code, repr(reason.params), passed.agent


def _may_be_freed(pool: "Pool", contact: Contact, agent_id: str, judged: _Judged) -> bool:
    """Whether it was the agent who looked. Who has become waiting looks first, and outbound work always does."""
    if contact.is_outbound or agent_id not in pool.dirty_agents:
        return False
    return contact.id not in pool.dirty_contacts or not judged.ranked or judged.ranked[0][1] != agent_id


def _judge(pool: "Pool", contact: Contact) -> _Judged:
    return _Judged(pool, Case(pool, contact))


# -- the contact


def _explanation(
    pool: "Pool",
    contact: Contact,
    about: Literal["offer", "waiting", "ended"],
    attempt: int,
    chosen: Chosen | None,
    passed: tuple[Passed, ...],
    more: dict[str, int],
    won: Contest | None,
) -> Explanation:
    queue = pool.queue(contact)
    following = next_step(contact, queue)
    return Explanation(
        about=about,
        contact=contact.id,
        t=pool.t,
        kind=contact.kind,
        brand=contact.brand,
        queue=contact.queue,
        tier=tier(contact, queue),
        tier_source=_tier_source(pool, contact),
        enqueued_at=contact.enqueued_at,
        due_by=pool.due_by(contact, queue.target(contact.kind)),
        head_start_s=contact.head_start_s,
        position=pool.position(contact),
        step=contact.step,
        steps=len(queue.steps),
        next_step_at=pool.waited_until(contact, following.after_s) if following else None,
        asked=asked(pool, contact),
        prefers=contact.prefers,
        prefer_until=contact.prefer_until,
        excluded=dict(contact.excluded),
        config_version=pool.memory.version,
        attempt=attempt,
        chosen=chosen,
        passed_over=passed,
        more=more,
        contest=won,
    )


def _tier_source(pool: "Pool", contact: Contact) -> str:
    if contact.promoted:
        return "max_wait"
    if contact.hand_tier is not None:
        return "supervisor"
    steps = pool.queue(contact).steps
    for number in range(min(contact.step, len(steps)), 0, -1):
        if steps[number - 1].tier is not None:
            return f"step {number}"
    return "queue" if contact.tier is None else "rule"


def asked(pool: "Pool", contact: Contact) -> tuple[Asked, ...]:
    """What is asked for now, set by set, and where each requirement comes from."""
    found = []
    for is_added, (queue, _) in enumerate(requirement_sets(contact, pool.lookup)):
        held, source = queue.requires, "queue"
        for number, step in enumerate(() if is_added else queue.steps[: contact.step], 1):
            if step.requires is not None:
                held, source = step.requires, f"step {number}"
        needs = (*_needs(walls(contact, queue), "wall"), *_needs(contact.requires, "rule"), *_needs(held, source))
        step_number = _added_by(pool, contact, queue.id) if is_added else None
        found.append(Asked(queue.id, queue.strategy, needs, step_number))
    return tuple(found)


def _added_by(pool: "Pool", contact: Contact, queue: str) -> int | None:
    steps = pool.queue(contact).steps[: contact.step]
    return next((number for number, step in enumerate(steps, 1) if queue in step.add_queues), None)


def _needs(requires: tuple[Requirement, ...], source: str) -> tuple[Need, ...]:
    return tuple(Need(need.skill, need.level, source) for need in requires)
