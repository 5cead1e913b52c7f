"""Alembic's entry: the connection that naru.store.migrate hands in, the schema of naru.store.tables as target."""

from alembic import context

from naru.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
