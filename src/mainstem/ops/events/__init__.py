"""Events by hand: published and printed; and points in a topic."""

from mainstem.ops.events.points import LogPoint, point_of, resolve
from mainstem.ops.events.publish import publish
from mainstem.ops.events.tail import tail

__all__ = ["LogPoint", "point_of", "publish", "resolve", "tail"]
