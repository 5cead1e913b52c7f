"""PostgreSQL: texts without a bound of their own, wide positions, row-level security; bodies of files; who carries out
a channel's effects"""

import sqlalchemy as sa
from alembic import op

from naru.store.migrate import wall

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WALLED = (
    "channel_cursors", "config_versions", "contacts", "conversations", "customers", "effect_holders", "file_bodies", "files",
    "identities", "messages", "people", "presence_log", "secrets", "tokens",
)  # fmt: skip
WIDE = {"reader_cursors": ("position", "seq", "in_next"), "snapshots": ("position",), "files": ("size_bytes",)}


def upgrade() -> None:
    op.create_table(
        "file_bodies",
        sa.Column("workspace", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "sha256"),
    )
    op.create_table(
        "effect_holders",
        sa.Column("workspace", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("worker", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "channel"),
    )
    _widen()
    for table in WALLED:
        wall(op, table)
    wall(op, "workspaces", "id")


def _widen() -> None:
    """SQLite never minded; PostgreSQL would refuse what is longer, and a refused row stops the projector."""
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    inspector = sa.inspect(connection)
    for table in inspector.get_table_names():
        for column in inspector.get_columns(table):
            if (
                isinstance(column["type"], sa.String)
                and column["type"].length is not None
                and table != "alembic_version"
            ):
                op.alter_column(table, column["name"], type_=sa.String())
    for table, columns in WIDE.items():
        for name in columns:
            op.alter_column(table, name, type_=sa.BigInteger())


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in (*WALLED, "workspaces"):
            op.execute(f"DROP POLICY workspace ON {table}")
            op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
            op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    op.drop_table("effect_holders")
    op.drop_table("file_bodies")
