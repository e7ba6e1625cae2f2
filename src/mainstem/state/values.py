"""The header in front of every stored value: schema version and expiry, from the first day.

``version`` is the schema version of the value; ``expires_ms`` the wall-clock time after which it counts as absent.
Two forms: 0x01, version (2 bytes); 0x02, version (2 bytes), expiry (8 bytes); all big-endian.
"""

from typing import NamedTuple

_PLAIN = 1
_EXPIRING = 2
_PLAIN_LENGTH = 3
_EXPIRING_LENGTH = 11


class Stored(NamedTuple):
    """A stored value taken apart."""

    version: int
    expires_ms: int | None
    payload: bytes


def header(version: int, expires_ms: int | None = None) -> bytes:
    """The bytes that go in front of the payload."""
    if expires_ms is None:
        return b"\x01" + version.to_bytes(2, "big")
    return b"\x02" + version.to_bytes(2, "big") + expires_ms.to_bytes(8, "big")


def unpack(value: bytes) -> Stored:
    """Take a stored value apart; raises ValueError for a header of a later format, and for bytes without one."""
    form = value[0] if len(value) >= _PLAIN_LENGTH else None
    version = int.from_bytes(value[1:3], "big")
    if form == _PLAIN:
        return Stored(version, None, value[_PLAIN_LENGTH:])
    if form == _EXPIRING and len(value) >= _EXPIRING_LENGTH:
        return Stored(version, int.from_bytes(value[3:11], "big"), value[_EXPIRING_LENGTH:])
    message = (
        f"stored value begins with {value[:_EXPIRING_LENGTH].hex() or 'nothing'}; this version reads forms 1 and 2"
    )
    raise ValueError(message)
