"""What is known of an instance: places that accept it, places that do not, and what follows from both."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final, NamedTuple, TypeAlias

from mainstem.schemas.jsonschema.reading import Json, Library, Place, matches, written

NUMBERS: Final = frozenset({"integer", "whole", "fraction"})
"""Draft 4 tells ``1`` (integer) from ``1.0`` (whole); later drafts do not."""

TYPES: Final = frozenset({"null", "boolean", "string", "array", "object"}) | NUMBERS


class Not(NamedTuple):
    """That a place does not accept the instance."""

    place: Place


Claims: TypeAlias = frozenset[Place | Not]
"""All of them hold of the instance."""

NOTHING: Final[Claims] = frozenset()

_LITERALS: dict[str, Place] = {}


def literal(value: Json) -> Place:
    """A place for a small schema of our own, in draft 2020-12; the same one for the same schema."""
    text = written(value)
    if text not in _LITERALS:
        if len(_LITERALS) > 5_000:
            _LITERALS.clear()
        schema = (
            {**value, "$schema": "https://json-schema.org/draft/2020-12/schema"} if isinstance(value, dict) else value
        )
        _LITERALS[text] = Library(schema, {}).root
    return _LITERALS[text]


IMPOSSIBLE: Final = literal(False)


class Bound(NamedTuple):
    """An end of a range of numbers."""

    value: Fraction
    open: bool = False

    def above(self, other: "Bound") -> bool:
        """Whether this lower end is at or above the other."""
        return (self.value, self.open) >= (other.value, other.open)

    def below(self, other: "Bound") -> bool:
        """Whether this upper end is at or below the other."""
        return (-self.value, self.open) >= (-other.value, other.open)


def exact(number: Json) -> Fraction:
    """A number as it was written; a double is what its shortest spelling says."""
    return Fraction(str(number)) if isinstance(number, float) else Fraction(int(str(number)))


def kinds(value: Json) -> set[str]:
    """The types that a value has."""
    if value is None:
        return {"null"}
    if isinstance(value, bool):
        return {"boolean"}
    if isinstance(value, int):
        return {"integer", "whole"}
    if isinstance(value, float):
        return {"integer", "whole"} if value.is_integer() else {"fraction"}
    return {"string"} if isinstance(value, str) else {"array"} if isinstance(value, list) else {"object"}


class Region(NamedTuple):
    """Names that are in no list, by the patterns that are found in them: these and no others, or at least these."""

    patterns: frozenset[str]
    exactly: bool = True


@dataclass(frozen=True)
class Piece:
    """What one schema says of the properties of an object. ``rest`` is none where it leaves the others open."""

    properties: dict[str, Claims]
    patterns: dict[str, Claims] = field(default_factory=dict)
    rest: Claims | None = None

    def of(self, name: str) -> Claims:
        """What it says of one property."""
        found = [self.properties[name]] if name in self.properties else []
        found += [claims for pattern, claims in self.patterns.items() if matches(pattern, name)]
        return NOTHING.union(*found) if found else self.rest or NOTHING

    def of_others(self, region: "Region") -> Claims:
        """What it says of a property that is named nowhere, whose name has these patterns."""
        said = [claims for pattern, claims in self.patterns.items() if pattern in region.patterns]
        if said:
            return NOTHING.union(*said)
        return (self.rest or NOTHING) if region.exactly or not self.patterns else NOTHING


@dataclass(frozen=True)
class Row:
    """What one schema says of the elements of an array, one by one and then all others."""

    prefix: tuple[Claims, ...]
    rest: Claims = NOTHING

    def of(self, index: int) -> Claims:
        """What it says of one element."""
        return self.prefix[index] if index < len(self.prefix) else self.rest


class Contained(NamedTuple):
    """How many elements of an array a place accepts."""

    place: Place
    least: int
    most: int | None


@dataclass
class Facts:
    """What follows from claims. Never less than the truth allows: what is not understood is left out."""

    types: set[str] = field(default_factory=lambda: set(TYPES))
    values: list[Json] | None = None
    lower: Bound | None = None
    upper: Bound | None = None
    multiples: set[Fraction] = field(default_factory=set)
    min_length: int = 0
    max_length: int | None = None
    patterns: set[str] = field(default_factory=set)
    formats: set[tuple[str, bool]] = field(default_factory=set)
    """Each with whether its draft makes validators look: later ones make it an annotation."""
    contents: set[tuple[str, str, bool]] = field(default_factory=set)
    pieces: list[Piece] = field(default_factory=list)
    required: set[str] = field(default_factory=set)
    min_properties: int = 0
    max_properties: int | None = None
    names: set[Place] = field(default_factory=set)
    needs: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    when: list[tuple[str, Place]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    min_items: int = 0
    max_items: int | None = None
    unique: bool = False
    contains: list[Contained] = field(default_factory=list)
    choices: list[tuple[Claims, ...]] = field(default_factory=list)
    places: dict[Place, None] = field(default_factory=dict)
    negatives: dict[Place, None] = field(default_factory=dict)

    def of(self, name: str) -> Claims:
        """What is known of a property."""
        return NOTHING.union(*(piece.of(name) for piece in self.pieces))

    def of_others(self, region: Region) -> Claims:
        """What is known of a property that is named nowhere, whose name has these patterns."""
        return NOTHING.union(*(piece.of_others(region) for piece in self.pieces))

    def element(self, index: int) -> Claims:
        """What is known of an element."""
        return NOTHING.union(*(row.of(index) for row in self.rows))

    @property
    def declared(self) -> set[str]:
        """Every name of a property that is spoken of."""
        return {name for piece in self.pieces for name in piece.properties} | self.required

    @property
    def listed(self) -> int:
        """How many first elements are spoken of one by one."""
        return max((len(row.prefix) for row in self.rows), default=0)

    def least(self, keyword: str, value: int) -> None:
        """Raise a lower bound."""
        setattr(self, keyword, max(getattr(self, keyword), value))

    def most(self, keyword: str, value: int) -> None:
        """Lower an upper bound."""
        before = getattr(self, keyword)
        setattr(self, keyword, value if before is None else min(before, value))
