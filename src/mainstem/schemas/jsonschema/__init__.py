"""JSON Schema: what a registry accepts, and whether one schema reads what another writes."""

from typing import TYPE_CHECKING

from mainstem.doors import door

if TYPE_CHECKING:
    from mainstem.schemas.jsonschema.comparing import differences as differences
    from mainstem.schemas.jsonschema.emitting import schema_of as schema_of
    from mainstem.schemas.jsonschema.fields import fields_of as fields_of
    from mainstem.schemas.jsonschema.instances import instances_of as instances_of
    from mainstem.schemas.jsonschema.reading import GRAMMAR as GRAMMAR

__all__ = ["GRAMMAR", "differences", "fields_of", "instances_of", "schema_of"]

# The validator is an extra: a service that takes the schema of its own types does without.
__getattr__, __dir__ = door(
    __name__,
    {
        "comparing": ("differences",),
        "emitting": ("schema_of",),
        "fields": ("fields_of",),
        "instances": ("instances_of",),
        "reading": ("GRAMMAR",),
    },
)
