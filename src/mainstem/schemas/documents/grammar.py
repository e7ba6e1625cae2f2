"""What a format must be able to do, so that registry, differ and command line need not know which it is."""

from collections.abc import Mapping
from typing import Protocol, TypeAlias

from mainstem.schemas.documents.document import Schema

Resolved: TypeAlias = Mapping[str, Schema]
"""Every schema that a text refers to, directly or through others, by the name it is referred to with."""


class Grammar(Protocol):
    """The rules of one format. Everything is a pure function of texts; nothing is fetched.

    Each method raises :class:`~mainstem.errors.SchemaRefused` for a text that is no schema, for a reference that is
    not in ``resolved``, for a circle of them, and for what is too large, too deep, or could take too long.
    """

    def check(self, schema: Schema, resolved: Resolved) -> None:
        """Look whether the text is a schema of this format."""
        ...

    def plain(self, schema: Schema) -> str:
        """The text without what never means anything, such as spaces: stored, and what makes two schemas one."""
        ...

    def normal(self, schema: Schema, resolved: Resolved) -> str:
        """The text in normal form: equal for any two that say the same in another order or spelling."""
        ...
