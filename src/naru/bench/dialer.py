"""Predictive dialling beside power dialling, in twenty worlds that change while they run, at equal abandonment.

In each world the share of people who answer drops and jumps five times, between 15 and 30 % and between 40 and 60 %, and
agents leave and come back, at moments drawn from the world's seed. First it is dialled predictively, under the hard
ceiling. Then by `power`, without a ceiling, at the fixed ratio at which just as many are abandoned in the same world:
found by bisection, and between two ratios by a straight line. Ringing is lognormal (cv 0.5), talks are lognormal (cv 1),
wrap-up is timed. Everything is the production core under a virtual clock.
"""

import gc
import math
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import msgspec

from naru.sim.called import OutboundTally
from naru.sim.chance import stream
from naru.sim.replications import cores
from naru.sim.scenario import check
from naru.sim.world import World
from router import inputs, outbound

AGENTS = (5, 6, 8, 10, 12, 15, 20, 20, 25, 30, 35, 40, 50, 60, 70, 80, 100, 120, 160, 200)
CEILING = 0.03
WARM_UP_S = 2 * 3600.0
TRIES = 5
MOST_RATIO = 10.0


class Case(msgspec.Struct, frozen=True):
    """One world. `answers` is [from, share]; `leaves` is [from, until, how many]."""

    seed: int
    agents: int
    ring_s: float
    talk_s: float
    wrap_s: float
    hours: float
    answers: tuple[tuple[float, float], ...]
    leaves: tuple[tuple[float, float, int], ...]


class Row(msgspec.Struct, frozen=True):
    """`of_all` is the share abandoned since the campaign began, which is what the ceiling is about; the other figures are of
    the time after the warm-up. `worst` is the greatest (abandoned - ceiling x live answers) there ever was: over 0 the
    ceiling was exceeded."""

    seed: int
    agents: int
    answers: str
    live: int
    of_all: float
    abandonment: float
    worst: float
    idle: float
    power_ratio: float
    power_abandonment: float
    power_idle: float
    gain: float


def case(number: int) -> Case:
    uniform = stream(number, 0, "dialer", "world")

    def between(least: float, most: float) -> float:
        return least + (most - least) * uniform()

    agents = AGENTS[(number - 1) % len(AGENTS)]
    hours = 8.0 if agents < 50 else 4.0 if agents < 100 else 3.0
    until = WARM_UP_S + hours * 3600
    often = (between(0.4, 0.6), between(0.4, 0.6), between(0.4, 0.6))
    seldom = (between(0.15, 0.3), between(0.15, 0.3), between(0.15, 0.3))
    shares = [
        share for pair in zip(*((often, seldom) if uniform() < 0.5 else (seldom, often)), strict=True) for share in pair
    ]
    moments = [0.0, *sorted(WARM_UP_S / 2 + between(0, until - WARM_UP_S / 2) for _ in shares[1:])]
    answers = tuple((moment, round(share, 3)) for moment, share in zip(moments, shares, strict=True))
    leaves = []
    for _ in range(4):
        begins = between(0, until)
        leaves.append((begins, begins + between(600, 3600), max(1, round(agents * between(0.1, 0.3)))))
    return Case(
        seed=number,
        agents=agents,
        ring_s=round(between(12, 22), 1),
        talk_s=round(between(60, 240)),
        wrap_s=round(between(10, 30)),
        hours=hours,
        answers=answers,
        leaves=tuple(leaves),
    )


class Run(msgspec.Struct, frozen=True):
    """The window's tally, the share abandoned of all there were, the idle share of the agents who were there, and the worst
    that the ceiling was exceeded by."""

    tally: OutboundTally
    of_all: float
    idle: float
    worst: float

    @property
    def abandonment(self) -> float:
        return self.tally.abandoned / max(1, self.tally.live)


def dial(world: Case, mode: str, ratio: float | None = None) -> Run:
    outreach: dict[str, Any] = {
        "name": "campaign",
        "mode": mode,
        "ring": {"lognormal": {"mean": f"{world.ring_s}s", "cv": 0.5}},
        "live_answer": world.answers[0][1],
        "handling": {"lognormal": {"mean": f"{world.talk_s}s", "cv": 1}},
        "wrap_up": {"constant": f"{world.wrap_s}s"},
        "answer_within": "2s",
    }
    outreach |= {"abandonment_ceiling": CEILING} if ratio is None else {"ratio": ratio, "abandonment_ceiling": 1}
    scenario = {
        "version": 1,
        "seed": world.seed,
        "warm_up": f"{WARM_UP_S:.0f}s",
        "duration": f"{world.hours:.0f}h",
        "agents": [{"name": "team", "count": world.agents, "mode": "outbound"}],
        "outbound": [outreach],
    }
    running = World(check(scenario), 0)
    campaign = running.outside.campaigns[0]
    for begins, share in world.answers[1:]:
        running.clock.add(begins, campaign.change, share)
    away = _leave(running, world)
    worst = _watch(running) if ratio is None else (lambda: 0.0)
    gc.disable()
    try:
        while running.advance():
            pass
    finally:
        gc.enable()
    tally = running.tally.outbound[0]
    there_s = world.agents * world.hours * 3600 - away
    live, abandoned = outbound.in_window(running.pool.memory.campaigns["o0"], running.ends, 366)
    return Run(tally, abandoned / max(1, live), 1 - tally.busy_s / there_s, worst())


def _leave(running: World, world: Case) -> float:
    """Agents go, whatever they are doing, and come back. Returns the agents' seconds away in the window.

    Whoever has a call in hand ends it first, as people do: `draining` until then.
    """
    ids = list(running.team_of)
    away_s, taken = 0.0, 0

    def presence(t: float, change: tuple[str, str]) -> None:
        agent, now = change
        wish = inputs.SetPresence(agent=agent, presence=now, when="now" if now == "available" else "after")  # type: ignore[arg-type]
        running.tell(t, wish)

    for begins, until, count in world.leaves:
        for _ in range(count):
            agent = ids[taken % len(ids)]
            taken += 1
            running.clock.add(begins, presence, (agent, "away"))
            running.clock.add(until, presence, (agent, "available"))
            away_s += max(0.0, min(until, running.ends) - max(begins, running.begins))
    return away_s


def _watch(running: World) -> Callable[[], float]:
    """The greatest excess over the ceiling, looked at whenever somebody was abandoned."""
    worst = [-math.inf]
    completed = running.outside.completed

    def look(event: Any, t: float) -> bool:
        known = completed(event, t)
        if event.outcome == "nobody_free":
            state = running.pool.memory.campaigns["o0"]
            live, abandoned = outbound.in_window(state, t, 366)
            worst[0] = max(worst[0], abandoned - CEILING * live)
        return known

    running.outside.completed = look  # type: ignore[method-assign]
    return lambda: worst[0]


def measure(number: int) -> Row:
    world = case(number)
    run = dial(world, "predictive")
    ratio, power_abandonment, power_idle = _power(world, run.abandonment)
    return Row(
        seed=number,
        agents=world.agents,
        answers=" ".join(f"{share:.0%}" for _, share in world.answers),
        live=run.tally.live,
        of_all=run.of_all,
        abandonment=run.abandonment,
        worst=run.worst,
        idle=run.idle,
        power_ratio=ratio,
        power_abandonment=power_abandonment,
        power_idle=power_idle,
        gain=1 - run.idle / power_idle,
    )


def _power(world: Case, abandonment: float) -> tuple[float, float, float]:
    """(ratio, abandonment, idle share) of power dialling that abandons as many."""

    def at(ratio: float) -> tuple[float, float, float]:
        run = dial(world, "power", ratio)
        return ratio, run.abandonment, run.idle

    low, high = at(1.0), at(MOST_RATIO)
    for _ in range(TRIES):
        middle = at(_between(low, high, abandonment))
        low, high = (middle, high) if middle[1] < abandonment else (low, middle)
    if high[1] <= low[1]:
        return low
    part = (abandonment - low[1]) / (high[1] - low[1])
    return (
        low[0] + part * (high[0] - low[0]),
        low[1] + part * (high[1] - low[1]),
        low[2] + part * (high[2] - low[2]),
    )


def _between(low: tuple[float, float, float], high: tuple[float, float, float], wanted: float) -> float:
    """The root of abandonment is nearly straight over the ratio; never too near to either end."""
    a, b, w = (math.sqrt(max(0.0, x)) for x in (low[1], high[1], wanted))
    part = (w - a) / (b - a) if b > a else 0.5
    return low[0] + min(0.9, max(0.1, part)) * (high[0] - low[0])


def dialer(numbers: list[int], tell: Callable[[Row], None], processes: int | None = None) -> list[Row]:
    """A row for each world, told as they come."""
    rows = []
    with ProcessPoolExecutor(processes or cores(), get_context("spawn")) as pool:
        for row in pool.map(measure, numbers):
            tell(row)
            rows.append(row)
    return rows


HEADER = (
    "seed  agents  live answers  abandoned of all  over the ceiling  then: abandoned  idle"
    "    power: ratio  abandoned  idle    less idle by"
)


def line(row: Row) -> str:
    over = "never" if row.worst <= 0 else f"{row.worst:.2f}"
    return (
        f"{row.seed:4}  {row.agents:6}  {row.live:12}  {row.of_all:16.2%}  {over:>16}  {row.abandonment:15.2%}"
        f"  {row.idle:6.1%}  {row.power_ratio:12.2f}  {row.power_abandonment:9.2%}  {row.power_idle:6.1%}  {row.gain:12.1%}"
    )
