"""The two choices of `matching`, made by looking at everybody: what the indexes are checked against, and measured with.

Plain loops over what each agent and each waiting contact is now; no cell, lane, heap or mask is looked at. They are
written out where `any` and `all` would be shorter: half a million events are held against them.
"""

from router.cells import IDLE, INTERRUPTING, LANES, SIGNED, STAMP, Cells, Need
from router.line import Waiter
from router.matching import Matching
from router.queueing import NOWHERE, TIER_SHIFT


def agent_for(matching: Matching, waiter: Waiter) -> int:
    """The number of the agent who should be offered a contact now, -1 when it must wait."""
    cells = matching.cells
    if waiter.prefers:
        kind = waiter.groups[0].kind
        open_ = (n for n in waiter.prefers if cells.states[n][2][kind] >= 0 and not _excluded(cells, waiter, n))
        return next(open_, -1)
    for group in waiter.groups:
        over = {number for number in waiter.excludes if _bars(cells, waiter, group.need)}
        if group.outbound:
            over |= {n for n in range(len(cells.states)) if _must_stay(matching, n)}
        number = longest_idle(cells, group.need, over)
        if number >= 0:
            return number
    return -1


def longest_idle(cells: Cells, need: Need, over: set[int]) -> int:
    """The best of the open agents by the need's strategy, -1 for nobody."""
    kind, wanted, profiles = need.kind, need.levels, cells.profile_of
    by_score = need.strategy == "best_skill"
    by_load = {"least_loaded": 1, "most_loaded": -1}.get(need.strategy, 0)
    best, least = -1, (2, 0, 0)
    for number, lanes in enumerate(cells.records[LANES :: cells.width]):
        lane = lanes[kind]
        if lane < 0:
            continue
        levels = profiles[number].levels
        for skill, level in wanted:
            if levels.get(skill, 0) < level:
                break
        else:
            interrupting, load = divmod(lane, INTERRUPTING)
            by = -sum(levels[skill] for skill, _ in wanted) if by_score else by_load * load
            rank = (interrupting, by, cells.records[number * cells.width + STAMP])
            if rank < least and number not in over:
                best, least = number, rank
    return best


def _bars(cells: Cells, waiter: Waiter, need: Need) -> bool:
    """Exclusions hold while somebody else who is signed in meets the need."""
    excludes, wanted, profiles = waiter.excludes, need.levels, cells.profile_of
    for number, flags in enumerate(cells.flags):
        if not flags & SIGNED or number in excludes:
            continue
        levels = profiles[number].levels
        for skill, level in wanted:
            if levels.get(skill, 0) < level:
                break
        else:
            return True
    return False


def _excluded(cells: Cells, waiter: Waiter, number: int) -> bool:
    return number in waiter.excludes and any(
        cells.profile_of[number].meets(group.need) and _bars(cells, waiter, group.need) for group in waiter.groups
    )


def _must_stay(matching: Matching, number: int) -> bool:
    """A blended agent is kept from outbound work: by inbound work that waits, or by a queue's reserve."""
    cells = matching.cells
    profile = cells.profile_of[number]
    if not profile.blended:
        return False
    if not _beyond_reserve(cells, number):
        return True
    lanes = cells.lanes(number)
    waiting = ((w, g) for w in matching.line.waiters.values() if not w.prefers for g in w.groups)
    return any(not g.outbound and lanes[g.kind] >= 0 and profile.meets(g.need) for w, g in waiting)


def _beyond_reserve(cells: Cells, number: int) -> bool:
    for (requires, _), kept in zip(cells.reserves, cells.kept, strict=True):
        idle = 0
        mine = False
        wanted = tuple(requires.items())
        for other, profile in enumerate(cells.profile_of):
            levels = profile.levels
            for skill, least in wanted:
                if levels.get(skill, 0) < least:
                    break
            else:
                idle += bool(cells.flags[other] & IDLE)
                mine = mine or other == number
        if mine and idle <= kept:
            return False
    return True


def contact_for(matching: Matching, number: int) -> int:
    """The arrival number of the contact that a freed agent should be offered, -1 when there is none."""
    cells, line = matching.cells, matching.line
    lanes, levels = cells.lanes(number), cells.profile_of[number].levels
    stays = bool(line.outbound_groups) and _must_stay(matching, number)
    first = matching.serves_first(number)
    best, least, nearest = -1, (99, 0, 0), NOWHERE
    for arrival, waiter in line.waiters.items():
        place = waiter.place
        if place >= nearest:  # the cheapest question first
            continue
        ways: tuple[str, ...] = ()
        if waiter.prefers:
            if number in waiter.prefers and lanes[waiter.groups[0].kind] >= 0 and not _excluded(cells, waiter, number):
                ways = (waiter.queue,)
        else:
            for group in waiter.groups:
                for skill, level in group.need.levels:
                    if levels.get(skill, 0) < level:
                        break
                else:
                    barred = number in waiter.excludes and _bars(cells, waiter, group.need)
                    if lanes[group.kind] >= 0 and not barred and not (group.outbound and stays):
                        ways += (group.queue,)
        for queue in ways:
            rank = (place >> TIER_SHIFT, first.index(queue) if queue in first else len(first), place)
            if rank < least:
                best, least = arrival, rank
                nearest = NOWHERE if first else place
    return best
