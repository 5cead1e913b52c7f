"""The fold as those see it who wait for it."""

import asyncio
from typing import Any

import msgspec
import pytest

from naru.fold import Cursor, Fold


class Moving(Fold):
    """A fold without a log, moved by hand."""

    def __init__(self) -> None:
        unused: Any = None
        super().__init__(unused, range(1), unused, unused)
        self.cursors = {0: Cursor(shard=0)}

    async def move(self, offset: int) -> None:
        self.cursors[0] = msgspec.structs.replace(self.cursors[0], offset=offset)
        async with self._moved:
            self._moved.notify_all()


@pytest.mark.parametrize("steps", range(8))
async def test_whoever_waits_for_the_fold_can_be_stopped_at_any_moment(steps: int) -> None:
    """A cancellation that came just as the fold had moved was lost, and whoever asked for it waited for ever."""
    fold = Moving()

    async def follows_for_ever() -> None:
        while True:
            await fold.reach(0, 5, 60)
            fold.cursors[0] = Cursor(shard=0)

    follower = asyncio.create_task(follows_for_ever())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await fold.move(5)
    for _ in range(steps):
        await asyncio.sleep(0)
    follower.cancel()
    done, _ = await asyncio.wait({follower}, timeout=0.2)
    follower.cancel()
    assert done and follower.cancelled()


async def test_it_says_whether_the_fold_came_there() -> None:
    fold = Moving()
    assert await fold.reach(0, 0, 1)
    assert not await fold.reach(0, 5, 0)
    assert not await fold.reach(1, 0, 1), "a shard that is not read here"
