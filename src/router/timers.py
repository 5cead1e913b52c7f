"""When something is due. The index is only an index: what is due of an entity is computed from the entity itself.

An entity has one entry, at its earliest time or before it. An entry that has become untrue is dropped or moved when it
surfaces, so nothing needs to be cancelled, and an index built anew from memory fires the same timers in the same order,
(due, entity, id, kind). Entries lie unsorted in buckets of a second until theirs is the nearest: one great heap is
several times slower when there are a million.
"""

import heapq
from collections.abc import Callable

Due = tuple[float, str]
"""(when, kind)."""
Truth = Callable[[str, str], Due | None]
"""(entity, id) to what is next due of it."""


class Timers:
    def __init__(self) -> None:
        self._near: list[tuple[float, str, str]] = []
        self._near_until = -1
        self._far: dict[int, list[tuple[float, str, str]]] = {}
        self._seconds: list[int] = []
        self._known: dict[tuple[str, str], float] = {}

    def watch(self, entity: str, id_: str, due: Due | None) -> None:
        """Make sure that an entry surfaces no later than this."""
        if due is None:
            return
        at, key = due[0], (entity, id_)
        known = self._known.get(key)
        if known is not None and known <= at:
            return
        self._known[key] = at
        second = int(at)
        if second <= self._near_until:
            heapq.heappush(self._near, (at, entity, id_))
            return
        bucket = self._far.get(second)
        if bucket is None:
            bucket = self._far[second] = []
            heapq.heappush(self._seconds, second)
        bucket.append((at, entity, id_))

    def surfaces_by(self, until: float) -> bool:
        """Whether an entry surfaces by then. Nothing is due before its entry surfaces."""
        if self._near:
            return self._near[0][0] <= until
        return bool(self._seconds) and self._seconds[0] <= until

    def next_due(self, truth: Truth) -> float | None:
        """The earliest time at which something is truly due, None when nothing is."""
        while self._near or self._seconds:
            if not self._near:
                self._near_until = heapq.heappop(self._seconds)
                self._near = self._far.pop(self._near_until)
                heapq.heapify(self._near)
            at, entity, id_ = self._near[0]
            known = self._known.get((entity, id_)) == at
            true = truth(entity, id_) if known else None
            if true is not None and true[0] == at:
                return at
            heapq.heappop(self._near)
            if known:
                del self._known[entity, id_]
                self.watch(entity, id_, true)
        return None

    def pop(self, truth: Truth) -> tuple[float, str, str, str] | None:
        """Take the earliest timer that is truly due, whatever the time: (due, entity, id, kind)."""
        if self.next_due(truth) is None:
            return None
        at, entity, id_ = heapq.heappop(self._near)
        del self._known[entity, id_]
        true = truth(entity, id_)
        assert true is not None
        return at, entity, id_, true[1]
