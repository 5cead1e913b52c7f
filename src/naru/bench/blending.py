"""Blended agents through simulated days with peaks: a reserve that follows the service level beside the best fixed one.

The best fixed reserve is found with hindsight: of all that met the day's service level, the one with which most outbound
work was done. The steered reserve does not know the day. Outbound work has no end, and inbound callers lose patience.
"""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import msgspec

from naru.sim.replications import cores, replicate
from naru.sim.scenario import check

GOAL, WITHIN_S = 0.8, 20
HANDLE_S, OUTBOUND_S, PATIENCE_S = 180, 240, 180
DAYS: dict[str, tuple[tuple[float, float], ...]] = {
    "two peaks": ((1, 0.1), (2, 0.33), (3, 0.7), (4, 0.5), (5, 0.3), (6, 0.67), (7, 0.43), (8, 0.2)),
    "flat": ((8, 0.42),),
    "a rush at noon": ((3, 0.3), (3.5, 0.85), (5, 0.5), (8, 0.3)),
    "more than there are": ((3, 0.2), (3.5, 1.0), (8, 0.25)),
    "steps": ((2, 0.2), (4, 0.4), (6, 0.6), (8, 0.75)),
}
"""[until hour, inbound load in agents busy, as a share of those there are]."""
AGENTS = (30, 80)
SEEDS = (1, 2)


class Row(msgspec.Struct, frozen=True):
    """`volume` is pieces of outbound work begun; `fixed` the best fixed reserve, None when none met the goal."""

    day: str
    agents: int
    seed: int
    service_level: float
    volume: int
    fixed: int | None
    fixed_service_level: float
    fixed_volume: int
    share: float


def scenario(day: str, agents: int, seed: int, reserve: int | None) -> dict[str, Any]:
    per_hour = agents * 3600 / HANDLE_S
    return {
        "version": 1,
        "seed": seed,
        "duration": "8h",
        "agents": [{"name": "team", "count": agents, "mode": "blended"}],
        "queues": [
            {
                "name": "care",
                "channel": "voice",
                "arrivals": {
                    "schedule": [
                        {"until": f"{until * 60:.0f}m", "per_hour": load * per_hour} for until, load in DAYS[day]
                    ]
                },
                "handling": {"exponential": f"{HANDLE_S}s"},
                "patience": {"exponential": f"{PATIENCE_S}s"},
                "service_level": {"within": f"{WITHIN_S}s"},
            }
        ],
        "outbound": [
            {
                "name": "renewals",
                "mode": "direct",
                "handling": {"exponential": f"{OUTBOUND_S}s"},
                "reserve": {"steer": {"queue": "care", "service_level": GOAL}} if reserve is None else reserve,
            }
        ],
    }


def day_of(what: tuple[str, int, int, int | None]) -> tuple[float, int]:
    """(service level, outbound volume) of one day."""
    tally = replicate(check(scenario(*what)), 0, lambda share: None)
    line = tally.lines[0]
    return line.in_time / max(1, line.offered), tally.outbound[0].dials


def blending(tell: Callable[[Row], None], processes: int | None = None) -> list[Row]:
    rows = []
    with ProcessPoolExecutor(processes or cores(), get_context("spawn")) as pool:
        for day in DAYS:
            for agents in AGENTS:
                for seed in SEEDS:
                    rows.append(_row(pool, day, agents, seed))
                    tell(rows[-1])
    return rows


def _row(pool: ProcessPoolExecutor, day: str, agents: int, seed: int) -> Row:
    reserves = range(agents // 3)
    days = list(pool.map(day_of, [(day, agents, seed, reserve) for reserve in (None, *reserves)]))
    level, volume = days[0]
    met = [(done, reserve, reached) for reserve, (reached, done) in enumerate(days[1:]) if reached >= GOAL]
    best = max(met, default=None)
    return Row(
        day=day,
        agents=agents,
        seed=seed,
        service_level=level,
        volume=volume,
        fixed=best[1] if best else None,
        fixed_service_level=best[2] if best else 0.0,
        fixed_volume=best[0] if best else 0,
        share=volume / best[0] if best else 1.0,
    )


HEADER = "day                   agents  seed  steered: in time   volume   best fixed  in time   volume   steered does"


def line(row: Row) -> str:
    fixed = "none does" if row.fixed is None else str(row.fixed)
    return (
        f"{row.day:20}  {row.agents:6}  {row.seed:4}  {row.service_level:16.1%}  {row.volume:7}  {fixed:>11}"
        f"  {row.fixed_service_level:7.1%}  {row.fixed_volume:7}  {row.share:13.1%}"
    )
