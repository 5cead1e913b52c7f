"""Who gets whom: the two choices, made over the indexes of `cells` (agents) and `line` (the waiting).

The interface is narrow: a contact waits (`put`) or waits no longer (`drop`), an agent is now so (`set`); `agent_for` and
`contact_for` choose and change nothing. `router.scan` makes the same choices by looking at everybody, for tests and as
the measure to beat. Nothing here knows contacts or agents otherwise than by number, place and need.
"""

from collections.abc import Iterable

from router.cells import Cell, Cells, Lanes, Need, Profile
from router.line import Group, Line, Waiter
from router.queueing import ARRIVAL, NOWHERE, TIER_SHIFT

Rank = tuple[int, int, int]
"""(tier, rank among the queues that an agent serves first, place): the least is taken."""
NOBODY_WAITS: Rank = (NOWHERE, 0, NOWHERE)


class Matching:
    def __init__(self, reserves: tuple[tuple[dict[str, int], int], ...] = ()) -> None:
        self.cells = Cells(reserves)
        self.line = Line()
        self.set = self.cells.set
        self.put = self.line.put
        self.drop = self.line.drop
        self._serves_first: dict[int, tuple[str, ...]] = {}

    # -- what there is

    def group(self, queue: str, need: Need) -> Group:
        group, is_new = self.line.group(queue, need)
        if is_new:
            self.cells.serve(group)
        return group

    def add(self, id_: str, profile: Profile, serves_first: tuple[str, ...] = ()) -> int:
        number = self.cells.add(id_, profile)
        if serves_first:
            self._serves_first[number] = serves_first
            self.cells.by_rank[number] = True
        return number

    def serves_first(self, number: int) -> tuple[str, ...]:
        return self._serves_first.get(number, ())

    # -- the agent for a contact

    def agent_for(self, waiter: Waiter) -> int:
        """The number of the agent who should be offered a contact now, -1 when it must wait."""
        if waiter.prefers:
            return self._preferred(waiter)
        for group in waiter.groups:
            over = self._passed_over(waiter, group.need) if waiter.excludes else None
            number = self.cells.best(group.need, over)
            while number >= 0 and group.outbound and self._owed_inbound(number):
                over = [*(over or ()), number]
                number = self.cells.best(group.need, over)
            if number >= 0:
                return number
        return -1

    def _preferred(self, waiter: Waiter) -> int:
        """The first of those preferred who is open."""
        kind = waiter.groups[0].kind
        for number in waiter.prefers:
            if self.cells.lanes(number)[kind] >= 0 and not self._excludes(waiter, number):
                return number
        return -1

    def _passed_over(self, waiter: Waiter, need: Need) -> list[int] | None:
        """Who is excluded from a contact. Exclusions are ignored while nobody else who is signed in meets the need."""
        others = self.cells.signed_in(need)
        for number in waiter.excludes:
            others -= self.cells.is_able(number, need)
        return list(waiter.excludes) if others > 0 else None

    def _excludes(self, waiter: Waiter, number: int) -> bool:
        return number in waiter.excludes and any(
            self._passed_over(waiter, group.need) is not None
            for group in waiter.groups
            if self.cells.profile_of[number].meets(group.need)
        )

    def _owed_inbound(self, number: int) -> bool:
        """Inbound work waits that this blended agent could take, so outbound work must wait."""
        profile = self.cells.refreshed(number)
        return profile.blended and self.inbound_waits(profile, self.cells.lanes(number))

    def inbound_waits(self, profile: Profile, lanes: Lanes) -> bool:
        """Whether inbound work waits that somebody of this profile, open in these lanes, could take."""
        self.line.list_all()
        return _anybody(cell for cell in self._cells(profile, lanes) if not cell.outbound)

    def waits_in_person(self, number: int, lanes: Lanes) -> bool:
        """Whether somebody waits for just this agent, who is open in these lanes."""
        return any(self._personal(number, kind, queue) != NOWHERE for kind, queue in self._personal_rows(number, lanes))

    def _personal_rows(self, number: int, lanes: Lanes) -> list[tuple[int, str]]:
        return [(kind, queue) for kind, queue in self.line.personal_rows(number) if lanes[kind] >= 0]

    def _personal(self, number: int, kind: int, queue: str) -> int:
        return self.line.personal(number, (kind, queue), lambda waiter: not self._excludes(waiter, number))

    # -- the contact for an agent

    def outbound_heads(self) -> list[int]:
        """The places of the first of each group of outbound work."""
        if not self.line.outbound_groups:
            return []
        self.line.list_all()
        heads = (group.head for group in self.line.outbound_groups)
        return sorted(place for place in heads if place != NOWHERE)

    def contact_for(self, number: int) -> int:
        """The arrival number of the contact that a freed agent should be offered, -1 when there is none."""
        line, cells = self.line, self.cells
        if not line.waiters:
            return -1
        if line.unlisted:
            line.list_all()
        if cells.by_rank[number] or number in line.personal_of:
            return self._first_by_rank(number)
        best = NOWHERE
        records, start = cells.records, number * cells.width
        lanes = records[start]
        for slot in cells.slots:
            if lanes[slot.kind] >= 0:
                for cell in records[start + slot.at + 1] or cells.cells_in(slot, number):
                    head = cell.head
                    if not head:  # `look`, written out
                        head = NOWHERE
                        for group in cell.groups:
                            if group.head < head:
                                head = group.head
                        cell.head = head
                    if head < best:
                        best = head
        if best == NOWHERE:
            return -1
        arrival = best & ARRIVAL
        return arrival if not line.waiters[arrival].excludes else self._first_by_rank(number)

    def _cells(self, profile: Profile, lanes: Lanes) -> list[Cell]:
        """The cells in which an agent is open."""
        found: list[Cell] = []
        for slot in self.cells.slots:
            if lanes[slot.kind] >= 0:
                found += profile.cells[slot.number]
        return found

    def _first_by_rank(self, number: int) -> int:
        """With everything that may turn the order of places (queues served first, exclusions, those who wait in person),
        and what keeps a blended agent from outbound work."""
        profile, lanes = self.cells.refreshed(number), self.cells.lanes(number)
        serves = self._cells(profile, lanes)
        if profile.blended:
            inbound = [cell for cell in serves if not cell.outbound]
            if _anybody(inbound) or not self.cells.beyond_reserve(profile.reserves):
                serves = inbound
        if number not in self._serves_first and number not in self.line.personal_of:
            head = min((cell.head or cell.look() for cell in serves), default=NOWHERE)
            if head == NOWHERE:
                return -1
            if not self.line.waiters[head & ARRIVAL].excludes:
                return head & ARRIVAL
        first = self.serves_first(number)
        best = NOBODY_WAITS
        for group in (group for cell in serves for group in cell.groups):
            if group.head != NOWHERE and self._rank(group.head, group.queue, first) < best:
                best = min(best, self._rank(self._head_for(number, group), group.queue, first))
        for kind, queue in self._personal_rows(number, lanes):
            best = min(best, self._rank(self._personal(number, kind, queue), queue, first))
        return best[2] & ARRIVAL if best[2] != NOWHERE else -1

    def _head_for(self, number: int, group: Group) -> int:
        """The place of the first in a group from whom the agent is not excluded."""
        for waiter in group:
            if number not in waiter.excludes or self._passed_over(waiter, group.need) is None:
                return waiter.place
        return NOWHERE

    def _rank(self, place: int, queue: str, first: tuple[str, ...]) -> Rank:
        return place >> TIER_SHIFT, first.index(queue) if queue in first else len(first), place


def _anybody(cells: Iterable[Cell]) -> bool:
    """Whether somebody waits for these."""
    return any((cell.head or cell.look()) != NOWHERE for cell in cells)
