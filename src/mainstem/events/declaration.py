"""A declaration: everything that is fixed about an event type before the first event."""

import re
from typing import Literal, TypeAlias

from msgspec import Struct, field

from mainstem.errors import DefinitionError
from mainstem.events.fields import key_types, place_of
from mainstem.events.statements import EventFormat, SchemaId, Step, SubjectStrategy, Upcasts, check_form

Kind = Literal["domain", "integration", "notification"]
EnvelopeForm = Literal["cloudevents", "structured"] | None
"""Attributes in the headers, attributes and payload in one JSON document, or no attributes."""

EventClass: TypeAlias = type[object]

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_WIRE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:-]{0,254}")
_NAMESPACE = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*")


class Declaration(Struct, frozen=True, kw_only=True):
    """What is fixed about an event type: its route, its key, its names on the wire, its kind and its owner.

    ``wire_name`` is the ``ce_type`` of what is published; ``was`` are older ones that are read as well, written as
    they stood on the wire. ``version`` is the major version. ``kind`` and ``service`` (the owner) are ``None`` where
    nothing is stated. ``envelope`` is how its events are written (both forms of CloudEvents are read); ``None`` stands
    for a topic whose records carry no attributes. ``oldest`` is the oldest major version that is read, and ``upcasts``
    say how it becomes the current one. ``format`` and ``schema_id`` are the form in bytes, and ``subject`` says how
    the subject of the schema is named. ``whole`` is the event class whose events are read as ``type``, which has fewer
    fields; nobody publishes those.

    Raises ``DefinitionError`` when made of parts that cannot work.
    """

    type: type[object]
    wire_name: str
    topic: str
    key: tuple[str, ...] = ()
    version: int = 1
    was: tuple[str, ...] = ()
    kind: Kind | None = None
    service: str | None = None
    envelope: EnvelopeForm = "cloudevents"
    oldest: int = 1
    format: EventFormat = "json"
    schema_id: SchemaId | None = None
    subject: SubjectStrategy = "record"
    whole: EventClass | None = None
    upcasts: Upcasts = field(default_factory=Upcasts)

    def __post_init__(self) -> None:
        where = place_of(self.type)
        _check_topic(self.topic, where)
        _check_names(self.wire_name, self.was, where)
        _check_version(self.version, where)
        _check_oldest(self.oldest, self.version, where)
        _check_envelope(self.envelope, self.kind, where)
        check_form(self.format, self.schema_id, self.subject, where)
        _check_subject(self, where)
        key_types(self.type if self.whole is None else self.whole, self.key)
        _check_service(self.service, where)
        if self.kind == "domain" and self.service is None:
            raise DefinitionError(
                f"the domain event {self.wire_name} has no owner",
                where=place_of(self.type),
                why="a domain event is private to one service, so somebody must say to which",
                remedy='state service="..." in the class line, or make it an IntegrationEvent',
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Every wire name that is read as this type, the one that is written first."""
        return (self.wire_name, *self.was)

    @property
    def label(self) -> str:
        """Type, version and topic in a few words, as errors and listings show them."""
        return f"{self.wire_name} v{self.version} on {self.topic}"

    def upcast(self, version: int, steps: tuple[Step, ...]) -> None:
        """Say how ``version`` becomes the next one.

        Raises ``DefinitionError`` for a version that is not an older one that is read, for what has its steps already,
        and for what is no step.
        """
        where = place_of(self.type)
        if not isinstance(version, int) or isinstance(version, bool) or not self.oldest <= version < self.version:
            older = f"{self.oldest} to {self.version - 1}" if self.version > self.oldest else "none"
            raise DefinitionError(
                f"upcast({version!r}) does not start from an older version of {self.wire_name} v{self.version}",
                where=where,
                why=f"a step leads to the next version, and so begins at one of those that are read before: {older}",
                remedy="name the older version; or count version= up in the declaration, when the form has changed",
            )
        if self.envelope is None:
            raise DefinitionError(
                f"nobody can tell the versions of {self.wire_name} apart",
                where=where,
                why="with envelope=None a record does not say its version, and each is read as the declared one",
                remedy="declare the topic with an envelope, or read the older form with a type of its own",
            )
        self.upcasts.add(version, steps, where)


def key_names(key: object, where: str) -> tuple[str, ...]:
    """The tuple of field names behind ``key=``: one name, several, or none. Raises ``DefinitionError``."""
    if key is None:
        return ()
    if isinstance(key, str):
        return (key,)
    if isinstance(key, tuple) and key and all(isinstance(name, str) for name in key):
        return key
    raise DefinitionError(
        f"key={key!r} does not name fields",
        where=where,
        remedy='write key="customer_id", or key=("origin", "carrier") for several, or leave it out',
    )


def check_subscription(declaration: Declaration, service_name: str) -> None:
    """Refuse, with ``DefinitionError``, that a service subscribes to another service's domain event."""
    if declaration.kind == "domain" and declaration.service != service_name:
        owner = declaration.service
        raise DefinitionError(
            f"service {service_name!r} may not subscribe to {declaration.wire_name}, a domain event of {owner!r}",
            where=place_of(declaration.type),
            why=f"a domain event is private: {owner!r} may change it at any time without asking anybody",
            remedy=f"translate it in {owner!r} into an IntegrationEvent, and subscribe to that",
        )


def check_publication(declaration: Declaration, service_name: str) -> None:
    """Refuse, with ``DefinitionError``, that anybody but its owner publishes an event, where the class line names one.

    What only some fields are read of is published by nobody.
    """
    if declaration.whole is not None:
        raise DefinitionError(
            f"{declaration.type.__name__} cannot be published: it is what is read of {declaration.wire_name}",
            where=place_of(declaration.type),
            why="the other fields would be missing",
            remedy=f"publish a {declaration.whole.__name__}",
        )
    if declaration.kind == "domain" and declaration.service != service_name:
        owner = declaration.service
        raise DefinitionError(
            f"service {service_name!r} may not publish {declaration.wire_name}, a domain event of {owner!r}",
            where=place_of(declaration.type),
            why=f"a domain event records a change of state inside {owner!r}; nobody else can know that it happened",
            remedy=f"publish an event of your own that {owner!r} subscribes to, or correct service= in the class line",
        )
    if declaration.service not in (None, service_name):
        raise DefinitionError(
            f"service {service_name!r} may not publish {declaration.wire_name}, which belongs to "
            f"{declaration.service!r}",
            where=place_of(declaration.type),
            why="the class line names its owner: one service says what it looks like, and that it has happened",
            remedy="publish an event of your own, or correct service= in the class line",
        )


def _check_topic(topic: object, where: str) -> None:
    if not isinstance(topic, str) or not _TOPIC.fullmatch(topic) or topic in (".", ".."):
        raise DefinitionError(
            f"{topic!r} is not a topic name",
            where=where,
            why="Kafka's rule holds on every broker, so that a service can move",
            remedy="use 1 to 249 letters, digits, dots, underscores and hyphens",
        )


def _check_version(version: object, where: str) -> None:
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise DefinitionError(
            f"version={version!r} is not a major version",
            where=where,
            remedy="count from 1; a field with a default needs no new version",
        )


def _check_oldest(oldest: object, version: int, where: str) -> None:
    if not isinstance(oldest, int) or isinstance(oldest, bool) or not 1 <= oldest <= version:
        raise DefinitionError(
            f"oldest={oldest!r} is not a version that could be read as version={version}",
            where=where,
            remedy=f"write the oldest major version that is still read, from 1 to {version}",
        )


def _check_subject(declaration: Declaration, where: str) -> None:
    if declaration.subject == "topic" and declaration.oldest < declaration.version:
        raise DefinitionError(
            f"version {declaration.version} of {declaration.wire_name} has no subject of its own",
            where=where,
            why='with subject="topic" the topic names it, and its older versions stand there: none may follow another',
            remedy=f'give it a topic of its own, and say oldest={declaration.version}; or write subject="topic-record"',
        )


def _check_envelope(envelope: object, kind: Kind | None, where: str) -> None:
    if envelope in ("cloudevents", "structured") or (envelope is None and kind is None):
        return
    raise DefinitionError(
        f"envelope={envelope!r} is not known" if envelope is not None else "an event class always has an envelope",
        where=where,
        why="" if envelope is not None else "its type, kind and source stand there",
        remedy='write "cloudevents" (attributes in headers) or "structured" (one JSON document)'
        + (", or None for no envelope" if kind is None else ""),
    )


def _check_service(service: object, where: str) -> None:
    if service is not None and (not isinstance(service, str) or not service):
        raise DefinitionError(
            f"service={service!r} is not the name of a service", where=where, remedy='write service="booking"'
        )


def _check_names(name: object, was: object, where: str) -> None:
    if not isinstance(was, tuple):
        raise DefinitionError(f"was={was!r} is not a tuple of names", where=where, remedy='write was=("OldName",)')
    for word in (name, *was):
        if not isinstance(word, str) or not _WIRE_NAME.fullmatch(word):
            raise DefinitionError(
                f"{word!r} cannot be the name of an event type on the wire",
                where=where,
                remedy="begin with a letter or digit; go on with letters, digits and . _ - / : up to 255",
            )
    if name in was or len(set(was)) != len(was):
        raise DefinitionError(
            f"was={was!r} repeats a name of {name}",
            where=where,
            why="was= lists the names that the type had before, each once",
            remedy="take the current name, and what stands twice, out of was=",
        )


def wire_name(name: str, namespace: object, where: str) -> str:
    """``Namespace.Name``, or ``Name`` without a namespace. Raises ``DefinitionError`` for an illegal namespace."""
    if namespace is None:
        return name
    if not isinstance(namespace, str) or not _NAMESPACE.fullmatch(namespace):
        raise DefinitionError(
            f"namespace={namespace!r} is not a namespace",
            where=where,
            remedy='write words of letters, digits and underscores, with dots between them: "Shop.Orders"',
        )
    return f"{namespace}.{name}"
