"""What a registry asks of Avro: whether a text is a schema, its stored text, and its normal form."""

import json
from typing import Final

from mainstem.schemas.avro.language.reading import parsed
from mainstem.schemas.avro.language.text import squeezed
from mainstem.schemas.avro.language.writing import written, written_out
from mainstem.schemas.documents import Grammar, Resolved, Schema


class AvroGrammar:
    """Avro as its specification 1.12 has it: names and symbols by its letters, defaults checked.

    Stricter than it in one point: an object of the text may not say a name twice. A logical type that does not fit is
    passed over, as it asks.
    """

    def check(self, schema: Schema, resolved: Resolved) -> None:
        """Look whether the text is an Avro schema. Raises ``SchemaRefused``."""
        parsed(schema, resolved)

    def plain(self, schema: Schema) -> str:
        """The text without spaces between its words.

        Order, spelling and everything said are given back as they came, because clients look up what they have
        registered, and people want to find their own text again.
        """
        return squeezed(schema.text)

    def normal(self, schema: Schema, resolved: Resolved) -> str:
        """One text for all schemas that say the same: whichever library has printed them.

        As the specification's parsing canonical form, with full names, ``"string"`` for ``{"type": "string"}``, a type
        defined where it is first met, members in fixed order and no spaces; but nothing is dropped that readers and
        people need: defaults, aliases, docs, logical types and further properties stay, sorted by name. The order of
        fields, symbols and unions stays too, for it is meant. References are not written out.
        """
        return json.dumps(written(parsed(schema, resolved)), ensure_ascii=False, separators=(",", ":"))


def inlined(schema: Schema, resolved: Resolved) -> str:
    """The normal form with everything in it that the schema refers to: what a registry answers to ``format=resolved``.

    Raises ``SchemaRefused`` where it is no schema.
    """
    return json.dumps(written_out(parsed(schema, resolved)), ensure_ascii=False, separators=(",", ":"))


GRAMMAR: Final[Grammar] = AvroGrammar()
