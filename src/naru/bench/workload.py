"""A realistic center for measuring: 40 skills of unlike popularity, levels 1 to 5, 1 to 6 skills an agent, 3 languages,
600 requirements in use (60 % of one skill, 30 % of two, 10 % of three).

How often a requirement is asked for follows its rank and how many agents can serve it, so that the demand can be
served: else a test of idle agents would quietly become one of a backlog. Requirements that fewer than 0.8 % of the
agents meet are not used.
"""

from bisect import bisect
from collections.abc import Callable, Iterator
from itertools import accumulate

from naru.sim.chance import Uniform

SKILLS = 40
REQUIREMENTS = 600
SAMPLE = 5_000
LEAST_ABLE = 40
LANGUAGES = ("lang:ko", "lang:en", "lang:vi")
LANGUAGE_WEIGHTS = (70.0, 20.0, 10.0)

Levels = dict[str, int]


def weighted(uniform: Uniform, weights: list[float] | tuple[float, ...]) -> Callable[[], int]:
    """A draw of an index by weight."""
    sums = list(accumulate(weights))
    return lambda: min(bisect(sums, uniform() * sums[-1]), len(sums) - 1)


class Workload:
    def __init__(self, uniform: Uniform) -> None:
        self._uniform = uniform
        self._skill = weighted(uniform, [1 / (rank + 1) ** 0.8 for rank in range(SKILLS)])
        self._language = weighted(uniform, LANGUAGE_WEIGHTS)
        self._size = weighted(uniform, (60, 30, 10))
        self._least = weighted(uniform, (40, 30, 20, 10))
        sample = [self.profile() for _ in range(SAMPLE)]
        able = dict(self._requirements(sample))
        self.requirements = [dict(key) for key in able]
        shares = [count / (rank + 1) ** 0.3 for rank, count in enumerate(able.values())]
        self.which = weighted(uniform, shares)
        """The index of the next contact's requirement."""

    def _skills(self, count: int) -> list[str]:
        found: dict[str, None] = {}
        while len(found) < count:
            found[f"s{self._skill():02}"] = None
        return list(found)

    def profile(self) -> Levels:
        """One agent's levels."""
        levels = {LANGUAGES[self._language()]: 1, "mode:inbound": 1, "brand:b": 1}
        if self._uniform() < 0.25:
            levels[LANGUAGES[self._language()]] = 1
        levels |= {skill: 1 + int(self._uniform() * 5) for skill in self._skills(1 + int(self._uniform() * 6))}
        return levels

    def _requirements(self, sample: list[Levels]) -> Iterator[tuple[tuple[tuple[str, int], ...], int]]:
        """(levels, how many of the sample can serve it)."""
        seen: set[tuple[tuple[str, int], ...]] = set()
        for _ in range(20 * REQUIREMENTS):
            wanted = {LANGUAGES[self._language()]: 1}
            wanted |= {skill: 1 + self._least() for skill in self._skills(1 + self._size())}
            key = tuple(sorted(wanted.items()))
            able = sum(1 for levels in sample if all(levels.get(s, 0) >= least for s, least in key))
            if able >= LEAST_ABLE and key not in seen:
                seen.add(key)
                yield key, able
            if len(seen) == REQUIREMENTS:
                return
