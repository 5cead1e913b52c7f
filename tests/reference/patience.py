"""Contacts that leave: M/M/c+G, solved by the density of the offered wait (Baccelli and Hebuterne 1981).

V is the wait of somebody with endless patience. With S the survival function of patience, lambda the arrivals, mu the
handling rate and p the shares of the states: P(V = 0) = p_0 + ... + p_(c-1), and for x > 0 the density is
v(x) = lambda p_(c-1) exp(lambda * integral_0^x S - c mu x). A contact abandons when its patience is below V.
`exponential` (Erlang A) and `constant` are two cases; `quadrature` takes any S and is how the closed forms are checked.
All ratios and waits are over all offered unless named `answered`.
"""

import math
from collections.abc import Callable

from reference.erlang import Figures


def _figures(
    agents: int, load: float, arrivals: float, none: float, left: float, patient: float, answered: float, early: float
) -> Figures:
    """From P(V = 0) and the integrals: share abandoning, wait of the abandoning, wait of and share answered in time."""
    return {
        "wait_probability": 1 - none,
        "abandonment": left,
        "wait_all_s": answered + patient,
        "wait_answered_s": answered / (1 - left),
        "service_level": none + early,
        "occupancy": load * (1 - left) / agents,
        "blocking": 0.0,
    }


def _below(agents: int, load: float) -> tuple[float, float]:
    """Weights of the states without waiting: their sum, and that of c - 1 agents busy; state 0 has weight 1."""
    weight = total = 1.0
    for n in range(1, agents):
        weight *= load / n
        total += weight
    return total, weight


def quadrature(
    agents: int,
    arrivals: float,
    handling_s: float,
    survival: Callable[[float], float],
    within_s: float,
    end_s: float,
    steps: int = 200_000,
) -> Figures:
    """Any patience, by the midpoint rule on [0, end_s]; a jump of `survival` or `within_s` should fall on a step."""
    load = arrivals * handling_s
    below, last = _below(agents, load)
    h = end_s / steps
    stayed = mass = left = patient = answered = early = 0.0
    for i in range(steps):
        x = (i + 0.5) * h
        here = survival(x)
        middle = stayed + here * h / 2
        stayed += here * h
        v = arrivals * last * math.exp(arrivals * middle - agents * x / handling_s) * h
        mass += v
        left += v * (1 - here)
        patient += v * (middle - x * here)
        answered += v * x * here
        early += v * here if x < within_s else 0.0
    total = below + mass
    return _figures(
        agents, load, arrivals, below / total, left / total, patient / total, answered / total, early / total
    )


def exponential(agents: int, arrivals: float, handling_s: float, patience_s: float, within_s: float = 20.0) -> Figures:
    """Erlang A, M/M/c+M: the states by birth and death, what a waiting contact meets by its place in the queue."""
    load, rate, leave = arrivals * handling_s, agents / handling_s, 1 / patience_s
    below, weight = _below(agents, load)
    total = below
    answered = left = early = 0.0
    share, mean = 1.0, 0.0
    ladder = _Ladder(rate, leave, within_s)
    place = 0
    while place < 20 or weight > 1e-16 * total:
        # Somebody who comes to c + place contacts waits behind `place` others.
        weight *= arrivals / (rate + place * leave)
        total += weight
        step = rate + (place + 1) * leave
        share, mean = (step - leave) / step * share, (step - leave) / step * (share / step + mean)
        answered += weight * mean
        left += weight * (1 - share)
        early += weight * ladder.answered_within(place + 1)
        place += 1
    # The mean wait of all is L / lambda, and L = abandonments per second / leave.
    return _figures(
        agents,
        load,
        arrivals,
        below / total,
        left / total,
        left / total * patience_s - answered / total,
        answered / total,
        early / total,
    )


class _Ladder:
    """P(answered within t) from the k-th place: the contact climbs k steps and may fall off at each one.

    If it stays, it is answered after T, a sum of exponentials with the rates rate + j leave, j = 0 to k - 1; it stays that
    long with e^(-leave T). With r = rate / leave, e^(-leave T) is a product of Beta(r + j, 1), and so Beta(r, k).
    """

    def __init__(self, rate: float, leave: float, within_s: float) -> None:
        self.r = rate / leave
        self.floor = math.exp(-leave * within_s)

    def answered_within(self, place: int) -> float:
        """E[U; U >= floor], U ~ Beta(r, place): a Beta(r + 1, place) tail times the mean r / (r + place)."""
        return self.r / (self.r + place) * _beta_tail(self.r + 1, place, self.floor)


def _beta_tail(a: float, b: int, x: float) -> float:
    """P(Beta(a, b) > x) for whole b: 1 - x^a sum_(j<b) Gamma(a + j) / (Gamma(a) j!) (1 - x)^j."""
    term = total = x**a
    for j in range(b - 1):
        term *= (a + j) / (j + 1) * (1 - x)
        total += term
    return max(0.0, 1 - total)


def constant(agents: int, arrivals: float, handling_s: float, patience_s: float, within_s: float = 20.0) -> Figures:
    """M/M/c+D: everybody leaves after `patience_s`; below it v grows or falls like e^(alpha x), alpha = lambda - c mu."""
    load, rate = arrivals * handling_s, agents / handling_s
    alpha = arrivals - rate
    below, last = _below(agents, load)
    v = arrivals * last
    mass, first = _moments(alpha, patience_s)
    beyond = v * math.exp(alpha * patience_s) / rate
    total = below + v * mass + beyond
    early = v * _moments(alpha, min(within_s, patience_s))[0]
    left = beyond / total
    return _figures(agents, load, arrivals, below / total, left, left * patience_s, v * first / total, early / total)


def _moments(alpha: float, end: float) -> tuple[float, float]:
    """Integrals of e^(alpha x) and x e^(alpha x) over [0, end]."""
    if abs(alpha * end) < 1e-6:
        return end, end * end / 2
    grown = math.exp(alpha * end)
    return (grown - 1) / alpha, (end * grown - (grown - 1) / alpha) / alpha
