"""Values that Protobuf has in another form: points and spans of time, numbers and dates as text, members of enums."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final, TypeAlias
from uuid import UUID

import msgspec

from mainstem.schemas.protobuf.types.shapes import Choice, Form, Moment

Write: TypeAlias = Callable[[object], object]
Read: TypeAlias = Callable[[object], object]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_SECONDS: Final = 86_400
_MICROSECOND_NANOS: Final = 1_000

_READ_TEXT: Final[dict[Form, Callable[[str], object]]] = {
    "decimal": Decimal,
    "uuid": UUID,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
}


def write_text(value: object) -> object:
    """A decimal, UUID, date or time as text; nothing stays nothing."""
    if value is None:
        return None
    return value.isoformat() if isinstance(value, date | time) else str(value)


def reader_of_text(form: Form, place: str) -> Read:
    """What makes a value of its text again. It raises ``ValidationError`` for a text that is none."""
    make = _READ_TEXT[form]

    def read(text: object) -> object:
        try:
            return make(str(text))
        except (ValueError, InvalidOperation) as error:
            raise misread(form, place) from error

    return read


def writer_of_moment(moment: Moment) -> Write:
    """What makes the seconds and nanoseconds of a point in time, or of a span. A time without zone is refused."""

    def write(value: object) -> object:
        if value is None:
            return None
        if isinstance(value, datetime):
            if value.tzinfo is None:
                message = f"{value} has no time zone, and a Timestamp is a point in time"
                raise ValueError(message)
            value = value - _EPOCH
        if not isinstance(value, timedelta):
            message = f"a {moment.name} cannot be made of a {type(value).__name__}"
            raise TypeError(message)
        seconds, micros = value.days * _DAY_SECONDS + value.seconds, value.microseconds
        if moment.name == "Duration" and seconds < 0 < micros:
            seconds, micros = seconds + 1, micros - 1_000_000  # both have the same sign
        return {"seconds": seconds, "nanos": micros * _MICROSECOND_NANOS}

    return write


def reader_of_moment(moment: Moment, place: str) -> Read:
    """What makes a point in time, in UTC, or a span. Below microseconds it is cut off."""

    def read(message: object) -> object:
        seconds, nanos = getattr(message, "seconds", 0), getattr(message, "nanos", 0)
        try:
            span = timedelta(seconds=seconds, microseconds=nanos // _MICROSECOND_NANOS)
            return _EPOCH + span if moment.name == "Timestamp" else span
        except OverflowError as error:
            raise misread(f"{moment.name} that Python can hold", place) from error

    return read


def writer_of_choice(choice: Choice) -> Write:
    """What gives the number of a member. It raises ``ValueError`` for anything else."""
    numbers = {choice.kind[name]: number for name, number in choice.numbers.items()}

    def write(value: object) -> object:
        if value is None:
            return None
        number = numbers.get(value) if isinstance(value, choice.kind) else None
        if number is None:
            message = f"{value!r} is no member of {choice.kind.__name__}"
            raise ValueError(message)
        return number

    return write


def reader_of_choice(choice: Choice, place: str) -> Read:
    """What gives the member of a number, or the fallback. It raises ``ValidationError`` for a number of neither."""
    members = {number: choice.kind[name] for name, number in choice.numbers.items()}

    def read(number: object) -> object:
        member = members.get(number) if isinstance(number, int) else None
        if member is None:
            member = choice.fallback
        if member is None:
            raise misread(f"number of {choice.kind.__name__}", place, str(number))
        return member

    return read


def misread(expected: str, place: str, found: str = "something else") -> msgspec.ValidationError:
    """The error for a value that is not what its type says, in the words of the decoder of JSON."""
    return msgspec.ValidationError(f"Expected `{expected}`, got `{found}` - at `{place}`")


def missing(name: str, place: str) -> msgspec.ValidationError:
    """The error for a field that was not written, has no default, and whose absence can be told."""
    return msgspec.ValidationError(f"Object missing required field `{name}` - at `{place}`")
