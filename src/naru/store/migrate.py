"""Bringing a database to the newest schema with Alembic: found beside the package in a wheel, or in the repository.

One at a time: on PostgreSQL a second one waits for the first.
"""

import asyncio
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from naru.store.database import async_url

ONE_AT_A_TIME = 0x6E617275


def scripts() -> Path:
    package = Path(__file__).parent.parent
    inside = package / "migrations"
    return inside if inside.exists() else package.parent.parent / "migrations"


def config() -> Config:
    made = Config()
    made.set_main_option("script_location", str(scripts()))
    return made


def upgrade(url: str) -> None:
    """To the newest version; nothing happens when already there. Synchronous: run it in a thread."""

    def run(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": ONE_AT_A_TIME})
        known = config()
        known.attributes["connection"] = connection
        command.upgrade(known, "head")

    asyncio.run(_with(url, run))


def newest() -> str | None:
    return ScriptDirectory.from_config(config()).get_current_head()


def is_newest(url: str) -> bool:
    """Synchronous: run it in a thread."""
    return version(url) == newest()


def version(url: str) -> str | None:
    def run(connection: Connection) -> str | None:
        return MigrationContext.configure(connection).get_current_revision()

    found: str | None = asyncio.run(_with(url, run))
    return found


async def _with(url: str, work: Any) -> Any:
    engine = create_async_engine(async_url(url), poolclass=pool.NullPool)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


def wall(op: Any, table: str, column: str = "workspace") -> None:
    """For migrations: PostgreSQL's row-level security, in force for the table's owner too. SQLite has none."""
    if op.get_bind().dialect.name == "postgresql":
        inside = f"current_setting('naru.workspace', true) IN ({column}, '*')"
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY workspace ON {table} USING ({inside}) WITH CHECK ({inside})")
