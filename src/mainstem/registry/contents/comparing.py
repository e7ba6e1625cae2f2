"""Whether a schema may follow the versions of a subject."""

from collections.abc import Sequence
from typing import NamedTuple

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
