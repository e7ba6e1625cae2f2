"""Avro's schema language: from a text to a tree of types, and back in normal form."""

from mainstem.schemas.avro.language.grammar import GRAMMAR, inlined
from mainstem.schemas.avro.language.names import FULL_NAME
from mainstem.schemas.avro.language.reading import Parsed, parsed
from mainstem.schemas.avro.language.tree import (
    Array,
    Enum,
    Field,
    Fixed,
    Logical,
    Map,
    Named,
    Primitive,
    Record,
    Type,
    Union,
    branch_name,
    inside,
    logical_of,
    parts_of,
    spelled,
)
from mainstem.schemas.avro.language.writing import give_natives, written_out

__all__ = [
    "FULL_NAME",
    "GRAMMAR",
    "Array",
    "Enum",
    "Field",
    "Fixed",
    "Logical",
    "Map",
    "Named",
    "Parsed",
    "Primitive",
    "Record",
    "Type",
    "Union",
    "branch_name",
    "give_natives",
    "inlined",
    "inside",
    "logical_of",
    "parsed",
    "parts_of",
    "spelled",
    "written_out",
]
