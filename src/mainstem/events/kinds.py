"""The three kinds of events, as classes whose class line says where they go.

    class OrderPaid(IntegrationEvent, topic="orders", key="customer_id"): ...

A class line may say ``topic``; ``key`` (one field, or a tuple of several); ``version`` (the major version);
``namespace`` (the name on the wire is then ``Namespace.OrderPaid``); ``name`` (that whole name, word for word);
``was`` (whole names that the type had before, and that are still read); ``envelope`` (``"structured"`` writes
attributes and payload as one JSON document); ``service`` (the owner; a domain event needs one); ``oldest`` (the oldest
major version that is read, 1 unless stated); ``format`` and ``schema_id`` (the form in bytes); ``subject`` (under which
name the schema is registered). A class without ``topic`` is no event type: it lends its fields, and what it says of
key, namespace, service, form and subject, to its subclasses.

An event is a frozen msgspec struct. It is not watched by the cycle collector (``gc=False``): a batch makes thousands
of them, and plain data that was decoded forms trees, never cycles. Whoever puts an event into a list that the same
event holds makes a cycle that is not freed.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar, dataclass_transform, overload

import msgspec

from mainstem.errors import DefinitionError
from mainstem.events.declaration import Declaration, Kind, key_names, wire_name
from mainstem.events.fields import nearest, place_of
from mainstem.events.statements import EventFormat, SchemaId, Step, SubjectStrategy

S = TypeVar("S", bound=Step)

_INHERITED = ("key", "namespace", "service", "format", "schema_id", "subject")
_OWN = ("topic", "version", "name", "was", "envelope", "oldest")
_STATED = ("version", "was", "service", "envelope", "oldest", "format", "schema_id", "subject")


class EventMeta(msgspec.StructMeta):
    """Reads the class line of an event into its declaration; all mistakes are found here, when the class is made."""

    __declaration__: Declaration | None
    __class_line__: Mapping[str, object]

    def __new__(
        meta, name: str, bases: tuple[type, ...], namespace: dict[str, object], /, **keywords: object
    ) -> "EventMeta":
        """Make an event class; ``keywords`` are those of its class line. Raises ``DefinitionError``."""
        parents = [base for base in bases if isinstance(base, EventMeta)]
        if not parents:
            root = super().__new__(meta, name, bases, namespace, frozen=True, gc=False)
            root.__declaration__, root.__class_line__ = None, MappingProxyType({})
            return root
        where = f"{namespace.get('__module__', '?')}.{namespace.get('__qualname__', name)}"
        _check_class_line(name, where, parents, keywords)
        try:
            made = super().__new__(meta, name, bases, namespace)
        except TypeError as error:
            raise DefinitionError(
                f"{name} cannot be an event type: {error}",
                where=where,
                why="an event is a frozen record of typed fields; those with defaults come last",
                remedy="correct the fields; a mutable default is written msgspec.field(default_factory=...)",
            ) from error
        inherited = {word: value for parent in reversed(parents) for word, value in parent.__class_line__.items()}
        line = inherited | keywords
        made.__class_line__ = MappingProxyType({word: line[word] for word in _INHERITED if word in line})
        made.__declaration__ = _declare(made, where, line) if "topic" in keywords else None
        return made

    def upcast(cls, version: int, /, *steps: Step) -> Callable[[Step], Step] | None:
        """Say how an older version becomes the next one; without steps this decorates the function that does it."""
        declaration = cls.__declaration__
        if declaration is None:
            raise DefinitionError(
                f"{cls.__name__} has no topic, and so no versions",
                where=place_of(cls),
                remedy=f"call upcast({version}, ...) of the event types that extend it",
            )
        return upcasting(declaration, version, steps)


def upcasting(declaration: Declaration, version: int, steps: tuple[Step, ...]) -> Callable[[Step], Step] | None:
    """Take the steps that are given, or give the decorator of the one that is to come."""
    if steps:
        declaration.upcast(version, steps)
        return None

    def declare(step: Step) -> Step:
        declaration.upcast(version, (step,))
        return step

    return declare


def _check_class_line(name: str, where: str, parents: list[EventMeta], keywords: Mapping[str, object]) -> None:
    for word in keywords:
        if word not in _INHERITED + _OWN:
            raise DefinitionError(
                f"the class line of {name} has no keyword {word!r}",
                where=where,
                remedy=nearest(word, _OWN + _INHERITED),
            )
    for parent in parents:
        if parent.__declaration__ is not None:
            raise DefinitionError(
                f"{name} extends {parent.__name__}, which is a declared event type",
                where=where,
                why=f"whoever subscribes to {parent.__name__} would not be sent {name}: the type on the wire is exact",
                remedy="move what they share into a class without topic=, and let both extend that",
            )
    lost = [word for word in _OWN if word in keywords and "topic" not in keywords]
    if lost:
        raise DefinitionError(
            f"{name} states {lost[0]}= but no topic=",
            where=where,
            why="a class without topic= is no event type; it only lends its fields, key, namespace, service and form",
            remedy=f'add topic="...", or take {lost[0]}= out',
        )


def _declare(made: EventMeta, where: str, line: Mapping[str, object]) -> Declaration:
    kind: Kind | None = getattr(made, "__kind__", None)
    if kind is None:
        raise DefinitionError(
            f"{made.__name__} says a topic but not what kind of event it is",
            where=where,
            remedy="extend DomainEvent, IntegrationEvent or NotificationEvent",
        )
    stated = {word: line[word] for word in _STATED if word in line}
    name = line["name"] if "name" in line else wire_name(made.__name__, line.get("namespace"), where)
    key = key_names(line.get("key"), where)
    return Declaration(type=made, wire_name=name, topic=line["topic"], key=key, kind=kind, **stated)  # type: ignore[arg-type]  # the declaration looks at each


def class_line_declaration(kind: object) -> Declaration | None:
    """What the class line of ``kind`` declares; ``None`` for a class without topic, and for what is no event class."""
    return kind.__declaration__ if isinstance(kind, EventMeta) else None


if TYPE_CHECKING:
    # What type checkers see. They would take the metaclass's keywords unread: they check a class line against
    # __init_subclass__, and a constructor and assignments against dataclass_transform.
    @dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
    class Event:
        """What the three kinds have in common. Extend one of them."""

        def __init_subclass__(
            cls,
            *,
            topic: str = ...,
            key: str | tuple[str, ...] | None = ...,
            version: int = ...,
            name: str = ...,
            was: tuple[str, ...] = ...,
            envelope: Literal["cloudevents", "structured"] = ...,
            namespace: str | None = ...,
            service: str = ...,
            oldest: int = ...,
            format: EventFormat = ...,  # noqa: A002 - the word of the class line
            schema_id: SchemaId | None = ...,
            subject: SubjectStrategy = ...,
        ) -> None: ...

        @overload
        @classmethod
        def upcast(cls, version: int, first: Step, /, *more: Step) -> None: ...
        @overload
        @classmethod
        def upcast(cls, version: int, /) -> Callable[[S], S]: ...
        @classmethod
        def upcast(cls, version: int, /, *steps: Step) -> Callable[[S], S] | None:
            """Say how the payload of an older version becomes the next one's: its steps, or as a decorator."""

else:

    class Event(msgspec.Struct, metaclass=EventMeta):
        """What the three kinds have in common. Extend one of them."""


class DomainEvent(Event):
    """A change of state inside one service, which the class line names (``service=``).

    Private: no other service may publish it or subscribe to it.
    """

    __kind__: ClassVar[Kind] = "domain"


class IntegrationEvent(Event):
    """A contract between services: public and versioned."""

    __kind__: ClassVar[Kind] = "integration"


class NotificationEvent(Event):
    """Something to tell a person or an outside system."""

    __kind__: ClassVar[Kind] = "notification"
