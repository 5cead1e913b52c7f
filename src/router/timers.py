"""When something is due. The heap is only an index: what is due of an entity is computed from the entity itself.

An entry that has become untrue is dropped or moved when it surfaces, so nothing needs to be cancelled, and a heap
built anew from memory fires the same timers in the same order, (due, entity, id, kind).
"""

import heapq
from collections.abc import Callable

Deadlines = Callable[[str, str], dict[str, float]]
Due = tuple[float, str, str, str]


class Timers:
    def __init__(self) -> None:
        self._heap: list[Due] = []
        self._known: dict[tuple[str, str, str], float] = {}

    def watch(self, entity: str, id_: str, due: dict[str, float]) -> None:
        """Make sure that a heap entry surfaces no later than each of these times."""
        for kind, at in due.items():
            key = (entity, id_, kind)
            if at < self._known.get(key, float("inf")):
                self._known[key] = at
                heapq.heappush(self._heap, (at, entity, id_, kind))

    def next_due(self, deadlines: Deadlines) -> float | None:
        """The earliest time at which something is truly due, None when nothing is."""
        while self._heap:
            at, entity, id_, kind = self._heap[0]
            key = (entity, id_, kind)
            true = deadlines(entity, id_).get(kind)
            if true == at and self._known.get(key) == at:
                return at
            heapq.heappop(self._heap)
            if self._known.get(key) == at:
                del self._known[key]
                if true is not None:
                    self.watch(entity, id_, {kind: true})
        return None

    def pop(self, deadlines: Deadlines) -> Due | None:
        """Take the earliest timer that is truly due, whatever the time."""
        if self.next_due(deadlines) is None:
            return None
        due = heapq.heappop(self._heap)
        self._known.pop(due[1:], None)
        return due
