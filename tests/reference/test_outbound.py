"""The outbound chains doubted: closed forms where there are any, the rules read a second time, and tiny simulators.

What is known in print or by hand: no outbound work is Erlang's system; alike handling is a birth and death (Bhulai and
Koole 2003); one agent without reserve is a server with vacations (Levy and Yechiali 1975); one line per agent loses nobody;
and one agent with many lines is a cycle of two phases.
"""

import math
import random  # noqa: TID251 - seeded
from collections.abc import Callable, Iterable
from itertools import pairwise

import numpy as np
import pytest

from reference import erlang, patience, tiny_outbound
from reference.outbound import BLENDING, CASES, POWER, Blended, Case, Powered, power, threshold_blending
from reference.student import interval, standard_error

Rules = Callable[[tuple[int, ...]], Iterable[tuple[float, tuple[int, ...]]]]
INBOUND = ("wait_probability", "wait_all_s", "abandonment", "service_level", "occupancy")


def near(one: float, other: float, relative: float = 1e-9) -> None:
    assert one == pytest.approx(other, rel=relative, abs=1e-11)


def balanced(start: tuple[int, ...], rules: Rules) -> dict[tuple[int, ...], float]:
    """The stationary law from the balance of all states at once, one of which the others imply."""
    states = [start]
    for state in states:
        states += dict.fromkeys(after for _, after in rules(state) if after not in states)
    number = {state: n for n, state in enumerate(states)}
    flows = np.zeros((len(states), len(states)))
    for state in states:
        for rate, after in rules(state):
            flows[number[after], number[state]] += rate
            flows[number[state], number[state]] -= rate
    flows[0] = 1.0
    law = np.linalg.solve(flows, np.eye(len(states))[0])
    return dict(zip(states, law.tolist(), strict=True))


# -- blending


@pytest.mark.parametrize(("agents", "load"), [(1, 0.4), (4, 0.8), (30, 0.9)])
def test_all_in_reserve_is_erlang_c(agents: int, load: float) -> None:
    theory = erlang.waiting(agents, load * agents / 180, 180, 30)
    chain = threshold_blending(agents, load * agents / 180, 1 / 180, 1 / 60, agents, within_s=30.0)
    for name in INBOUND:
        near(getattr(chain, name), theory[name])
    assert chain.outbound == chain.outbound_occupancy == 0.0


@pytest.mark.parametrize(("agents", "load"), [(1, 0.4), (4, 1.3), (30, 0.95)])
def test_all_in_reserve_with_patience_is_erlang_a(agents: int, load: float) -> None:
    theory = patience.exponential(agents, load * agents / 180, 180, 120, 30)
    chain = threshold_blending(agents, load * agents / 180, 1 / 180, 1 / 60, agents, 1 / 120, 30.0)
    for name in INBOUND:
        near(getattr(chain, name), theory[name])


@pytest.mark.parametrize("leave", [0.0, 0.02])
@pytest.mark.parametrize(("agents", "load", "reserve"), [(3, 0.5, 0), (3, 0.7, 1), (20, 0.8, 4), (60, 0.85, 3)])
def test_alike_handling_is_a_birth_and_death(agents: int, load: float, reserve: int, leave: float) -> None:
    """How many of the services are outbound does not matter then: below agents - reserve the chain never goes."""
    rate, within = load * agents / 180, 25.0
    filled, top = agents - reserve, agents + 400
    weights = [1.0]
    for n in range(filled + 1, top):
        weights.append(weights[-1] * rate / (min(n, agents) / 180 + max(0, n - agents) * leave))
    law = np.array(weights) / sum(weights)
    waiting = law[reserve:]
    line = float(waiting @ np.arange(len(waiting)))
    chain = threshold_blending(agents, rate, 1 / 180, 1 / 180, reserve, leave, within)
    near(chain.outbound, law[0] * filled / 180)
    near(chain.wait_probability, waiting.sum())
    near(chain.wait_all_s, line / rate)
    near(chain.abandonment, line * leave / rate)
    near(chain.occupancy, float(law @ np.minimum(np.arange(filled, top), agents)) / agents)
    early = 0.0
    for ahead, share in enumerate(waiting.tolist()):
        if leave and share > 1e-14:
            early += share * patience._Ladder(agents / 180, leave, within).answered_within(ahead + 1)
        elif not leave:
            early += share * (1 - erlang._erlang_tail(ahead + 1, agents * within / 180))
    near(chain.service_level, law[:reserve].sum() + early)


@pytest.mark.parametrize(("load", "outbound_s"), [(0.5, 60.0), (0.8, 400.0), (0.1, 180.0)])
def test_one_agent_is_a_server_with_vacations(load: float, outbound_s: float) -> None:
    """A wait is that of M/M/1 and, on top, the rest of a piece of outbound work, as long as all of it."""
    rate, freed, within = load / 180, (1 - load) / 180, 45.0
    chain = threshold_blending(1, rate, 1 / 180, 1 / outbound_s, 0, within_s=within)
    near(chain.wait_all_s, load / freed + outbound_s)
    rest, queue = math.exp(-within / outbound_s), math.exp(-freed * within)
    both = (freed * rest - queue / outbound_s) / (freed - 1 / outbound_s)
    near(chain.service_level, 1 - (1 - load) * rest - load * both)
    near(chain.outbound, (1 - load) / outbound_s)
    near(chain.wait_probability, 1.0)


def test_without_arrivals_outbound_work_takes_all_but_the_reserve() -> None:
    for agents, reserve in ((1, 0), (5, 0), (5, 2), (5, 5)):
        chain = threshold_blending(agents, 0.0, 1 / 180, 1 / 60, reserve)
        near(chain.occupancy, (agents - reserve) / agents)
        near(chain.outbound_occupancy, chain.occupancy)
        near(chain.outbound, (agents - reserve) / 60)
        assert math.isnan(chain.wait_all_s)


@pytest.mark.parametrize("load", [0.2, 0.7, 0.97])
def test_without_reserve_outbound_work_takes_what_inbound_leaves(load: float) -> None:
    chain = threshold_blending(6, load * 6 / 180, 1 / 180, 1 / 300, 0)
    near(chain.wait_probability, 1.0)
    near(chain.occupancy, 1.0)
    near(chain.outbound_occupancy, 1 - load)


def test_a_flood_of_inbound_leaves_no_room_for_outbound_work() -> None:
    theory = patience.exponential(10, 40 / 180, 180, 180)
    chain = threshold_blending(10, 40 / 180, 1 / 180, 1 / 300, 0, 1 / 180)
    assert chain.outbound_occupancy < 1e-6
    for name in INBOUND:
        assert getattr(chain, name) == pytest.approx(theory[name], rel=1e-6, abs=1e-6)


def test_outbound_work_that_takes_no_time_harms_nobody() -> None:
    chain = threshold_blending(5, 3.5 / 180, 1 / 180, 1e7, 0, within_s=0.0)
    near(chain.wait_all_s, erlang.waiting(5, 3.5 / 180, 180)["wait_all_s"], 1e-6)


@pytest.mark.parametrize(("reserve", "leave"), [(0, 0.0), (1, 0.0), (2, 0.02), (0, 0.02)])
def test_the_rules_of_blending_read_a_second_time(reserve: int, leave: float) -> None:
    agents, rate, inbound, outbound, longest = 3, 1.2 / 180, 1 / 180, 1 / 70, 60

    def settled(idle: int, working_out: int, line: int) -> tuple[int, int, int]:
        while line and idle:
            idle, line = idle - 1, line - 1
        while not line and idle > reserve:
            idle, working_out = idle - 1, working_out + 1
        return idle, working_out, line

    def rules(state: tuple[int, ...]) -> Iterable[tuple[float, tuple[int, ...]]]:
        idle, working_out, line = state
        yield rate if line < longest else 0.0, settled(idle, working_out, min(line + 1, longest))
        if idle + working_out < agents:
            yield (agents - idle - working_out) * inbound, settled(idle + 1, working_out, line)
        if working_out:
            yield working_out * outbound, settled(idle + 1, working_out - 1, line)
        if line:
            yield line * leave, (idle, working_out, line - 1)

    law = balanced(settled(agents, 0, 0), rules)
    chain = threshold_blending(agents, rate, inbound, outbound, reserve, leave)
    near(chain.wait_probability, sum(p for (idle, _, _), p in law.items() if not idle))
    near(chain.wait_all_s, sum(p * line for (_, _, line), p in law.items()) / rate)
    near(chain.occupancy, 1 - sum(p * idle for (idle, _, _), p in law.items()) / agents)
    near(chain.outbound_occupancy, sum(p * out for (_, out, _), p in law.items()) / agents)


def test_the_service_level_adds_up_to_the_mean_wait() -> None:
    """E W is the integral of P(W > t), here by Simpson's rule; the mean comes by Little's law."""
    h, steps = 5.0, 400
    late = [
        1 - threshold_blending(3, 1.5 / 180, 1 / 180, 1 / 60, 1, within_s=i * h).service_level for i in range(steps)
    ]
    total = h / 3 * sum(p * (1 if i == 0 else 4 if i % 2 else 2) for i, p in enumerate(late))
    near(total, threshold_blending(3, 1.5 / 180, 1 / 180, 1 / 60, 1).wait_all_s, 1e-5)


def test_whoever_does_not_leave_is_answered_in_the_end() -> None:
    chain = threshold_blending(5, 6 / 180, 1 / 180, 1 / 60, 1, 1 / 120, within_s=7200.0)
    near(chain.service_level, 1 - chain.abandonment)


def test_a_larger_reserve_shortens_waits_and_costs_outbound_work() -> None:
    chains = [threshold_blending(8, 5.6 / 180, 1 / 180, 1 / 90, reserve) for reserve in range(9)]
    for less, more in pairwise(chains):
        assert more.wait_all_s < less.wait_all_s and more.service_level > less.service_level
        assert more.outbound < less.outbound


# -- power


@pytest.mark.parametrize(("agents", "live"), [(1, 0.3), (7, 0.15), (40, 0.6), (5, 1.0)])
def test_one_line_per_agent_loses_nobody(agents: int, live: float) -> None:
    """Each agent for itself: it rings until somebody answers, and then talks."""
    chain = power(agents, 1.0, 1 / 20, live, 1 / 120)
    near(chain.occupancy, 120 / (120 + 20 / live))
    near(chain.reached, agents / (120 + 20 / live))
    near(chain.dials, chain.reached / live)
    assert chain.abandonment == 0.0


@pytest.mark.parametrize("lines", [1, 2, 3, 6])
@pytest.mark.parametrize("live", [0.15, 0.6])
def test_one_agent_rings_then_talks_while_the_rest_rings_out(lines: int, live: float) -> None:
    out = (1 / 20) / (1 / 20 + 1 / 120)
    cycle, lost = 20 / lines / live + 120, (lines - 1) * live * out
    chain = power(1, float(lines), 1 / 20, live, 1 / 120)
    near(chain.occupancy, 120 / cycle)
    near(chain.reached, 1 / cycle)
    near(chain.abandonment, lost / (1 + lost))
    near(chain.dials, (1 / live + (lines - 1) * out) / cycle)


@pytest.mark.parametrize(("ratio", "live"), [(2.0, 1.0), (3.0, 0.4), (2.5, 0.5)])
def test_lines_that_end_at_once_lose_all_but_one(ratio: float, live: float) -> None:
    """One agent is freed at a time and its lines are over before the next: the lines beyond the first answer are lost."""
    chain = power(4, ratio, 1e7, live, 1.0)
    lost = (math.floor(ratio) - 1) * live
    near(chain.occupancy, 1.0, 1e-5)
    near(chain.abandonment, lost / (1 + lost), 1e-5)


@pytest.mark.parametrize(("agents", "ratio"), [(2, 0.5), (3, 1.5), (4, 2.0), (5, 3.0), (5, 1.25)])
def test_the_rules_of_power_read_a_second_time(agents: int, ratio: float) -> None:
    ring, live, serve = 1 / 20, 0.35, 1 / 90

    def settled(idle: int, ringing: int) -> tuple[int, int]:
        while ringing + 1 <= ratio * idle:
            ringing += 1
        return idle, ringing

    def rules(state: tuple[int, ...]) -> Iterable[tuple[float, tuple[int, ...]]]:
        idle, ringing = state
        if ringing:
            yield ringing * ring * live, settled(max(idle - 1, 0), ringing - 1)
            yield ringing * ring * (1 - live), settled(idle, ringing - 1)
        if idle < agents:
            yield (agents - idle) * serve, settled(idle + 1, ringing)

    law = balanced(settled(agents, 0), rules)
    chain = power(agents, ratio, ring, live, serve)
    ringing = sum(p * lines for (_, lines), p in law.items())
    lost = sum(p * lines for (idle, lines), p in law.items() if not idle)
    near(chain.dials, ringing * ring)
    near(chain.abandonment, lost / ringing)
    near(chain.reached, (ringing - lost) * ring * live)
    near(chain.occupancy, 1 - sum(p * idle for (idle, _), p in law.items()) / agents)


def test_more_lines_keep_agents_busier_and_lose_more() -> None:
    chains = [power(10, ratio, 1 / 20, 0.3, 1 / 120) for ratio in (1.0, 1.5, 2.0, 2.5, 3.0)]
    for less, more in pairwise(chains):
        assert more.occupancy > less.occupancy and more.abandonment > less.abandonment


def test_a_ratio_with_decimals_is_not_rounded_below_its_lines() -> None:
    """In binary 1.15 * 100 falls short of 115."""
    assert power(100, 1.15, 1 / 20, 0.3, 1 / 120) == power(100, 1.1501, 1 / 20, 0.3, 1 / 120)


# -- the cases


def test_the_cases_are_many_and_their_names_tell_them_apart() -> None:
    assert len(BLENDING) >= 6 and len(POWER) >= 6
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_comes_in_goes_out(case: Case) -> None:
    found, given = case.expected(), case.given
    assert found.flow < 1e-11
    if isinstance(found, Blended):
        assert found.cut < 1e-12
        talked = (found.occupancy - found.outbound_occupancy) * given["agents"] * given["serve_inbound"]
        near(talked, given["arrivals"] * (1 - found.abandonment))
        near(found.outbound, found.outbound_occupancy * given["agents"] * given["serve_outbound"])
        assert 1 - found.wait_probability <= found.service_level <= 1 - found.abandonment
    else:
        assert isinstance(found, Powered)
        near(found.reached, found.occupancy * given["agents"] * given["serve"])
        near(found.reached, found.dials * given["live"] * (1 - found.abandonment))


SIMULATED = (BLENDING[2], BLENDING[3], POWER[2], POWER[5])


@pytest.mark.parametrize("case", SIMULATED, ids=lambda case: case.name)
def test_a_simulator_that_knows_no_theory_agrees(case: Case) -> None:
    """Within 4.5 standard errors of 20 replications, each of which begins empty and warms up for two hours."""
    kind = tiny_outbound.Blending if case in BLENDING else tiny_outbound.Power
    runs = [
        kind(given=case.given, chance=random.Random(n), begin=7200.0, end=7200.0 + 100_000.0).run() for n in range(20)
    ]
    for name in runs[0]:
        figure = interval([run[name] for run in runs])
        error = standard_error(figure, len(runs))
        assert error < 0.05 * figure["mean"] + 1e-12, (name, figure)
        near_enough = max(4.5 * error, 1e-12)
        assert abs(figure["mean"] - getattr(case.expected(), name)) <= near_enough, (name, figure)
