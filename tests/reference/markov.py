"""Skilled teams as continuous-time Markov chains, solved exactly: oldest eligible contact, longest-idle eligible agent.

A state says who idles (teams in the order in which their agents became idle), what the busy ones have, and what waits.
Two ways of writing down what waits must agree: `Exact`, the whole line, type by type, for any number of queues and any
patience; and `Hidden`, for two queues of one patience, where the types of contacts that nobody has looked at are still
drawn at chance, so that long lines cost little. States are solved level by level, a level being the number waiting
(block tridiagonal elimination, without iteration); the longest line considered must be so rare that it does not matter,
unless `places` bounds it in earnest.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from reference.erlang import Figures

State = tuple[Any, ...]
Moves = Iterator[tuple[float, State]]


@dataclass(frozen=True, kw_only=True)
class Queue:
    """`ranks[team]` orders the teams before idleness does (0 for all: longest idle); `tier` orders queues before age."""

    arrivals: float
    leave: float = 0.0
    tier: int = 1
    ranks: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Team:
    """`rates[queue]` is the handling rate, None where the team lacks the skill; `first` are queues taken before age decides."""

    count: int
    rates: tuple[float | None, ...]
    first: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Result:
    queues: tuple[Figures, ...]
    total: Figures
    occupancy: tuple[float, ...]
    cut: float
    """Probability of the longest line considered; no fault if lines are bounded."""
    flow: float
    """Largest difference between what comes in and what goes out, as a share: must be nought."""
    states: int


@dataclass
class Center:
    """Who takes what. A busy agent is (team, type), the type left out where the team's rate does not depend on it."""

    queues: tuple[Queue, ...]
    teams: tuple[Team, ...]
    places: int | None = None
    longest: int = 60
    hidden: bool = True
    agents: int = field(init=False)

    def __post_init__(self) -> None:
        self.agents = sum(team.count for team in self.teams)
        if self.hidden:
            assert len(self.queues) == 2 and self.queues[0].leave == self.queues[1].leave

    # -- the agents' side

    def serves(self, team: int, queue: int) -> bool:
        return self.teams[team].rates[queue] is not None

    def chosen(self, idle: tuple[int, ...], queue: int) -> int | None:
        """Position in the idle order of the agent who takes an arrival, or None."""
        ranks = self.queues[queue].ranks or (0,) * len(self.teams)
        able = [(ranks[team], at) for at, team in enumerate(idle) if self.serves(team, queue)]
        return min(able)[1] if able else None

    def work(self, team: int, queue: int) -> tuple[int, int]:
        rates = {rate for rate in self.teams[team].rates if rate is not None}
        return (team, queue if len(rates) > 1 else -1)

    def rate(self, work: tuple[int, int]) -> float:
        team, queue = work
        rates = self.teams[team].rates
        found = rates[queue] if queue >= 0 else next(rate for rate in rates if rate is not None)
        assert found is not None
        return found

    def order(self, team: int) -> list[list[int]]:
        """The team's queues in groups: a group before the next, inside a group the oldest contact."""
        first = self.teams[team].first
        groups: dict[tuple[int, int], list[int]] = defaultdict(list)
        for queue, spec in enumerate(self.queues):
            if self.serves(team, queue):
                groups[(spec.tier, first.index(queue) if queue in first else len(first))].append(queue)
        return [groups[key] for key in sorted(groups)]

    def room(self, busy: tuple[tuple[int, int], ...], waiting: int) -> bool:
        return len(busy) + waiting < (self.places or self.agents + self.longest)

    # -- moves

    def moves(self, state: State) -> Moves:
        """A state is (idle teams oldest first, busy works sorted, line)."""
        idle, busy, line = state
        for queue, spec in enumerate(self.queues):
            at = self.chosen(idle, queue)
            if not self.room(busy, self.waiting(line)):
                continue
            if at is not None:
                works = tuple(sorted((*busy, self.work(idle[at], queue))))
                yield spec.arrivals, (idle[:at] + idle[at + 1 :], works, line)
            else:
                yield spec.arrivals, (idle, busy, self.joined(line, queue, bool(idle)))
        for work in sorted(set(busy)):
            rest = list(busy)
            rest.remove(work)
            rate = busy.count(work) * self.rate(work)
            for share, queue, after in self.taken(line, self.order(work[0])):
                if queue is None:
                    yield rate * share, ((*idle, work[0]), tuple(rest), after)
                else:
                    works = tuple(sorted((*rest, self.work(work[0], queue))))
                    yield rate * share, (idle, works, after)
        for rate, after in self.left(line):
            yield rate, (idle, busy, after)

    # -- the line, written in one of two ways

    def waiting(self, line: State) -> int:
        return line[1] + line[2] if self.hidden else len(line)

    def joined(self, line: State, queue: int, seen: bool) -> State:
        """Somebody is idle and did not take it: then its type is known; else nobody has looked."""
        if not self.hidden:
            return (*line, queue)
        kind, known, unknown = line
        return (queue, known + 1, unknown) if seen else (kind, known, unknown + 1)

    def taken(self, line: State, order: list[list[int]]) -> Iterator[tuple[float, int | None, State]]:
        """What a freed agent does: (probability, type taken or None, the line after)."""
        if self.hidden:
            yield from self._looked(line, order)
            return
        for group in order:
            for at, queue in enumerate(line):
                if queue in group:
                    yield 1.0, queue, line[:at] + line[at + 1 :]
                    return
        yield 1.0, None, line

    def _looked(self, line: State, order: list[list[int]]) -> Iterator[tuple[float, int | None, State]]:
        kind, known, unknown = line
        total = sum(spec.arrivals for spec in self.queues)
        if not known and not unknown:
            yield 1.0, None, line
        elif len(order[0]) == 2 and known:
            yield 1.0, kind, _tidy(kind, known - 1, unknown)
        elif len(order[0]) == 2:
            for queue, spec in enumerate(self.queues):
                yield spec.arrivals / total, queue, (-1, 0, unknown - 1)
        else:
            wanted = order[0][0]
            if known and kind == wanted:
                yield 1.0, kind, _tidy(kind, known - 1, unknown)
                return
            other = 1 - wanted
            hit, miss = (self.queues[queue].arrivals / total for queue in (wanted, other))
            for passed in range(unknown):
                yield miss**passed * hit, wanted, _tidy(other, known + passed, unknown - passed - 1)
            if len(order) == 2:
                yield miss**unknown, other, _tidy(other, known + unknown - 1, 0)
            else:
                yield miss**unknown, None, _tidy(other, known + unknown, 0)

    def left(self, line: State) -> Moves:
        if self.hidden:
            kind, known, unknown = line
            leave = self.queues[0].leave
            if leave and known:
                yield leave * known, _tidy(kind, known - 1, unknown)
            if leave and unknown:
                yield leave * unknown, (kind, known, unknown - 1)
            return
        for at, queue in enumerate(line):
            if self.queues[queue].leave:
                yield self.queues[queue].leave, line[:at] + line[at + 1 :]

    def numbers(self, line: State) -> list[float]:
        """Mean number waiting of each type."""
        if not self.hidden:
            return [float(line.count(queue)) for queue in range(len(self.queues))]
        kind, known, unknown = line
        total = sum(spec.arrivals for spec in self.queues)
        drawn = [spec.arrivals / total * unknown for spec in self.queues]
        return [n + (known if kind == queue else 0) for queue, n in enumerate(drawn)]

    # -- the solution

    def solve(self) -> Result:
        line: State = (-1, 0, 0) if self.hidden else ()
        start = (tuple(team for team, spec in enumerate(self.teams) for _ in range(spec.count)), (), line)
        levels, law = stationary(start, self.moves, lambda state: self.waiting(state[2]))
        return self._figures(levels, law)

    def _figures(self, levels: list[list[State]], law: list[np.ndarray]) -> Result:
        kinds, teams = range(len(self.queues)), range(len(self.teams))
        admitted, waited, number = ([0.0 for _ in kinds] for _ in range(3))
        busy_share, out = [0.0 for _ in teams], 0.0
        for states, shares in zip(levels, law, strict=True):
            for (idle, busy, line), share in zip(states, shares.tolist(), strict=True):
                open_ = self.room(busy, self.waiting(line))
                for queue, n in enumerate(self.numbers(line)):
                    number[queue] += share * n
                    admitted[queue] += share if open_ else 0.0
                    waited[queue] += share if open_ and self.chosen(idle, queue) is None else 0.0
                for work in busy:
                    busy_share[work[0]] += share / self.teams[work[0]].count
                    out += share * self.rate(work)
        figures = []
        for queue, spec in enumerate(self.queues):
            comes = spec.arrivals * admitted[queue]
            lost = spec.leave * number[queue]
            out += lost
            figures.append(
                {
                    "wait_probability": waited[queue] / admitted[queue],
                    "wait_all_s": number[queue] / comes,
                    "abandonment": lost / comes,
                    "blocking": (1 - admitted[queue]) if self.places else 0.0,
                }
            )
        weights = [spec.arrivals * share for spec, share in zip(self.queues, admitted, strict=True)]
        total = {
            name: sum(w * f[name] for w, f in zip(weights, figures, strict=True)) / sum(weights)
            for name in ("wait_probability", "wait_all_s", "abandonment")
        }
        total["blocking"] = 1 - sum(weights) / sum(spec.arrivals for spec in self.queues) if self.places else 0.0
        return Result(
            queues=tuple(figures),
            total=total,
            occupancy=tuple(busy_share),
            cut=0.0 if self.places else float(law[-1].sum()),
            flow=abs(1 - out / sum(weights)),
            states=sum(len(states) for states in levels),
        )


def _tidy(kind: int, known: int, unknown: int) -> State:
    return (kind if known else -1, known, unknown)


def stationary(
    start: State, moves: Callable[[State], Moves], level: Callable[[State], int]
) -> tuple[list[list[State]], list[np.ndarray]]:
    """All states within reach, by level, and their stationary law; a move changes the level by at most one.

    From the highest level down, each one is folded into the level below it (the chain watched only while below stays a
    chain); then the lowest is solved and the others follow.
    """
    found: dict[State, tuple[int, int]] = {}
    levels: list[list[State]] = []

    def place(state: State) -> tuple[int, int]:
        if state not in found:
            n = level(state)
            while len(levels) <= n:
                levels.append([])
            found[state] = (n, len(levels[n]))
            levels[n].append(state)
            todo.append(state)
        return found[state]

    todo: list[State] = []
    rates: list[tuple[int, int, int, int, float]] = []
    place(start)
    while todo:
        state = todo.pop()
        here = found[state]
        for rate, after in moves(state):
            there = place(after)
            if there != here and rate > 0:
                rates.append((*here, *there, rate))
    sizes = [len(states) for states in levels]
    same = [np.zeros((n, n)) for n in sizes]
    up = [np.zeros((a, b)) for a, b in pairwise(sizes)]
    down = [np.zeros((b, a)) for a, b in pairwise(sizes)]
    for n, i, m, j, rate in rates:
        same[n][i, i] -= rate
        (same[n] if m == n else up[n] if m == n + 1 else down[m])[i, j] += rate
    ratios: list[np.ndarray] = []
    for n in range(len(levels) - 1, 0, -1):
        ratios.insert(0, -np.linalg.solve(same[n].T, up[n - 1].T).T)
        same[n - 1] = same[n - 1] + ratios[0] @ down[n - 1]
    balance = same[0].T.copy()
    balance[0] = 1.0
    goal = np.zeros(sizes[0])
    goal[0] = 1.0
    law = [np.linalg.solve(balance, goal)]
    for ratio in ratios:
        law.append(law[-1] @ ratio)
    mass = sum(float(shares.sum()) for shares in law)
    return levels, [shares / mass for shares in law]
