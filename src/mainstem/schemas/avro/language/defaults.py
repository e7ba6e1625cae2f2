"""Whether a default fits the type of its field."""

from typing import Final, TypeAlias

from msgspec import UNSET

from mainstem.schemas.avro.language.tree import Array, Enum, Fixed, Map, Primitive, Record, Type, Union, spelled

_RANGES: Final = {"int": 2**31, "long": 2**63}

_Known: TypeAlias = dict[tuple[int, int], bool]
"""Which value fits which branch of a union, by identity: unions within unions would else be tried again and again."""


def misfit(value: object, node: Type) -> str:
    """Why a JSON value is no default of a type, in words; an empty text where it is one.

    A union takes a value of any of its branches (specification 1.12; before, of its first one).
    """
    return _misfit(value, node, "", {})


def _misfit(value: object, node: Type, path: str, known: _Known) -> str:
    place = path or "it"
    if isinstance(node, Union):
        fits = any(_fits_branch(value, branch, known) for branch in node.branches)
        return "" if fits else f"{place} is of none of the union's types"
    if isinstance(node, Record):
        return _record_misfit(value, node, path, known)
    if isinstance(node, Array | Map):
        return _collection_misfit(value, node, path, known)
    if isinstance(node, Enum):
        fits = isinstance(value, str) and value in node.symbols
    elif isinstance(node, Fixed):
        fits = isinstance(value, str) and _is_bytes(value) and len(value) == node.size
    else:
        fits = _fits(value, node)
    return "" if fits else f"{place} is no {spelled(node)}"


def _fits_branch(value: object, branch: Type, known: _Known) -> bool:
    asked = (id(value), id(branch))
    if asked not in known:
        known[asked] = not _misfit(value, branch, "", known)
    return known[asked]


def _fits(value: object, node: Primitive) -> bool:
    if node.kind in _RANGES:
        limit = _RANGES[node.kind]
        return isinstance(value, int) and not isinstance(value, bool) and -limit <= value < limit
    if node.kind in ("float", "double"):
        return isinstance(value, int | float) and not isinstance(value, bool)
    if node.kind == "bytes":
        return _is_bytes(value)
    if node.kind == "null":
        return value is None
    return isinstance(value, bool if node.kind == "boolean" else str)


def _is_bytes(value: object) -> bool:
    """Bytes are written as a text whose characters are the bytes: code points 0 to 255."""
    return isinstance(value, str) and all(ord(each) < 256 for each in value)


def _record_misfit(value: object, node: Record, path: str, known: _Known) -> str:
    if not isinstance(value, dict):
        return f"{path or 'it'} is no {spelled(node)}"
    for field in node.fields:
        inner = value.get(field.name, UNSET)
        if inner is not UNSET:
            found = _misfit(inner, field.type, f"{path}.{field.name}", known)
        else:
            found = f"{path or 'it'} lacks {field.name}, which has no default" if field.default is UNSET else ""
        if found:
            return found
    return ""


def _collection_misfit(value: object, node: Array | Map, path: str, known: _Known) -> str:
    if isinstance(node, Array):
        members = value if isinstance(value, list) else None
    else:
        members = list(value.values()) if isinstance(value, dict) else None
    if members is None:
        return f"{path or 'it'} is no {spelled(node)}"
    inner = node.items if isinstance(node, Array) else node.values
    return next((found for each in members if (found := _misfit(each, inner, f"{path}[]", known))), "")
