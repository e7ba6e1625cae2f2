"""Whether one JSON Schema reads what another writes."""

from typing import Final

from msgspec import UNSET

from mainstem.schemas.compatibility import Difference, Policy, Verdict, shown
from mainstem.schemas.documents import Resolved, Schema
from mainstem.schemas.jsonschema.inclusion import RULES, Finding, findings
from mainstem.schemas.jsonschema.reading import escaped, library, written

LISTED: Final = 20
"""So many elements of a list are told."""

_ASKED: Final = frozenset({"required-added"})
"""Rules of which a message says what the reader has: the path does not."""

_WRITTEN: Final = frozenset({"value-refused", "enum-narrowed"})
"""Rules of which a message says what is written."""


def differences(writer: Schema, reader: Schema, resolved: tuple[Resolved, Resolved], policy: Policy) -> Verdict:
    """Whether ``reader`` accepts every instance that ``writer`` does, as far as it can be proved.

    STRICT takes both as they stand. LENIENT takes the writer to write only what it declares, and the reader to
    accept what it does not; an enum with a fallback member then accepts every value of its members' types.
    """
    lenient = policy == "LENIENT"
    writes = library(writer, resolved[0], "closed" if lenient else "plain")
    reads = library(reader, resolved[1], "opened" if lenient else "plain")
    if writes.root.draft == reads.root.draft and written(writes.documents) == written(reads.documents):
        return Verdict()
    return Verdict(_shortest([_difference(each) for each in findings(writes.root, reads.root)]))


def _shortest(found: list[Difference]) -> tuple[Difference, ...]:
    """Each difference once, with the shortest of the counterexamples; what is asked for is told name by name."""
    kept: dict[tuple[str, str, object], Difference] = {}
    for each in found:
        key = (each.path, each.rule, each.reader if each.rule in _ASKED else None)
        if key not in kept or _length(each) < _length(kept[key]):
            kept[key] = each
    return tuple(kept.values())


def _shortened(value: object) -> object:
    """A value that a person can look at; of a long list the first few, and how many there are."""
    if isinstance(value, list) and len(value) > LISTED:
        return [*value[:LISTED], f"and {len(value) - LISTED} more"]
    return value


def _length(difference: Difference) -> int:
    return 1 << 30 if difference.counterexample is UNSET else len(repr(difference.counterexample))


def _difference(found: Finding) -> Difference:
    examples = found.candidates[:1]
    path = found.place.path + (escaped(found.keyword) if found.keyword else "")
    doubt = "" if examples else "; that could not be shown by an example, and not be ruled out"
    return Difference(
        path=path,
        rule=found.rule,
        message=RULES[found.rule] + _what(found) + doubt,
        writer=_shortened(found.writer),
        reader=_shortened(found.reader),
        outcome="incompatible" if examples else "not provable",
        counterexample=examples[0] if examples else UNSET,
    )


def _what(found: Finding) -> str:
    """The names or values that a person looks for, where the path does not say them."""
    writes, read = shown(_one(_shortened(found.writer))), shown(_one(found.reader))
    if found.rule == "type-narrowed":
        return f": {read} is read, and {writes} is written"
    if found.rule in _ASKED:
        return f": {read}"
    return f": {writes}" if found.rule in _WRITTEN and found.writer is not None else ""


def _one(value: object) -> object:
    return value[0] if isinstance(value, list) and len(value) == 1 else value
