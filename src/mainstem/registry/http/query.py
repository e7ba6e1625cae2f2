"""What stands behind the question mark of a request."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final, TypeVar
from urllib.parse import parse_qs

from mainstem.registry.http.refusal import Refused

T = TypeVar("T")

PAGE_MOST: Final = 1_000
SUBJECTS_MOST: Final = 20_000
_FIELDS_MOST: Final = 64
_DIGITS_MOST: Final = 9


class Query:
    """The fields, by name. A field that nobody asks for says nothing, as everywhere in this protocol."""

    __slots__ = ("_fields",)

    def __init__(self, text: str) -> None:
        """Read it. Raises :class:`Refused` for more fields than anybody has, and for what is not UTF-8."""
        try:
            self._fields = parse_qs(
                text, keep_blank_values=True, errors="strict", max_num_fields=_FIELDS_MOST, separator="&"
            )
        except (ValueError, UnicodeError):
            raise Refused(400, "the query is not UTF-8, or has too many fields") from None

    def text(self, name: str, default: str = "") -> str:
        """The first value of a field."""
        return self._fields.get(name, [default])[0]

    def texts(self, name: str) -> Sequence[str]:
        """All values of a field."""
        return self._fields.get(name, [])

    def flag(self, *names: str) -> bool:
        """Whether one of these names is set to true, in whatever letters: clients write ``True`` as well."""
        return any(value.lower() == "true" for name in names for value in self._fields.get(name, []))

    def number(self, name: str, default: int) -> int:
        """A whole number. Raises :class:`Refused` for anything else."""
        text = self.text(name, str(default)) or str(default)
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdecimal() and len(digits) <= _DIGITS_MOST):
            raise Refused(400, f"the field {name} is not a whole number")
        return int(text)

    def page(self, values: Iterable[T], most: int = PAGE_MOST) -> list[T]:
        """The values from ``offset`` on, ``limit`` of them; a limit below zero, or beyond ``most``, means ``most``."""
        offset, limit = self.number("offset", 0), self.number("limit", -1)
        if offset < 0:
            raise Refused(400, "the field offset is below zero")
        return list(islice(values, offset, offset + (limit if 0 <= limit <= most else most)))
