"""Who waits: the customers' side of matching. Each *group* (queue and need) is a row of those who wait in it.

A place is one integer, (tier, key, arrival), so that the least comes first everywhere (queueing.py). A waiting contact
stands in at most four groups, or, while it prefers somebody, in the personal rows of those. Each cell of agents knows
the first of all groups that it serves: who comes or goes in front says so to the few cells concerned, and a freed agent
has only its own cells to look at.
"""

from collections import defaultdict
from collections.abc import Callable

import msgspec

from router.cells import MAX_UNLISTED, Need
from router.queueing import NOWHERE
from router.rows import Row


class Waiter(msgspec.Struct):
    """A waiting contact as matching sees it. `prefers` and `excludes` are agents' numbers.

    Its groups lead back to it, so the collector must see it: else a line that is thrown away stays for ever.
    """

    place: int
    queue: str
    groups: "tuple[Group, ...]"
    prefers: tuple[int, ...] = ()
    excludes: tuple[int, ...] = ()
    gone: bool = False


NOBODY = Waiter(0, "", (), gone=True)


class Group(Row[Waiter]):
    """Those of one queue with one need. `head` is the place of the first, NOWHERE when nobody waits."""

    __slots__ = ("head", "kind", "need", "outbound", "queue")

    def __init__(self, queue: str, need: Need) -> None:
        super().__init__(NOBODY)
        self.queue = queue
        self.need = need
        self.kind = need.kind
        self.outbound = need.outbound
        self.head = NOWHERE

    def follow(self) -> None:
        """Find the first anew: who was it has gone."""
        first = self.first()
        self.lead(NOWHERE if first is None else first.place)

    def lead(self, place: int) -> None:
        """Another one is first. The cells will look when they are asked: often they are not, before it changes again."""
        self.head = place
        for cell in self.need.cells:
            cell.head = 0


class Line:
    def __init__(self) -> None:
        self.waiters: dict[int, Waiter] = {}
        """By arrival number."""
        self.outbound_groups: list[Group] = []
        self.groups: list[Group] = []
        self._known: dict[tuple[str, Need], Group] = {}
        self._listed: defaultdict[str, int] = defaultdict(int)
        """By queue, how many are in rows."""
        self.unlisted: list[Waiter] = []
        """Those who have come and are in no row yet."""
        self.personal_of: dict[int, dict[tuple[int, str], Row[Waiter]]] = {}
        """By agent's number, then kind and queue."""

    def group(self, queue: str, need: Need) -> tuple[Group, bool]:
        """The group, and whether it is new."""
        found = self._known.get((queue, need))
        if found is not None:
            return found, False
        group = self._known[queue, need] = Group(queue, need)
        self.groups.append(group)
        if group.outbound:
            self.outbound_groups.append(group)
        return group, True

    def put(self, arrival: int, waiter: Waiter) -> None:
        """A contact waits from now on, or waits otherwise than before: its place in line is its own."""
        waiters, unlisted = self.waiters, self.unlisted
        if arrival in waiters:
            if waiters[arrival] == waiter:
                return
            self.drop(arrival)
        waiters[arrival] = waiter
        unlisted.append(waiter)
        if len(unlisted) > MAX_UNLISTED:
            self.list_all()

    def list_all(self) -> None:
        """Put those who have come into their rows. Whoever was given to an agent at once never comes here."""
        for waiter in self.unlisted:
            self._listed[waiter.queue] += 1
            if waiter.prefers:
                self._list_personally(waiter)
                continue
            place = waiter.place
            for group in waiter.groups:
                group.push(waiter)
                if place < group.head:
                    group.lead(place)
        self.unlisted.clear()

    def _list_personally(self, waiter: Waiter) -> None:
        key = (waiter.groups[0].kind, waiter.queue)
        for number in waiter.prefers:
            self.personal_of.setdefault(number, {}).setdefault(key, Row(NOBODY)).push(waiter)

    def drop(self, arrival: int) -> None:
        """The contact no longer waits."""
        was = self.waiters.pop(arrival, None)
        if was is None:
            return
        if self.unlisted:
            if self.unlisted[-1] is was:
                self.unlisted.pop()
                return
            self.list_all()
        was.gone = True
        self._listed[was.queue] -= 1
        place = was.place
        for group in was.groups:
            if group.head is place:  # the very number: it need not be compared
                group.follow()

    def personal_rows(self, number: int) -> list[tuple[int, str]]:
        """(kind, queue) of which somebody may wait for this agent in person."""
        return list(self.personal_of.get(number, ()))

    def personal(self, number: int, key: tuple[int, str], passes: Callable[[Waiter], bool]) -> int:
        """The first of this kind and queue who waits for this agent in person and passes, else NOWHERE."""
        row = self.personal_of[number][key]
        if row.first() is None:
            del self.personal_of[number][key]
            if not self.personal_of[number]:
                del self.personal_of[number]
        return next((waiter.place for waiter in row if passes(waiter)), NOWHERE)

    def length(self, queue: str) -> int:
        """How many wait in a queue."""
        return self._listed.get(queue, 0) + sum(1 for waiter in self.unlisted if waiter.queue == queue)

    def waiting_in(self, queue: str) -> list[int]:
        """The places of all who wait in a queue, in order."""
        return sorted(waiter.place for waiter in self.waiters.values() if waiter.queue == queue)
