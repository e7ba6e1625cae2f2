"""The grammar of CloudEvents 1.0.2 attributes: their names, and the texts that a few of them allow."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final, NoReturn

from mainstem.errors import DecodingFailed, EventRefused

PREFIX: Final = "ce_"
CONTENT_TYPE: Final = "content-type"
TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"

CE_SPECVERSION: Final = "ce_specversion"
CE_ID: Final = "ce_id"
CE_SOURCE: Final = "ce_source"
CE_TYPE: Final = "ce_type"
CE_KIND: Final = "ce_kind"
CE_EVENTVERSION: Final = "ce_eventversion"
CE_SUBJECT: Final = "ce_subject"
CE_TIME: Final = "ce_time"
CE_CORRELATIONID: Final = "ce_correlationid"
CE_CAUSATIONID: Final = "ce_causationid"

REQUIRED: Final = (CE_SPECVERSION, CE_ID, CE_SOURCE, CE_TYPE)
KNOWN: Final = frozenset(
    (*REQUIRED, CE_KIND, CE_EVENTVERSION, CE_SUBJECT, CE_TIME, CE_CORRELATIONID, CE_CAUSATIONID),
)
"""The headers that have a property of their own on an envelope; any other with the prefix is an extension."""

_NAME = re.compile(r"[a-z0-9]{1,20}")
_SPECVERSION = re.compile(r"1\.[0-9]+")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt]([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(\.\d+)?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def is_name(name: str) -> bool:
    """Whether this can name an attribute: 1 to 20 lowercase letters and digits, and not ``data``."""
    return _NAME.fullmatch(name) is not None and name != "data"


def check_name(name: str) -> None:
    """Raise ``EventRefused`` unless this can name an extension attribute of ours."""
    if not is_name(name) or PREFIX + name in KNOWN:
        raise EventRefused(
            f"{name!r} cannot name an extension attribute",
            why="CloudEvents allows 1 to 20 lowercase letters and digits, and some names have a meaning of their own",
            remedy="choose another name, such as 'tenantid'",
        )


def text_of(name: str, value: bytes) -> str:
    """The text of a header. Raises ``DecodingFailed`` for what is not UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise DecodingFailed(
            f"the header {name} is not UTF-8: {error.reason} at byte {error.start}",
            where=f"header {name}",
            why="CloudEvents attributes are text",
            remedy="correct the producer; the record keeps its bytes",
        ) from error


def header_of(name: str, value: object, *, empty: bool = False) -> bytes:
    """An attribute of ours as a header. Raises ``EventRefused`` for what is no text, and unless allowed for none."""
    try:
        if isinstance(value, str) and (value or empty):
            return value.encode()
        found = "empty" if value == "" else f"a {type(value).__name__}"
    except UnicodeEncodeError as error:
        found = f"not Unicode: {error.reason}"
    raise EventRefused(
        f"the attribute {name} is {found}",
        why="CloudEvents attributes are texts",
        remedy=f"give {name} as a text of one character or more, or leave it out",
    )


def check_specversion(text: str) -> None:
    """Raise ``DecodingFailed`` unless this is a CloudEvents version that is read: 1.x."""
    if not _SPECVERSION.fullmatch(text):
        _illegal(CE_SPECVERSION, text, "events of CloudEvents 1.x are read")


def parse_version(text: str) -> int:
    """A major version. Raises ``DecodingFailed`` for what is not a whole number from 1."""
    if not _VERSION.fullmatch(text):
        _illegal(CE_EVENTVERSION, text, "a major version is a whole number from 1, in plain digits")
    return int(text)


def parse_time(text: str) -> datetime:
    """An RFC 3339 time, in UTC. Raises ``DecodingFailed`` for anything else.

    Python's times hold microseconds: further digits are cut off, and a leap second counts as the last microsecond of
    its minute.
    """
    parts = _TIME.fullmatch(text)
    if parts is None:
        _illegal(CE_TIME, text, "a time is written as in RFC 3339: 2013-01-01T05:17:00Z")
    day, hour, minute, second, fraction, zone = parts.groups()
    leap = second == "60"
    micros = "999999" if leap else (fraction or ".")[1:7].ljust(6, "0")
    try:
        local = datetime.fromisoformat(f"{day}T{hour}:{minute}:{'59' if leap else second}.{micros}")
        return local.replace(tzinfo=_zone(zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        _illegal(CE_TIME, text, "there is no such day, or it lies outside the years 1 to 9999")


def _zone(text: str) -> timezone:
    if text in "Zz":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[4:6]))
    return timezone(-offset if text[0] == "-" else offset)


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC, with a fraction only where there is one. Raises ``EventRefused`` for a time without a zone."""
    if not isinstance(moment, datetime):
        raise EventRefused(
            f"the time {moment!r} is no datetime", remedy="give an aware datetime: datetime(..., tzinfo=UTC)"
        )
    if moment.tzinfo is None:
        raise EventRefused(
            f"the time {moment.isoformat()} has no time zone",
            why="elsewhere it would mean another moment",
            remedy="give an aware datetime: datetime(..., tzinfo=UTC)",
        )
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def from_milliseconds(timestamp_ms: int) -> datetime:
    """A record's timestamp as a time in UTC, exactly."""
    return _EPOCH + timedelta(milliseconds=timestamp_ms)


def _illegal(name: str, text: str, rule: str) -> NoReturn:
    raise DecodingFailed(
        f"{name} is {text!r}, which is not allowed",
        where=f"header {name}",
        why=rule,
        remedy="correct the producer; the record keeps its bytes",
    )
