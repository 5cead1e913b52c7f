"""Chance, the only place of the simulator that names it: seeded streams, and what is made of their numbers.

Each purpose has a stream of its own, and each contact takes one number from each as it comes, used or not. So two
variants of a scenario with the same seed meet the same customers (common random numbers).
"""

import math
import random
from collections.abc import Callable
from statistics import NormalDist

from naru.sim.scenario import Arrivals, Distribution

Uniform = Callable[[], float]
"""The next number of a stream, in [0, 1)."""
Draws = Callable[[int, int, str, str], Uniform]
"""(seed, replication, queue, purpose) to its stream."""
Sampler = Callable[[float], float]
"""A uniform number to seconds, increasing: the inverse of the distribution function."""

_LEAST = 2.0**-54


def stream(seed: int, replication: int, queue: str, purpose: str) -> Uniform:
    # Seeded with text, which Python hashes with SHA-512: the same on every machine, whatever PYTHONHASHSEED is.
    return random.Random(f"{seed}/{replication}/{purpose}/{queue}").random


def sampler(given: Distribution) -> Sampler:
    if given.exponential is not None:
        return _exponential(float(given.exponential))
    if given.lognormal is not None:
        return _lognormal(float(given.lognormal.mean), given.lognormal.cv)
    constant_s = float(given.constant or 0)
    return lambda number: constant_s


def _exponential(mean_s: float) -> Sampler:
    log1p = math.log1p
    return lambda number: -mean_s * log1p(-number)


def _lognormal(mean_s: float, cv: float) -> Sampler:
    """sigma^2 = ln(1 + cv^2), mu = ln(mean) - sigma^2 / 2."""
    variance = math.log1p(cv * cv)
    if variance == 0:
        return lambda number: mean_s
    middle, spread = math.log(mean_s) - variance / 2, math.sqrt(variance)
    normal, exp = NormalDist().inv_cdf, math.exp
    return lambda number: exp(middle + spread * normal(number or _LEAST))


class Poisson:
    """Arrival times of a Poisson process whose rate is constant between the schedule's boundaries.

    Each interval is a unit exponential of *exposure* (rate x time), spent along the schedule, which is exact however
    the rate jumps.
    """

    def __init__(self, arrivals: Arrivals, uniform: Uniform) -> None:
        spans = [(float(span.until), span.per_hour / 3600) for span in arrivals.schedule or ()]
        self._spans = spans or [(math.inf, (arrivals.per_hour or 0) / 3600)]
        self._uniform = uniform
        self._period_s = self._spans[-1][0]
        self._began = 0.0
        self._span = 0
        self._t = 0.0
        edges = [0.0, *(until for until, _ in self._spans)]
        masses = [rate * (edges[n + 1] - edges[n]) if rate else 0.0 for n, (_, rate) in enumerate(self._spans)]
        self._per_period = math.fsum(masses)

    def next(self) -> float:
        """The next arrival, in seconds from the start; infinite when nobody will ever come."""
        if self._per_period == 0:
            return math.inf
        exposure = -math.log1p(-self._uniform())
        while True:
            until, rate = self._spans[self._span]
            end = self._began + until
            here = rate * (end - self._t) if rate else 0.0
            if exposure < here:
                self._t += exposure / rate
                return self._t
            exposure -= here
            self._t = end
            self._turn(exposure)
            exposure %= self._per_period

    def _turn(self, exposure: float) -> None:
        """On to the next span; at a period's end whole periods without an arrival are passed in one go."""
        self._span += 1
        if self._span == len(self._spans):
            self._span = 0
            self._began += self._period_s
        whole = exposure // self._per_period
        if whole:
            self._began += whole * self._period_s
            self._t += whole * self._period_s
