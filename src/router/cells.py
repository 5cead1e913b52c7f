"""Who is open: the agents' side of matching, so laid out that a choice looks at a handful of places, never at everybody.

A *need* is what a contact asks of an agent: kind, strategy, and skills with least levels. Needs that name the same
skills make a *shape*. All agents who meet exactly the same needs of a shape (and, where the strategy asks, have the
same sum of levels) stand in one *cell*, so an agent is in one cell per shape that it meets at all, whatever their
number. In a cell the open agents stand in *lanes*: first those whose work would not be interrupted, then the others,
apart by load where the strategy looks at it; in a lane, longest idle first.

An agent's openness for a kind is one *token*. It is put into the lane of each of the agent's cells, and never searched for
again: once it no longer holds it is marked as gone, and the lanes throw it out in their own time (`rows`).
"""

from collections.abc import Iterable, Sequence
from heapq import merge
from sys import intern
from typing import TYPE_CHECKING, Any

import msgspec

from router.model import KINDS, Kind
from router.queueing import NOWHERE
from router.rows import LONG, Row, place_of

if TYPE_CHECKING:
    from router.line import Group

MAX_AGENTS = 2_000_000
INTERRUPTING = 9
"""Lanes from here on hold agents who are open only if other work is parked. Below it, and above, the load in eighths."""
KIND_NUMBER: dict[Kind, int] = {kind: number for number, kind in enumerate(KINDS)}
CLOSED: tuple[int, ...] = (-1,) * len(KINDS)
MAX_UNLISTED = 256
TIDY_EVERY = 8
"""One listing in so many looks after a lane."""

Lanes = tuple[int, ...]
"""For each kind in order of KINDS the lane an agent stands in, -1 where it is not open."""
SIGNED, IDLE = 1, 2
"""An agent's flags: signed in; and holds nothing at all."""
State = tuple[int, int, Lanes]
"""Flags, idle stamp, lanes."""
LANES, STAMP, OWN = 0, 1, 2
"""Where they are in an agent's record, and how many fields are its own. The slots' follow."""


class Token(msgspec.Struct, gc=False):
    """An agent is open, in this lane; its place is its idle stamp, which is its own."""

    place: int
    number: int
    lane: int
    gone: bool = False


NOBODY = Token(0, -1, -1, gone=True)


class Lane(Row[Token]):
    __slots__ = ("number", "reserves")

    def __init__(self, number: int, reserves: tuple[int, ...]) -> None:
        super().__init__(NOBODY)
        self.number = number
        self.reserves = reserves


class Cell(Lane):
    """A cell is its own first lane, where most stand. `head` is the place of the first who waits for these agents, 0 until
    somebody asks (`look`)."""

    __slots__ = ("groups", "head", "lanes", "needs", "outbound", "score", "signed")

    def __init__(self, needs: "list[Need]", score: int, reserves: tuple[int, ...]) -> None:
        super().__init__(0, reserves)
        self.needs = needs
        self.score = score
        self.outbound = needs[0].outbound
        self.lanes: tuple[Lane, ...] = (self,)
        self.signed = 0
        for need in needs:
            need.cells.append(self)
            need.arrange()
        self.regroup()

    def regroup(self) -> None:
        self.groups = tuple([group for need in self.needs for group in need.groups])
        self.head = 0

    def look(self) -> int:
        """The place of the first who waits, anew: the head of a group has changed."""
        head = NOWHERE
        for group in self.groups:
            if group.head < head:
                head = group.head
        self.head = head
        return head

    def lane(self, number: int) -> Lane:
        """The first agent in a lane makes it, and each need it serves looks there from now on."""
        for lane in self.lanes:
            if lane.number == number:
                return lane
        lane = Lane(number, self.reserves)
        self.lanes += (lane,)
        for need in self.needs:
            need.arrange()
        return lane


class Slot:
    """Who is open for one kind, `by_load` in lanes apart. An agent's token and cells stand `at` and after that in its
    record. `unlisted` are in no lane yet, and none in a first lane is younger than `newest`."""

    __slots__ = ("at", "by_load", "kind", "lane_of", "newest", "number", "unlisted")

    def __init__(self, number: int, kind: int, by_load: bool, at: int) -> None:
        self.number = number
        self.at = at
        self.kind = kind
        self.by_load = by_load
        lanes = range(2 * INTERRUPTING)
        self.lane_of = [lane if by_load else lane // INTERRUPTING * INTERRUPTING for lane in lanes] + [-1]
        """By an agent's lane (or -1, the last) the one he stands in here."""
        self.unlisted: list[Token] = []
        self.newest = 0


class Need:
    """`order` is where to look for an agent: lists of lanes, the best list first. `groups` are the waiting who need it."""

    __slots__ = ("cells", "groups", "kind", "levels", "minima", "order", "outbound", "shape", "slot", "strategy")

    def __init__(self, kind: int, strategy: str, levels: tuple[tuple[str, int], ...], shape: "Shape") -> None:
        self.kind = kind
        self.slot = shape.slot
        self.strategy = strategy
        self.levels = levels
        self.minima = tuple(level for _, level in levels)
        self.shape = shape
        self.cells: list[Cell] = []
        self.order: list[list[Lane]] = []
        self.groups: list[Group] = []
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

    def __init__(self, slot: Slot, skills: tuple[str, ...], scored: bool) -> None:
        self.slot = slot
        self.skills = skills
        self.scored = scored
        self.outbound = "mode:outbound" in skills
        self.needs: list[Need] = []
        self.cells: dict[tuple[int, int, tuple[int, ...]], Cell] = {}


class Profile:
    """What an agent can do, shared by all who can do the same: it is its own key, so that no other need be kept.

    `reserves` are the queues with a reserve it serves."""

    __slots__ = ("blended", "cells", "levels", "reserves", "version")

    def __init__(self, levels: dict[str, int], reserves: tuple[int, ...]) -> None:
        self.levels = levels
        self.reserves = reserves
        self.blended = "mode:inbound" in levels and "mode:outbound" in levels
        self.cells: tuple[tuple[Cell, ...], ...] = ()
        """By slot, the cells in which these agents stand."""
        self.version = -1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Profile) and self.levels == other.levels

    def __hash__(self) -> int:
        return hash(frozenset(self.levels.items()))

    def meets(self, need: Need) -> bool:
        return all(self.levels.get(skill, 0) >= least for skill, least in need.levels)


class States(Sequence[State]):
    """The agents' states by number, put together."""

    def __init__(self, cells: "Cells") -> None:
        self._cells = cells

    def __len__(self) -> int:
        return len(self._cells.ids)

    def __getitem__(self, number: Any) -> Any:
        cells = self._cells
        flags, at = cells.flags[number], number * cells.width
        return flags, cells.records[at + STAMP], cells.records[at + LANES]


class Cells:
    """Each look at one of a million agents is a cache miss, so what is looked at together stands side by side."""

    def __init__(self, reserves: tuple[tuple[dict[str, int], int], ...] = ()) -> None:
        """`reserves`: for each queue that has one, what it requires, and how many idle agents are kept for it."""
        self.ids: list[str] = []
        self.numbers: dict[str, int] = {}
        self.flags = bytearray()
        self.by_rank = bytearray()
        """Whether what waits is chosen for an agent by more than places (`Matching.contact_for`)."""
        self.records: list[Any] = []
        """Of each agent in turn `width` fields: lanes, idle stamp, and for each slot the token (None: not open) and the
        cells in which it stands, as the profile has them (None: not yet known)."""
        self.width = OWN
        self.states = States(self)
        self.profile_of: list[Profile] = []
        self.slots: list[Slot] = []
        self.needs: dict[tuple[int, str, tuple[tuple[str, int], ...]], Need] = {}
        self.idle = [0] * len(reserves)
        self.kept = [kept for _, kept in reserves]
        """How many idle agents are kept for each queue that has a reserve now."""
        self.risen = False
        """A queue's idle agents have become more than they were: outbound work may look again."""
        self.reserves = reserves
        self._profiles: dict[Profile, Profile] = {}
        self._shapes: dict[tuple[int, bool, tuple[str, ...], bool], Shape] = {}
        self._by_first: dict[str, list[Shape]] = {}
        self._version = 0

    # -- what is asked for

    def need(self, kind: Kind, strategy: str, requires: dict[str, int]) -> Need:
        """The need with these least levels by skill. A new one is built over everybody once: configuration time."""
        # Skills before walls: a shape is found by its first skill, and everybody has the walls.
        levels = tuple(sorted(requires.items(), key=lambda item: (item[0].partition(":")[1] != "", item[0])))
        key = (KIND_NUMBER[kind], strategy, levels)
        found = self.needs.get(key)
        if found is None:
            shape = self._shape(key[0], strategy, tuple(skill for skill, _ in levels))
            found = self.needs[key] = Need(key[0], strategy, levels, shape)
            shape.needs.append(found)
            self._build(shape)
        return found

    def _shape(self, kind: int, strategy: str, skills: tuple[str, ...]) -> Shape:
        by_load, scored = strategy in ("least_loaded", "most_loaded"), strategy == "best_skill"
        key = (kind, by_load, skills, scored)
        found = self._shapes.get(key)
        if found is None:
            found = self._shapes[key] = Shape(self._slot(kind, by_load), skills, scored)
            self._by_first.setdefault(skills[0] if skills else "", []).append(found)
        return found

    def _slot(self, kind: int, by_load: bool) -> Slot:
        for slot in self.slots:
            if (slot.kind, slot.by_load) == (kind, by_load):
                return slot
        records, width = self.records, self.width
        slot = Slot(len(self.slots), kind, by_load, width)
        self.slots.append(slot)
        self.width += 2
        self.records = [
            field for at in range(0, len(records), width) for field in (*records[at : at + width], None, None)
        ]
        self._version += 1
        for number, state in enumerate(self.states):
            self.set(number, state)
        return slot

    def _build(self, shape: Shape) -> None:
        """Put everybody who is signed in into a shape's cells."""
        slot = shape.slot
        self._list(slot)
        self._version += 1
        self.records[slot.at + 1 :: self.width] = [None] * len(self.ids)
        shape.cells = {}
        for need in shape.needs:
            need.cells, need.order = [], []
        signed_in = [number for number, flags in enumerate(self.flags) if flags & SIGNED]
        for number in sorted(signed_in, key=self.records[STAMP :: self.width].__getitem__):
            cell = self._cell(self.profile_of[number], shape)
            if cell is not None:
                cell.signed += 1
                token = self.records[number * self.width + slot.at]
                if token is not None:
                    cell.lane(token.lane).push(token)
                    slot.newest = max(slot.newest, token.place)

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

    def serve(self, group: "Group") -> None:
        """A group of the waiting has its need from now on."""
        group.need.groups.append(group)
        for cell in group.need.cells:
            cell.regroup()

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
        self.by_rank.append(profile.blended)
        self.records += (CLOSED, 0, *(None,) * (self.width - OWN))
        self.profile_of.append(profile)
        return number

    def set(self, number: int, state: State) -> None:
        """An agent is now like this."""
        flags, stamp, lanes = state
        was = self.flags[number]
        if flags != was:
            self.flags[number] = flags
            if not flags or not was or self.reserves:
                self._count(self.refreshed(number), (flags & SIGNED) - (was & SIGNED), (flags >> 1) - (was >> 1))
        records = self.records
        start = number * self.width
        records[start] = lanes
        records[start + STAMP] = stamp
        for slot in self.slots:
            lane = slot.lane_of[lanes[slot.kind]]
            at, unlisted = start + slot.at, slot.unlisted
            token = records[at]
            if token is not None:
                if token.lane == lane and token.place == stamp:
                    continue
                token.gone = True
                if unlisted and unlisted[-1] is token:
                    unlisted.pop()  # he was given work at once, as in a backlog mostly
            if lane < 0:
                records[at] = None
                continue
            records[at] = token = Token(stamp, number, lane)
            unlisted.append(token)
            if len(unlisted) > MAX_UNLISTED:
                self._list(slot)  # a reader of the journal never asks, and must not collect for ever

    def _count(self, profile: Profile, signed: int, idle: int) -> None:
        """So many more are signed in, so many more are idle, in all places where this profile counts."""
        if signed:
            for cells in profile.cells:
                for cell in cells:
                    cell.signed += signed
        for queue in profile.reserves if idle else ():
            self.idle[queue] += idle
            self.risen = self.risen or idle > 0

    def _list(self, slot: Slot) -> None:
        """Put the tokens that are new into their lanes. Whoever got work at once never comes here."""
        records, width, at = self.records, self.width, slot.at + 1
        for token in slot.unlisted:
            if token.gone:
                continue
            cells = records[token.number * width + at]
            if cells is None:
                cells = self.cells_in(slot, token.number)
            if token.place >= slot.newest and not token.lane:
                slot.newest = token.place
                for cell in cells:  # the hottest loop of all: in order, and into the first lane
                    cell.tail.append(token)
            else:
                for cell in cells:
                    cell.lane(token.lane).push(token)
            if not token.place % TIDY_EVERY:
                self._tidy(cells, token)
        slot.unlisted.clear()

    def _tidy(self, cells: tuple[Cell, ...], token: Token) -> None:
        """Now and then one of the lanes in turn is looked after, for all that were added since."""
        if cells:
            lane = cells[token.place // TIDY_EVERY % len(cells)].lane(token.lane)
            if len(lane.tail) > LONG:
                lane.divide(len(lane.runs) - 1)

    def cells_in(self, slot: Slot, number: int) -> tuple[Cell, ...]:
        """The cells in which an agent stands while he is open for a slot's kind."""
        cells = self.refreshed(number).cells[slot.number]
        self.records[number * self.width + slot.at + 1] = cells
        return cells

    def refreshed(self, number: int) -> Profile:
        """An agent's profile, its cells as the needs are now."""
        profile = self.profile_of[number]
        if profile.version != self._version:
            self._refresh(profile)
        return profile

    def _refresh(self, profile: Profile) -> None:
        found: list[list[Cell]] = [[] for _ in self.slots]
        for skill in ("", *profile.levels):
            for shape in self._by_first.get(skill, ()):
                cell = self._cell(profile, shape)
                if cell is not None:
                    found[shape.slot.number].append(cell)
        profile.cells = tuple(map(tuple, found))
        profile.version = self._version

    # -- asking

    def lanes(self, number: int) -> Lanes:
        """The lanes in which an agent stands."""
        lanes: Lanes = self.records[number * self.width]
        return lanes

    def best(self, need: Need, passed_over: list[int] | None = None) -> int:
        """The number of the agent who should be asked first, -1 for nobody. `passed_over` are not to be had."""
        if need.slot.unlisted:
            self._list(need.slot)
        for lanes in need.order:
            best: Token | None = None
            for lane in lanes:
                token = lane.front
                if token.gone:  # `first`, written out for whoever stands in the first run
                    run = lane.runs[0]
                    while run:
                        token = run.pop(0)
                        if not token.gone:
                            lane.front = token
                            break
                    else:
                        if run is lane.tail or (first := lane.first()) is None:
                            continue
                        token = first
                if best is not None and best.place < token.place:
                    continue
                if not lane.reserves or self.beyond_reserve(lane.reserves):
                    best = token
            if best is not None:
                if passed_over and best.number in passed_over:
                    return self._next_best(need, passed_over)
                return best.number
        return -1

    def _next_best(self, need: Need, passed_over: list[int]) -> int:
        for lanes in need.order:
            within = [lane for lane in lanes if self.beyond_reserve(lane.reserves)]
            for token in merge(*within, key=place_of):
                if token.number not in passed_over:
                    return token.number
        return -1

    def beyond_reserve(self, queues: tuple[int, ...]) -> bool:
        """Whether each of these queues has more idle agents than are kept for it (routing.md, Blending)."""
        return all(self.idle[queue] > self.kept[queue] for queue in queues)

    def short_of_reserve(self, queues: Iterable[int]) -> bool:
        """Whether one of these queues has fewer idle agents than are kept for it."""
        return any(self.idle[queue] < self.kept[queue] for queue in queues)

    def keep(self, queue: int, kept: int) -> None:
        """So many are kept for a queue from now on."""
        self.risen = self.risen or kept < self.kept[queue]
        self.kept[queue] = kept

    def signed_in(self, need: Need) -> int:
        """How many who are signed in meet a need, open or not."""
        return sum(cell.signed for cell in need.cells)

    def is_able(self, number: int, need: Need) -> bool:
        """Signed in, and meets it."""
        return bool(self.flags[number] & SIGNED) and self.profile_of[number].meets(need)
