"""The schemas that payloads were written with: named by an id, asked of a registry, and read by a type of ours."""

from typing import TYPE_CHECKING

from mainstem.doors import door
from mainstem.schemas.writers.known import (
    AWAY,
    DENIED_SECONDS,
    SCHEMA_HEADER,
    Answer,
    Ask,
    SchemaName,
    Writers,
    Written,
    name_in,
)

if TYPE_CHECKING:
    from mainstem.schemas.writers.asking import Asking as Asking
    from mainstem.schemas.writers.framed import Framed as Framed
    from mainstem.schemas.writers.plainly import Plainly as Plainly

__all__ = [
    "AWAY",
    "DENIED_SECONDS",
    "SCHEMA_HEADER",
    "Answer",
    "Ask",
    "Asking",
    "Framed",
    "Plainly",
    "SchemaName",
    "Writers",
    "Written",
    "name_in",
]

# Every service reads; few read what was written with another's schema.
__getattr__, __dir__ = door(__name__, {"asking": ("Asking",), "framed": ("Framed",), "plainly": ("Plainly",)})
