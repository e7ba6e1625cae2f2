"""The embedded broker: topics, groups and stores in one SQLite file."""

from mainstem.broker.sqlite.broker import SqliteBroker, SqliteOptions

__all__ = ["SqliteBroker", "SqliteOptions"]
