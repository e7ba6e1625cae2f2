"""The text of a schema, in the form that was asked for."""

from mainstem.registry.contents import Contents, Identified, Version
from mainstem.registry.http.query import Query


def formatted(contents: Contents, found: Identified | Version, query: Query) -> str:
    """The text as it is stored, or in the ``format`` of the query."""
    return contents.formatted(found, query.text("format"))
