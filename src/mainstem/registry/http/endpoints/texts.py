"""The text of a schema, in the form that was asked for."""

from collections.abc import Callable

from mainstem.registry.contents import Contents, Identified, Version, writing
from mainstem.registry.http.query import Query


def formatting(contents: Contents, found: Identified | Version, query: Query) -> Callable[[], str]:
    """What writes the text as it is stored, or in the ``format`` of the query."""
    return writing(contents, found, query.text("format"))
