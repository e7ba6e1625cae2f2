"""The text of a schema, in the form that was asked for."""

from collections.abc import Callable

from mainstem.registry.contents import Contents, Identified, Version, behind, writing
from mainstem.registry.http.call import Call


def formatting(call: Call, contents: Contents, found: Identified | Version) -> Callable[[], str]:
    """What writes the text as it is stored, or in the ``format`` of the query: for who may read all that is in it."""
    wanted = call.query.text("format")
    if wanted:
        call.allow("read", *behind(contents, found))
    return writing(contents, found, wanted)


def formatting_if_seen(call: Call, contents: Contents, found: Version) -> Callable[[], str]:
    """The same in a listing: where not all of it may be read, as it is stored, so that others are found."""
    seen = not call.query.text("format") or all(map(call.sees, behind(contents, found)))
    return formatting(call, contents, found) if seen else writing(contents, found, "")
