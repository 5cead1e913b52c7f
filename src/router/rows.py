"""A row: those who stand in line for something, the least place first, so laid out that nobody in it is searched for.

Whoever leaves is not taken out of the rows he stands in. He is marked as gone, which is one store in however many rows he
stands, and is thrown out when he comes to the front, or when his part of the row is swept. Who is in front stands by
himself: while he does, nobody looks into the row. The others are kept in short sorted runs, so that a sweep touches few of
them at a time, and whoever comes late and goes between others only one.
"""

from bisect import bisect_left, insort_right
from collections.abc import Iterator
from operator import attrgetter
from typing import Any, Generic, Protocol, TypeVar

LONG = 128
"""A run of more entries is made two."""
ROOM = 4
"""So many runs more than three times what a sweep left may be in a row before it is swept anew."""
SWEEP = 4
"""Runs swept whenever one is made two, so that a row under sweep grows by a quarter at most."""


class Entry(Protocol):
    place: int
    gone: bool


E = TypeVar("E", bound=Entry)
place_of = attrgetter("place")


def _last_place(run: list[Any]) -> Any:
    return run[-1].place


class Row(Generic[E]):
    """`front` is before all in `runs`; once he has gone, the first of them is next. `tail` is the last of `runs`, where
    most are added. No run but the first is empty.

    `unswept` counts the runs, from the front, to which the sweep under way has still to come.
    """

    __slots__ = ("front", "limit", "runs", "tail", "unswept")

    def __init__(self, nobody: E) -> None:
        """`nobody` is somebody who has gone."""
        self.front = nobody
        self.tail: list[E] = []
        self.runs = [self.tail]
        self.limit = ROOM
        self.unswept = 0

    def push(self, entry: E) -> None:
        """Put in an entry, wherever it belongs."""
        place, runs, tail = entry.place, self.runs, self.tail
        if tail and tail[-1].place <= place:
            tail.append(entry)
            if len(tail) > LONG:
                self.divide(len(runs) - 1)
            return
        number = 0
        if place < self.front.place and not self.front.gone:
            runs[0].insert(0, self.front)
            self.front = entry
        else:
            if not runs[0] and len(runs) > 1:
                del runs[0]
            number = bisect_left(runs, place, 0, len(runs) - 1, key=_last_place)
            insort_right(runs[number], entry, key=place_of)
        if len(runs[number]) > LONG:
            self.divide(number)

    def first(self) -> E | None:
        """The first who has not gone. Those before are thrown out."""
        front, runs = self.front, self.runs
        if not front.gone:
            return front
        while True:
            run = runs[0]
            while run:
                entry = run.pop(0)
                if not entry.gone:
                    self.front = entry
                    return entry
            if len(runs) == 1:
                return None
            del runs[0]

    def __iter__(self) -> Iterator[E]:
        """All who have not gone, in order. Runs of nobody else are thrown out on the way."""
        if not self.front.gone:
            yield self.front
        runs, number = self.runs, 0
        while number < len(runs):
            here = [entry for entry in runs[number] if not entry.gone]
            yield from here
            if here or runs[number] is self.tail:
                number += 1
            else:
                del runs[number]

    def divide(self, number: int) -> None:
        """A run is long: make it two, and sweep a few others in their turn."""
        runs = self.runs
        if runs[number] is self.tail:
            # Its entries are left alone: mostly they count still, and each looked at would be a cache miss.
            self.tail = [self.tail.pop()]
            runs.append(self.tail)
        else:
            run = _kept(runs[number])
            half = LONG // 2
            runs[number : number + 1] = [part for part in (run[:half], run[half:]) if part]
        if not self.unswept and len(runs) > self.limit:
            self.unswept = len(runs)
        for _ in range(min(SWEEP, self.unswept)):
            self.unswept -= 1
            if self.unswept < len(runs):
                self._sweep(self.unswept)
            if not self.unswept:
                self.limit = ROOM + 3 * len(runs)

    def _sweep(self, number: int) -> None:
        """Throw out of a run who has gone, and join it to the one before when both are short."""
        runs = self.runs
        run = _kept(runs[number])
        if number and len(runs[number - 1]) + len(run) <= LONG // 2:
            runs[number - 1].extend(run)
            del runs[number]
        elif run or len(runs) == 1:
            runs[number] = run
        else:
            del runs[number]
        self.tail = runs[-1]

    def size(self) -> int:
        """How many are kept, those who have gone among them."""
        return 1 + sum(map(len, self.runs))


def _kept(run: list[E]) -> list[E]:
    return [entry for entry in run if not entry.gone]
