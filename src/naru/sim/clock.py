"""The simulated clock: what will happen, in the exact order of (time, sequence), however much is pending.

A heap of a million timers spends its time on cache misses. Here time is cut into slices: what lies ahead is thrown
unsorted into its slice, and only the slice that has come is sorted. The order is that of a heap; the width of a slice
only decides how fast it is.
"""

import math
from bisect import insort
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

Act = Callable[[float, Any], None]
Entry = tuple[float, int, Act, Any]
"""(time, sequence, what to do, with what). The sequence is unique, so nothing behind it is ever compared."""

PER_SLICE = 256


class Clock:
    def __init__(self, per_second: float) -> None:
        """`per_second` is a guess of how many entries fall into a second."""
        self._slices_per_second = max(per_second / PER_SLICE, 1e-9)
        self._near: list[Entry] = []
        self._taken = 0
        self._slice = -1
        self._far: dict[int, list[Entry]] = {}
        self._order: list[int] = []
        self._count = 0

    def add(self, t: float, act: Act, what: Any) -> None:
        self._count += 1
        entry = (t, self._count, act, what)
        number = int(t * self._slices_per_second)
        if number <= self._slice:
            insort(self._near, entry, self._taken)
            return
        far = self._far.get(number)
        if far is None:
            self._far[number] = [entry]
            heappush(self._order, number)
        else:
            far.append(entry)

    def next_at(self) -> float:
        """When the next entry is due; infinite when there is none."""
        while self._taken == len(self._near):
            if not self._order:
                return math.inf
            self._slice = heappop(self._order)
            self._near = self._far.pop(self._slice)
            self._near.sort()
            self._taken = 0
        return self._near[self._taken][0]

    def take(self) -> Entry:
        """The next entry. Ask `next_at` before."""
        entry = self._near[self._taken]
        self._taken += 1
        return entry
