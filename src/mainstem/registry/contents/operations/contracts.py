"""Metadata and rules of a version: what its subject's configuration adds to those that came with it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias, TypeVar

import msgspec
from msgspec import UnsetType
from msgspec.structs import replace

from mainstem.registry.contents.tables import RULE_LISTS, Config, Limits, invalid_rule_set, invalid_schema, too_large
from mainstem.schemas.documents import Metadata, RuleSet, Schema

T = TypeVar("T")
Member: TypeAlias = dict[str, object]

_KINDS: Final = frozenset({"TRANSFORM", "CONDITION"})
_MODES: Final = frozenset({"UPGRADE", "DOWNGRADE", "UPDOWN", "WRITE", "READ", "WRITEREAD"})
_DEEPEST: Final = 32
_WHOLE_NUMBERS: Final = range(-(2**63), 2**64)
"""Those that a row can hold."""


def completed(schema: Schema, previous: Schema | None, config: Config, limits: Limits) -> Schema:
    """The schema with the metadata and rules that it is stored with.

    What came with it, or else what the version before has; under that the subject's defaults, over it what the subject
    overrides. Raises RegistryError 42201 and 42210 for what is no metadata and no rules, and 42209.
    """
    check_metadata(schema.metadata)
    check_rules(schema.rule_set)
    metadata = schema.metadata if schema.metadata is not None or previous is None else previous.metadata
    rules = schema.rule_set if schema.rule_set is not None or previous is None else previous.rule_set
    metadata = _layered((_said(config.default_metadata), metadata, _said(config.override_metadata)), _metadata)
    rules = _layered((_said(config.default_rule_set), rules, _said(config.override_rule_set)), _rules)
    if len(msgspec.json.encode([metadata, rules])) > limits.schema_bytes:
        raise too_large(f"Metadata and rules are larger than {limits.schema_bytes} bytes")
    return replace(schema, metadata=metadata, rule_set=rules)


def check_metadata(metadata: Metadata | None) -> None:
    """Raise RegistryError 42201 for what is no metadata: texts by name, lists of texts by name, and a list of texts."""
    said = metadata or {}
    try:
        msgspec.convert(said.get("tags"), dict[str, list[str]] | None)
        msgspec.convert(said.get("properties"), dict[str, str] | None)
        msgspec.convert(said.get("sensitive"), list[str] | None)
    except msgspec.ValidationError as error:
        raise invalid_schema(f"its metadata is none: {error}") from error
    if why := _unstorable(said):
        raise invalid_schema(f"its metadata has {why}")


def check_rules(rule_set: RuleSet | None) -> None:
    """Raise RegistryError 42210 for rules that no client could run: without a name, or of no kind or mode."""
    for member in RULE_LISTS:
        rules = (rule_set or {}).get(member) or []
        if not isinstance(rules, list) or not all(isinstance(each, dict) for each in rules):
            raise invalid_rule_set(f"{member} is no list of rules")
        names = [each.get("name") for each in rules]
        if not all(isinstance(name, str) and name for name in names):
            raise invalid_rule_set(f"a rule of {member} has no name")
        if len(set(names)) < len(names):
            raise invalid_rule_set(f"two rules of {member} have one name")
        for each in rules:
            _check_rule(each)
    if why := _unstorable(rule_set):
        raise invalid_rule_set(f"it has {why}")


def _check_rule(rule: Mapping[str, object]) -> None:
    name, kind, mode = rule["name"], rule.get("kind"), rule.get("mode")
    if kind not in (None, *_KINDS) or mode not in (None, *_MODES):
        raise invalid_rule_set(f"rule '{name}' has kind {kind!r}, mode {mode!r}")
    if not isinstance(rule.get("type"), str | None):
        raise invalid_rule_set(f"rule '{name}' has type {rule['type']!r}")


def _unstorable(value: object, depth: int = 0) -> str:
    """What of plain data no row could hold, or nobody read again, in whatever depth of calls he is."""
    if depth > _DEEPEST:
        return f"more than {_DEEPEST} values within one another"
    if isinstance(value, int) and value not in _WHOLE_NUMBERS:
        return "a whole number of more than 64 bits"
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((why for each in inside if (why := _unstorable(each, depth + 1))), "")


def _said(value: T | UnsetType | None) -> T | None:
    return None if isinstance(value, UnsetType) else value


def _layered(layers: Sequence[Member | None], over: Callable[[Member, Member], Member]) -> Member | None:
    """All layers as one, each over those before it; None where there is none."""
    found: Member | None = None
    for layer in layers:
        if layer is not None:
            found = layer if found is None else over(found, layer)
    return found


def _metadata(below: Member, above: Member) -> Member:
    merged = {**below, **above}
    if "tags" in below and "tags" in above:
        tags = _mapping(below["tags"]), _mapping(above["tags"])
        merged["tags"] = {name: _union(tags[0].get(name), tags[1].get(name)) for name in {**tags[0], **tags[1]}}
    if "properties" in below and "properties" in above:
        merged["properties"] = {**_mapping(below["properties"]), **_mapping(above["properties"])}
    if "sensitive" in below and "sensitive" in above:
        merged["sensitive"] = _union(below["sensitive"], above["sensitive"])
    return merged


def _rules(below: Member, above: Member) -> Member:
    merged = {**below, **above}
    for member in RULE_LISTS:
        if below.get(member) and above.get(member):
            rules = {_mapping(each)["name"]: each for each in (*_list(below[member]), *_list(above[member]))}
            merged[member] = list(rules.values())
    return merged


def _union(*lists: object) -> list[object]:
    return list(dict.fromkeys(each for some in lists for each in _list(some)))


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
