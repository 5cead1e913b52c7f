"""Gauges that are read from the fold when somebody asks."""

from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from naru import observe
from router.model import Identity
from support.story import Story, center


def waiting(story: Story) -> dict[str, float]:
    fold: Any = SimpleNamespace(ignored=0, pools={"ws": story.pool})
    registry = CollectorRegistry()
    registry.register(observe._Center(fold, lambda: story.now))
    return {
        sample.labels["called"]: sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "naru_calls_waiting"
    }


def rings(story: Story, to: str, count: int) -> None:
    for n in range(count):
        identity = Identity(scope="e164", kind="phone", value=f"+8210{n:08d}")
        story.arrives(f"{to}-{n}", "voice", identity=identity, to=to)


def test_calls_that_wait_are_told_apart_by_the_number_that_was_called() -> None:
    story = Story(center())
    rings(story, "+8215880001", 3)
    rings(story, "+8215880002", 1)
    story.arrives("ann", "chat")
    assert waiting(story) == {"+8215880001": 3, "+8215880002": 1}
    contact = next(iter(story.pool.contacts.values()))
    assert contact.attributes["called"] == "+8215880001"


def test_numbers_without_end_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observe, "MAX_NUMBERS", 2)
    story = Story(center())
    for n in range(5):
        rings(story, f"+{n}", 5 - n)
    assert waiting(story) == {"+0": 5, "+1": 4, "other": 6}
