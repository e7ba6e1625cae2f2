"""Mainstem: event-driven services in Python, on one SQLite file or on Apache Kafka.

The public names. Each is loaded when it is first used, so that a file which declares an event does not load a runtime.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainstem.delivery import Context as Context
    from mainstem.delivery import Retry as Retry
    from mainstem.delivery import Store as Store
    from mainstem.events import DomainEvent as DomainEvent
    from mainstem.events import Envelope as Envelope
    from mainstem.events import IntegrationEvent as IntegrationEvent
    from mainstem.events import NotificationEvent as NotificationEvent
    from mainstem.events import Topic as Topic
    from mainstem.service import Handlers as Handlers
    from mainstem.service import Service as Service
    from mainstem.service import running as running
    from mainstem.state import Timer as Timer

_ROOMS = {
    "Context": "delivery",
    "DomainEvent": "events",
    "Envelope": "events",
    "Handlers": "service",
    "IntegrationEvent": "events",
    "NotificationEvent": "events",
    "Retry": "delivery",
    "Service": "service",
    "Store": "delivery",
    "Timer": "state",
    "Topic": "events",
    "running": "service",
}

__all__ = [
    "Context",
    "DomainEvent",
    "Envelope",
    "Handlers",
    "IntegrationEvent",
    "NotificationEvent",
    "Retry",
    "Service",
    "Store",
    "Timer",
    "Topic",
    "running",
]


def __getattr__(name: str) -> object:
    room = _ROOMS.get(name)
    if room is None:
        message = f"module 'mainstem' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(importlib.import_module(f"mainstem.{room}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
