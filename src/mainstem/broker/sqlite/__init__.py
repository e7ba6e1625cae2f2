"""The embedded broker: topics, groups and stores in one SQLite file."""

from mainstem.broker.sqlite.broker import SqliteBroker, SqliteOptions
from mainstem.broker.sqlite.maintenance import RetentionAlarm

__all__ = ["RetentionAlarm", "SqliteBroker", "SqliteOptions"]
