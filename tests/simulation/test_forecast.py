"""The wait that is told, back-tested: in the simulator what was foretold is held against what happened."""

import random  # noqa: TID251 - seeded
from typing import Any

import pytest

from naru.sim import simulate
from router.forecast import (
    HALF,
    LEAST_CHECKED,
    LEAST_GAPS,
    MOST,
    STALE_S,
    Forecast,
    foretell,
    quantile,
)


def scenario(**queue: Any) -> dict[str, Any]:
    line = {
        "name": "care",
        "channel": "voice",
        "arrivals": {"per_hour": 150},
        "handling": {"exponential": "3m"},
        "service_level": {"within": "20s"},
    }
    return {
        "version": 1,
        "seed": 7,
        "replications": 2,
        "warm_up": "2h",
        "duration": "40h",
        "agents": [{"name": "team", "count": 8}],
        "queues": [line | queue],
    }


@pytest.mark.parametrize(
    "queue",
    [
        {},
        {"patience": {"exponential": "4m"}, "arrivals": {"per_hour": 170}},
        {
            "arrivals": {
                "schedule": [
                    {"until": "1h", "per_hour": 100},
                    {"until": "2h", "per_hour": 220},
                    {"until": "4h", "per_hour": 120},
                ]
            }
        },
    ],
    ids=["steady", "people lose patience", "a daily rush"],
)
def test_what_is_told_comes_true(queue: dict[str, Any]) -> None:
    told = simulate(scenario(**queue), 1)["queues"]["care"]["foretold"]
    assert told["told"]["mean"] > 0.6
    assert 0.4 < told["within_half"]["mean"] < 0.75
    assert 0.8 < told["within_most"]["mean"] < 0.99


def test_the_quantiles_are_those_of_a_sum_of_exponential_times() -> None:
    dice = random.Random(3)
    for place in (1, 2, 5, 20):
        drawn = sorted(sum(dice.expovariate(1 / 30) for _ in range(place)) for _ in range(20_000))
        for share in (HALF, MOST):
            assert quantile(place, 30, share) == pytest.approx(drawn[int(share * len(drawn))], rel=0.05)


def test_nothing_is_told_that_is_not_reliable() -> None:
    known = Forecast(gaps=LEAST_GAPS, gap_s=30, taken_at=1000, checked=LEAST_CHECKED, right=0.9)
    assert foretell(known, 3, 1001) is not None
    assert foretell(None, 3, 1001) is None
    assert foretell(known, 0, 1001) is None
    assert foretell(known, 3, 1001 + STALE_S) is None
    for name, value in (("gaps", LEAST_GAPS - 1), ("checked", LEAST_CHECKED - 1), ("right", 0.7), ("right", 1.0)):
        setattr(known, name, value)
        assert foretell(known, 3, 1001) is None
        known = Forecast(gaps=LEAST_GAPS, gap_s=30, taken_at=1000, checked=LEAST_CHECKED, right=0.9)
