"""What channels ask the history for, while the database is away: it is said in their own word, which they wait for."""

from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

from channels.ports import Unavailable
from naru.store.database import Database, sqlite_url
from naru.store.history import StoredHistory


async def _settled(workspace: str) -> bool:
    return True


ASKED = (
    ("cursor", ("ws", "c")),
    ("move_cursor", ("ws", "c", {})),
    ("known", ("ws", "c", "key")),
    ("last_received", ("ws", "c")),
    ("kept", ("ws", "c")),
    ("outgoing", ("ws", "v", "m")),
    ("received", ("ws", "v", "m")),
)


@pytest.mark.parametrize(("what", "args"), ASKED, ids=[what for what, _ in ASKED])
async def test_a_database_that_is_away_is_unavailable(tmp_path: Path, what: str, args: tuple[Any, ...]) -> None:
    database = Database(sqlite_url(tmp_path / "gone" / "store.sqlite"))
    history = StoredHistory(database, None, None, _settled)  # type: ignore[arg-type]
    asked: Awaitable[Any] = getattr(history, what)(*args)
    with pytest.raises(Unavailable):
        await asked
    await database.close()
