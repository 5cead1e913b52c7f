"""Callbacks in the simulator: against an exact chain of who waits on the line and who was promised a call, and by what must
hold whatever chance does.

A figure agrees if |x - mu| <= max(4 standard errors, 2 % of a mean, 0.5 points of a ratio).
"""

from typing import Any

import pytest

from naru.sim import simulate
from naru.sim.scenario import BadScenario, check
from reference.promised import promised
from reference.student import standard_error

REPLICATIONS = 10
CASES: list[dict[str, Any]] = [
    {"agents": 3, "arrive": 2.2 / 60, "serve": 1 / 60, "leave": 1 / 30, "when_waiting": 2, "accept": 0.6, "longest": 8},
    {
        "agents": 3,
        "arrive": 2.4 / 60,
        "serve": 1 / 60,
        "leave": 1 / 60,
        "when_waiting": 1,
        "accept": 0.5,
        "longest": 10,
    },
    {
        "agents": 6,
        "arrive": 4.8 / 60,
        "serve": 1 / 60,
        "leave": 1 / 90,
        "when_waiting": 0,
        "accept": 0.3,
        "longest": 11,
    },
]


def scenario(hours: float, callback: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    queue = {
        "name": "in",
        "channel": "voice",
        "arrivals": {"per_hour": 120},
        "handling": {"exponential": "3m"},
        "patience": {"exponential": "1m"},
        **more.pop("queue", {}),
        **({"callback": callback} if callback is not None else {}),
    }
    common = {"version": 1, "seed": 11, "replications": 2, "warm_up": "1h", "duration": f"{hours:.2f}h"}
    return {**common, "queues": [queue], "agents": [{"name": "team", "count": 7}], **more}


def of_case(case: dict[str, Any]) -> dict[str, Any]:
    queue = {
        "arrivals": {"per_hour": case["arrive"] * 3600},
        "handling": {"exponential": f"{1 / case['serve']:.6f}s"},
        "patience": {"exponential": f"{1 / case['leave']:.6f}s"},
    }
    callback = {"when_waiting": case["when_waiting"], "accept": case["accept"]}
    hours = 5_000 / (case["arrive"] * 3600)
    team = {"name": "team", "count": case["agents"]}
    return scenario(hours, callback, queue=queue, replications=REPLICATIONS, agents=[team])


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['agents']} agents")
def test_who_waits_and_who_was_promised_a_call_agree_with_the_chain(case: dict[str, Any]) -> None:
    known = promised(**case)
    assert known.cut < 1e-3
    found = simulate(of_case(case), None)
    queue = found["queues"]["in"]
    wrong = []
    for name, figure, mu in (
        ("wait_probability", queue["wait_probability"], known.wait_probability),
        ("abandonment", queue["abandonment"], known.abandonment),
        ("wait_all_s", queue["wait_all_s"], known.wait_all_s),
        ("occupancy", found["agents"]["team"]["occupancy"], known.occupancy),
    ):
        x, error = figure["mean"], standard_error(figure, REPLICATIONS)
        line = f"{name} theory {mu:.5g}, x {x:.5g} +- {error:.2g}"
        print("  " + line)
        if not abs(x - mu) <= max(4 * error, 0.02 * mu if name == "wait_all_s" else 0.005):
            wrong.append(line)
    assert wrong == []
    share = queue["callbacks"]["promised"] / queue["offered"]
    assert abs(share - known.promised) < 0.01


def test_who_is_promised_a_call_waits_as_whoever_has_endless_patience_does() -> None:
    with_promise = simulate(scenario(20, {"when_waiting": 0, "accept": 1}), None)["queues"]["in"]
    patient = simulate(scenario(20, None, queue={"patience": None}), None)["queues"]["in"]
    told = with_promise.pop("callbacks")
    assert with_promise == patient and told["promised"] >= told["reached"] > 0


@pytest.mark.parametrize("first", ["agent", "customer"])
def test_who_does_not_answer_is_tried_again_and_given_up(first: str) -> None:
    callback = {
        "when_waiting": 0,
        "accept": 1,
        "ring": {"constant": "20s"},
        "answer": 0.4,
        "call_first": first,
    }
    found = simulate(scenario(40, callback), None)["queues"]["in"]
    told = found["callbacks"]
    assert told["promised"] > 1000 and told["reached"] + told["unreached"] == pytest.approx(told["promised"], rel=0.03)
    assert told["unreached"] / told["promised"] == pytest.approx(0.6**3, abs=0.03)


def test_callbacks_are_for_phones() -> None:
    with pytest.raises(BadScenario) as refused:
        check(scenario(1, {"when_waiting": 0, "accept": 1, "ring": {}}, queue={"channel": "chat"}))
    assert refused.value.faults == [
        "queues[0].callback.ring: is exactly one of exponential, constant, lognormal",
        "queues[0].callback: is for voice only",
    ]
