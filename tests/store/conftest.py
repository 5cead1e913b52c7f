"""What the tests of the store share."""

import asyncio
from pathlib import Path

import pytest

from naru.store.database import sqlite_url


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "store.sqlite")
    made: str = await asyncio.to_thread(request.getfixturevalue("postgres").database)
    return made
