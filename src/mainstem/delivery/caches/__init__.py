"""Caches on stores: what another system knows is kept in the task of the key, and written to it, now or soon."""

from mainstem.delivery.caches.bound import Bound, Source
from mainstem.delivery.caches.cached import WRITE, WRITER, Cached
from mainstem.delivery.caches.waiting import TaskCache

__all__ = ["WRITE", "WRITER", "Bound", "Cached", "Source", "TaskCache"]
