"""What channels ask the history for, while the database is away: it is said in their own word, which they wait for."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from channels.ports import Unavailable
from naru.keyring import Keyring
from naru.store.database import StoreUnavailable
from naru.store.history import StoredHistory


class Away:
    """A database that answers nobody."""

    @asynccontextmanager
    async def read(self, workspace: str) -> AsyncIterator[None]:
        raise StoreUnavailable("it is gone")
        yield

    write = read


async def _settled(workspace: str) -> bool:
    return True


ASKED: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("cursor", ("ws", "c")),
    ("move_cursor", ("ws", "c", {})),
    ("known", ("ws", "c", "key")),
    ("last_received", ("ws", "c")),
    ("kept", ("ws", "c")),
    ("keep", ("ws", "c", {"refresh_token": "r"})),
    ("outgoing", ("ws", "v", "m")),
    ("received", ("ws", "v", "m")),
)


@pytest.mark.parametrize(("what", "args"), ASKED, ids=[what for what, _ in ASKED])
async def test_a_database_that_is_away_is_unavailable(what: str, args: tuple[Any, ...]) -> None:
    keyring = Keyring(b"k" * 32, lambda size: b"x" * size)
    history = StoredHistory(Away(), keyring, None, _settled)  # type: ignore[arg-type]
    asked: Awaitable[Any] = getattr(history, what)(*args)
    with pytest.raises(Unavailable):
        await asked
