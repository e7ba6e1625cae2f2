"""The composition root: services are declared, checked, run, and asked how they are."""

from typing import TYPE_CHECKING

from mainstem.doors import door

if TYPE_CHECKING:
    from mainstem.service.brokers import DEV_URL as DEV_URL
    from mainstem.service.brokers import Backend as Backend
    from mainstem.service.brokers import connect as connect
    from mainstem.service.brokers import connected as connected
    from mainstem.service.brokers import file_of as file_of
    from mainstem.service.brokers import in_full as in_full
    from mainstem.service.brokers import named_broker as named_broker
    from mainstem.service.caches import StoreCache as StoreCache
    from mainstem.service.catalogue import CatalogueEntry as CatalogueEntry
    from mainstem.service.catalogue import StoreEntry as StoreEntry
    from mainstem.service.catalogue import forget_group as forget_group
    from mainstem.service.catalogue import read_catalogue as read_catalogue
    from mainstem.service.contracts import STALE_MS as STALE_MS
    from mainstem.service.contracts import ContractRetirement as ContractRetirement
    from mainstem.service.contracts import Standing as Standing
    from mainstem.service.contracts import read_standings as read_standings
    from mainstem.service.contracts import retire_contracts as retire_contracts
    from mainstem.service.definition import Definition as Definition
    from mainstem.service.definition import HandlerGroup as HandlerGroup
    from mainstem.service.handlers import Handlers as Handlers
    from mainstem.service.later import Later as Later
    from mainstem.service.later import Reply as Reply
    from mainstem.service.plain import Consumer as Consumer
    from mainstem.service.plain import Lease as Lease
    from mainstem.service.plain import Message as Message
    from mainstem.service.plain import Producer as Producer
    from mainstem.service.plain import lease as lease
    from mainstem.service.plans import CATALOGUE as CATALOGUE
    from mainstem.service.plans import Existing as Existing
    from mainstem.service.plans import Outline as Outline
    from mainstem.service.plans import groups_of as groups_of
    from mainstem.service.plans import outlines_of as outlines_of
    from mainstem.service.plans import topics_of as topics_of
    from mainstem.service.process import ONE_WISH_SECONDS as ONE_WISH_SECONDS
    from mainstem.service.process import OVERTIME_SECONDS as OVERTIME_SECONDS
    from mainstem.service.process import GroupHealth as GroupHealth
    from mainstem.service.process import Health as Health
    from mainstem.service.process import TaskHealth as TaskHealth
    from mainstem.service.process import end_within as end_within
    from mainstem.service.process import longest_grace as longest_grace
    from mainstem.service.publishing import Acknowledgement as Acknowledgement
    from mainstem.service.publishing import PublishTransaction as PublishTransaction
    from mainstem.service.runtime import Floor as Floor
    from mainstem.service.runtime import Running as Running
    from mainstem.service.runtime import TaskStatistics as TaskStatistics
    from mainstem.service.runtime import existing_on as existing_on
    from mainstem.service.runtime import running as running
    from mainstem.service.runtime import serve as serve
    from mainstem.service.service import Service as Service

__all__ = [
    "CATALOGUE",
    "DEV_URL",
    "ONE_WISH_SECONDS",
    "OVERTIME_SECONDS",
    "STALE_MS",
    "Acknowledgement",
    "Backend",
    "CatalogueEntry",
    "Consumer",
    "ContractRetirement",
    "Definition",
    "Existing",
    "Floor",
    "GroupHealth",
    "HandlerGroup",
    "Handlers",
    "Health",
    "Later",
    "Lease",
    "Message",
    "Outline",
    "Producer",
    "PublishTransaction",
    "Reply",
    "Running",
    "Service",
    "Standing",
    "StoreCache",
    "StoreEntry",
    "TaskHealth",
    "TaskStatistics",
    "connect",
    "connected",
    "end_within",
    "existing_on",
    "file_of",
    "forget_group",
    "groups_of",
    "in_full",
    "lease",
    "longest_grace",
    "named_broker",
    "outlines_of",
    "read_catalogue",
    "read_standings",
    "retire_contracts",
    "running",
    "serve",
    "topics_of",
]

__getattr__, __dir__ = door(
    __name__,
    {
        "catalogue": (
            "CatalogueEntry",
            "StoreEntry",
            "forget_group",
            "read_catalogue",
        ),
        "contracts": (
            "STALE_MS",
            "ContractRetirement",
            "Standing",
            "read_standings",
            "retire_contracts",
        ),
        "brokers": (
            "Backend",
            "DEV_URL",
            "connect",
            "connected",
            "file_of",
            "in_full",
            "named_broker",
        ),
        "definition": (
            "Definition",
            "HandlerGroup",
        ),
        "handlers": ("Handlers",),
        "process": (
            "ONE_WISH_SECONDS",
            "OVERTIME_SECONDS",
            "GroupHealth",
            "Health",
            "TaskHealth",
            "end_within",
            "longest_grace",
        ),
        "plain": (
            "Consumer",
            "Lease",
            "Message",
            "Producer",
            "lease",
        ),
        "plans": (
            "CATALOGUE",
            "Existing",
            "Outline",
            "groups_of",
            "outlines_of",
            "topics_of",
        ),
        "publishing": (
            "Acknowledgement",
            "PublishTransaction",
        ),
        "runtime": (
            "Floor",
            "Running",
            "TaskStatistics",
            "existing_on",
            "running",
            "serve",
        ),
        "service": ("Service",),
        "later": (
            "Reply",
            "Later",
        ),
        "caches": ("StoreCache",),
    },
)
