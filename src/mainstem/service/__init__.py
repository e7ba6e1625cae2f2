"""The composition root: services are declared, checked, run, and asked how they are."""

from mainstem.service.catalogue import (
    CatalogueEntry,
    EventEntry,
    StoreEntry,
    SubscriptionEntry,
    read_catalogue,
)
from mainstem.service.connect import DEV_URL, Backend, connect, connected, file_of
from mainstem.service.definition import Definition, HandlerGroup
from mainstem.service.handlers import Handlers
from mainstem.service.plans import CATALOGUE, Existing, topics_of
from mainstem.service.publishing import Published, PublishTransaction
from mainstem.service.runtime import Floor, Running, TaskStatistics, running, serve
from mainstem.service.service import Service

__all__ = [
    "CATALOGUE",
    "DEV_URL",
    "Backend",
    "CatalogueEntry",
    "Definition",
    "EventEntry",
    "Existing",
    "Floor",
    "HandlerGroup",
    "Handlers",
    "PublishTransaction",
    "Published",
    "Running",
    "Service",
    "StoreEntry",
    "SubscriptionEntry",
    "TaskStatistics",
    "connect",
    "connected",
    "file_of",
    "read_catalogue",
    "running",
    "serve",
    "topics_of",
]
