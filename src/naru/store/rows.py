"""Writing rows that may be there already: the same record is projected again after a crash, and counts once."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection


def shown(row: Any) -> dict[str, Any]:
    """A row as its workspace is shown it."""
    return {name: value for name, value in row._mapping.items() if name != "workspace"}


async def put_if_absent(connection: AsyncConnection, table: Table, **values: Any) -> None:
    await put_all_if_absent(connection, table, [values])


async def put_all_if_absent(connection: AsyncConnection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        await connection.execute(insert_into(connection, table).on_conflict_do_nothing(), rows)


def insert_into(connection: AsyncConnection, table: Table) -> Any:
    """An insert that knows `on_conflict_…`, in the words of this database."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table)


def clean(values: dict[str, Any]) -> dict[str, Any]:
    """PostgreSQL's texts know no NUL, and no name is better for having one."""
    return {name: value.replace("\0", "") if isinstance(value, str) else value for name, value in values.items()}
