"""Who waits: the customers' side of matching. Each *group* (queue and need) has a heap of static places.

A place is one integer, (tier, key, arrival), so that the least comes first everywhere (queueing.py). A waiting contact
stands in the heaps of at most four groups, or, while it prefers somebody, in the personal heaps of those. It is never
taken out of a heap: an entry counts only while it is the contact's place and the group its own, and what no longer
counts is thrown out at the front, or a few at a time as others are pushed.
"""

from collections.abc import Callable, Iterator
from functools import partial
from heapq import heappop, heappush

from router.cells import SWEEP, Need
from router.model import KINDS
from router.queueing import ARRIVAL, NOWHERE

MAX_GROUPS_OF_A_CONTACT = 4


class Heap:
    """Places, the least first; `old` is where a sweep is under way."""

    __slots__ = ("new", "old", "room")

    def __init__(self) -> None:
        self.new: list[int] = []
        self.old: list[int] = []
        self.room = 64

    def push(self, place: int, counts: Callable[[int], bool]) -> None:
        heappush(self.new, place)
        self.room -= 1
        if self.room < 0:
            self._sweep(counts)

    def first(self, counts: Callable[[int], bool]) -> int:
        """The least place that counts, NOWHERE when there is none."""
        best = NOWHERE
        for heap in (self.new, self.old) if self.old else (self.new,):
            while heap:
                place = heap[0]
                if counts(place):
                    best = min(best, place)
                    break
                heappop(heap)
        return best

    def take(self, place: int) -> None:
        """Take out every copy of the first place."""
        for heap in (self.new, self.old):
            while heap and heap[0] == place:
                heappop(heap)

    def _sweep(self, counts: Callable[[int], bool]) -> None:
        if self.room == -1:
            self.old, self.new = self.new, []
        for _ in range(SWEEP):
            if self.old:
                place = self.old.pop()  # the last of a heap: what remains is a heap still
                if counts(place):
                    heappush(self.new, place)
        if not self.old:
            self.room = 64 + 2 * len(self.new)


class Group:
    """Those of one queue with one need. `bit` is its place in the masks."""

    __slots__ = ("bit", "heap", "kind", "line", "need", "number", "outbound", "queue")

    def __init__(self, line: "Line", number: int, queue: str, need: Need) -> None:
        self.line = line
        self.number = number
        self.bit = 1 << number
        self.queue = queue
        self.need = need
        self.kind = need.kind
        self.outbound = need.outbound
        self.heap = Heap()

    def head(self) -> int:
        """The place of its first, NOWHERE when nobody waits."""
        return self.line.heads[self.number]

    def counts(self, place: int) -> bool:
        waiter = self.line.waiters.get(place & ARRIVAL)
        return waiter is not None and waiter.place == place and self in waiter.groups and not waiter.prefers


class Waiter:
    """A waiting contact as matching sees it. `prefers` and `excludes` are agents' numbers."""

    __slots__ = ("excludes", "groups", "place", "prefers", "queue")

    def __init__(
        self, place: int, queue: str, groups: tuple[Group, ...], prefers: tuple[int, ...], excludes: tuple[int, ...]
    ) -> None:
        self.place = place
        self.queue = queue
        self.groups = groups
        self.prefers = prefers
        self.excludes = excludes

    def same(self, other: "Waiter") -> bool:
        return (self.place, self.groups, self.prefers, self.excludes) == (
            other.place,
            other.groups,
            other.prefers,
            other.excludes,
        )


class Line:
    def __init__(self) -> None:
        self.waiters: dict[int, Waiter] = {}
        """By arrival number."""
        self.groups: list[Group] = []
        self.heads: list[int] = []
        """For each group the place of its first, NOWHERE when nobody waits."""
        self.waiting = [0] * len(KINDS)
        """For each kind the bits of the groups where somebody waits."""
        self.inbound = 0
        """The bits of groups of inbound work."""
        self.of_queue: dict[str, int] = {}
        """For each queue the bits of its groups."""
        self.lengths: dict[str, int] = {}
        self._numbers: dict[tuple[str, Need], Group] = {}
        self._personal: dict[int, dict[tuple[int, str], Heap]] = {}
        """By agent's number, then kind and queue."""

    def group(self, queue: str, need: Need) -> tuple[Group, bool]:
        """The group, and whether it is new."""
        found = self._numbers.get((queue, need))
        if found is not None:
            return found, False
        group = self._numbers[queue, need] = Group(self, len(self.groups), queue, need)
        self.groups.append(group)
        self.heads.append(NOWHERE)
        self.inbound |= 0 if group.outbound else group.bit
        self.of_queue[queue] = self.of_queue.get(queue, 0) | group.bit
        return group, True

    def put(self, arrival: int, waiter: Waiter) -> None:
        """A contact waits from now on, or waits otherwise than before: its place in line is its own."""
        was = self.waiters.get(arrival)
        if was is None:
            self.lengths[waiter.queue] = self.lengths.get(waiter.queue, 0) + 1
        elif was.same(waiter):
            return
        elif was.queue != waiter.queue:
            self.lengths[was.queue] -= 1
            self.lengths[waiter.queue] = self.lengths.get(waiter.queue, 0) + 1
        self.waiters[arrival] = waiter
        place = waiter.place
        if waiter.prefers:
            key = (waiter.groups[0].kind, waiter.queue)
            for number in waiter.prefers:
                heap = self._personal.setdefault(number, {}).setdefault(key, Heap())
                heap.push(place, partial(self._counts_for, number, key))
        else:
            for group in waiter.groups:
                group.heap.push(place, group.counts)
                if place < self.heads[group.number]:
                    self.heads[group.number] = place
                    self.waiting[group.kind] |= group.bit
        if was is not None:
            self._forget(was)

    def drop(self, arrival: int) -> None:
        """The contact no longer waits."""
        was = self.waiters.pop(arrival, None)
        if was is not None:
            self.lengths[was.queue] -= 1
            self._forget(was)

    def _forget(self, was: Waiter) -> None:
        for group in was.groups:
            if self.heads[group.number] == was.place:
                self.settle(group)

    def settle(self, group: Group) -> None:
        """Find a group's first anew."""
        first = self.heads[group.number] = group.heap.first(group.counts)
        if first == NOWHERE:
            self.waiting[group.kind] &= ~group.bit
        else:
            self.waiting[group.kind] |= group.bit

    def _counts_for(self, number: int, key: tuple[int, str], place: int) -> bool:
        waiter = self.waiters.get(place & ARRIVAL)
        if waiter is None or waiter.place != place or number not in waiter.prefers:
            return False
        return (waiter.groups[0].kind, waiter.queue) == key

    def personal_heaps(self, number: int) -> list[tuple[int, str]]:
        """(kind, queue) of which somebody may wait for this agent in person."""
        return list(self._personal.get(number, ()))

    def personal(self, number: int, key: tuple[int, str], passes: Callable[[Waiter], bool]) -> int:
        """The first of this kind and queue who waits for this agent in person and passes, else NOWHERE."""
        heap = self._personal[number][key]
        counts = partial(self._counts_for, number, key)
        aside: list[int] = []
        while True:
            place = heap.first(counts)
            if place == NOWHERE or passes(self.waiters[place & ARRIVAL]):
                break
            heap.take(place)
            aside.append(place)
        for back in aside:
            heappush(heap.new, back)
        if place == NOWHERE and not aside:
            del self._personal[number][key]
            if not self._personal[number]:
                del self._personal[number]
        return place

    def among(self, groups: int) -> Iterator[Group]:
        """The groups with these bits."""
        while groups:
            bit = groups & -groups
            groups ^= bit
            yield self.groups[bit.bit_length() - 1]

    def waiting_in(self, queue: str) -> list[int]:
        """The places of all who wait in a queue, in order."""
        return sorted(waiter.place for waiter in self.waiters.values() if waiter.queue == queue)
