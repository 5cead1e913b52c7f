"""What a pool keeps of the inputs it has answered: the newest so many, for so long, and the same after a restart."""

import pytest

from router import state
from router.memory import Memory, Seen
from router.state import Pool


def answered(pool: Pool, first: int, last: int, at: float) -> None:
    pool.memory.t = at
    for number in range(first, last):
        pool.remember(f"i{number}", Seen(t=at, hash="", status=200, code="ok"))


def test_the_oldest_answers_go_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "REMEMBER_INPUTS", 10)
    pool = Pool()
    answered(pool, 0, 25, at=1.0)
    answered(pool, 20, 22, at=1.0)  # remembered already: it keeps its place
    assert list(pool.memory.seen) == [f"i{number}" for number in range(15, 25)]


def test_answers_go_when_they_are_old(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool()
    answered(pool, 0, 3, at=1.0)
    answered(pool, 3, 4, at=1.0 + state.REMEMBER_S + 1)
    assert list(pool.memory.seen) == ["i3"]


def test_a_pool_that_was_restored_forgets_in_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "REMEMBER_INPUTS", 10)
    pool = Pool()
    answered(pool, 0, 10, at=1.0)
    again = Pool(Memory(t=pool.t, seen=dict(pool.memory.seen)))
    for restored in (pool, again):
        answered(restored, 10, 14, at=1.0)
    assert list(again.memory.seen) == list(pool.memory.seen) == [f"i{number}" for number in range(4, 14)]
