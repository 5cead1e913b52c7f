"""Waiting with an end."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def within(work: Awaitable[T], seconds: float) -> T:
    """What the work gives. Raises TimeoutError when it takes longer."""
    async with asyncio.timeout(seconds):
        return await work
