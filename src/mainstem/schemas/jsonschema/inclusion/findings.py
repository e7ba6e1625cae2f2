"""What stands in the way of a proof, and the names of the rules."""

from typing import Final, NamedTuple

from mainstem.schemas.jsonschema.reading import Json, Place

RULES: Final[dict[str, str]] = {
    "type-narrowed": "the reader admits fewer types",
    "enum-narrowed": "the reader does not know every value that may be written",
    "value-refused": "one of the few values that may be written is refused",
    "minimum-raised": "the reader's least number is higher",
    "maximum-lowered": "the reader's greatest number is lower",
    "multiple-changed": "not every multiple that may be written is one for the reader",
    "min-length-raised": "the reader asks for longer texts",
    "max-length-lowered": "the reader asks for shorter texts",
    "pattern-changed": "the reader asks for a pattern that the writer does not keep",
    "format-changed": "the reader asks for a format that the writer does not keep",
    "content-changed": "the reader asks for a content that the writer does not keep",
    "min-items-raised": "the reader asks for more elements",
    "max-items-lowered": "the reader asks for fewer elements",
    "unique-items-added": "the reader asks for elements that all differ",
    "element-refused": "an element may be written that the reader does not have",
    "contains-changed": "the reader asks for elements that need not be there, or for fewer of them",
    "property-added-to-open-object": "the writer may write anything under this name, and the reader does not take all",
    "property-removed-from-closed-object": "the reader does not know this property, and takes no others",
    "additional-properties-narrowed": "the writer may write properties of other names that the reader does not take",
    "required-added": "the reader asks for a property that need not be there",
    "min-properties-raised": "the reader asks for more properties",
    "max-properties-lowered": "the reader asks for fewer properties",
    "property-names-narrowed": "the reader does not take every name",
    "dependency-added": "the reader asks for a property where another is there",
    "any-of-narrowed": "none of the reader's alternatives takes everything",
    "one-of-ambiguous": "more than one of the reader's alternatives takes the same",
    "not-widened": "the reader excludes what may be written",
    "nothing-accepted": "the reader takes nothing here",
    "keyword-of-another-draft": "the reader's keyword has no meaning in its draft, and some validators give it one",
    "reference-uncertain": "where the reader's dynamic reference leads depends on who comes by",
    "not-shown": "it takes a proof that is not tried here",
    "too-large": "the comparison would take too long",
}
"""Every reason that a difference can have, by its stable name."""


class Finding(NamedTuple):
    """A reason why a place does not accept all that is claimed. ``candidates`` are instances that may show it."""

    place: Place
    rule: str
    writer: object
    reader: object
    keyword: str = ""
    candidates: tuple[Json, ...] = ()
