"""Topics whose events are not Mainstem's own classes, and the way from a type or topic to its declaration."""

import inspect
from collections.abc import Callable
from typing import Generic, Self, TypeAlias, TypeVar, overload

from msgspec.structs import replace

from mainstem.errors import DefinitionError
from mainstem.events.declaration import Declaration, EnvelopeForm, key_names
from mainstem.events.fields import nearest, place_of, wire_names
from mainstem.events.kinds import EventMeta, S, class_line_declaration, upcasting
from mainstem.events.statements import EventFormat, SchemaId, Step, SubjectStrategy

E_co = TypeVar("E_co", covariant=True)
V = TypeVar("V")


class Topic(Generic[E_co]):
    """A topic that is not ours, or one of plain dataclasses, msgspec structs or pydantic models; read and published to.

    ``key`` names one field or several, as in an event's class line. ``envelope="structured"`` says that what is
    published there is one JSON document, attributes and payload together (CloudEvents' structured mode); without it
    attributes are headers. Both are read everywhere. ``envelope=None`` says that its records carry no CloudEvents
    attributes: every record is then taken for a ``type``, its id derives from topic, partition and offset, its source
    is the topic, and what is published there carries no attributes either. ``type_name`` is the name on the wire,
    where it is not the name of the class. ``version``, ``oldest``, ``format``, ``schema_id`` and ``subject`` mean what
    they mean in a class line.

    Raises ``DefinitionError``.
    """

    __slots__ = ("declaration",)

    declaration: Declaration

    def __new__(
        cls,
        name: str,
        type: type[E_co],
        *,
        key: str | tuple[str, ...] | None = None,
        envelope: EnvelopeForm = "cloudevents",
        version: int = 1,
        type_name: str | None = None,
        oldest: int = 1,
        format: EventFormat = "json",  # noqa: A002 - the word of a class line
        schema_id: SchemaId | None = None,
        subject: SubjectStrategy = "record",
    ) -> Self:
        """Declare it. Raises ``DefinitionError``."""
        where = f"Topic({name!r})"
        if not inspect.isclass(type):
            raise DefinitionError(f"{type!r} is not a class", where=where, remedy="name the class of its events")
        if isinstance(type, EventMeta):
            raise DefinitionError(
                f"{type.__name__} is an event class, and a class line declares those",
                where=where,
                remedy=f'write class {type.__name__}(..., topic="{name}"), or give Topic a plain class',
            )
        self = super().__new__(cls)
        self.declaration = Declaration(
            type=type,
            wire_name=type.__name__ if type_name is None else type_name,
            topic=name,
            key=key_names(key, where),
            version=version,
            envelope=envelope,
            oldest=oldest,
            format=format,
            schema_id=schema_id,
            subject=subject,
        )
        return self

    @classmethod
    def of(cls, declared: "Declarable", *, as_: type[V]) -> "Topic[V]":
        """The topic of a declared type, whose events are read as a smaller one: only what a handler needs of them.

        Whoever subscribes to that promises to read no more, and is not in the way when another field changes. Older
        versions are upcast as for the type itself. Nobody publishes the smaller one. Raises ``DefinitionError`` for a
        field that the type does not have.
        """
        whole = declaration_of(declared)
        if not inspect.isclass(as_) or isinstance(as_, EventMeta):
            raise DefinitionError(
                f"{as_!r} is not a class to read {whole.wire_name} as",
                where=place_of(whole.type),
                why="an event class has a topic and a name of its own" if isinstance(as_, EventMeta) else "",
                remedy="give a dataclass, a msgspec struct or a pydantic model that has some of its fields",
            )
        known, asked = wire_names(whole.type), wire_names(as_)
        strange = sorted(set(asked.values()) - set(known.values())) if known and asked else []
        if strange:
            raise DefinitionError(
                f"{as_.__name__} reads {strange[0]!r}, which {whole.wire_name} v{whole.version} does not have",
                where=place_of(as_),
                remedy=nearest(strange[0], tuple((known or {}).values())),
            )
        made: Topic[V] = object.__new__(Topic)
        made.declaration = replace(whole, type=as_, whole=whole.type)
        return made

    @overload
    def upcast(self, version: int, first: Step, /, *more: Step) -> None: ...
    @overload
    def upcast(self, version: int, /) -> Callable[[S], S]: ...
    def upcast(self, version: int, /, *steps: Step) -> object:
        """Say how the payload of an older version becomes the next one's: its steps, or as a decorator."""
        return upcasting(self.declaration, version, steps)

    @property
    def name(self) -> str:
        """The topic's name on the broker."""
        return self.declaration.topic

    def __repr__(self) -> str:
        return f"Topic({self.name!r}, {self.declaration.type.__name__})"


Declarable: TypeAlias = type[object] | Topic[object]
"""An event type, or a topic that is not ours."""


def declaration_of(declared: Declarable) -> Declaration:
    """The declaration of an event class or a topic. Raises ``DefinitionError`` for what is not declared."""
    if isinstance(declared, Topic):
        return declared.declaration
    declaration = class_line_declaration(declared)
    if declaration is None:
        raise _undeclared(declared)
    return declaration


def _undeclared(declared: object) -> DefinitionError:
    if not isinstance(declared, type):
        return DefinitionError(
            f"{declared!r} is not an event type",
            why="an event class or a Topic is asked for",
            remedy="name the class itself, without brackets",
        )
    if isinstance(declared, EventMeta):
        return DefinitionError(
            f"{declared.__name__} has no topic",
            where=place_of(declared),
            why="a class without topic= only lends its fields to others; it can be neither published nor subscribed to",
            remedy='add topic="..." to its class line, or name one of its subclasses',
        )
    return DefinitionError(
        f"{declared.__name__} is not declared as an event",
        where=place_of(declared),
        why="the type decides the route, and this one says no topic",
        remedy=f'extend IntegrationEvent with topic="...", or declare Topic("...", {declared.__name__})',
    )
