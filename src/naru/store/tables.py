"""The tables. Every row but a reader's cursor belongs to a workspace; migrations/ must say the same (a test compares).

Times are seconds since the epoch. `content` is sealed with the workspace's key. Texts have no bound here: they have
one where they come in, and a row that the database refused would stop the projector.
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
    return Column("workspace", String, primary_key=True)


workspaces = Table(
    "workspaces",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("created_at", Float, nullable=False),
)
people = Table(
    "people",
    metadata,
    _workspace(),
    Column("id", String, primary_key=True),
    Column("email", String),
    Column("name", String, nullable=False),
    Column("role", String, nullable=False),
    Column("password_hash", String),
    Column("disabled", Boolean, nullable=False, default=False),
    Column("created_at", Float, nullable=False),
    UniqueConstraint("workspace", "email"),
)
tokens = Table(
    "tokens",
    metadata,
    Column("hash", String, primary_key=True),
    Column("workspace", String, nullable=False),
    Column("use", String, nullable=False),
    Column("person", String),
    Column("name", String),
    Column("role", String),
    Column("prefix", String),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Index("tokens_by_person", "workspace", "use", "person"),
)
config_versions = Table(
    "config_versions",
    metadata,
    _workspace(),
    Column("version", Integer, primary_key=True),
    Column("author", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("body", JSON, nullable=False),
)
secrets = Table(
    "secrets",
    metadata,
    _workspace(),
    Column("name", String, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)
customers = Table(
    "customers",
    metadata,
    _workspace(),
    Column("id", String, primary_key=True),
    Column("name", String),
    Column("first_seen", Float, nullable=False),
)
identities = Table(
    "identities",
    metadata,
    _workspace(),
    Column("customer", String, primary_key=True),
    Column("scope", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("value", String, primary_key=True),
    Column("alike", String),
    Index("identities_by_alike", "workspace", "alike"),
)
customer_links = Table(
    "customer_links",
    metadata,
    _workspace(),
    Column("customer", String, primary_key=True),
    Column("other", String, primary_key=True),
    Column("made_by", String, nullable=False),
    Column("made_at", Float, nullable=False),
)
conversations = Table(
    "conversations",
    metadata,
    _workspace(),
    Column("id", String, primary_key=True),
    Column("channel", String, nullable=False),
    Column("brand", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("thread", String, nullable=False),
    Column("customer", String, nullable=False),
    Column("language", String),
    Column("opened_at", Float, nullable=False),
    Column("last_word_at", Float, nullable=False),
    Index("conversations_by_customer", "workspace", "customer"),
)
contacts = Table(
    "contacts",
    metadata,
    _workspace(),
    Column("id", String, primary_key=True),
    Column("conversation", String, nullable=False),
    Column("customer", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("brand", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("queue", String, nullable=False),
    Column("direction", String, nullable=False),
    Column("language", String),
    Column("agent", String),
    Column("enqueued_at", Float, nullable=False),
    Column("accepted_at", Float),
    Column("wrapped_at", Float),
    Column("ended_at", Float),
    Column("outcome", String),
    Column("disposition", String),
    Column("note", Text),
    Column("target_s", Float, nullable=False, default=0.0),
    Column("in_target", Boolean),
    Column("offers", Integer, nullable=False, default=0),
    Column("rule", String),
    Column("events", Integer, nullable=False, default=0, server_default="0"),
    Index("contacts_by_time", "workspace", "enqueued_at"),
    Index("contacts_by_customer", "workspace", "customer", "enqueued_at"),
)
messages = Table(
    "messages",
    metadata,
    _workspace(),
    Column("id", String, primary_key=True),
    Column("conversation", String, nullable=False),
    Column("contact", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("number", Integer, nullable=False),
    Column("author", String, nullable=False),
    Column("agent", String),
    Column("private", Boolean, nullable=False, default=False),
    Column("dedupe_key", String),
    Column("at", Float, nullable=False),
    Column("content", LargeBinary),
    Column("status", String),
    Column("detail", Text),
    Column("revised", String),
    UniqueConstraint("workspace", "channel", "dedupe_key"),
    Index("messages_by_number", "workspace", "conversation", "number"),
)
presence_log = Table(
    "presence_log",
    metadata,
    _workspace(),
    Column("agent", String, primary_key=True),
    Column("at", Float, primary_key=True),
    Column("presence", String, nullable=False),
    Column("reason", String),
)
files = Table(
    "files",
    metadata,
    _workspace(),
    Column("sha256", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("media_type", String, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", Float, nullable=False),
)
file_bodies = Table(
    "file_bodies",
    metadata,
    _workspace(),
    Column("sha256", String, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)
channel_cursors = Table(
    "channel_cursors",
    metadata,
    _workspace(),
    Column("channel", String, primary_key=True),
    Column("cursor", JSON, nullable=False),
)
devices = Table(
    "devices",
    metadata,
    _workspace(),
    Column("channel", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("conversation", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("seen_at", Float, nullable=False),
    Index("devices_by_conversation", "workspace", "conversation"),
)
deliveries = Table(
    "deliveries",
    metadata,
    _workspace(),
    Column("taker", String, primary_key=True),
    Column("shard", Integer, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("event", String, nullable=False),
    Column("type", String, nullable=False),
    Column("made_at", Float, nullable=False),
    Column("due_at", Float, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("failed", Boolean, nullable=False),
    Column("detail", String),
    Index("deliveries_by_due", "failed", "due_at"),
    Index("deliveries_by_age", "workspace", "taker", "failed", "made_at"),
)
reader_cursors = Table(
    "reader_cursors",
    metadata,
    Column("reader", String, primary_key=True),
    Column("shard", Integer, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("nonce", String, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("in_next", BigInteger, nullable=False),
)
effect_holders = Table(
    "effect_holders",
    metadata,
    _workspace(),
    Column("channel", String, primary_key=True),
    Column("worker", String, nullable=False),
)
snapshots = Table(
    "snapshots",
    metadata,
    Column("shard", Integer, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("schema", Integer, nullable=False),
    Column("sha256", String, nullable=False),
    Column("saved_at", Float, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
