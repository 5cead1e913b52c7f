"""How many lines a campaign may ring now: arithmetic over what was measured, under the law's ceiling. Pure, no memory.

The ceiling is hard and stands before every dial. With L live answers and A abandoned ones in the law's window, and a
ceiling c, so many lines may ring beyond the agents held for them that A stays within c even if each of those lines is
answered and none of it reaches an agent:

    A + x <= c (L + x)   <=>   x <= (cL - A) / (1 - c)

Below it the mode decides. `progressive` rings one line for each agent held, `power` a fixed number, and `predictive`
asks what the world will be when the line it is about to dial is answered: how many agents will be free, how many other
lines will have been answered before. It dials while the former exceeds the latter by `margin` standard deviations. The
margin is not guessed: every live answer moves it, up after one that was abandoned and down after one that was not, so
that it settles where the share abandoned is just what is aimed at (stochastic approximation: Robbins & Monro, 1951).
"""

import math
from collections.abc import Iterable
from typing import Literal

import msgspec

Mode = Literal["preview", "progressive", "power", "predictive", "direct"]
"""Preview: the agent looks, then dials. Direct: work that rings nobody."""
RINGING: frozenset[Mode] = frozenset(("progressive", "power", "predictive"))
"""The modes in which a line rings before an agent has it."""
BEYOND: frozenset[Mode] = frozenset(("power", "predictive"))
"""Those in which lines may ring without an agent. The law lets the others call whom these may not."""

CEILING = 0.03
"""The share of live answers that may be abandoned, where no rule says otherwise (routing.md, Blending and outbound)."""
SLACK = 1.5
"""What the ceiling allows is spent to the full only while it leaves room for so many times the lines that ring."""
MEMORY = 1 / 64
"""How much of an average the newest figure is: a jump of the answer rate is known after some 64 calls."""
FIRST_CALLS = 16
"""Until so many calls have ended nothing is foreseen: one line for each agent."""
GAIN = 0.02
"""How far one abandoned answer moves the margin, in standard deviations."""
LEAST_MARGIN, MOST_MARGIN = -4.0, 8.0
MOST_MORE = 1000
"""Lines asked for at once."""
NO_LIMIT = 10**9


class Pace(msgspec.Struct, gc=False):
    """What a campaign has measured: lines that ended, the share answered by a person, and mean seconds until such an
    answer, of a talk, and of the wrap-up after it."""

    lines: int = 0
    live: float = 0.5
    answers: int = 0
    answer_s: float = 15.0
    answer_ss: float = 250.0
    talks: int = 0
    talk_s: float = 120.0
    wraps: int = 0
    wrap_s: float = 0.0
    margin: float = 0.5

    def rang(self, seconds: float, live: bool) -> None:
        """A line rang so long, and was answered by a person or not."""
        self.lines += 1
        self.live = _mean(self.live, live, self.lines)
        if live:
            self.answers += 1
            self.answer_s = _mean(self.answer_s, seconds, self.answers)
            self.answer_ss = _mean(self.answer_ss, seconds * seconds, self.answers)

    def talked(self, seconds: float) -> None:
        self.talks += 1
        self.talk_s = _mean(self.talk_s, seconds, self.talks)

    def wrapped(self, seconds: float) -> None:
        self.wraps += 1
        self.wrap_s = _mean(self.wrap_s, seconds, self.wraps)

    def met(self, abandoned: bool, aim: float) -> None:
        """A live answer reached an agent, or was abandoned, where the share `aim` of them may be."""
        moved = self.margin + GAIN * (abandoned - aim)
        self.margin = min(MOST_MARGIN, max(LEAST_MARGIN, moved))

    def freed(self, talking: int, wrapping_for: Iterable[float]) -> float:
        """How many of the busy will be free when a line that is dialled now is answered; some have been in wrap-up for so
        many seconds. When that is, is taken for normal with the measured mean and spread; a talk ends at a rate, and
        counts for what is left of that time when its wrap-up is taken off."""
        mean, spread = self.answer_s, max(self.spread_s, 0.001)
        wrapping = sum(_above((self.wrap_s - since - mean) / spread) for since in wrapping_for)
        beyond = (self.wrap_s - mean) / spread
        left_s = spread * (_density(beyond) - beyond * _above(beyond))
        return wrapping + talking * left_s / (left_s + max(self.talk_s, 0.001))

    @property
    def spread_s(self) -> float:
        return math.sqrt(max(0.0, self.answer_ss - self.answer_s * self.answer_s))

    @property
    def before(self) -> float:
        """The share of the lines that ring now which will have ended before one that is dialled now: a half where ringing
        has no memory, all where everybody answers after the same time."""
        return (self.answer_s**2 + 0.001) / (self.answer_ss + 0.001)


def _density(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _above(x: float) -> float:
    """Of a standard normal."""
    return math.erfc(x / math.sqrt(2)) / 2


def _mean(mean: float, value: float, count: int) -> float:
    """The mean with one value more: of all, until they are many, then ever more of the newest."""
    return mean + max(MEMORY, 1 / count) * (value - mean)


def spare(live: int, abandoned: int, ceiling: float) -> int:
    """So many lines may ring beyond the agents held."""
    if ceiling >= 1:
        return NO_LIMIT
    return max(0, math.floor((ceiling * live - abandoned) / (1 - ceiling) + 1e-9))


def aim(live: int, abandoned: int, ceiling: float, ringing: int) -> float:
    """The share of live answers that may be abandoned for now. The hard limit must leave room for all lines at once, so
    that what a small campaign has left is kept, and a large one comes to the ceiling."""
    room = (ceiling * live - abandoned) / (SLACK * max(1, ringing))
    return ceiling * min(1.0, max(0.0, room))


def wanted(mode: Mode, ratio: float, pace: Pace, held: int, freed: float) -> int:
    """How many lines should ring now by the mode alone. `held` agents wait for them, and `freed` will be free by then."""
    if mode == "power":
        return math.floor(ratio * held + 1e-9)
    if mode != "predictive" or pace.lines < FIRST_CALLS:
        return held
    # A chance of more agents is no reason for fewer lines.
    return max(held, _foreseen(pace, held, 0.0), _foreseen(pace, held, freed))


def _foreseen(pace: Pace, held: int, freed: float) -> int:
    """The most lines x / p, of which x will be answered before one that is dialled now, with room for that one too:

        held + freed - x - 1 >= margin * sqrt(freed + x)

    The root of it; the variances are those of Poisson numbers. For nobody, now or then, no line rings."""
    each = max(pace.live * pace.before, 1e-3)
    room, margin = held + freed - 1, pace.margin
    under = room + freed + margin * margin / 4
    if held + freed <= 0 or under < 0 or (room < 0 and margin > 0):
        return 0
    answered = room + margin * margin / 2 - margin * math.sqrt(under)
    return max(0, math.floor(answered / each) + 1)
