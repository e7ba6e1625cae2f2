"""The text of a schema, in the form that was asked for."""

from mainstem.registry.contents import Contents, Identified, Version
from mainstem.registry.http.query import Query


def formatted(contents: Contents, found: Identified | Version, query: Query) -> str:  # noqa: ARG001
    """The text as it is stored."""
    return found.schema.text
