"""Forms: how a type is said in Avro, and what its values become on the way to the codec and back."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Final, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Struct

Change: TypeAlias = Callable[[object], object]

KEPT: Final = (bytes, datetime, date, time, Decimal, UUID)
"""What the codec takes as it is; everything else is made plain first."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LOCAL_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - of times that have no zone
_MICROSECOND: Final = timedelta(microseconds=1)


class Form(Struct, frozen=True):
    """A type in Avro.

    ``schema`` is plain JSON. ``outward`` makes of a plain value what the codec writes, ``inward`` of what the codec
    reads what the type is converted from; none where nothing is to be done. ``default`` is how a plain value of the
    type stands in a schema. ``classes`` are those of its plain values, by which a union tells its types apart.
    """

    schema: object
    classes: tuple[type, ...] = ()
    outward: Change | None = None
    inward: Change | None = None
    default: Change | None = None


def _text_of_bytes(value: object) -> object:
    assert isinstance(value, bytes)
    return value.decode("latin-1")


def _microseconds(value: object) -> int:
    """Since 1970. Raises ``TypeError`` for a time without a zone: nobody could say when that is."""
    assert isinstance(value, datetime)
    return (value - _EPOCH) // _MICROSECOND


def _local_microseconds(value: object) -> int:
    assert isinstance(value, datetime)
    return (value - _LOCAL_EPOCH) // _MICROSECOND


def _local_time(value: object) -> object:
    return value if not isinstance(value, int) else _LOCAL_EPOCH + value * _MICROSECOND


def _day(value: object) -> int:
    assert isinstance(value, date)
    return value.toordinal() - _EPOCH.toordinal()


def _time_of_day(value: object) -> int:
    assert isinstance(value, time)
    if value.tzinfo is not None:
        raise ValueError("a time of day with a zone has no form in Avro")
    return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond


def _logical(kind: str, name: str) -> dict[str, object]:
    return {"type": kind, "logicalType": name}


SCALARS: Final[dict[object, Form]] = {
    type(None): Form("null", (type(None),)),
    bool: Form("boolean", (bool,)),
    int: Form("long", (int,)),
    float: Form("double", (float, int)),
    str: Form("string", (str,)),
    bytes: Form("bytes", (bytes,), default=_text_of_bytes),
    bytearray: Form("bytes", (bytes,), default=_text_of_bytes),
    datetime: Form(_logical("long", "timestamp-micros"), (datetime,), outward=_microseconds, default=_microseconds),
    date: Form(_logical("int", "date"), (date,), outward=_day, default=_day),
    time: Form(_logical("long", "time-micros"), (time,), outward=_time_of_day, default=_time_of_day),
    timedelta: Form("string", (str,)),
    Decimal: Form("string", (Decimal,), outward=str, default=str),
    UUID: Form(_logical("string", "uuid"), (UUID,), outward=str, default=str),
}
"""Texts stand for what Avro has no exact form of: a span of time (ISO 8601), a decimal number of any scale."""

LOCAL_TIME: Final = Form(
    _logical("long", "local-timestamp-micros"),
    (datetime,),
    outward=_local_microseconds,
    inward=_local_time,
    default=_local_microseconds,
)


def decimal_form(precision: int, scale: int) -> Form:
    """A decimal number of so many digits, so many of them behind the point."""
    exact = Context(prec=max(precision, 1), traps=[Inexact, InvalidOperation])

    def default(value: object) -> str:
        unscaled = int(Decimal(str(value)).scaleb(scale, exact).to_integral_exact(context=exact))
        return unscaled.to_bytes(unscaled.bit_length() // 8 + 1, signed=True).decode("latin-1")

    schema = {**_logical("bytes", "decimal"), "precision": precision, "scale": scale}
    return Form(schema, (Decimal,), default=default)


def plain_default(value: object) -> object:
    """A default as the codec and its forms take it, the same text every time: a set has no order of its own."""
    return msgspec.to_builtins(value, builtin_types=KEPT, order="deterministic")
