"""The schemas of the events that a service publishes, each with its subject and the level that holds for it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct

from mainstem.events import Declaration
from mainstem.schemas import owned_schema, subject_of
from mainstem.schemas.compatibility import Level
from mainstem.schemas.documents import Schema

LEVELS: Final[Mapping[str, Level]] = {
    "integration": "FULL_TRANSITIVE",
    "domain": "BACKWARD_TRANSITIVE",
    "notification": "BACKWARD",
}
"""What holds within a major version, by the kind of event: a history must stay readable for its own service; a
contract must hold for readers and writers of any age; a notification is read once, soon. A type of a ``Topic`` has no
kind, and is a contract."""


class Stated(Struct, frozen=True):
    """The schema of an event type as its service declares it.

    ``alone``: its service publishes nothing else on its topic, so that the topic's name finds it too.
    """

    declaration: Declaration
    subject: str
    schema: Schema
    owner: str
    level: Level
    alone: bool = False


def stated_by(service: str, published: Iterable[Declaration]) -> Iterator[Stated]:
    """What a service says about the types that it publishes. Raises ``DefinitionError`` for one that has no schema.

    Those of a topic that is not ours are left out, unless their records name a schema, or they name its subject. Domain
    events stand in a context of their service's own, so that nobody else finds them, and their history can be read
    after the class has changed.
    """
    published = tuple(published)
    newest: dict[str, dict[str, int]] = {}
    for each in published:
        there = newest.setdefault(each.topic, {})
        there[each.wire_name] = max(each.version, there.get(each.wire_name, 0))
    for declaration in published:
        if not _is_stated(declaration):
            continue
        yield Stated(
            declaration,
            subject_of(declaration),
            owned_schema(declaration, service),
            service,
            LEVELS[declaration.kind or "integration"],
            alone=newest[declaration.topic] == {declaration.wire_name: declaration.version},
        )


def _is_stated(declaration: Declaration) -> bool:
    plain = declaration.schema_id is None and declaration.format == "json" and declaration.subject == "record"
    return declaration.kind is not None or not plain
