"""Alembic's entry: synchronous, one connection, the schema of naru.store.tables as target."""

from alembic import context
from sqlalchemy import create_engine, pool

from naru.store.tables import metadata


def run() -> None:
    engine = create_engine(context.config.get_main_option("sqlalchemy.url") or "", poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
