"""Outbound work in the simulator against exact Markov chains: power dialling, and blending by a threshold.

A figure agrees if |x - mu| <= max(4 standard errors, 2 % of a rate or mean, 0.5 points of a ratio). The chains live in
`tests/reference/outbound.py`, which imports nothing of ours. `pytest -m thorough -s` runs them all and prints each figure.
"""

from typing import Any

import pytest

from naru.sim import simulate
from reference.outbound import BLENDING, POWER, Blended, Case, Powered
from reference.student import standard_error

REPLICATIONS = 10
RATES = {"dials_per_hour", "live_connects_per_hour", "wait_all_s"}


def scenario(case: Case, pieces: int) -> dict[str, Any]:
    given = case.given
    common = {"version": 1, "seed": 11, "replications": REPLICATIONS, "warm_up": "2h"}
    expected = case.expected()
    team = {"name": "team", "count": given["agents"]}
    if isinstance(expected, Powered):
        hours = max(2, round(pieces / (expected.dials * 3600)))
        outreach = {
            "name": "out",
            "mode": "power",
            "ratio": given["ratio"],
            "ring": {"exponential": f"{1 / given['ring']:.6f}s"},
            "live_answer": given["live"],
            "handling": {"exponential": f"{1 / given['serve']:.6f}s"},
            "abandonment_ceiling": 0.99,
            "answer_within": "0s",
        }
        return {**common, "duration": f"{hours}h", "agents": [{**team, "mode": "outbound"}], "outbound": [outreach]}
    hours = max(2, round(pieces / ((given["arrivals"] + expected.outbound) * 3600)))
    queue: dict[str, Any] = {
        "name": "in",
        "channel": "voice",
        "arrivals": {"per_hour": given["arrivals"] * 3600},
        "handling": {"exponential": f"{1 / given['serve_inbound']:.6f}s"},
        "service_level": {"within": f"{given['within_s']:.0f}s"},
    }
    if given["leave"]:
        queue["patience"] = {"exponential": f"{1 / given['leave']:.6f}s"}
    outreach = {
        "name": "out",
        "mode": "direct",
        "handling": {"exponential": f"{1 / given['serve_outbound']:.6f}s"},
        "reserve": given["reserve"],
    }
    return {
        **common,
        "duration": f"{hours}h",
        "agents": [{**team, "mode": "blended"}],
        "queues": [queue],
        "outbound": [outreach],
    }


def expected_of(case: Case) -> dict[tuple[str, ...], float]:
    known = case.expected()
    if isinstance(known, Powered):
        return {
            ("outbound", "out", "dials_per_hour"): known.dials * 3600,
            ("outbound", "out", "live_connects_per_hour"): known.reached * 3600,
            ("outbound", "out", "abandonment"): known.abandonment,
            ("agents", "team", "occupancy"): known.occupancy,
        }
    assert isinstance(known, Blended)
    return {
        ("outbound", "out", "dials_per_hour"): known.outbound * 3600,
        ("outbound", "out", "occupancy_contribution"): known.outbound_occupancy,
        ("queues", "in", "wait_probability"): known.wait_probability,
        ("queues", "in", "wait_all_s"): known.wait_all_s,
        ("queues", "in", "service_level"): known.service_level,
        ("queues", "in", "abandonment"): known.abandonment,
        ("agents", "team", "occupancy"): known.occupancy,
    }


def faults(case: Case, pieces: int) -> list[str]:
    found = simulate(scenario(case, pieces), None)
    wrong = []
    print(f"\n{case.name}")
    for path, mu in expected_of(case).items():
        figure: Any = found
        for name in path:
            figure = figure[name]
        x, error = figure["mean"], standard_error(figure, REPLICATIONS)
        floor = 0.02 * mu if path[-1] in RATES else 0.005
        line = f"{'.'.join(path)} theory {mu:.5g}, x {x:.5g} +- {error:.2g}"
        print("  " + line)
        if not abs(x - mu) <= max(4 * error, floor):
            wrong.append(line)
    return wrong


EVERY_TIME = [*BLENDING[:5], *POWER[:6]]


@pytest.mark.slow
@pytest.mark.parametrize("case", EVERY_TIME, ids=lambda case: case.name)
def test_the_simulator_agrees_with_the_chains(case: Case) -> None:
    assert faults(case, 5_000) == []


@pytest.mark.thorough
@pytest.mark.parametrize("case", [*BLENDING, *POWER], ids=lambda case: case.name)
def test_the_simulator_agrees_with_the_chains_in_long_runs(case: Case) -> None:
    assert faults(case, 40_000) == []


@pytest.mark.slow
def test_a_planted_wrong_rule_is_found() -> None:
    """One agent more in reserve, or a line fewer for each agent, is another system, and the judge says so."""
    case = BLENDING[2]
    other = Case("planted", case.chain, {**case.given, "reserve": case.given["reserve"] + 1})
    found = simulate(scenario(case, 5_000), None)
    mine = found["outbound"]["out"]["dials_per_hour"]
    assert abs(mine["mean"] - other.expected().outbound * 3600) > 4 * standard_error(mine, REPLICATIONS)  # type: ignore[union-attr]
