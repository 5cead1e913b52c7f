"""The log: everything that happens to a shard, in order. One port, `base.Log`; SQLite behind it (Kafka to come)."""
