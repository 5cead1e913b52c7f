"""What deploy/ names before the program has it: the settings, metrics and roles of the scale-out.

Each list is to shrink as the program grows, and to go when it is empty: tests/deploy fails as soon as a setting or metric
listed here is really there.
"""

METRICS: dict[str, tuple[str, ...]] = {
    "naru_shards": (),
    "naru_shards_owned": (),
    "naru_shard_claims_total": (),
    "naru_shard_fenced_total": (),
    "naru_members": ("role",),
    "naru_intake_refused_total": ("reason",),
    "naru_log_unavailable_total": (),
    "naru_store_up": (),
    "naru_ws_dropped_total": (),
}
"""By name, with their labels."""

SETTINGS = {
    "NARU_KAFKA",
    "NARU_KAFKA_SECURITY",
    "NARU_KAFKA_CA_FILE",
    "NARU_KAFKA_CERT_FILE",
    "NARU_KAFKA_KEY_FILE",
    "NARU_KAFKA_SASL",
    "NARU_KAFKA_USERNAME",
    "NARU_KAFKA_PASSWORD",
    "NARU_KAFKA_REPLICATION",
    "NARU_KAFKA_PREFIX",
    "NARU_DATABASE_URL",
}

ROLES = ("gateway", "channels", "router", "projector")
"""`naru serve` of each."""
