"""Opening the database, SQLite or PostgreSQL, and standing inside one workspace's walls.

Every transaction names the workspace that it is about, or HOUSE for what belongs to all. PostgreSQL enforces it by
row-level security (the second wall; the first is that every statement says so); SQLite cannot and does not.

The one SQLite trap: without BEGIN IMMEDIATE, concurrent updates are silently lost. Measured on SQLAlchemy 2.1 with
aiosqlite: 394 of 480 read-then-write transactions vanished without an error. So a write transaction there begins
IMMEDIATE, and reads have an engine of their own.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

HOUSE = "*"
"""In the place of a workspace: what readers of the journal, sign-in and start-up do for all of them."""

PASSING = ("08", "40", "53", "57")
"""Classes of SQLSTATE that pass: connection, rollback for others' sake, resources, operator's intervention."""
POOL, POOL_MORE, POOL_WAIT_S = 5, 10, 5.0
NO_TEXT = "22021"
"""The SQLSTATE of a text with a NUL in it, which PostgreSQL does not know and SQLite does."""
CONNECT_S, STATEMENT_S = 3.0, 20.0


class StoreUnavailable(Exception):
    """The database cannot be read or written now (disk full, locked, gone)."""


class NotText(Exception):
    """Something was asked for by a name that no row can have."""


class Database:
    def __init__(self, url: str) -> None:
        self.url = url
        self.embedded = url.startswith("sqlite")
        if self.embedded:
            self._writer, self._reader = _sqlite(url, "BEGIN IMMEDIATE"), _sqlite(url, "BEGIN")
        else:
            self._writer = self._reader = _postgresql(url)
        # SQLite has one writer and no queue for it: a projector that catches up would shut everybody else out.
        self._turn = asyncio.Lock() if self.embedded else contextlib.nullcontext()

    @asynccontextmanager
    async def write(self, workspace: str) -> AsyncIterator[AsyncConnection]:
        """A transaction that commits at the end, or not at all. Raises StoreUnavailable."""
        with translated():
            async with self._turn, self._writer.begin() as connection:
                await enter(connection, workspace)
                yield connection

    @asynccontextmanager
    async def read(self, workspace: str) -> AsyncIterator[AsyncConnection]:
        with translated():
            async with self._reader.connect() as connection:
                await enter(connection, workspace)
                yield connection

    async def close(self) -> None:
        await self._writer.dispose()
        await self._reader.dispose()


async def enter(connection: AsyncConnection, workspace: str) -> None:
    """Stand inside a workspace's walls until the transaction ends, or until the next `enter`."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT set_config('naru.workspace', :w, true)"), {"w": workspace})


@contextlib.contextmanager
def translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise StoreUnavailable(str(error.orig)) from error
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None) or ""
        if error.connection_invalidated or state[:2] in PASSING:
            raise StoreUnavailable(str(error.orig)) from error
        if state == NO_TEXT:
            raise NotText from error
        raise
    except (asyncpg.PostgresError, asyncpg.InterfaceError, PoolTimeout, TimeoutError, OSError) as error:
        # Raised as they are while a connection is being made.
        raise StoreUnavailable(f"{type(error).__name__}: {error}") from error


def sqlite_url(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


def async_url(url: str) -> str:
    """A URL as people write it, with the driver that we use."""
    scheme, _, rest = url.partition("://")
    driver = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
    return f"{driver.get(scheme, scheme)}://{rest}"


def _postgresql(url: str) -> AsyncEngine:
    return create_async_engine(
        async_url(url),
        pool_size=POOL,
        max_overflow=POOL_MORE,
        pool_timeout=POOL_WAIT_S,
        connect_args={
            "timeout": CONNECT_S,
            "command_timeout": STATEMENT_S,
            "server_settings": {"application_name": "naru", "jit": "off"},
        },
    )


def _sqlite(url: str, begin: str) -> AsyncEngine:
    engine = create_async_engine(async_url(url))

    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy's own BEGIN below, not the driver's deferred one
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def began(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine
