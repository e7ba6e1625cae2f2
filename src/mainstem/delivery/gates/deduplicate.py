"""How a handler tells that two events are one: for producers that are not ours, and send again what has arrived."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from mainstem.calendar import Duration, milliseconds
from mainstem.errors import DefinitionError
from mainstem.events import Declaration, KeyFunction, key_function

LONGEST_MS: Final = 31 * 86_400_000
"""What has been seen is kept for up to two windows: for years, that would be a copy of the log."""


class Deduplicate:
    """Pass an event over that a handler has been given before, ``within`` so much time.

    By default an event is known by its id, on its topic. ``by`` names a field instead, or several, whose values say
    that two events are one: on any topic of the handler, and also where their ids differ. What has been seen is kept by
    the event's key, and commits with what the event does.
    """

    __slots__ = ("by", "within_ms")

    def __init__(self, within: Duration, *, by: str | tuple[str, ...] | None = None) -> None:
        """``within`` is 31 days at most. Raises :class:`~mainstem.errors.DefinitionError`."""
        self.within_ms = milliseconds(within)
        self.by = (by,) if isinstance(by, str) else by
        if not 0 < self.within_ms <= LONGEST_MS:
            raise DefinitionError(
                f"Deduplicate({within!r}) is no window to remember events for",
                why="it is longer than nothing, and 31 days at most: each event is remembered for up to two windows",
                remedy='write Deduplicate("1d")',
            )
        if self.by is not None and (not isinstance(self.by, tuple) or not self.by):
            raise DefinitionError(
                f"Deduplicate(by={by!r}) names no field", remedy='write by="payment_id", or by=("shop", "receipt")'
            )


def check_deduplicate(given: object, handler: str, place: str) -> None:
    """Refuse what no type checker has seen."""
    if given is not None and not isinstance(given, Deduplicate):
        raise DefinitionError(
            f"deduplicate={given!r} of handler {handler!r} does not say how long an event is remembered",
            where=place,
            remedy='write deduplicate=Deduplicate("1d"), or Deduplicate("1d", by="payment_id")',
        )


class Sieve(Struct, frozen=True):
    """The same, compiled. Without ``fields`` an event is known by its id."""

    within_ms: int
    fields: Mapping[type[object], KeyFunction] | None


def sieve_of(deduplicate: Deduplicate | None, inputs: Sequence[Declaration], place: str) -> Sieve | None:
    """What a handler of these inputs is to look at. Raises :class:`DefinitionError` where there is nothing."""
    if deduplicate is None:
        return None
    if deduplicate.by is None:
        bare = next((each for each in inputs if not each.envelope), None)
        if bare is not None:
            raise DefinitionError(
                f"the events on {bare.topic!r} have no ids by which they could be known again",
                where=place,
                why="without an envelope, an event's id is made from its place in the log, and each has its own",
                remedy='say which field tells: Deduplicate("1d", by="payment_id")',
            )
        return Sieve(deduplicate.within_ms, None)
    try:
        fields = {each.type: key_function(msgspec.structs.replace(each, key=deduplicate.by)) for each in inputs}
    except DefinitionError as error:
        named = " and ".join(map(repr, deduplicate.by))
        raise DefinitionError(
            f"events cannot be known again by {named}", where=place, why=error.what, remedy=error.remedy
        ) from error
    return Sieve(deduplicate.within_ms, fields)
