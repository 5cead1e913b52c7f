"""PostgreSQL's second wall: what belongs to one workspace cannot be read or written from inside another, whoever asks."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from naru.store import migrate
from naru.store import tables as db
from naru.store.database import HOUSE, Database, enter
from support.postgres import Postgres

WALLED = sorted(name for name, table in db.metadata.tables.items() if "workspace" in table.c or name == "workspaces")


@pytest.fixture
async def database(postgres: Postgres) -> AsyncIterator[Database]:
    url = await asyncio.to_thread(postgres.database)
    await asyncio.to_thread(migrate.upgrade, url)
    made = Database(url)
    yield made
    await made.close()


def customer(workspace: str, name: str) -> dict[str, object]:
    return {"workspace": workspace, "id": f"{workspace}-{name}", "name": name, "first_seen": 1.0}


async def names(database: Database, workspace: str) -> list[str]:
    async with database.read(workspace) as connection:
        return sorted(await connection.scalars(select(db.customers.c.id)))


async def test_the_migrations_make_exactly_the_tables_on_postgresql_too(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return compare_metadata(context, db.metadata)

    async with database.read(HOUSE) as connection:
        assert await connection.run_sync(differences) == []


async def test_every_table_of_a_workspace_is_walled_for_its_owner_too(database: Database) -> None:
    async with database.read(HOUSE) as connection:
        rows = await connection.execute(
            text("SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity ORDER BY relname")
        )
        assert [row.relname for row in rows] == WALLED
        role = await connection.execute(
            text("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
        )
        assert tuple(role.one()) == (False, False)


async def test_a_statement_that_forgets_its_workspace_sees_nobody_elses_rows(database: Database) -> None:
    for workspace in ("a", "b"):
        async with database.write(workspace) as connection:
            await connection.execute(insert(db.customers), [customer(workspace, "kim"), customer(workspace, "lee")])
    assert await names(database, "a") == ["a-kim", "a-lee"]
    assert await names(database, HOUSE) == ["a-kim", "a-lee", "b-kim", "b-lee"]
    async with database.write("a") as connection:
        changed = await connection.execute(update(db.customers).values(name="mine"))
        assert changed.rowcount == 2


async def test_a_row_for_another_workspace_is_refused(database: Database) -> None:
    with pytest.raises(DBAPIError, match="row-level security"):
        async with database.write("a") as connection:
            await connection.execute(insert(db.customers).values(customer("b", "kim")))
    assert await names(database, HOUSE) == []


async def test_outside_every_workspace_there_is_nothing_and_the_wall_ends_with_the_transaction(
    database: Database,
) -> None:
    async with database.write("a") as connection:
        await connection.execute(insert(db.customers).values(customer("a", "kim")))
    async with database._reader.connect() as connection:  # a connection of the pool, without naming anybody
        assert list(await connection.scalars(select(db.customers.c.id))) == []


async def test_one_transaction_can_go_from_workspace_to_workspace(database: Database) -> None:
    async with database.write(HOUSE) as connection:
        for workspace in ("a", "b"):
            await enter(connection, workspace)
            await connection.execute(insert(db.customers).values(customer(workspace, "kim")))
        assert list(await connection.scalars(select(db.customers.c.id))) == ["b-kim"]
