"""Time limits that share a timer end as `asyncio.timeout` does: late waits, in the order in which they began."""

import asyncio

import pytest

from naru.limits import Limits
from support.waiting import within

SHORT_S, LONG_S = 0.02, 30.0


async def wait(limits: Limits, seconds: float) -> None:
    with limits.within(seconds):
        await asyncio.get_running_loop().create_future()


async def test_what_is_late_ends_with_a_timeout_and_what_is_not_goes_on() -> None:
    limits = Limits()
    never = asyncio.create_task(wait(limits, LONG_S))
    late = [asyncio.create_task(wait(limits, SHORT_S)) for _ in range(3)]
    with limits.within(LONG_S):
        await asyncio.sleep(0)
    for task in late:
        with pytest.raises(TimeoutError):
            await within(task, 5)
    assert not never.done()
    never.cancel()


async def test_a_wait_that_ends_in_time_is_not_ended_again() -> None:
    limits = Limits()
    with limits.within(SHORT_S):
        await asyncio.sleep(0)
    await asyncio.sleep(SHORT_S * 2)
    assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]
    with pytest.raises(TimeoutError), limits.within(SHORT_S):
        await asyncio.get_running_loop().create_future()


async def test_a_limit_that_comes_after_one_was_late_holds_too() -> None:
    limits = Limits()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await within(wait(limits, SHORT_S), 5)


async def test_somebody_elses_cancellation_is_none_of_ours() -> None:
    limits = Limits()
    task = asyncio.create_task(wait(limits, LONG_S))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_inner_limit_ends_alone() -> None:
    limits = Limits()
    with limits.within(LONG_S):
        with pytest.raises(TimeoutError):
            await wait(limits, SHORT_S)
        await asyncio.sleep(0)


async def test_what_fails_inside_a_limit_fails_as_it_did() -> None:
    limits = Limits()
    with pytest.raises(KeyError), limits.within(LONG_S):
        raise KeyError
    with pytest.raises(TimeoutError, match="of another"), limits.within(LONG_S):
        raise TimeoutError("of another")
