"""Who gets whom: the two choices, made over the indexes of `cells` (agents) and `line` (the waiting).

The interface is narrow: a contact waits (`put`) or waits no longer (`drop`), an agent is now so (`set`); `agent_for` and
`contact_for` choose and change nothing. `router.scan` makes the same choices by looking at everybody, for tests and as
the measure to beat. Nothing here knows contacts or agents otherwise than by number, place and need.
"""

from router.cells import Cells, Lanes, Need, Profile, bits
from router.line import Group, Line, Waiter
from router.queueing import ARRIVAL, NOWHERE, TIER_SHIFT

Rank = tuple[int, int, int]
"""(tier, rank among the queues that an agent serves first, place): the least is taken."""
NOBODY_WAITS: Rank = (NOWHERE, 0, NOWHERE)
FEW_GROUPS = 3
"""Up to so many groups their heads are looked at one by one; over more, cell by cell."""


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
            self.cells.serve(need, group.bit)
        return group

    def add(self, id_: str, profile: Profile, serves_first: tuple[str, ...] = ()) -> int:
        number = self.cells.add(id_, profile)
        if serves_first:
            self._serves_first[number] = serves_first
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
            if self.cells.lanes[number][kind] >= 0 and not self._excludes(waiter, number):
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
        self.line.list_all()
        return profile.blended and bool(self._groups(self.cells.lanes[number], profile) & self.line.inbound)

    # -- the contact for an agent

    def outbound_heads(self) -> list[int]:
        """The places of the first of each group of outbound work."""
        if not self.line.outbound_groups:
            return []
        self.line.list_all()
        heads = (group.head() for group in self.line.outbound_groups)
        return sorted(place for place in heads if place != NOWHERE)

    def contact_for(self, number: int) -> int:
        """The arrival number of the contact that a freed agent should be offered, -1 when there is none."""
        line, cells = self.line, self.cells
        if not line.waiters:
            return -1
        if line.unlisted:
            line.list_all()
        lanes = cells.lanes[number]
        profile = cells.refreshed(number)
        groups = self._groups(lanes, profile)
        if groups and profile.blended:
            inbound = groups & line.inbound
            if inbound or not cells.beyond_reserve(profile.reserves):
                groups = inbound
        if number in self._serves_first or number in line.personal_of:
            return self._first_by_rank(groups, number, lanes, profile)
        if not groups:
            return -1
        arrival = self._least(groups, lanes, profile) & ARRIVAL
        if line.waiters[arrival].excludes:
            return self._first_by_rank(groups, number, lanes, profile)
        return arrival

    def _first_by_rank(self, groups: int, number: int, lanes: Lanes, profile: Profile) -> int:
        """With everything that may turn the order of places: queues served first, exclusions, those who wait in person."""
        line = self.line
        first = self.serves_first(number)
        best = self._first_of(groups, number, lanes, profile, first) if groups else NOBODY_WAITS
        for kind, queue in line.personal_heaps(number):
            if lanes[kind] >= 0:
                place = line.personal(number, (kind, queue), lambda waiter: not self._excludes(waiter, number))
                if place != NOWHERE:
                    best = min(best, self._rank(place, queue, first))
        return best[2] & ARRIVAL if best[2] != NOWHERE else -1

    def _groups(self, lanes: Lanes, profile: Profile) -> int:
        """The groups where somebody waits whom the agent could take, as bits."""
        waiting = self.line.waiting
        groups = 0
        for kind, _ in self.cells.slots:
            if lanes[kind] >= 0:
                groups |= waiting[kind]
        return groups & profile.groups

    def _first_of(self, groups: int, number: int, lanes: Lanes, profile: Profile, first: tuple[str, ...]) -> Rank:
        """The best over the heads of these groups. Heads from which the agent is excluded are set aside, and put back."""
        line = self.line
        aside: list[tuple[Group, int]] = []
        while True:
            rank = self._best_head(groups, lanes, profile, first)
            if rank == NOBODY_WAITS:
                break
            waiter = line.waiters[rank[2] & ARRIVAL]
            if number not in waiter.excludes:
                break
            group = self._group_of(rank[2], groups, first, rank[1])
            if self._passed_over(waiter, group.need) is None:
                break
            aside.append((group, line.set_aside(group)))
        for group, place in aside:
            line.put_back(group, place)
        return rank

    def _best_head(self, groups: int, lanes: Lanes, profile: Profile, first: tuple[str, ...]) -> Rank:
        place = self._least(groups, lanes, profile)
        if place == NOWHERE:
            return NOBODY_WAITS
        tier = place >> TIER_SHIFT
        for number, queue in enumerate(first):
            mine = self.line.among(groups & self.line.of_queue.get(queue, 0))
            head = min((group.head() for group in mine), default=NOWHERE)
            if head >> TIER_SHIFT == tier:
                return tier, number, head
        return tier, len(first), place

    def _least(self, groups: int, lanes: Lanes, profile: Profile) -> int:
        """The first among the heads of these groups. Many of them are looked at cell by cell, in one call each."""
        heads = self.line.heads
        if groups.bit_count() <= FEW_GROUPS:
            return min((heads[number] for number in bits(groups)), default=NOWHERE)
        best = NOWHERE
        some_only = profile.blended  # whoever is not may take whatever waits in these cells
        for (kind, _), cells in zip(self.cells.slots, profile.cells, strict=True):
            if lanes[kind] >= 0:
                for cell in cells:
                    if not some_only or cell.groups & groups:
                        place = min(cell.heads(heads))
                        if place < best:
                            best = place
        return best

    def _rank(self, place: int, queue: str, first: tuple[str, ...]) -> Rank:
        return place >> TIER_SHIFT, first.index(queue) if queue in first else len(first), place

    def _group_of(self, place: int, groups: int, first: tuple[str, ...], rank: int) -> Group:
        """The group, among these and of this rank, whose first has this place."""
        for group in self.line.waiters[place & ARRIVAL].groups:
            of_rank = rank == len(first) or group.queue == first[rank]
            if groups & group.bit and of_rank and group.head() == place:
                return group
        raise LookupError(f"no group has {place} at its head")
