"""The tables. Every row but a reader's cursor belongs to a workspace; migrations/ must say the same (a test compares).

Times are seconds since the epoch. `content` is sealed with the workspace's key.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()


def _workspace() -> Column[str]:
    return Column("workspace", String(64), primary_key=True)


workspaces = Table(
    "workspaces",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("created_at", Float, nullable=False),
)
people = Table(
    "people",
    metadata,
    _workspace(),
    Column("id", String(64), primary_key=True),
    Column("email", String(320)),
    Column("name", String(200), nullable=False),
    Column("role", String(20), nullable=False),
    Column("password_hash", String(200)),
    Column("disabled", Boolean, nullable=False, default=False),
    Column("created_at", Float, nullable=False),
    UniqueConstraint("workspace", "email"),
)
tokens = Table(
    "tokens",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("workspace", String(64), nullable=False),
    Column("use", String(20), nullable=False),
    Column("person", String(64)),
    Column("name", String(200)),
    Column("role", String(20)),
    Column("prefix", String(20)),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Index("tokens_by_person", "workspace", "use", "person"),
)
config_versions = Table(
    "config_versions",
    metadata,
    _workspace(),
    Column("version", Integer, primary_key=True),
    Column("author", String(200), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("body", JSON, nullable=False),
)
secrets = Table(
    "secrets",
    metadata,
    _workspace(),
    Column("name", String(200), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)
customers = Table(
    "customers",
    metadata,
    _workspace(),
    Column("id", String(64), primary_key=True),
    Column("name", String(200)),
    Column("first_seen", Float, nullable=False),
)
identities = Table(
    "identities",
    metadata,
    _workspace(),
    Column("customer", String(64), primary_key=True),
    Column("scope", String(200), primary_key=True),
    Column("kind", String(20), primary_key=True),
    Column("value", String(400), primary_key=True),
)
conversations = Table(
    "conversations",
    metadata,
    _workspace(),
    Column("id", String(64), primary_key=True),
    Column("channel", String(64), nullable=False),
    Column("brand", String(64), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("thread", String(400), nullable=False),
    Column("customer", String(64), nullable=False),
    Column("language", String(20)),
    Column("opened_at", Float, nullable=False),
    Column("last_word_at", Float, nullable=False),
    Index("conversations_by_customer", "workspace", "customer"),
)
contacts = Table(
    "contacts",
    metadata,
    _workspace(),
    Column("id", String(64), primary_key=True),
    Column("conversation", String(64), nullable=False),
    Column("customer", String(64), nullable=False),
    Column("channel", String(64), nullable=False),
    Column("brand", String(64), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("queue", String(64), nullable=False),
    Column("direction", String(10), nullable=False),
    Column("language", String(20)),
    Column("agent", String(64)),
    Column("enqueued_at", Float, nullable=False),
    Column("accepted_at", Float),
    Column("wrapped_at", Float),
    Column("ended_at", Float),
    Column("outcome", String(20)),
    Column("disposition", String(64)),
    Column("note", Text),
    Column("target_s", Float, nullable=False, default=0.0),
    Column("in_target", Boolean),
    Column("offers", Integer, nullable=False, default=0),
    Column("rule", String(64)),
    Column("events", Integer, nullable=False, default=0, server_default="0"),
    Index("contacts_by_time", "workspace", "enqueued_at"),
    Index("contacts_by_customer", "workspace", "customer", "enqueued_at"),
)
messages = Table(
    "messages",
    metadata,
    _workspace(),
    Column("id", String(64), primary_key=True),
    Column("conversation", String(64), nullable=False),
    Column("contact", String(64), nullable=False),
    Column("channel", String(64), nullable=False),
    Column("number", Integer, nullable=False),
    Column("author", String(20), nullable=False),
    Column("agent", String(64)),
    Column("private", Boolean, nullable=False, default=False),
    Column("dedupe_key", String(200)),
    Column("at", Float, nullable=False),
    Column("content", LargeBinary),
    Column("status", String(20)),
    Column("detail", Text),
    UniqueConstraint("workspace", "channel", "dedupe_key"),
    Index("messages_by_number", "workspace", "conversation", "number"),
)
presence_log = Table(
    "presence_log",
    metadata,
    _workspace(),
    Column("agent", String(64), primary_key=True),
    Column("at", Float, primary_key=True),
    Column("presence", String(20), nullable=False),
    Column("reason", String(200)),
)
files = Table(
    "files",
    metadata,
    _workspace(),
    Column("sha256", String(64), primary_key=True),
    Column("name", String(400), nullable=False),
    Column("media_type", String(200), nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
)
channel_cursors = Table(
    "channel_cursors",
    metadata,
    _workspace(),
    Column("channel", String(64), primary_key=True),
    Column("cursor", JSON, nullable=False),
)
deliveries = Table(
    "deliveries",
    metadata,
    _workspace(),
    Column("taker", String(64), primary_key=True),
    Column("shard", Integer, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("type", String(64), nullable=False),
    Column("made_at", Float, nullable=False),
    Column("due_at", Float, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("failed", Boolean, nullable=False),
    Column("detail", String(200)),
    Index("deliveries_by_due", "failed", "due_at"),
    Index("deliveries_by_age", "workspace", "taker", "failed", "made_at"),
)
reader_cursors = Table(
    "reader_cursors",
    metadata,
    Column("reader", String(64), primary_key=True),
    Column("shard", Integer, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("nonce", String(64), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("in_next", Integer, nullable=False),
)
snapshots = Table(
    "snapshots",
    metadata,
    Column("shard", Integer, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("schema", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("saved_at", Float, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
