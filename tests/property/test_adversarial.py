"""What would hurt indexes like ours, each at a size that would show it: what nobody can serve, lanes that nobody looks
into, many changes at once, agents of whom no two are alike. Judged by what is looked at and kept, never by the clock."""

from router import scan
from router.cells import CLOSED, IDLE, SIGNED, Cells
from router.line import Waiter
from router.matching import Matching
from router.queueing import ARRIVAL_BITS, TIER_SHIFT

OPEN = (0, -1, -1, -1, -1, -1)
WALLS = {"brand:b": 1, "mode:inbound": 1}


def place(arrival: int, tier: int = 5) -> int:
    return tier << TIER_SHIFT | arrival << ARRIVAL_BITS | arrival


def center(*profiles: dict[str, int]) -> Matching:
    matching = Matching()
    for number, levels in enumerate(profiles):
        matching.add(f"a{number}", matching.cells.profile({**levels, **WALLS}))
    return matching


def group_of(matching: Matching, requires: dict[str, int], queue: str = "q"):  # type: ignore[no-untyped-def]
    return matching.group(queue, matching.cells.need("voice", "longest_idle", {**requires, **WALLS}))


def tokens(cells: Cells) -> int:
    lanes = {id(lane): lane for need in cells.needs.values() for cell in need.cells for lane in cell.lanes}
    return sum(lane.size() for lane in lanes.values())


def test_what_nobody_can_serve_costs_nothing_however_often_it_is_asked() -> None:
    matching = center(*({"s1": 1} for _ in range(50)))
    nobody = group_of(matching, {"s1": 5})
    for number in range(50):
        matching.set(number, (SIGNED | IDLE, number + 1, OPEN))
    waiter = Waiter(place(1), "q", (nobody,))
    assert all(matching.agent_for(waiter) == -1 for _ in range(1_000_000))
    assert nobody.need.order == [], "there is no lane to look into"


def test_a_popular_lane_that_nobody_looks_into_does_not_grow() -> None:
    """Agents come and go 100,000 times past a need that is asked for once at the end."""
    count = 40
    matching = center(*({"s1": 1, "s2": 1} for _ in range(count)))
    often, rare = group_of(matching, {"s1": 1}), group_of(matching, {"s2": 1})
    stamp = 0
    for turn in range(100_000):
        stamp += 1
        matching.set(turn % count, (SIGNED | IDLE, stamp, OPEN))
        number = matching.agent_for(Waiter(place(1), "q", (often,)))
        assert number >= 0
        matching.set(number, (SIGNED, stamp, CLOSED))
    kept = sum(lane.size() for cell in rare.need.cells for lane in cell.lanes)
    assert kept <= 64 + 8 * count * 8, f"{kept} tokens of {count} agents are kept"
    matching.set(3, (SIGNED | IDLE, stamp + 1, OPEN))
    assert matching.agent_for(Waiter(place(2), "q", (rare,))) == 3


def test_a_hundred_thousand_widen_in_one_moment_and_keep_their_places() -> None:
    matching = center({"s1": 1})
    narrow, wide = group_of(matching, {"s1": 5}), group_of(matching, {})
    for arrival in range(1, 100_001):
        matching.put(arrival, Waiter(place(arrival), "q", (narrow,)))
    matching.set(0, (SIGNED | IDLE, 1, OPEN))
    assert matching.contact_for(0) == -1
    for arrival in range(100_000, 0, -1):
        matching.put(arrival, Waiter(place(arrival), "q", (wide,)))
    served = []
    for _ in range(1000):
        arrival = matching.contact_for(0)
        matching.drop(arrival)
        served.append(arrival)
    assert served == list(range(1, 1001))
    assert narrow.head > place(100_000), "nobody waits for the narrow one any more"


def test_ten_thousand_changes_of_priority_on_one_line() -> None:
    matching = center({"s1": 1})
    line = group_of(matching, {"s1": 1})
    for arrival in range(1, 11):
        matching.put(arrival, Waiter(place(arrival), "q", (line,)))
    matching.set(0, (SIGNED | IDLE, 1, OPEN))
    for change in range(10_000):
        arrival = change % 10 + 1
        matching.put(arrival, Waiter(place(arrival, 1 + change % 9), "q", (line,)))
        if change % 100 == 0:
            assert matching.contact_for(0) == scan.contact_for(matching, 0)
    assert line.size() <= 64 + 300 + 2 * 10, "the row keeps who has gone"
    assert matching.contact_for(0) == scan.contact_for(matching, 0)


def test_a_hundred_thousand_sign_in_at_once_and_the_first_is_asked_first() -> None:
    count = 100_000
    matching = center(*({f"s{number % 7}": 1 + number % 5} for number in range(count)))
    wanted = [group_of(matching, {f"s{skill}": level}) for skill in range(7) for level in (1, 3, 5)]
    for number in range(count):
        matching.set(number, (SIGNED | IDLE, number + 1, OPEN))
    for group in wanted:
        (skill, level), *_ = group.need.levels
        able = next(n for n in range(count) if n % 7 == int(skill[1:]) and 1 + n % 5 >= level)
        assert matching.agent_for(Waiter(place(1), "q", (group,))) == able
    assert matching.cells.signed_in(wanted[0].need) == sum(1 for n in range(count) if n % 7 == 0)


def test_no_two_agents_alike_and_one_who_can_everything() -> None:
    """Every agent has a profile of his own; the last has all 40 skills and stands in a cell of every shape."""
    skills = [f"s{number:02}" for number in range(40)]
    unlike = [
        {skills[(n * 7 + i) % 40]: 1 + (n * i) % 5 for i in range(1 + n % 6)} | {f"own{n}": 1} for n in range(500)
    ]
    matching = center(*unlike, dict.fromkeys(skills, 5))
    wanted = [{skills[n % 40]: 1 + n % 5, skills[(n * 3 + 1) % 40]: 1 + n % 4} for n in range(300)]
    groups = [group_of(matching, requires, f"q{n % 5}") for n, requires in enumerate(wanted)]
    for number in range(501):
        matching.set(number, (SIGNED | IDLE, number + 1, OPEN))
    for group in groups:
        waiter = Waiter(place(1), group.queue, (group,))
        assert matching.agent_for(waiter) == scan.agent_for(matching, waiter) >= 0
    for number in range(500):
        matching.set(number, (SIGNED, number + 1, CLOSED))
    assert all(matching.agent_for(Waiter(place(1), group.queue, (group,))) == 500 for group in groups)
    for arrival, group in enumerate(groups, 1):
        matching.put(arrival, Waiter(place(arrival), group.queue, (group,)))
    assert matching.contact_for(500) == 1 == scan.contact_for(matching, 500)
    assert tokens(matching.cells) <= sum(len(cells) for n in range(501) for cells in matching.cells.refreshed(n).cells)
