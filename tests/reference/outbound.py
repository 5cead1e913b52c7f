"""Outbound work as continuous-time Markov chains, solved exactly: blending by a threshold, and dialling by a fixed ratio.

Two centers of n alike agents, everything exponential. `threshold_blending`: whoever calls in is served first come first
served, and outbound work that needs nobody to answer fills the agents that are idle beyond a reserve. `power`: lines ring
in a fixed ratio to the idle agents, and a person who answers while nobody is idle is lost. Rates are per second, durations
in seconds; nothing here knows the product. The chains are solved by `markov.stationary`, level by level; the only thing
cut off is the longest line of a blended center, at a probability that does not matter.

Sources: Bhulai and Koole, A queueing model for call blending in call centers, IEEE Trans. Automatic Control 48 (2003)
1434-1438; Gans and Zhou, A call-routing problem with service-level constraints, Operations Research 51 (2003) 255-271.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from reference.markov import Moves, State, stationary

CUT = 1e-13
"""Largest probability of the longest line considered. Longer lines fall off geometrically: together a small multiple of it."""


# -- blending by a threshold


@dataclass(frozen=True, kw_only=True)
class Blended:
    """Waits, shares and service level are over all that call in, those that leave included."""

    outbound: float
    """Outbound pieces started per second."""
    wait_probability: float
    wait_all_s: float
    abandonment: float
    service_level: float
    """Share answered within `within_s`."""
    occupancy: float
    outbound_occupancy: float
    """The part of `occupancy` that outbound work takes."""
    cut: float
    """Probability of the longest line considered."""
    flow: float
    """Largest difference between what comes in and what goes out, as a share: must be nought."""
    states: int


@cache
def threshold_blending(
    agents: int,
    arrivals: float,
    serve_inbound: float,
    serve_outbound: float,
    reserve: int,
    leave: float = 0.0,
    within_s: float = 20.0,
) -> Blended:
    """Whenever nobody waits and more than `reserve` agents are idle, outbound work starts until just these are idle.

    Nothing is interrupted: who calls in takes an idle agent, or waits until any work ends. Those that wait leave at the
    rate `leave` each. Without arrivals there is no wait to speak of, and `wait_all_s` is not a number.
    """
    assert 0 <= reserve <= agents
    assert leave or arrivals < agents * serve_inbound, "no steady state: the line would grow for ever"
    center = _Blending(agents, arrivals, serve_inbound, serve_outbound, agents - reserve, leave)
    law = center.law()
    inside, kinds = center.filled + np.arange(len(law)), np.arange(center.filled + 1)
    outbound = float(law.sum(axis=0) @ kinds)
    inbound = float(law.sum(axis=1) @ np.minimum(inside, agents)) - outbound
    line = float(law.sum(axis=1) @ np.maximum(inside - agents, 0))
    # Every service that ends at the lowest level is followed by an outbound one, and no other is.
    started = float(law[0] @ (kinds * serve_outbound + kinds[::-1] * serve_inbound))
    left = line * leave
    at_once, waiting = float(law[:reserve].sum()), law[reserve:]
    return Blended(
        outbound=started,
        wait_probability=float(waiting.sum()),
        wait_all_s=line / arrivals if arrivals else math.nan,
        abandonment=left / arrivals if arrivals else 0.0,
        service_level=at_once + center.answered_within(waiting, within_s),
        occupancy=(inbound + outbound) / agents,
        outbound_occupancy=outbound / agents,
        cut=float(law[-1].sum()) if arrivals else 0.0,
        flow=max(_apart(arrivals, inbound * serve_inbound + left), _apart(started, outbound * serve_outbound)),
        states=int(np.count_nonzero(law)),
    )


def _apart(one: float, other: float) -> float:
    return abs(one - other) / max(one, other) if one or other else 0.0


@dataclass(frozen=True)
class _Blending:
    """A state is (inside, outbound): those in service or in line, and how many of the services are outbound.

    Agents beyond the reserve are never idle, so `inside` is `filled` at least. Where it is more, no outbound work starts.
    """

    agents: int
    arrivals: float
    serve_inbound: float
    serve_outbound: float
    filled: int
    leave: float

    def law(self) -> np.ndarray:
        """Probabilities by (inside - filled, outbound)."""
        longest = 64
        while True:
            law = self._cut_at(longest)
            if not self.arrivals or law[-1].sum() < CUT:
                return law
            longest *= 2

    def _cut_at(self, longest: int) -> np.ndarray:
        start = (self.filled, self.filled)
        levels, shares = stationary(start, lambda s: self.moves(s, longest), lambda s: int(s[0]) - self.filled)
        law = np.zeros((len(levels), self.filled + 1))
        for level, (states, share) in enumerate(zip(levels, shares, strict=True)):
            law[level, [outbound for _, outbound in states]] = share
        return law

    def moves(self, state: State, longest: int) -> Moves:
        inside, outbound = state
        inbound, line = min(inside, self.agents) - outbound, max(0, inside - self.agents)
        if self.arrivals and line < longest:
            yield self.arrivals, (inside + 1, outbound)
        if inside == self.filled:
            if inbound:
                yield inbound * self.serve_inbound, (inside, outbound + 1)
            return
        if inbound:
            yield inbound * self.serve_inbound, (inside - 1, outbound)
        if outbound:
            yield outbound * self.serve_outbound, (inside - 1, outbound - 1)
        if line and self.leave:
            yield line * self.leave, (inside - 1, outbound)

    def answered_within(self, law: np.ndarray, within_s: float) -> float:
        """P(waits, and is answered in time) of somebody who comes to `law`, by (ahead in line, outbound).

        Until its turn every agent is busy, and who comes later does not matter: (ahead, outbound) is a chain. Each service
        that ends takes the first in line; with nobody ahead that is the one observed. Solved by uniformisation (Jensen
        1953): moves come at the times of one Poisson process, fast enough for every state, some of them onto the spot.
        """
        if not law.size or not within_s:
            return 0.0
        ahead, outbound = np.arange(len(law))[:, None], np.arange(self.filled + 1)[None, :]
        ends_inbound, ends_outbound = (self.agents - outbound) * self.serve_inbound, outbound * self.serve_outbound
        up = ends_inbound + ahead * self.leave
        away = up + ends_outbound + self.leave
        fast = float(away.max())
        mean = fast * within_s
        taken = answered = 0.0
        for n in range(int(mean + 12 * math.sqrt(mean) + 40)):
            answered += taken * math.exp(n * math.log(mean) - mean - math.lgamma(n + 1))
            taken += float(law[0] @ (ends_inbound + ends_outbound)[0]) / fast
            after = law * (1 - away / fast)
            after[:-1] += (law * up / fast)[1:]
            after[:-1, :-1] += (law * ends_outbound / fast)[1:, 1:]
            law = after
        return answered


# -- dialling by a fixed ratio


@dataclass(frozen=True, kw_only=True)
class Powered:
    dials: float
    """Lines dialled per second."""
    reached: float
    """Persons who answered and got an agent, per second."""
    abandonment: float
    """Share of the persons who answered that found no agent idle."""
    occupancy: float
    """Share of time in conversation; an agent for whom lines ring is idle."""
    flow: float
    """Largest difference between what comes in and what goes out, as a share: must be nought."""
    states: int


@cache
def power(agents: int, ratio: float, ring: float, live: float, serve: float) -> Powered:
    """Outbound agents, a list without end, and floor(`ratio` * idle agents) lines at least that ring.

    A line that falls short is dialled at once; one that is too many, because agents became busy, rings on. Each ends at
    the rate `ring`: with `live` a person answers, who takes an idle agent at once and is lost if there is none.
    """

    def wanted(busy: int) -> int:
        # 1.15 * 100 is a hair below 115.
        return math.floor(ratio * (agents - busy) + 1e-9)

    assert wanted(0), "no line would ever be dialled"

    def moves(state: State) -> Moves:
        """A state is (busy, lines that ring)."""
        busy, lines = state
        if lines and busy < agents:
            yield lines * ring * live, topped(busy + 1, lines - 1)
            yield lines * ring * (1 - live), topped(busy, lines - 1)
        elif lines:
            yield lines * ring, (busy, lines - 1)
        if busy:
            yield busy * serve, topped(busy - 1, lines)

    def topped(busy: int, lines: int) -> State:
        return busy, max(lines, wanted(busy))

    levels, law = stationary((0, wanted(0)), moves, lambda state: int(state[0]))
    dials = reached = lost = working = ringing = 0.0
    for states, shares in zip(levels, law, strict=True):
        for (busy, lines), share in zip(states, shares.tolist(), strict=True):
            answers = share * lines * ring * live
            reached += answers if busy < agents else 0.0
            lost += answers if busy == agents else 0.0
            working += share * busy
            ringing += share * lines
            for rate, (busy_after, lines_after) in moves((busy, lines)):
                ended = 0 if busy_after < busy else 1
                dials += share * rate * (lines_after - lines + ended)
    return Powered(
        dials=dials,
        reached=reached,
        abandonment=lost / (reached + lost),
        occupancy=working / agents,
        flow=max(_apart(dials, ringing * ring), _apart(reached, working * serve)),
        states=sum(len(states) for states in levels),
    )


# -- cases


@dataclass(frozen=True)
class Case:
    """`given` are the arguments of `chain`; `expected` are its figures, computed when asked for and then kept."""

    name: str
    chain: Callable[..., Blended | Powered]
    given: dict[str, Any]

    def expected(self) -> Blended | Powered:
        return self.chain(**self.given)


def _blending(
    agents: int,
    load: float,
    inbound_s: float,
    outbound_s: float,
    reserve: int,
    patience_s: float = math.inf,
    within_s: float = 20.0,
) -> Case:
    """`load` is inbound only, per agent."""
    given = {
        "agents": agents,
        "arrivals": load * agents / inbound_s,
        "serve_inbound": 1 / inbound_s,
        "serve_outbound": 1 / outbound_s,
        "reserve": reserve,
        "leave": 1 / patience_s,
        "within_s": within_s,
    }
    return Case(f"blending, {agents} at {load}, {reserve} in reserve", threshold_blending, given)


def _power(agents: int, ratio: float, ring_s: float, live: float, handling_s: float) -> Case:
    given = {"agents": agents, "ratio": ratio, "ring": 1 / ring_s, "live": live, "serve": 1 / handling_s}
    return Case(f"power, {agents} by {ratio}, {live} live", power, given)


BLENDING = [
    _blending(1, 0.5, 180.0, 60.0, reserve=0, within_s=60.0),
    _blending(3, 0.6, 180.0, 300.0, reserve=1),
    _blending(8, 0.7, 180.0, 90.0, reserve=2),
    _blending(8, 1.1, 180.0, 240.0, reserve=2, patience_s=120.0),
    _blending(25, 0.8, 180.0, 240.0, reserve=3),
    _blending(25, 0.6, 240.0, 60.0, reserve=0, patience_s=90.0),
    _blending(50, 0.6, 180.0, 300.0, reserve=6, patience_s=180.0),
    _blending(100, 0.85, 180.0, 120.0, reserve=5),
]
POWER = [
    _power(1, 2.0, 20.0, 0.3, 120.0),
    _power(4, 1.0, 20.0, 0.25, 120.0),
    _power(5, 1.5, 25.0, 0.6, 90.0),
    _power(10, 2.0, 20.0, 0.3, 120.0),
    _power(20, 3.0, 15.0, 0.15, 180.0),
    _power(20, 2.0, 20.0, 0.6, 120.0),
    _power(50, 1.5, 30.0, 0.6, 60.0),
    _power(50, 3.0, 20.0, 0.4, 180.0),
    _power(100, 2.0, 20.0, 0.5, 240.0),
    _power(100, 3.0, 20.0, 0.45, 150.0),
]
CASES = [*BLENDING, *POWER]
