"""A request and its answer as plain values, for a room whose routes no table of patterns can hold.

The path is the one that was sent, percent-encoded: only so is a name that has a slash in it told from two names.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

from msgspec import Struct

NO_HEADERS: Final[Mapping[str, str]] = {}


class BodyRefused(Exception):
    """A body that was not read to its end. ``status`` says why: 413 too many bytes, 408 too late, 400 cut short."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class Asked(Struct, frozen=True):
    """A request. The names of its headers are in small letters; of a header sent twice the values are joined.

    ``client`` is the address at the other end of the connection, and ``common_name`` what a certificate says that it
    has shown, where the server has asked for one and has found it good. ``read`` gives the body, once, and raises
    :class:`BodyRefused`.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    client: str
    read: Callable[[], Awaitable[bytes]]
    encrypted: bool = False
    common_name: str | None = None


class Answer(Struct, frozen=True):
    """An answer. To HEAD the body stays away, and its length is told."""

    status: int
    body: bytes = b""
    media_type: str = "application/json"
    headers: Mapping[str, str] = NO_HEADERS


class BodyLimits(Struct, frozen=True):
    """How much a body may be, and how long it may take to come."""

    body_bytes: int = 4 * 1024 * 1024
    body_seconds: float = 20.0


Answering: TypeAlias = Callable[[Asked], Awaitable[Answer]]
"""What answers every request that it is given. It raises nothing that it expects."""
