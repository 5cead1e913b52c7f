"""Erlang's formulas: Poisson arrivals, exponential handling, everyone waits for ever or finds a line free.

Rates are per second, durations in seconds. A function that describes a system returns *figures*: a dict with the names
of the simulator's output (`wait_probability`, `wait_all_s`, `service_level` = answered within `within_s`, `occupancy`,
`blocking`). Nothing here knows the product. Sources: A. K. Erlang 1917; Kleinrock, Queueing Systems I, 1975, ch. 3;
A. Cobham, Operations Research 2 (1954) 70-76; Kella and Yechiali 1985 for the multi-server form.
"""

import math

Figures = dict[str, float]


def erlang_b(agents: int, load: float) -> float:
    """Share blocked where nobody can wait; `load` in erlangs. Holds for every distribution of the handling time."""
    blocked = 1.0
    for n in range(1, agents + 1):
        blocked = load * blocked / (n + load * blocked)
    return blocked


def erlang_c(agents: int, load: float) -> float:
    """Probability of waiting where everybody waits for ever; needs load < agents."""
    blocked = erlang_b(agents, load)
    return blocked / (1 - load / agents * (1 - blocked))


def waiting(agents: int, arrivals: float, handling_s: float, within_s: float = 20.0) -> Figures:
    """M/M/c, first come first served."""
    load = arrivals * handling_s
    freed = (agents - load) / handling_s
    wait = erlang_c(agents, load)
    mean = wait / freed
    return {
        "wait_probability": wait,
        "wait_all_s": mean,
        "wait_answered_s": mean,
        "service_level": 1 - wait * math.exp(-freed * within_s),
        "occupancy": load / agents,
        "abandonment": 0.0,
        "blocking": 0.0,
    }


def lines(agents: int, places: int, arrivals: float, handling_s: float, within_s: float = 20.0) -> Figures:
    """M/M/c/K with K = `places` >= agents contacts in the center at once; all figures but blocking are of the admitted."""
    load = arrivals * handling_s
    weights = [1.0]
    for n in range(1, places + 1):
        weights.append(weights[-1] * load / min(n, agents))
    share = [w / sum(weights) for w in weights]
    admitted = 1 - share[places]
    wait = sum(share[agents:places]) / admitted
    queue = sum((n - agents) * share[n] for n in range(agents, places + 1))
    late = sum(share[n] * _erlang_tail(n - agents + 1, agents * within_s / handling_s) for n in range(agents, places))
    mean = queue / (arrivals * admitted)
    return {
        "wait_probability": wait,
        "wait_all_s": mean,
        "wait_answered_s": mean,
        "service_level": 1 - late / admitted,
        "occupancy": load * admitted / agents,
        "abandonment": 0.0,
        "blocking": share[places],
    }


def _erlang_tail(stages: int, x: float) -> float:
    """P(sum of `stages` unit exponentials > x)."""
    term = total = math.exp(-x)
    for k in range(1, stages):
        term *= x / k
        total += term
    return total


def priorities(agents: int, arrivals: list[float], handling_s: float) -> tuple[list[Figures], Figures]:
    """Cobham: strict, non-preemptive classes, first class first, one handling rate. Each class, and all together."""
    total = sum(arrivals)
    wait = erlang_c(agents, total * handling_s)
    classes, before, waited = [], 0.0, 0.0
    for rate in arrivals:
        after = before + rate * handling_s / agents
        mean = wait * handling_s / agents / ((1 - before) * (1 - after))
        classes.append({"wait_probability": wait, "wait_all_s": mean, "wait_answered_s": mean})
        waited += rate * mean
        before = after
    return classes, {"wait_probability": wait, "wait_all_s": waited / total, "occupancy": before}


def first_class_service_level(agents: int, arrivals: list[float], handling_s: float, within_s: float) -> float:
    """The first class' own service level: who waits sees an M/M/1 busy period's rate that only its class slows."""
    wait = erlang_c(agents, sum(arrivals) * handling_s)
    return 1 - wait * math.exp(-(agents / handling_s - arrivals[0]) * within_s)
