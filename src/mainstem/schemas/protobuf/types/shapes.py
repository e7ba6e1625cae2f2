"""What a type of ours is as a message: its fields with their numbers, and what each of them holds."""

from collections.abc import Callable
from enum import Enum
from typing import Literal, TypeAlias

from msgspec import Struct

Form: TypeAlias = Literal["plain", "decimal", "uuid", "date", "time"]
"""How a scalar stands for a value: as it is, or as text."""

Label: TypeAlias = Literal["single", "optional", "repeated", "map", "oneof"]


class Scalar(Struct, frozen=True):
    """A scalar of Protobuf, and how a value becomes one."""

    name: str
    form: Form = "plain"


class Moment(Struct, frozen=True):
    """A point in time or a span of it: ``google.protobuf.Timestamp`` or ``Duration``."""

    name: Literal["Timestamp", "Duration"]


class Choice(Struct, frozen=True):
    """An enum: its numbers by names, and the member that unknown ones are read as."""

    kind: type[Enum]
    numbers: dict[str, int]
    fallback: Enum | None = None


class Record(Struct):
    """A message. Its ``fields`` are filled in when it has been looked through: it may hold itself."""

    kind: type[object]
    name: str
    fields: "tuple[Member, ...]" = ()


Held: TypeAlias = Scalar | Moment | Choice | Record
"""What a field, an item or a value of a map holds."""


class Alternative(Struct, frozen=True):
    """One of several things that a field may hold: a field of its own in a oneof."""

    kind: type[object]
    name: str
    number: int
    held: Held


class Member(Struct, frozen=True):
    """A field of a type: ``attribute`` in Python, ``name`` on the wire.

    ``held`` is what it holds, an item of it, or a value of it where it is a map; nothing for a oneof. ``collection``
    makes what it is in Python of several items. ``default`` makes the value of a field that was not written; there is
    none where it must be.
    """

    attribute: str
    name: str
    label: Label
    number: int = 0
    held: Held | None = None
    key: Scalar | None = None
    alternatives: tuple[Alternative, ...] = ()
    collection: Callable[[list[object]], object] = list
    default: Callable[[], object] | None = None


class Outline(Struct, frozen=True):
    """An event type and everything within it, each type once, in the order in which they are met."""

    root: Record
    records: tuple[Record, ...]
    choices: tuple[Choice, ...]
