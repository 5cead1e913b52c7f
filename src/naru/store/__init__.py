"""The database: history, people, configuration, snapshots. SQLAlchemy Core on SQLite (PostgreSQL to come).

Everything but people, keys, configuration and secrets derives from the journal and can be rebuilt from it.
"""
