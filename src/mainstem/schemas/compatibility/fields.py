"""Which fields of an event a schema names, and which of them a difference is about.

A field is written as a person says it: ``customer.city``, ``lines[].sku`` for each item of a list, ``prices{}.cents``
for each value of a map.
"""

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from mainstem.schemas.compatibility.verdict import Difference

Fields: TypeAlias = Mapping[str, tuple[str, ...]]
"""The fields at each place of a schema, places as a :class:`Difference` writes them. A type that is used in several
fields stands in one place; a type that holds itself is followed once."""

FIELDS_MOST: Final = 5_000
"""More are not looked for: types that use one another many times have more fields than anybody reads."""

_REQUIRED: Final = "/required"


def inner(field: str, name: str) -> str:
    """The field ``name`` within a field; of the event itself the name alone."""
    return f"{field}.{name}" if field else name


def concerned(difference: Difference, fields: Fields) -> tuple[str, ...]:
    """The fields that a difference is about; none when it is about the event as a whole."""
    path = difference.path
    if path.endswith(_REQUIRED) and isinstance(difference.reader, str):
        name = difference.reader.replace("~", "~0").replace("/", "~1")
        path = f"{path.removesuffix(_REQUIRED)}/properties/{name}"
    separator = "/" if path.startswith("/") else "."
    while path and path not in fields:
        path = path.rpartition(separator)[0]
    return fields.get(path, ())


def innermost(fields: Fields) -> tuple[str, ...]:
    """All fields, each once, without those of which others are parts."""
    named = dict.fromkeys(field for found in fields.values() for field in found)
    wholes = {whole for field in named for whole in _wholes(field)}
    return tuple(field for field in named if field not in wholes)


def touches(field: str, read: Iterable[str]) -> bool:
    """Whether who reads these fields reads this one, a part of it, or what it is a part of."""
    return any(each == field or field in _wholes(each) or each in _wholes(field) for each in read)


def _wholes(field: str) -> set[str]:
    """What a field is a part of: of ``lines[].sku`` that is ``lines[]`` and ``lines``."""
    found: set[str] = set()
    while True:
        for ending in ("[]", "{}"):
            if field.endswith(ending):
                field = field.removesuffix(ending)
                break
        else:
            field = field.rpartition(".")[0]
        if not field:
            return found
        found.add(field)
