"""The product form of first come first served with longest-idle agents (Adan and Weiss, Stochastic Systems 4, 2014).

Order the agents: the busy ones by the age of their contact, then the idle ones, the longest idle last. Such an order with
i busy has the weight  prod_(j <= i) 1 / (mu(B_j) - lambda(U_j))  *  prod_(j > i) 1 / lambda(C_j):  B_j the first j busy,
U_j the queues that only they serve, C_j the queues that the j-th agent and those idle longer serve. Between the j-th and the
next wait a geometric number of contacts of U_j. Agents of a team are alike, so sums run over how many of each team.
Handling depends on the team only; everyone waits for ever.
"""

from functools import cache
from itertools import product

from reference.erlang import Figures

Counts = tuple[int, ...]


def figures(
    arrivals: list[float], teams: list[tuple[int, float, frozenset[int]]]
) -> tuple[list[Figures], Figures, list[float]]:
    """Each queue, all together, and the teams' occupancy; a team is (count, handling rate, queues it serves)."""
    full = tuple(count for count, _, _ in teams)
    queues = range(len(arrivals))

    def smaller(k: Counts) -> list[Counts]:
        return [(*k[:t], k[t] - 1, *k[t + 1 :]) for t in range(len(k)) if k[t]]

    def served(k: Counts) -> set[int]:
        return {queue for t, n in enumerate(k) if n for queue in teams[t][2]}

    @cache
    def slack(k: Counts) -> tuple[float, tuple[int, ...]]:
        only = served(k) - served(tuple(c - n for c, n in zip(full, k, strict=True)))
        rate = sum(n * mu for n, (_, mu, _) in zip(k, teams, strict=True))
        free = rate - sum(arrivals[queue] for queue in only)
        assert free > 0, f"no steady state: agents {k} cannot serve queues {only}"
        return free, tuple(sorted(only))

    @cache
    def busy(k: Counts) -> float:
        return sum(busy(s) for s in smaller(k)) / slack(k)[0] if any(k) else 1.0

    @cache
    def line(k: Counts, queue: int) -> float:
        """The weight of `busy`, times the mean number of the queue's contacts that wait."""
        if not any(k):
            return 0.0
        free, only = slack(k)
        here = busy(k) * arrivals[queue] / free if queue in only else 0.0
        return sum(line(s, queue) for s in smaller(k)) / free + here

    @cache
    def idle(k: Counts) -> float:
        if not any(k):
            return 1.0
        return sum(idle(s) for s in smaller(k)) / sum(arrivals[queue] for queue in served(k))

    total = 0.0
    waited, number = [0.0 for _ in queues], [0.0 for _ in queues]
    working = [0.0 for _ in teams]
    for k in product(*(range(count + 1) for count in full)):
        rest = tuple(c - n for c, n in zip(full, k, strict=True))
        weight = busy(k) * idle(rest)
        total += weight
        able = served(rest)
        for queue in queues:
            waited[queue] += weight if queue not in able else 0.0
            number[queue] += line(k, queue) * idle(rest)
        for t, n in enumerate(k):
            working[t] += weight * n / full[t]
    each = [
        {"wait_probability": waited[queue] / total, "wait_all_s": number[queue] / total / arrivals[queue]}
        for queue in queues
    ]
    together = {
        name: sum(rate * f[name] for rate, f in zip(arrivals, each, strict=True)) / sum(arrivals)
        for name in ("wait_probability", "wait_all_s")
    }
    return each, together, [share / total for share in working]
