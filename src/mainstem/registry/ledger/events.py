"""What stands in a registry's two topics: what is to be done, and what has become of it."""

from typing import Final, TypeAlias

from msgspec import Struct

from mainstem.events import DomainEvent
from mainstem.registry.contents import (
    DeleteConfig,
    DeleteContext,
    DeleteMode,
    DeleteSubject,
    DeleteVersion,
    Register,
    SetConfig,
    SetMode,
)

SERVICE: Final = "schema-registry"
REQUESTS: Final = "schema-registry.requests"
ROWS: Final = "schema-registry.rows"
ANSWER: Final = "answer"
"""The row of the last answer. It stands behind the rows that changed with it."""

AnyOperation: TypeAlias = (
    Register | DeleteVersion | DeleteSubject | DeleteContext | SetConfig | DeleteConfig | SetMode | DeleteMode
)


class RegistryRequest(DomainEvent, service=SERVICE, topic=REQUESTS, key="request"):
    """Something is to be done to the registry. Who asks again for the same ``request`` is given the same answer."""

    request: str
    operation: AnyOperation


class RegistryRow(DomainEvent, service=SERVICE, topic=ROWS, key="row"):
    """A row of the registry has this value now, or none. The last one of a request is its answer."""

    row: str
    value: bytes | None


class Outcome(Struct, frozen=True):
    """What has become of a request: its answer, encoded, or the number and the message of an error."""

    request: str
    answer: bytes = b""
    number: int = 0
    message: str = ""
