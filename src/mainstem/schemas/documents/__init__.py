"""Schemas as documents: what a registry stores, a client asks for and a differ compares, in all three formats."""

from mainstem.schemas.documents.document import (
    NO_REFERENCES,
    Format,
    Metadata,
    Reference,
    RuleSet,
    Schema,
)
from mainstem.schemas.documents.grammar import Grammar, Resolved

__all__ = [
    "NO_REFERENCES",
    "Format",
    "Grammar",
    "Metadata",
    "Reference",
    "Resolved",
    "RuleSet",
    "Schema",
]
