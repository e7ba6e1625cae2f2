"""Mainstem: event-driven services in Python, on one SQLite file.

The public names. Each is loaded when it is first used, so that a file which declares an event does not load a runtime.
"""

from typing import TYPE_CHECKING

from mainstem.doors import door

if TYPE_CHECKING:
    from mainstem.delivery import Alerts as Alerts
    from mainstem.delivery import Breaker as Breaker
    from mainstem.delivery import Context as Context
    from mainstem.delivery import Deduplicate as Deduplicate
    from mainstem.delivery import KillSwitch as KillSwitch
    from mainstem.delivery import Limit as Limit
    from mainstem.delivery import Retry as Retry
    from mainstem.delivery import Store as Store
    from mainstem.events import DomainEvent as DomainEvent
    from mainstem.events import Envelope as Envelope
    from mainstem.events import IntegrationEvent as IntegrationEvent
    from mainstem.events import NotificationEvent as NotificationEvent
    from mainstem.events import Topic as Topic
    from mainstem.service import Consumer as Consumer
    from mainstem.service import Handlers as Handlers
    from mainstem.service import Lease as Lease
    from mainstem.service import Message as Message
    from mainstem.service import Producer as Producer
    from mainstem.service import Service as Service
    from mainstem.service import StoreCache as StoreCache
    from mainstem.service import lease as lease
    from mainstem.service import running as running
    from mainstem.state import Timer as Timer

__all__ = [
    "Alerts",
    "Breaker",
    "Consumer",
    "Context",
    "Deduplicate",
    "DomainEvent",
    "Envelope",
    "Handlers",
    "IntegrationEvent",
    "KillSwitch",
    "Lease",
    "Limit",
    "Message",
    "NotificationEvent",
    "Producer",
    "Retry",
    "Service",
    "Store",
    "StoreCache",
    "Timer",
    "Topic",
    "lease",
    "running",
]

__getattr__, __dir__ = door(
    __name__,
    {
        "delivery": (
            "Alerts",
            "Breaker",
            "Context",
            "Deduplicate",
            "KillSwitch",
            "Limit",
            "Retry",
            "Store",
        ),
        "events": (
            "DomainEvent",
            "Envelope",
            "IntegrationEvent",
            "NotificationEvent",
            "Topic",
        ),
        "service": (
            "StoreCache",
            "Consumer",
            "Handlers",
            "Lease",
            "Message",
            "Producer",
            "Service",
            "lease",
            "running",
        ),
        "state": ("Timer",),
    },
)
