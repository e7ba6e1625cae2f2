"""From a URL to a broker: the one place in production that names concrete ones."""

from mainstem.service.brokers.urls import (
    DEV_URL,
    Backend,
    Failed,
    connect,
    connected,
    file_of,
    in_full,
    named_broker,
    options_of,
)

__all__ = [
    "DEV_URL",
    "Backend",
    "Failed",
    "connect",
    "connected",
    "file_of",
    "in_full",
    "named_broker",
    "options_of",
]
