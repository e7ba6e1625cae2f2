"""Whether a schema may follow the versions of a subject."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple, Self

import msgspec
from msgspec import Struct

from mainstem.errors import SchemaRefused
from mainstem.registry.contents.preparation import version_of
from mainstem.registry.contents.references import resolved
from mainstem.registry.contents.tables import Config, Limits, Name, Tables, Version, refused_as
from mainstem.schemas.compatibility import Level, Objection, Policy, told
from mainstem.schemas.documents import Schema
from mainstem.schemas.formats import Linked, compare


class Comparison(NamedTuple):
    """Whether a schema may follow, and every reason why not, for a person."""

    compatible: bool
    messages: list[str]


class Compared(Struct, frozen=True):
    """That a schema may follow the first so many of the versions that count.

    ``digest`` stands for everything that this was judged by: who has the same need not compare again.
    """

    versions: int
    digest: str


class Rule(NamedTuple):
    """What a schema is compared with, and how: all that is needed of the registry for it."""

    level: Level
    policy: Policy
    versions: Sequence[Version]
    linked: Sequence[Linked]

    def comparison(self, new: Linked) -> Comparison:
        """Compare. Raises RegistryError 42201 where one of them is no schema."""
        try:
            found = compare(self.level, self.policy, new, self.linked)
        except SchemaRefused as refused:
            raise refused_as(refused) from refused
        objections = [Objection(self.versions[each.earlier].version, each.reads, each.difference) for each in found]
        return Comparison(not found, told(objections, self.level))

    def compared(self, new: Linked, versions: int) -> Compared:
        """What says that a schema has been compared with the first so many versions."""
        earlier = zip(self.versions, self.linked, strict=True)
        judged = [(each.guid, linked.resolved) for each, linked in list(earlier)[:versions]]
        said = msgspec.msgpack.encode((self.level, self.policy, new, judged))
        return Compared(versions, hashlib.sha256(said).hexdigest())

    def left(self, new: Linked, compared: Compared | None) -> Self:
        """What a schema is still to be compared with; with everything, where something else has been compared."""
        if compared is None or compared != self.compared(new, compared.versions):
            return self
        done = compared.versions
        return self._replace(versions=self.versions[done:], linked=self.linked[done:])


def rule_for(
    tables: Tables, owner: Name, config: Config, new: Schema, earlier: Sequence[Version], limits: Limits
) -> Rule:
    """The rule for a schema after these versions of a subject, oldest first, by what is configured for it."""
    group = config.compatibility_group
    counted = [each for each in earlier if not group or _in_group(each.schema, group) == _in_group(new, group)]
    return Rule(
        config.level,
        config.compatibility_policy or "STRICT",
        counted,
        [Linked(each.schema, resolved(tables, each.schema, owner, limits)) for each in counted],
    )


def counting(tables: Tables, name: Name, config: Config) -> list[Version]:
    """The versions of a subject that may count for a new one, oldest first; others are not even read."""
    level = config.level
    live = [each for each in tables.versions(name) if not each[1].deleted]
    if level == "NONE":
        live = []
    elif not level.endswith("_TRANSITIVE") and not config.compatibility_group:
        live = live[-1:]
    return [version_of(tables, name, *each) for each in live]


def _in_group(schema: Schema, group: str) -> object:
    """The group that a version says it is in; those that say nothing are in one of their own."""
    properties = (schema.metadata or {}).get("properties")
    return properties.get(group) if isinstance(properties, dict) else None
