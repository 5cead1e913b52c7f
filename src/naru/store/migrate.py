"""Bringing a database to the newest schema with Alembic: found beside the package in a wheel, or in the repository."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine


def scripts() -> Path:
    package = Path(__file__).parent.parent
    inside = package / "migrations"
    return inside if inside.exists() else package.parent.parent / "migrations"


def config(url: str) -> Config:
    made = Config()
    made.set_main_option("script_location", str(scripts()))
    made.set_main_option("sqlalchemy.url", url.replace("+aiosqlite", "").replace("+asyncpg", ""))
    return made


def upgrade(url: str) -> None:
    """To the newest version; nothing happens when already there. Synchronous: run it in a thread."""
    command.upgrade(config(url), "head")


def newest() -> str | None:
    return ScriptDirectory.from_config(config("sqlite://")).get_current_head()


def is_newest(url: str) -> bool:
    engine = create_engine(config(url).get_main_option("sqlalchemy.url") or "")
    with engine.connect() as connection:
        now = MigrationContext.configure(connection).get_current_revision()
    engine.dispose()
    return now == newest()
