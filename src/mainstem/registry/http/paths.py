"""Which endpoint a path means, on the path as it was sent: a subject may hold slashes, quotes, braces and any letter.

Each part between two slashes is decoded by itself, so that ``%2F`` belongs to a name and ``/`` does not.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

CONTEXTS: Final = "contexts"
PARTS_MOST: Final = 16
"""No path of ours has more parts, so what comes behind is not looked at."""


class Unreadable(Exception):
    """A path that is not UTF-8."""


class Path(NamedTuple):
    """The parts of a path, decoded; ``context`` is the one it lies in, such as ``.west``, where it names one."""

    parts: tuple[str, ...]
    context: str | None = None

    @classmethod
    def read(cls, raw: str) -> "Path":
        """Split and decode it. A slash at its end says nothing. Raises :class:`Unreadable`."""
        if len(pieces := raw.split("/", PARTS_MOST)) > PARTS_MOST:
            return cls(("",))
        pieces = pieces[1:-1] if pieces[-1] == "" else pieces[1:]
        try:
            parts = tuple(unquote_to_bytes(each).decode() for each in pieces)
        except UnicodeDecodeError:
            raise Unreadable from None
        if len(parts) > 2 and parts[0] == CONTEXTS:
            return cls(parts[2:], named(parts[1]))
        return cls(parts)


def named(context: str) -> str:
    """A context as it is called: ``west``, ``.west`` and ``:.west:`` are one."""
    return "." + context.strip(":").removeprefix(".")


class Template:
    """A path with names in braces, such as ``/subjects/{subject}/versions``."""

    __slots__ = ("_parts", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts = tuple(part for part in text.split("/")[1:] if part)

    def match(self, parts: tuple[str, ...]) -> Mapping[str, str] | None:
        """What stands where the names are, or None where it is another path."""
        if len(parts) != self.length:
            return None
        found: dict[str, str] = {}
        for own, part in zip(self._parts, parts, strict=True):
            if own.startswith("{"):
                found[own[1:-1]] = part
            elif own != part:
                return None
        return found

    @property
    def length(self) -> int:
        """How many parts it has."""
        return len(self._parts)

    @property
    def fixed(self) -> int:
        """How many of its parts are no names: of two that match, the one with more is meant."""
        return sum(not part.startswith("{") for part in self._parts)
