"""Who waits: the customers' side of matching. Each *group* (queue and need) has a heap of static places.

A place is one integer, (tier, key, arrival), so that the least comes first everywhere (queueing.py). A waiting contact
stands in the heaps of at most four groups, or, while it prefers somebody, in the personal heaps of those. It is never
taken out of a heap: an entry counts only while it is the contact's place and the group its own, and what no longer
counts is thrown out at the front, or a few at a time as others are pushed.
"""

from collections.abc import Callable, Iterator
from functools import partial
from heapq import heappop, heappush

import msgspec

from router.cells import MAX_UNLISTED, ROOM, SWEEP, Need, bits
from router.model import KINDS
from router.queueing import ARRIVAL, NOWHERE


class Heap:
    """Places, the least first; `old` is where a sweep is under way, None when there is none."""

    __slots__ = ("new", "old", "room")

    def __init__(self) -> None:
        self.new: list[int] = []
        self.old: list[int] | None = None
        self.room = ROOM

    def push(self, place: int, counts: Callable[[int], bool]) -> None:
        heappush(self.new, place)
        self.room -= 1
        if self.room < 0:
            self.sweep(counts)

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
        for heap in (self.new, self.old or []):
            while heap and heap[0] == place:
                heappop(heap)

    def sweep(self, counts: Callable[[int], bool]) -> None:
        """A few steps of throwing out what no longer counts, once there is little room."""
        if self.old is None:
            self.old, self.new = self.new, []
        for _ in range(min(SWEEP, len(self.old))):
            place = self.old.pop()  # the last of a heap: what remains is a heap still
            if counts(place):
                heappush(self.new, place)
        if not self.old:
            self.old = None
            self.room = ROOM + 2 * len(self.new)


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


class Waiter(msgspec.Struct):
    """A waiting contact as matching sees it. `prefers` and `excludes` are agents' numbers.

    Its groups lead back to it, so the collector must see it: else a line that is thrown away stays for ever.
    """

    place: int
    queue: str
    groups: tuple[Group, ...]
    prefers: tuple[int, ...] = ()
    excludes: tuple[int, ...] = ()


class Line:
    def __init__(self) -> None:
        self.waiters: dict[int, Waiter] = {}
        """By arrival number."""
        self.groups: list[Group] = []
        self.heads: list[int] = [NOWHERE]
        """By a group's number, from 1, the place of its first, NOWHERE when nobody waits."""
        self.waiting = [0] * len(KINDS)
        """For each kind the bits of the groups where somebody waits."""
        self.inbound = 0
        """The bits of groups of inbound work."""
        self.outbound_groups: list[Group] = []
        self.of_queue: dict[str, int] = {}
        """For each queue the bits of its groups."""
        self.lengths: dict[str, int] = {}
        self.unlisted: list[int] = []
        """Those who have come and are not in their heaps yet, by arrival number."""
        self._numbers: dict[tuple[str, Need], Group] = {}
        self.personal_of: dict[int, dict[tuple[int, str], Heap]] = {}
        """By agent's number, then kind and queue."""

    def group(self, queue: str, need: Need) -> tuple[Group, bool]:
        """The group, and whether it is new."""
        found = self._numbers.get((queue, need))
        if found is not None:
            return found, False
        group = self._numbers[queue, need] = Group(self, len(self.groups) + 1, queue, need)
        self.groups.append(group)
        self.heads.append(NOWHERE)
        if group.outbound:
            self.outbound_groups.append(group)
        else:
            self.inbound |= group.bit
        self.of_queue[queue] = self.of_queue.get(queue, 0) | group.bit
        return group, True

    def put(self, arrival: int, waiter: Waiter) -> None:
        """A contact waits from now on, or waits otherwise than before: its place in line is its own."""
        was = self.waiters.get(arrival)
        if was is not None:
            if was == waiter:
                return
            self.lengths[was.queue] -= 1
        self.lengths[waiter.queue] = self.lengths.get(waiter.queue, 0) + 1
        self.waiters[arrival] = waiter
        self.unlisted.append(arrival)
        if len(self.unlisted) > MAX_UNLISTED:
            self.list_all()
        if was is not None:
            self._forget(was)

    def list_all(self) -> None:
        """Put those who have come into their heaps. Whoever was given to an agent at once never comes here."""
        heads, waiters = self.heads, self.waiters
        for arrival in self.unlisted:
            waiter = waiters.get(arrival)
            if waiter is None:
                continue
            if waiter.prefers:
                self._list_personally(waiter)
                continue
            place = waiter.place
            for group in waiter.groups:
                heap = group.heap  # Heap.push, written out
                heappush(heap.new, place)
                heap.room -= 1
                if heap.room < 0:
                    heap.sweep(group.counts)
                if place < heads[group.number]:
                    heads[group.number] = place
                    self.waiting[group.kind] |= group.bit
        self.unlisted.clear()

    def _list_personally(self, waiter: Waiter) -> None:
        key = (waiter.groups[0].kind, waiter.queue)
        for number in waiter.prefers:
            personal = self.personal_of.setdefault(number, {}).setdefault(key, Heap())
            personal.push(waiter.place, partial(self._counts_for, number, key))

    def drop(self, arrival: int) -> None:
        """The contact no longer waits."""
        was = self.waiters.pop(arrival, None)
        if was is not None:
            self.lengths[was.queue] -= 1
            self._forget(was)

    def _forget(self, was: Waiter) -> None:
        heads, place = self.heads, was.place
        for group in was.groups:
            if heads[group.number] == place:
                self.settle(group)

    def set_aside(self, group: Group) -> int:
        """Take a group's first out for a moment; `put_back` must follow."""
        place = group.head()
        group.heap.take(place)
        self.settle(group)
        return place

    def put_back(self, group: Group, place: int) -> None:
        group.heap.push(place, group.counts)
        self.settle(group)
        self.waiting[group.kind] |= group.bit

    def settle(self, group: Group) -> None:
        """Find a group's first anew, when what was first no longer is."""
        heap = group.heap
        if heap.old is None:
            # Heap.first and Group.counts, written out for the common case.
            new, waiters = heap.new, self.waiters
            while new:
                place = new[0]
                waiter = waiters.get(place & ARRIVAL)
                if waiter is not None and waiter.place == place and group in waiter.groups and not waiter.prefers:
                    self.heads[group.number] = place
                    return
                heappop(new)
            first = NOWHERE
        else:
            first = heap.first(group.counts)
        self.heads[group.number] = first
        if first == NOWHERE:
            self.waiting[group.kind] &= ~group.bit

    def _counts_for(self, number: int, key: tuple[int, str], place: int) -> bool:
        waiter = self.waiters.get(place & ARRIVAL)
        if waiter is None or waiter.place != place or number not in waiter.prefers:
            return False
        return (waiter.groups[0].kind, waiter.queue) == key

    def personal_heaps(self, number: int) -> list[tuple[int, str]]:
        """(kind, queue) of which somebody may wait for this agent in person."""
        return list(self.personal_of.get(number, ()))

    def personal(self, number: int, key: tuple[int, str], passes: Callable[[Waiter], bool]) -> int:
        """The first of this kind and queue who waits for this agent in person and passes, else NOWHERE."""
        heap = self.personal_of[number][key]
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
            del self.personal_of[number][key]
            if not self.personal_of[number]:
                del self.personal_of[number]
        return place

    def among(self, groups: int) -> Iterator[Group]:
        """The groups with these bits."""
        return (self.groups[number - 1] for number in bits(groups))

    def waiting_in(self, queue: str) -> list[int]:
        """The places of all who wait in a queue, in order."""
        return sorted(waiter.place for waiter in self.waiters.values() if waiter.queue == queue)
