"""JSON Schema as text, as data and as places that refer to one another: bounded, checked, and never fetched."""

from mainstem.schemas.jsonschema.reading.dialects import KEYWORDS, Draft, Keyword, escaped, knows
from mainstem.schemas.jsonschema.reading.grammar import GRAMMAR, JsonGrammar, library
from mainstem.schemas.jsonschema.reading.parsing import Json, parsed, written
from mainstem.schemas.jsonschema.reading.patterns import samples
from mainstem.schemas.jsonschema.reading.places import REFERENCES, Lens, Library, Place
from mainstem.schemas.jsonschema.reading.validation import Judge, matches

__all__ = [
    "GRAMMAR",
    "KEYWORDS",
    "REFERENCES",
    "Draft",
    "Json",
    "JsonGrammar",
    "Judge",
    "Keyword",
    "Lens",
    "Library",
    "Place",
    "escaped",
    "knows",
    "library",
    "matches",
    "parsed",
    "samples",
    "written",
]
