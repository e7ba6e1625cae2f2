"""What a schema refers to: found among the registry's own contents, and nowhere else."""

from typing import NamedTuple

from msgspec.structs import replace

from mainstem.registry.contents.tables import (
    Limits,
    Name,
    RegistryError,
    Tables,
    invalid_schema,
    subject_named,
    too_large,
)
from mainstem.schemas.documents import Reference, Schema

LATEST = -1
"""As the version of a reference: the last one that is not deleted, at the time when it is written down."""


def settled(tables: Tables, schema: Schema, owner: Name) -> Schema:
    """The schema with references to versions that exist, each by its number. Raises RegistryError 42201."""
    references = tuple(_settled(tables, each, owner) for each in schema.references)
    names = [each.name for each in references]
    if len(set(names)) < len(names):
        raise invalid_schema(f"two references have one name: {sorted(names)}")
    return schema if references == schema.references else replace(schema, references=references)


def _settled(tables: Tables, reference: Reference, owner: Name) -> Reference:
    target = _target(reference, owner)
    if reference.version == LATEST:
        live = [number for number, version in tables.versions(target) if not version.deleted]
        if live:
            return replace(reference, version=live[-1])
    elif tables.version(target, reference.version) is not None:
        return reference
    raise invalid_schema(
        f"No schema reference found for subject '{reference.subject}' and version {reference.version}"
        f" (name '{reference.name}')"
    )


def _target(reference: Reference, owner: Name) -> Name:
    return subject_named(str(owner.beside(reference.subject)))


def targets(schema: Schema, owner: Name) -> list[tuple[Name, int]]:
    """The versions that a settled schema refers to itself."""
    return [(_target(each, owner), each.version) for each in schema.references]


def resolved(tables: Tables, schema: Schema, owner: Name, limits: Limits) -> dict[str, Schema]:
    """Every schema that a settled one refers to, directly or through others, by name.

    Raises RegistryError 42201 for one that is not there, for a circle, and where one name means two things.
    """
    walk = _Walk(tables, limits, {}, {})
    _follow(walk, schema, owner, ())
    return walk.found


def reached(tables: Tables, schema: Schema, owner: Name, limits: Limits) -> set[Name]:
    """The subjects that a schema refers to, itself or through others, as far as these are there.

    Raises RegistryError 42208 for what no subject can be called.
    """
    direct = {_target(each, owner) for each in schema.references}
    walk = _Walk(tables, limits, {}, {})
    try:
        _follow(walk, settled(tables, schema, owner), owner, ())
    except RegistryError:
        # Whatever is to be done with the schema fails over the same.
        return direct
    return direct | {name for name, _ in walk.chains}


class _Walk(NamedTuple):
    """What has been found by now, and how long a chain begins at each version that was left.

    Such a one is not entered again: ways double at each fork.
    """

    tables: Tables
    limits: Limits
    found: dict[str, Schema]
    chains: dict[tuple[Name, int], int]


def _follow(walk: _Walk, schema: Schema, owner: Name, path: tuple[tuple[Name, int], ...]) -> int:
    """How many follow one another from here."""
    found, limits, longest = walk.found, walk.limits, 0
    for reference in schema.references:
        place = (_target(reference, owner), reference.version)
        if place in path:
            raise invalid_schema(f"the reference '{reference.name}' leads in a circle")
        target = _schema_at(walk.tables, *place, reference)
        if found.setdefault(reference.name, target) != target:
            raise invalid_schema(f"the name '{reference.name}' means two different schemas")
        if len(found) > limits.references or len(path) + walk.chains.get(place, 0) >= limits.reference_depth:
            raise too_large(
                f"more than {limits.references} references, direct ones and those of others, or more than "
                f"{limits.reference_depth} in a chain"
            )
        if place not in walk.chains:
            walk.chains[place] = _follow(walk, target, place[0], (*path, place))
        longest = max(longest, 1 + walk.chains[place])
    return longest


def _schema_at(tables: Tables, target: Name, version: int, reference: Reference) -> Schema:
    found = tables.version(target, version)
    stored = None if found is None else tables.stored(target.context, found.id)
    if stored is None or stored.schema is None:
        raise invalid_schema(
            f"No schema reference found for subject '{reference.subject}' and version {version} "
            f"(name '{reference.name}')"
        )
    return stored.schema
