"""Events by hand: published and printed; and points in a topic."""

from mainstem.ops.events.points import LogPoint, point_of, resolve
from mainstem.ops.events.publish import publish
from mainstem.ops.events.tail import event_lines, tail

__all__ = ["LogPoint", "event_lines", "point_of", "publish", "resolve", "tail"]
