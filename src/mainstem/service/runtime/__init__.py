"""The composition root: services, a broker and an event loop become a running process."""

from mainstem.service.runtime.backend import existing_on
from mainstem.service.runtime.floor import Floor
from mainstem.service.runtime.process import Running, TaskStatistics
from mainstem.service.runtime.runtime import running, serve

__all__ = ["Floor", "Running", "TaskStatistics", "existing_on", "running", "serve"]
