"""A row against a sorted list, with runs so short that they are divided, swept and joined all the time."""

from bisect import insort_right

import msgspec
import pytest

from naru.sim.chance import stream
from router.rows import Row, place_of
from support.short_rows import short_rows


class Entry(msgspec.Struct):
    place: int
    gone: bool = False


@pytest.mark.parametrize("seed", range(12))
def test_a_row_gives_whoever_has_not_gone_in_order(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes stands somewhere near the end, no two in one place; others leave in waves, from anywhere."""
    uniform = stream(seed, 0, "tests", "rows")
    row: Row[Entry] = Row(Entry(0, gone=True))
    there: list[Entry] = []
    near, leave = (5, 20, 60, 1000)[seed % 4], 0
    short_rows(monkeypatch)
    for number in range(1000):
        if not number % 12:
            leave = (0, 0, 4, 12)[int(uniform() * 4)]
        entry = Entry(max(0, number * 10 - int(uniform() * near * 10)) * 1000 + number)
        row.push(entry)
        insort_right(there, entry, key=place_of)
        for _ in range(int(uniform() * leave)):
            if there:
                there.pop(int(uniform() * len(there))).gone = True
        if uniform() < 0.1:
            assert row.first() is (there[0] if there else None)
        if uniform() < 0.1:
            assert list(row) == there
        assert row.tail is row.runs[-1]
        assert all(map(len, row.runs[1:]))
    assert list(row) == there


def test_who_comes_last_stays_last_when_the_run_before_was_swept_away() -> None:
    """A run that was joined to the one before left its number to the last run, which was cut in two and took on at its
    first half: whoever came later stood before who had waited longer."""
    row: Row[Entry] = Row(Entry(0, gone=True))
    entries = [Entry(2 * number) for number in range(356)]
    for entry in entries:
        row.push(entry)
    for entry in entries[:120] + entries[130:230]:
        entry.gone = True
    row.first()
    for place in (481, 1000, 1001):
        row.push(Entry(place))
    found = [entry.place for entry in row]
    assert found == sorted(found)
