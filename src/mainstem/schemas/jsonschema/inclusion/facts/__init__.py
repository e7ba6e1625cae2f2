"""What schemas say of an instance, as claims, and what follows from them, as facts."""

from mainstem.schemas.jsonschema.inclusion.facts.claims import (
    IMPOSSIBLE,
    NUMBERS,
    TYPES,
    Bound,
    Claims,
    Contained,
    Facts,
    Not,
    Piece,
    Region,
    Row,
    exact,
    kinds,
    literal,
)
from mainstem.schemas.jsonschema.inclusion.facts.gathering import gathered
from mainstem.schemas.jsonschema.inclusion.facts.statements import (
    as_claims,
    piece_of,
    range_of,
    row_of,
    types_of,
    whole,
    widened,
)

__all__ = [
    "IMPOSSIBLE",
    "NUMBERS",
    "TYPES",
    "Bound",
    "Claims",
    "Contained",
    "Facts",
    "Not",
    "Piece",
    "Region",
    "Row",
    "as_claims",
    "exact",
    "gathered",
    "kinds",
    "literal",
    "piece_of",
    "range_of",
    "row_of",
    "types_of",
    "whole",
    "widened",
]
