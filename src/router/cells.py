"""Who is open: the agents' side of matching, so laid out that a choice looks at a handful of places, never at everybody.

A *need* is what a contact asks of an agent: kind, strategy, and skills with least levels. Needs that name the same
skills make a *shape*. All agents who meet exactly the same needs of a shape (and, where the strategy asks, have the
same sum of levels) stand in one *cell*, so an agent is in one cell per shape that it meets at all, whatever their
number. In a cell the open agents stand in *lanes*: first those whose work would not be interrupted, then the others,
apart by load where the strategy looks at it; in a lane, longest idle first.

An agent's openness for a kind is one integer, the *token* (idle stamp, lane, number). It is put into the lane of each of
the agent's cells, and never searched for again: only the token in `live` counts, all others are stale and are thrown
out when they come to the front, or a few at a time as others are pushed, so that no step ever takes long.
"""

from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush
from operator import itemgetter
from sys import intern
from typing import Any, TypeAlias

from router.model import KINDS, Kind

NUMBER_BITS = 21
LANE_BITS = 5
NUMBER = (1 << NUMBER_BITS) - 1
LANE = (1 << LANE_BITS) - 1
STAMP_SHIFT = NUMBER_BITS + LANE_BITS
MAX_AGENTS = NUMBER
INTERRUPTING = 9
"""Lanes from here on hold agents who are open only if other work is parked. Below it, and above, the load in eighths."""
KIND_NUMBER: dict[Kind, int] = {kind: number for number, kind in enumerate(KINDS)}
CLOSED: tuple[int, ...] = (-1,) * len(KINDS)
ROOM = 64
"""So many tokens more than twice those that count may be in a lane before it is swept."""
SWEEP = 4
"""Tokens looked at per push while stale ones are being thrown out."""
MAX_UNLISTED = 256
TIDY_EVERY = 8
"""One listing in so many looks after a lane."""

Lanes = tuple[int, ...]
"""For each kind in order of KINDS the lane an agent stands in, -1 where it is not open."""
State = tuple[bool, int, Lanes, bool]
"""Signed in, idle stamp, lanes, holds nothing at all."""
Tokens: TypeAlias = "array[int]"
SIGNED, IDLE = 1, 2


class Lane:
    """Tokens, the least first. They mostly come in order and stand in `line`; those that come late are in a heap.

    `kept` (older than all of `line`) and `old` are where a sweep is under way. `aside` says that there may be tokens
    elsewhere than in `line`, which is the same object for ever.
    """

    __slots__ = ("aside", "kept", "late", "limit", "line", "number", "old", "reserves")

    def __init__(self, number: int, reserves: tuple[int, ...]) -> None:
        self.number = number
        self.line: deque[int] = deque()
        self.kept: deque[int] | None = None
        self.late: list[int] = []
        self.old: list[int] = []
        self.aside = False
        self.limit = ROOM
        self.reserves = reserves

    def push(self, token: int) -> None:
        """A token that need not be younger than the last one."""
        line = self.line
        if not line or token >= line[-1]:
            line.append(token)
        else:
            self.put_back(token)

    def put_back(self, token: int) -> None:
        heappush(self.late, token)
        self.aside = True

    def first(self, live: Tokens) -> int:
        """The token of the longest idle who counts, 0 when there is none."""
        row = self.kept or self.line
        best = 0
        while row:
            token = row[0]
            if live[token & NUMBER] == token:
                best = token
                break
            row.popleft()
            if not row:
                row = self.line
        for heap in (self.late, self.old) if self.aside else ():
            while heap:
                token = heap[0]
                if live[token & NUMBER] == token:
                    if not best or token < best:
                        best = token
                    break
                heappop(heap)
        return best

    def take(self, token: int) -> None:
        """Take out every copy of the first token. Put it back with `put_back`."""
        for row in (self.kept, self.line):
            while row and row[0] == token:
                row.popleft()
        for heap in (self.late, self.old):
            while heap and heap[0] == token:
                heappop(heap)

    def is_crowded(self) -> bool:
        return self.kept is not None or len(self.line) + len(self.late) > self.limit

    def sweep(self, live: Tokens, steps: int) -> None:
        """So many steps of throwing out what no longer counts."""
        kept = self.kept
        if kept is None:
            kept = self.kept = deque()
            self.old, self.late = self.late, []
            self.aside = True
        for _ in range(steps):
            if self.old:
                token = self.old.pop()  # the last of a heap: what remains is a heap still
                if live[token & NUMBER] == token:
                    heappush(self.late, token)
            elif self.line:
                token = self.line.popleft()
                if live[token & NUMBER] == token:
                    kept.append(token)
            else:
                self.line.extendleft(reversed(kept))
                self.kept = None
                self.aside = bool(self.late)
                self.limit = ROOM + 2 * (len(self.line) + len(self.late))
                return


class Cell:
    """`heads(line.heads)` gives the places of the first of each group that these agents serve. `line` is that of the
    first lane, where most tokens go."""

    __slots__ = ("groups", "heads", "lanes", "line", "needs", "reserves", "score", "signed")

    def __init__(self, needs: "list[Need]", score: int, reserves: tuple[int, ...]) -> None:
        self.needs = needs
        self.score = score
        self.reserves = reserves
        self.lanes: list[Lane] = []
        self.signed = 0
        for need in needs:
            need.cells.append(self)
        self.line = self.lane(0).line
        self.regroup()

    def regroup(self) -> None:
        self.groups = 0
        for need in self.needs:
            self.groups |= need.groups
        # Number 0 is nobody's: with it twice there are always two, and always a tuple.
        self.heads: Callable[[list[int]], tuple[int, ...]] = itemgetter(0, 0, *bits(self.groups))

    def lane(self, number: int) -> Lane:
        """The first agent in a lane makes it, and each need it serves looks there from now on."""
        for lane in self.lanes:
            if lane.number == number:
                return lane
        lane = Lane(number, self.reserves)
        self.lanes.append(lane)
        for need in self.needs:
            need.arrange()
        return lane


class Need:
    """`order` is where to look for an agent: lists of lanes, the best list first. `groups` are the waiting who need it."""

    __slots__ = ("cells", "groups", "kind", "levels", "live", "minima", "order", "outbound", "shape", "strategy")

    def __init__(
        self, kind: int, strategy: str, levels: tuple[tuple[str, int], ...], shape: "Shape", live: Tokens
    ) -> None:
        self.kind = kind
        self.live = live
        self.strategy = strategy
        self.levels = levels
        self.minima = tuple(level for _, level in levels)
        self.shape = shape
        self.cells: list[Cell] = []
        self.order: list[list[Lane]] = []
        self.groups = 0
        self.outbound = shape.outbound

    def arrange(self) -> None:
        """Nobody's work interrupted, then the strategy, then longest idle (routing.md, Choosing the agent)."""
        ranked: dict[tuple[int, int], list[Lane]] = {}
        for cell in self.cells:
            for lane in cell.lanes:
                interrupting, load = divmod(lane.number, INTERRUPTING)
                by = -cell.score if self.strategy == "best_skill" else 0
                by = {"least_loaded": load, "most_loaded": -load}.get(self.strategy, by)
                ranked.setdefault((interrupting, by), []).append(lane)
        self.order = [ranked[rank] for rank in sorted(ranked)]


class Shape:
    __slots__ = ("cells", "needs", "outbound", "scored", "skills", "slot")

    def __init__(self, slot: int, skills: tuple[str, ...], scored: bool) -> None:
        self.slot = slot
        self.skills = skills
        self.scored = scored
        self.outbound = "mode:outbound" in skills
        self.needs: list[Need] = []
        self.cells: dict[tuple[int, int, tuple[int, ...]], Cell] = {}


class Profile:
    """What an agent can do, shared by all who can do the same: it is its own key, so that no other need be kept.

    `reserves` are the queues with a reserve it serves."""

    __slots__ = ("blended", "cells", "groups", "levels", "reserves", "version")

    def __init__(self, levels: dict[str, int], reserves: tuple[int, ...]) -> None:
        self.levels = levels
        self.reserves = reserves
        self.blended = "mode:inbound" in levels and "mode:outbound" in levels
        self.cells: tuple[tuple[Cell, ...], ...] = ()
        """By slot, the cells in which these agents stand."""
        self.groups = 0
        self.version = -1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Profile) and self.levels == other.levels

    def __hash__(self) -> int:
        return hash(frozenset(self.levels.items()))

    def meets(self, need: Need) -> bool:
        return all(self.levels.get(skill, 0) >= least for skill, least in need.levels)


class States(Sequence[State]):
    """The agents' states by number, put together from columns."""

    def __init__(self, cells: "Cells") -> None:
        self._cells = cells

    def __len__(self) -> int:
        return len(self._cells.ids)

    def __getitem__(self, number: Any) -> Any:
        cells = self._cells
        flags = cells.flags[number]
        return bool(flags & SIGNED), cells.stamps[number], cells.lanes[number], bool(flags & IDLE)


class Cells:
    """What is looked at for every agent is kept in columns: a million small objects would each be a cache miss."""

    def __init__(self, reserves: tuple[tuple[dict[str, int], int], ...] = ()) -> None:
        """`reserves`: for each queue that has one, what it requires, and how many idle agents are kept for it."""
        self.ids: list[str] = []
        self.numbers: dict[str, int] = {}
        self.flags = bytearray()
        self.stamps = array("q")
        self.lanes: list[Lanes] = []
        self.states = States(self)
        self.profile_of: list[Profile] = []
        self.slots: list[tuple[int, bool]] = []
        """(kind, whether load matters) of the needs there are; `live` holds every agent's token for each."""
        self.live: list[Tokens] = []
        self.needs: dict[tuple[int, str, tuple[tuple[str, int], ...]], Need] = {}
        self.idle = [0] * len(reserves)
        self.risen = False
        """A queue's idle agents have become more than they were: outbound work may look again."""
        self.reserves = reserves
        self._profiles: dict[Profile, Profile] = {}
        self._shapes: dict[tuple[int, tuple[str, ...], bool], Shape] = {}
        self._by_first: dict[str, list[Shape]] = {}
        self._version = 0
        self._unlisted: list[int] = []
        self._newest = 0
        self._columns: list[tuple[int, bool, Tokens, int]] = []

    # -- what is asked for

    def need(self, kind: Kind, strategy: str, requires: dict[str, int]) -> Need:
        """The need with these least levels by skill. A new one is built over everybody once: configuration time."""
        # Skills before walls: a shape is found by its first skill, and everybody has the walls.
        levels = tuple(sorted(requires.items(), key=lambda item: (item[0].partition(":")[1] != "", item[0])))
        key = (KIND_NUMBER[kind], strategy, levels)
        found = self.needs.get(key)
        if found is None:
            shape = self._shape(key[0], strategy, tuple(skill for skill, _ in levels))
            found = self.needs[key] = Need(key[0], strategy, levels, shape, self.live[shape.slot])
            shape.needs.append(found)
            self._build(shape)
        return found

    def _shape(self, kind: int, strategy: str, skills: tuple[str, ...]) -> Shape:
        wanted = (kind, strategy in ("least_loaded", "most_loaded"))
        if wanted not in self.slots:
            self.slots.append(wanted)
            live = array("q", bytes(8 * len(self.ids)))
            self._columns.append((*wanted, live, len(self.live) << NUMBER_BITS))
            self.live.append(live)
        key = (self.slots.index(wanted), skills, strategy == "best_skill")
        if key not in self._shapes:
            self._shapes[key] = shape = Shape(*key)
            self._by_first.setdefault(skills[0] if skills else "", []).append(shape)
        return self._shapes[key]

    def _build(self, shape: Shape) -> None:
        """Put everybody who is signed in into a shape's cells."""
        self._version += 1
        shape.cells = {}
        for need in shape.needs:
            need.cells, need.order = [], []
        live = self.live[shape.slot]
        signed_in = [number for number, flags in enumerate(self.flags) if flags & SIGNED]
        for number in sorted(signed_in, key=self.stamps.__getitem__):
            cell = self._cell(self.profile_of[number], shape)
            if cell is not None:
                cell.signed += 1
                token = live[number] = self._token(number, shape.slot)
                if token:
                    cell.lane(token >> NUMBER_BITS & LANE).push(token)
        # Whoever is older than these does not belong at the end of their lines.
        self._newest = max(self._newest, max((self.stamps[number] for number in signed_in), default=0))

    def _token(self, number: int, slot: int) -> int:
        kind, by_load = self.slots[slot]
        lane = self.lanes[number][kind]
        if lane < 0:
            return 0
        if not by_load:
            lane = INTERRUPTING if lane >= INTERRUPTING else 0
        return self.stamps[number] << STAMP_SHIFT | lane << NUMBER_BITS | number

    def _cell(self, profile: Profile, shape: Shape) -> Cell | None:
        code = []
        for skill in shape.skills:
            level = profile.levels.get(skill)
            if level is None:
                return None
            code.append(level)
        mask = 0
        for number, need in enumerate(shape.needs):
            for have, least in zip(code, need.minima, strict=True):
                if have < least:
                    break
            else:
                mask |= 1 << number
        if not mask:
            return None
        # Blended agents of unlike reserves stand apart where outbound work looks, so that it passes over whole cells.
        reserves = profile.reserves if shape.outbound and profile.blended else ()
        key = (mask, sum(code) if shape.scored else 0, reserves)
        cell = shape.cells.get(key)
        if cell is None:
            needs = [need for number, need in enumerate(shape.needs) if mask >> number & 1]
            cell = shape.cells[key] = Cell(needs, key[1], reserves)
        return cell

    def serve(self, need: Need, group: int) -> None:
        """A group (its bit) of the waiting has this need from now on."""
        need.groups |= group
        for cell in need.cells:
            cell.regroup()
        self._version += 1

    # -- who is there

    def profile(self, levels: dict[str, int]) -> Profile:
        """The profile of everybody with these levels, walls included as level 1."""
        reserves = tuple(
            number
            for number, (requires, _) in enumerate(self.reserves)
            if all(levels.get(skill, 0) >= least for skill, least in requires.items())
        )
        profile = Profile({intern(skill): level for skill, level in levels.items()}, reserves)
        return self._profiles.setdefault(profile, profile)

    def add(self, id_: str, profile: Profile) -> int:
        """A new agent's number. Raises OverflowError over two million."""
        number = len(self.ids)
        if number >= MAX_AGENTS:
            raise OverflowError("a pool holds at most two million agents")
        self.ids.append(id_)
        self.numbers[id_] = number
        self.flags.append(0)
        self.stamps.append(0)
        self.lanes.append(CLOSED)
        self.profile_of.append(profile)
        for live in self.live:
            live.append(0)
        return number

    def set(self, number: int, state: State) -> None:
        """An agent is now like this."""
        signed, stamp, lanes, idle = state
        was = self.flags[number]
        flags = signed | idle << 1  # both are truths
        if flags != was:
            self.flags[number] = flags
            if (flags ^ was) & SIGNED or self.reserves:
                self._count(self.refreshed(number), signed - (was & SIGNED), idle - (was >> 1))
        self.lanes[number] = lanes
        self.stamps[number] = stamp
        if lanes is CLOSED:
            for live in self.live:
                live[number] = 0
            return
        unlisted = self._unlisted
        for kind, by_load, live, slot in self._columns:
            lane = lanes[kind]
            if lane < 0:
                live[number] = 0
                continue
            # _token, written out: this is done for every agent at every change.
            token = stamp << STAMP_SHIFT | number
            if lane and (by_load or lane >= INTERRUPTING):
                token |= (lane if by_load else INTERRUPTING) << NUMBER_BITS
            if live[number] != token:
                live[number] = token
                unlisted.append(slot | number)
        if len(unlisted) > MAX_UNLISTED:
            self._list()  # a reader of the journal never asks, and must not collect for ever

    def _count(self, profile: Profile, signed: int, idle: int) -> None:
        """So many more are signed in, so many more are idle, in all places where this profile counts."""
        if signed:
            for cells in profile.cells:
                for cell in cells:
                    cell.signed += signed
        for queue in profile.reserves if idle else ():
            self.idle[queue] += idle
            self.risen = self.risen or idle > 0

    def _list(self) -> None:
        """Put the tokens that have changed into their lanes. Whoever got work at once never comes here."""
        for entry in self._unlisted:
            number, slot = entry & NUMBER, entry >> NUMBER_BITS
            live = self.live[slot]
            token = live[number]
            if not token:
                continue
            profile = self.refreshed(number)
            stamp, lane = token >> STAMP_SHIFT, token >> NUMBER_BITS & LANE
            if stamp >= self._newest and not lane:
                self._newest = stamp
                for cell in profile.cells[slot]:  # the hottest loop of all: in order, and into the first lane
                    cell.line.append(token)
            else:
                for cell in profile.cells[slot]:
                    cell.lane(lane).push(token)
            if not stamp % TIDY_EVERY:
                self._tidy(profile.cells[slot], stamp, lane, live)
        self._unlisted.clear()

    def _tidy(self, cells: tuple[Cell, ...], stamp: int, lane: int, live: Tokens) -> None:
        """Now and then one of the lanes in turn is looked after, for all that were pushed since."""
        if cells:
            some = cells[stamp // TIDY_EVERY % len(cells)].lane(lane)
            if some.is_crowded():
                some.sweep(live, SWEEP * TIDY_EVERY * len(cells))

    def refreshed(self, number: int) -> Profile:
        """An agent's profile, its cells and groups as the needs are now."""
        profile = self.profile_of[number]
        if profile.version != self._version:
            self._refresh(profile)
        return profile

    def _refresh(self, profile: Profile) -> None:
        found: list[list[Cell]] = [[] for _ in self.slots]
        groups = 0
        for skill in ("", *profile.levels):
            for shape in self._by_first.get(skill, ()):
                cell = self._cell(profile, shape)
                if cell is not None:
                    found[shape.slot].append(cell)
                    groups |= cell.groups
        profile.cells = tuple(map(tuple, found))
        profile.groups = groups
        profile.version = self._version

    # -- asking

    def best(self, need: Need, passed_over: list[int] | None = None) -> int:
        """The number of the agent who should be asked first, -1 for nobody. `passed_over` are not to be had."""
        if self._unlisted:
            self._list()
        live = need.live
        for lanes in need.order:
            best = 0
            for lane in lanes:
                if lane.aside:
                    token = lane.first(live)
                else:
                    # Lane.first, written out for the common case.
                    line = lane.line
                    token = 0
                    while line:
                        token = line[0]
                        if live[token & NUMBER] == token:
                            break
                        line.popleft()
                        token = 0
                if token and (not best or token < best) and (not lane.reserves or self.beyond_reserve(lane.reserves)):
                    best = token
            if best:
                if passed_over and best & NUMBER in passed_over:
                    return self._next_best(need, live, passed_over)
                return best & NUMBER
        return -1

    def _next_best(self, need: Need, live: Tokens, passed_over: list[int]) -> int:
        aside: list[tuple[Lane, int]] = []
        found = 0
        for lanes in need.order:
            while True:
                heads = [(lane.first(live), lane) for lane in lanes if self.beyond_reserve(lane.reserves)]
                token, lane = min(((t, one) for t, one in heads if t), key=lambda head: head[0], default=(0, None))
                if lane is None or token & NUMBER not in passed_over:
                    break
                lane.take(token)
                aside.append((lane, token))
            if token:
                found = token
                break
        for lane, token in aside:
            lane.put_back(token)
        return found & NUMBER if found else -1

    def beyond_reserve(self, queues: tuple[int, ...]) -> bool:
        """Whether each of these queues has more idle agents than are kept for it (routing.md, Blending)."""
        return all(self.idle[queue] > self.reserves[queue][1] for queue in queues)

    def signed_in(self, need: Need) -> int:
        """How many who are signed in meet a need, open or not."""
        return sum(cell.signed for cell in need.cells)

    def is_able(self, number: int, need: Need) -> bool:
        """Signed in, and meets it."""
        return bool(self.flags[number] & SIGNED) and self.profile_of[number].meets(need)


def bits(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set, the least first."""
    while mask:
        bit = mask & -mask
        mask ^= bit
        yield bit.bit_length() - 1
