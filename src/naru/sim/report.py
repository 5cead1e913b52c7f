"""The figures of a simulation, from the tallies of its replications.

Counts are summed; every other figure is the mean over the replications' own figures, with the half-width of its 95 %
confidence interval by Student's t. A replication in which a ratio is undefined is left out of it.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from naru.sim.scenario import Scenario
from naru.sim.world import LineTally, Tally

Figure = dict[str, float | None]

TAIL_SHARE = 0.025
"""On each side of a 95 % interval."""


def report(scenario: Scenario, tallies: Sequence[Tally]) -> dict[str, Any]:
    """`tallies` in order of replication."""
    every = range(len(scenario.queues))
    asked = [number for number in every if scenario.queues[number].service_level is not None]
    queues = {
        line.name: {
            **_line(tallies, [number], [number] if number in asked else []),
            **({"callbacks": _callbacks(tallies, number)} if line.callback is not None else {}),
        }
        for number, line in enumerate(scenario.queues)
    }
    return {
        "replications": len(tallies),
        "contacts": sum(tally.contacts for tally in tallies),
        "queues": queues,
        "agents": {
            team.name: {"occupancy": _occupancy(scenario, tallies, n)} for n, team in enumerate(scenario.agents)
        },
        "total": _line(tallies, list(every), asked),
        **({"outbound": _outbound(scenario, tallies)} if scenario.outbound else {}),
    }


def _callbacks(tallies: Sequence[Tally], number: int) -> dict[str, int]:
    ones = [tally.lines[number] for tally in tallies]
    return {name: sum(getattr(one, name) for one in ones) for name in ("promised", "reached", "unreached")}


def _outbound(scenario: Scenario, tallies: Sequence[Tally]) -> dict[str, Any]:
    """Each campaign's figures. `occupancy_contribution` is its share of all agents' capacity."""
    hours = scenario.duration / 3600
    capacity_s = sum(team.count for team in scenario.agents) * scenario.duration
    found = {}
    for number, outreach in enumerate(scenario.outbound):
        ones = [tally.outbound[number] for tally in tallies]
        found[outreach.name] = {
            "dials": sum(one.dials for one in ones),
            "live_answers": sum(one.live for one in ones),
            "dials_per_hour": estimate([one.dials / hours for one in ones]),
            "live_connects_per_hour": estimate([one.connected / hours for one in ones]),
            "abandonment": estimate([one.abandoned / one.live for one in ones if one.live]),
            "occupancy_contribution": estimate([one.busy_s / capacity_s for one in ones] if capacity_s else []),
        }
    return found


def _line(tallies: Sequence[Tally], numbers: list[int], asked: list[int]) -> dict[str, Any]:
    """The figures of some queues together; the service level is that of those among them that ask for one."""
    sums = [_sum([tally.lines[number] for number in numbers]) for tally in tallies]

    def figure(of: Callable[[LineTally], float], over: Callable[[LineTally], int]) -> Figure:
        return estimate([of(one) / over(one) for one in sums if over(one)])

    found: dict[str, Any] = {
        name: sum(getattr(one, name) for one in sums) for name in ("offered", "answered", "abandoned", "blocked")
    }
    found["wait_probability"] = figure(lambda one: _served(one) - one.at_once, _served)
    found["wait_all_s"] = figure(
        lambda one: one.wait_answered_s + one.wait_abandoned_s, lambda one: one.answered + one.abandoned
    )
    found["wait_answered_s"] = figure(lambda one: one.wait_answered_s, lambda one: one.answered)
    found["abandonment"] = figure(lambda one: one.abandoned, _served)
    found["blocking"] = figure(lambda one: one.blocked, lambda one: one.offered)
    if asked:
        levels = [_sum([tally.lines[number] for number in asked]) for tally in tallies]
        found["service_level"] = estimate([one.in_time / _served(one) for one in levels if _served(one)])
    if any(one.told for one in sums):
        found["foretold"] = {
            "told": figure(lambda one: one.told, lambda one: one.waited),
            "within_half": figure(lambda one: one.in_half, lambda one: one.told),
            "within_most": figure(lambda one: one.in_most, lambda one: one.told),
        }
    unfinished = sum(one.unfinished for one in sums)
    return {**found, "unfinished": unfinished} if unfinished else found


def _served(one: LineTally) -> int:
    """Those who found a line, and so may wait."""
    return one.offered - one.blocked


def _sum(tallies: list[LineTally]) -> LineTally:
    columns = zip(*(msgspec.structs.astuple(tally) for tally in tallies), strict=True)
    return LineTally(*(sum(column) for column in columns))


def _occupancy(scenario: Scenario, tallies: Sequence[Tally], team: int) -> Figure:
    capacity_s = scenario.agents[team].count * scenario.duration
    return estimate([tally.busy_s[team] / capacity_s for tally in tallies] if capacity_s else [])


def estimate(values: list[float]) -> Figure:
    """Mean and half-width. Without a value both are unknown; one value has no width."""
    count = len(values)
    if count == 0:
        return {"mean": None, "ci95": None}
    mean = math.fsum(values) / count
    if count == 1:
        return {"mean": mean, "ci95": None}
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    return {"mean": mean, "ci95": student_t(1 - TAIL_SHARE, count - 1) * math.sqrt(variance / count)}


# -- Student's t, by its distribution function: I_x(a, b) as a continued fraction (Abramowitz & Stegun 26.5.8, 26.7.1)


def student_t(probability: float, freedom: int) -> float:
    """The quantile for a probability of at least 1/2, by bisection."""
    low, high = 0.0, 1.0
    while _t_below(high, freedom) < probability:
        low, high = high, high * 2
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if _t_below(middle, freedom) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _t_below(t: float, freedom: int) -> float:
    return 1 - _beta(freedom / (freedom + t * t), freedom / 2, 0.5) / 2


def _beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):  # where the fraction converges slowly
        return 1 - _beta(1 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) / a * _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    """Lentz's way of a continued fraction, from its front."""
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 1000):
        before = value
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d = 1 / (1 + step * d)
            c = 1 + step / c
            value *= c * d
        if abs(value - before) < 1e-15 * abs(value):
            break
    return value
