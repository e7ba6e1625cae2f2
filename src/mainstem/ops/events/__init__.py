"""Events by hand: published, printed, and read without a group."""

from mainstem.ops.events.publish import publish
from mainstem.ops.events.records import Point, partitions_of, point_of, read, read_all, resolve
from mainstem.ops.events.tail import tail

__all__ = ["Point", "partitions_of", "point_of", "publish", "read", "read_all", "resolve", "tail"]
