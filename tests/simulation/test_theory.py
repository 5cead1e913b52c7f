"""The simulator against exact theory: every figure of every case within its bounds, and precisely enough to mean something.

A figure agrees if |x - mu| <= max(4 standard errors, 2 % of a mean or 0.5 points of a ratio), and is precise if its standard
error is at most 1 % of a mean or 0.2 points of a ratio. Theory and cases live in `tests/reference`, which imports nothing
of ours. `pytest -m slow -s tests/simulation/test_theory.py` prints each figure: contacts, theory, x, z.
"""

import math
from dataclasses import replace
from typing import Any

import pytest

from naru.sim import simulate
from reference.cases import CASES, Case, Path
from reference.student import standard_error, t975

MEANS = {"wait_all_s", "wait_answered_s"}


def told(result: dict[str, Any], path: Path) -> dict[str, float]:
    found: Any = result
    for name in path:
        found = found[name]
    return {"mean": float(found["mean"]), "ci95": float(found["ci95"])}


def faults(case: Case, result: dict[str, Any]) -> list[str]:
    """What is wrong, a line each; prints every figure."""
    wrong = []
    print(
        f"\n{case.name}: {result['total']['offered']} contacts counted, {case.contacts} to be expected with the warm-up"
    )
    for path, mu in case.expected.items():
        figure = told(result, path)
        x, error = figure["mean"], standard_error(figure, case.scenario["replications"])
        mean = path[-1] in MEANS
        floor, precise = (0.02 * mu, 0.01 * mu) if mean else (0.005, 0.002)
        z = (x - mu) / error if error else math.copysign(math.inf, x - mu) if x != mu else 0.0
        line = f"{case.name}: {'.'.join(path)} theory {mu:.5g}, x {x:.5g} +- {error:.2g}, z {z:.2f}"
        print("  " + line)
        if not abs(x - mu) <= max(4 * error, floor):
            wrong.append(f"disagrees: {line}")
        if not error <= precise:
            wrong.append(f"not precise: {line}, bound {precise:.2g}")
    return wrong


EVERY_TIME = sorted(CASES, key=lambda case: case.contacts)[:25]
"""The cheaper cases. `make theory` runs them all, the dearest of 320,000 contacts."""


@pytest.mark.slow
@pytest.mark.parametrize("case", EVERY_TIME, ids=lambda case: case.name)
def test_the_simulator_agrees_with_theory(case: Case) -> None:
    assert faults(case, simulate(case.scenario, 1)) == []


@pytest.mark.thorough
@pytest.mark.parametrize("case", [case for case in CASES if case not in EVERY_TIME], ids=lambda case: case.name)
def test_the_simulator_agrees_with_theory_where_it_is_dear(case: Case) -> None:
    assert faults(case, simulate(case.scenario, None)) == []


@pytest.mark.slow
def test_a_planted_wrong_expectation_is_found() -> None:
    """One run judged by wrong theories: each figure moved by 4 % or a point, one at a time, is the only fault found."""
    case = next(case for case in CASES if case.name == "M/M/20/24 at 1.8")
    result = simulate(case.scenario, None)
    for path, mu in case.expected.items():
        planted = mu * 1.05 if path[-1] in MEANS else mu - 0.02
        found = faults(replace(case, expected=case.expected | {path: planted}), result)
        assert len(found) == 1 and found[0].startswith(f"disagrees: {case.name}: {'.'.join(path)} ")


def result_of(case: Case, error: float, shift: float) -> dict[str, Any]:
    """What a simulator would tell that is off by `shift` of each figure, with a standard error of `error` of it."""
    result: dict[str, Any] = {"total": {"offered": 1}, "queues": {}, "agents": {}}
    for path, mu in case.expected.items():
        inner = result
        for name in path[:-1]:
            inner = inner.setdefault(name, {})
        half = t975(case.scenario["replications"] - 1) * error * mu
        inner[path[-1]] = {"mean": mu * (1 + shift), "ci95": half}
    return result


def test_the_judge_lets_the_right_pass_and_finds_the_wrong_and_the_vague() -> None:
    case = next(case for case in CASES if case.name == "M/M/20/24 at 1.8")
    assert faults(case, result_of(case, 0.001, 0.003)) == []
    wrong = faults(case, result_of(case, 0.001, 0.03))
    assert len(wrong) == len(case.expected) and all(line.startswith("disagrees") for line in wrong)
    vague = faults(case, result_of(case, 0.02, 0.0))
    assert len(vague) == len(case.expected) and all(line.startswith("not precise") for line in vague)
    nothing = result_of(case, math.nan, math.nan)
    assert len(faults(case, nothing)) == 2 * len(case.expected)
    with pytest.raises(KeyError):
        faults(case, {"total": {"offered": 1}, "queues": {}, "agents": {}})
