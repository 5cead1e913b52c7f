"""customers who are one person, and identities that look alike"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from naru.store.database import HOUSE
from naru.store.migrate import wall
from naru.store.people import alike

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

AT_ONCE = 1000


def upgrade() -> None:
    op.create_table(
        "customer_links",
        sa.Column("workspace", sa.String(), nullable=False),
        sa.Column("customer", sa.String(), nullable=False),
        sa.Column("other", sa.String(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "customer", "other"),
    )
    wall(op, "customer_links")
    with op.batch_alter_table("identities", schema=None) as batch_op:
        batch_op.add_column(sa.Column("alike", sa.String(), nullable=True))
    _look_at_those_known()
    with op.batch_alter_table("identities", schema=None) as batch_op:
        batch_op.create_index("identities_by_alike", ["workspace", "alike"], unique=False)


def _look_at_those_known() -> None:
    """As the projector does with those that come. Some at a time, for there may be millions."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT set_config('naru.workspace', :w, true)"), {"w": HOUSE})
    key = [sa.column(name) for name in ("workspace", "customer", "scope", "kind", "value")]
    table = sa.table("identities", *key, sa.column("alike"))
    where = sa.and_(*(column == sa.bindparam(f"is_{column.name}", type_=sa.String()) for column in key))
    seen: Any = None
    while True:
        some = sa.select(*key).select_from(table).order_by(*key).limit(AT_ONCE)
        if seen is not None:
            some = some.where(sa.tuple_(*key) > sa.tuple_(*(sa.literal(part, sa.String()) for part in seen)))
        rows = list(connection.execute(some))
        if not rows:
            return
        seen = rows[-1]
        looked = [({f"is_{column.name}": row[at] for at, column in enumerate(key)}, row) for row in rows]
        found = [{**named, "alike": alike(row.kind, row.value)} for named, row in looked]
        connection.execute(sa.update(table).where(where).values(alike=sa.bindparam("alike", type_=sa.String())), found)


def downgrade() -> None:
    with op.batch_alter_table("identities", schema=None) as batch_op:
        batch_op.drop_index("identities_by_alike")
        batch_op.drop_column("alike")

    op.drop_table("customer_links")
