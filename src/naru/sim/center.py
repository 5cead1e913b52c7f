"""The center of a scenario as the router knows it: its configuration, and who is what in it.

The simulator adds no rule of its own: whatever a scenario says about routing becomes configuration here, and the
production core does the rest.
"""

import math
from typing import Any

from naru.sim.scenario import Line, Need, Outreach, Scenario, Steered, Team
from router.config import COST_UNITS, MAX_WRAP_UP_S, Agent, Brand, Campaign, Channel, Config, Queue, Skill, Steer, Step
from router.model import KINDS, Kind, Requirement

BRAND = "sim"
UNITS = 100
NO_CEILING = 0.99
"""A campaign's ceiling from here on is none at all, from the first call on."""


def configuration(scenario: Scenario) -> Config:
    inbound = tuple(_queue(number, line, scenario) for number, line in enumerate(scenario.queues))
    outbound = tuple(_outbound_queue(number, outreach) for number, outreach in enumerate(scenario.outbound))
    queues = inbound + outbound
    work: tuple[Line | Outreach, ...] = (*scenario.queues, *scenario.outbound)
    return Config(
        name="Simulation",
        timezone="UTC",
        brands=(Brand(id=BRAND, name="Simulation", default_queue=queues[0].id),),
        channels=tuple(
            Channel(
                id=queues[n].id,
                name=line.name,
                brand=BRAND,
                provider="simulation",
                kind=line.channel,
                queue=queues[n].id,
            )
            for n, line in enumerate(work)
        ),
        campaigns=tuple(_campaign(number, outreach) for number, outreach in enumerate(scenario.outbound)),
        queues=queues,
        skills=tuple(Skill(id=skill, name=skill) for skill in sorted(_skills(scenario))),
        agents=tuple(agent for number, team in enumerate(scenario.agents) for agent in _agents(number, team, scenario)),
    )


def queue_id(number: int) -> str:
    """A scenario's names are free text, so the router knows queues by their number."""
    return f"q{number}"


def agent_ids(number: int, team: Team) -> list[str]:
    return [f"t{number}-{n}" for n in range(team.count)]


def _skills(scenario: Scenario) -> set[str]:
    found = {skill for team in scenario.agents for skill in team.skills}
    for outreach in scenario.outbound:
        found |= {need.skill for need in outreach.requires}
    for line in scenario.queues:
        found |= {need.skill for need in line.requires}
        found |= {need.skill for step in line.steps for need in step.requires or ()}
    return found


def campaign_id(number: int) -> str:
    return f"o{number}"


def _campaign(number: int, outreach: Outreach) -> Campaign:
    return Campaign(
        id=campaign_id(number),
        name=outreach.name,
        channel=campaign_id(number),
        queue=campaign_id(number),
        mode=outreach.mode,
        ratio=outreach.ratio or 1.0,
        ceiling=outreach.abandonment_ceiling if outreach.abandonment_ceiling < NO_CEILING else 1.0,
        connect_within_s=float(outreach.answer_within),
        window_days=366,
        ring_s=600.0,
        least_ring_s=float(outreach.least_ring),
        most_lines=1_000_000,
        priority=outreach.priority,
    )


def _outbound_queue(number: int, outreach: Outreach) -> Queue:
    wrap_up = outreach.wrap_up.constant if outreach.wrap_up is not None else None
    return Queue(
        id=campaign_id(number),
        name=outreach.name,
        requires=_requires(outreach.requires),
        strategy=outreach.strategy,
        wrap_up_s=float(wrap_up or 0),
        auto_accept=True,
    )


def _reserve(scenario: Scenario) -> int:
    """The greatest that a campaign leaves to every queue."""
    return max((outreach.reserve for outreach in scenario.outbound if isinstance(outreach.reserve, int)), default=0)


def _steer(line: Line, scenario: Scenario) -> Steer | None:
    for outreach in scenario.outbound:
        if isinstance(outreach.reserve, Steered) and outreach.reserve.steer.queue == line.name:
            within = line.service_level.within if line.service_level is not None else 0.0
            return Steer(service_level=outreach.reserve.steer.service_level, within_s=float(within))
    return None


def _queue(number: int, line: Line, scenario: Scenario) -> Queue:
    return Queue(
        id=queue_id(number),
        name=line.name,
        requires=_requires(line.requires),
        strategy=line.strategy,
        tier=line.priority,
        target_s={line.channel: float(line.target)},
        steps=tuple(
            Step(after_s=float(step.after), requires=None if step.requires is None else _requires(step.requires))
            for step in line.steps
        ),
        max_wait_s=None if line.max_wait is None else float(line.max_wait),
        reserve=_reserve(scenario),
        steer=_steer(line, scenario),
        wrap_up_s=_wrap_up_s(line),
        auto_accept=True,
        call_first=line.callback.call_first if line.callback is not None else "agent",
    )


def _requires(needs: tuple[Need, ...]) -> tuple[Requirement, ...]:
    return tuple(Requirement(skill=need.skill, level=need.level) for need in needs)


def _wrap_up_s(line: Line) -> float:
    """A constant wrap-up is the router's own timer; any other is ended by the agent before the longest is over."""
    if line.wrap_up is None:
        return 0
    return MAX_WRAP_UP_S if line.wrap_up.constant is None else float(line.wrap_up.constant)


def _agents(number: int, team: Team, scenario: Scenario) -> list[Agent]:
    ids = {line.name: queue_id(n) for n, line in enumerate(scenario.queues)}
    # What all of a team have in common is one object, not a million.
    alike: dict[str, Any] = {
        "name": team.name,
        "brands": (BRAND,),
        "skills": dict(team.skills),
        "mode": team.mode,
        "phone": "simulated",
        **_capacity(team),
        "serves_first": tuple(ids[name] for name in team.serves_first),
    }
    return [Agent(id=id_, **alike) for id_ in agent_ids(number, team)]


def _capacity(team: Team) -> dict[str, Any]:
    if team.capacity is None:
        return {"at_once": 1}
    return {"units": units(team.capacity), "maximum": {kind: team.capacity.get(kind, 0) for kind in KINDS}}


def units(capacity: dict[Kind, int]) -> int:
    """Production's, or more where the maximum of one kind alone would not fit."""
    return max(UNITS, *(COST_UNITS[kind] * most for kind, most in capacity.items()))


def shares(team: Team) -> dict[Kind, float]:
    """What one contact of each kind takes of an agent: 1/maximum of its kind, out of the most that an agent can hold."""
    if team.capacity is None:
        return dict.fromkeys(KINDS, 1.0)
    held = {kind: most for kind, most in team.capacity.items() if most}
    whole = math.lcm(*held.values())
    weights = {kind: whole // most for kind, most in held.items()}
    fullest = _fullest(held, weights, units(held))
    return {kind: weight / fullest for kind, weight in weights.items()}


def _fullest(held: dict[Kind, int], weights: dict[Kind, int], total: int) -> int:
    """The greatest sum of weights over the contacts that fit into the units together."""
    best = [0] * (total + 1)
    for kind, most in held.items():
        cost, weight = COST_UNITS[kind], weights[kind]
        for _ in range(most):
            for used in range(total, cost - 1, -1):
                best[used] = max(best[used], best[used - cost] + weight)
    return best[total]
