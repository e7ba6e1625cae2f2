"""Defaults as values: what a codec would have read, had they been written."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from mainstem.schemas.avro.language.defaults import misfit
from mainstem.schemas.avro.language.tree import (
    Array,
    Enum,
    Fixed,
    Logical,
    Map,
    Primitive,
    Record,
    Type,
    Union,
    logical_of,
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = date(1970, 1, 1)
_UNITS: Final = {"millis": timedelta(milliseconds=1), "micros": timedelta(microseconds=1)}


def native(value: object, node: Type) -> object:
    """The value of a default, which fits its type."""
    if isinstance(node, Union):
        branch = next(each for each in node.branches if not misfit(value, each))
        found = native(value, branch)
        # One of several records is read with its name.
        several = sum(isinstance(each, Record) for each in node.branches) > 1
        return (branch.name, found) if several and isinstance(branch, Record) else found
    if isinstance(node, Record):
        assert isinstance(value, dict)
        return {field.name: native(value.get(field.name, field.default), field.type) for field in node.fields}
    if isinstance(node, Array):
        return [native(each, node.items) for each in value] if isinstance(value, list) else value
    if isinstance(node, Map):
        return {name: native(each, node.values) for name, each in value.items()} if isinstance(value, dict) else value
    return value if isinstance(node, Enum) else _scalar(value, node)


def _scalar(value: object, node: Primitive | Fixed) -> object:
    found: object = value
    if isinstance(value, str) and (isinstance(node, Fixed) or node.kind == "bytes"):
        found = value.encode("latin-1")
    logical = logical_of(node)
    return _logical(found, logical) if logical else found


def _logical(value: object, logical: Logical) -> object:
    if isinstance(value, bytes):
        return _of_bytes(value, logical)
    if isinstance(value, str):
        return UUID(value)
    assert isinstance(value, int)
    unit = _UNITS.get(logical.name.rpartition("-")[2])
    if logical.name == "date":
        return _DAY + timedelta(days=value)
    if unit is None:
        return value
    moment = _EPOCH + value * unit
    if logical.name.startswith("time-"):
        return moment.time()
    return moment.replace(tzinfo=None) if logical.name.startswith("local") else moment


def _of_bytes(value: bytes, logical: Logical) -> object:
    made: dict[str, Callable[[], object]] = {
        "decimal": lambda: Decimal(int.from_bytes(value, signed=True)) / Decimal(10) ** logical.scale,
        "uuid": lambda: UUID(bytes=value),
    }
    return made.get(logical.name, lambda: value)()
