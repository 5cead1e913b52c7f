"""The tamed collector: what it looks at in one go stays small, however much stays alive. Judged by counts, not the clock."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from naru.tame import tame

STAY = 400_000
AT_ONCE = 50_000


@pytest.fixture
def collector() -> Iterator[None]:
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.mark.usefixtures("collector")
def test_no_collection_looks_at_many_though_all_of_them_stay() -> None:
    looked_at: list[int] = []

    def note(phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            looked_at.append(sum(len(gc.get_objects(generation)) for generation in range(info["generation"] + 1)))

    tame()
    gc.callbacks.append(note)
    try:
        waiting = [[number] for number in range(STAY)]
    finally:
        gc.callbacks.remove(note)
    assert len(waiting) == STAY
    assert len(looked_at) > 20, "the collector works"
    assert max(looked_at) < AT_ONCE, f"{max(looked_at)} objects were looked at in one go"
