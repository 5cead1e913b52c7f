"""Handling that is not exponential: one agent with any law (Pollaczek-Khinchine), many agents with a constant one.

Sources: Kleinrock I, ch. 5; Cobham 1954 for priorities; Crommelin 1932 and Franx 2001 (Operations Research Letters 29)
for M/D/c. A law is given by its mean and its coefficient of variation.
"""

import math

import numpy as np

from reference.erlang import Figures


def one_agent(arrivals: float, handling_s: float, cv: float) -> Figures:
    """M/G/1, first come first served."""
    load = arrivals * handling_s
    mean = arrivals * handling_s**2 * (1 + cv**2) / 2 / (1 - load)
    return {"wait_probability": load, "wait_all_s": mean, "wait_answered_s": mean, "occupancy": load}


def one_agent_priorities(classes: list[tuple[float, float, float]]) -> list[Figures]:
    """M/G/1 with strict non-preemptive classes (arrivals, handling_s, cv), first class first."""
    remaining = sum(rate * mean**2 * (1 + cv**2) / 2 for rate, mean, cv in classes)
    load = sum(rate * mean for rate, mean, _ in classes)
    figures, before = [], 0.0
    for rate, mean, _ in classes:
        after = before + rate * mean
        wait = remaining / ((1 - before) * (1 - after))
        figures.append({"wait_probability": load, "wait_all_s": wait, "wait_answered_s": wait})
        before = after
    return figures


def constant(agents: int, arrivals: float, handling_s: float, within_s: float = 20.0) -> Figures:
    """M/D/c, first come first served.

    Whoever is in service now is gone one handling time later, and nobody else is: N(t + D) = max(N(t) - c, 0) + the
    arrivals of D. That chain's stationary law is the number in the center.
    """
    share = _constant_states(agents, arrivals * handling_s)
    n = np.arange(len(share))
    mean = float(np.sum(np.maximum(n - agents, 0) * share)) / arrivals
    return {
        "wait_probability": float(share[agents:].sum()),
        "wait_all_s": mean,
        "wait_answered_s": mean,
        "service_level": constant_within(agents, arrivals, handling_s, within_s),
        "occupancy": arrivals * handling_s / agents,
    }


def _constant_states(agents: int, load: float) -> np.ndarray:
    size = agents + int(60 / (1 - load / agents)) + 60
    poisson = np.zeros(size)
    poisson[0] = math.exp(-load)
    for k in range(1, size):
        poisson[k] = poisson[k - 1] * load / k
    step = np.zeros((size, size))
    for n in range(size):
        stay = max(n - agents, 0)
        step[n, stay:] = poisson[: size - stay]
        step[n, -1] += 1 - step[n].sum()
    balance = step.T - np.eye(size)
    balance[0] = 1.0
    goal = np.zeros(size)
    goal[0] = 1.0
    return np.linalg.solve(balance, goal)


def constant_within(agents: int, arrivals: float, handling_s: float, within_s: float) -> float:
    """P(wait <= t) in M/D/c by Franx' formula, t in [(k - 1) D, k D)."""
    states = np.cumsum(_constant_states(agents, arrivals * handling_s))
    k = int(within_s // handling_s) + 1
    x = arrivals * (k * handling_s - within_s)
    last = k * agents - 1
    term = math.exp(-x)
    total = 0.0
    for j in range(last + 1):
        total += term * float(states[min(agents + last - j, len(states) - 1)])
        term *= x / (j + 1)
    return total
