"""Types in Avro: which form a type has there, and what becomes of its values."""

from mainstem.schemas.avro.types.describing import Forms, Place
from mainstem.schemas.avro.types.forms import KEPT, Form

__all__ = [
    "KEPT",
    "Form",
    "Forms",
    "Place",
]
