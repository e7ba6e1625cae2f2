"""Durable memory as a handler sees it: a named store of typed values.

Values are encoded when they are put and decoded when they are got, so that a handler always holds a value of its own,
and one that it changes without putting it back changes nothing.
"""

from typing import Generic, Literal, TypeVar

from mainstem.calendar import Duration, milliseconds
from mainstem.errors import DefinitionError
from mainstem.schemas import state_codec_for
from mainstem.state import header, unpack

V = TypeVar("V")
Scope = Literal["key", "partition"]


class Store(Generic[V]):
    """Typed values by key, committed together with what a handler publishes.

    With ``scope="key"`` there is one value for each event key, and a handler sees the one of its event. With
    ``scope="partition"`` keys are free, and the store counts per task; that needs ``lanes=1``. ``version`` is the
    schema version written with each value; ``expire_after`` lets a value count as absent after a while.
    """

    __slots__ = ("_decode", "_encode", "_header", "expire_after_ms", "name", "scope", "version")

    def __init__(
        self,
        name: str,
        value_type: type[V],
        *,
        scope: Scope = "key",
        version: int = 1,
        expire_after: Duration | None = None,
    ) -> None:
        if not name or name.startswith("$"):
            raise DefinitionError(
                f"a store cannot be called {name!r}",
                why="names that begin with $ belong to the runtime",
                remedy='give it a plain name, such as "spent"',
            )
        codec = state_codec_for(value_type)
        self.name = name
        self.scope = scope
        self.version = version
        self.expire_after_ms = None if expire_after is None else milliseconds(expire_after)
        self._encode = codec.encode
        self._decode = codec.decode
        self._header = header(version)

    def pack(self, value: V, now_ms: int) -> bytes:
        """The bytes of a row. ``now_ms`` counts only for a store whose values expire."""
        if self.expire_after_ms is None:
            return self._header + self._encode(value)
        return header(self.version, now_ms + self.expire_after_ms) + self._encode(value)

    def unpack(self, row: bytes, now_ms: int) -> V | None:
        """The value of a row; None when it has expired."""
        if row[0] == 1:
            return self._decode(row[3:])  # type: ignore[return-value]
        stored = unpack(row)
        if stored.expires_ms is not None and stored.expires_ms <= now_ms:
            return None
        return self._decode(stored.payload)  # type: ignore[return-value]

    def __repr__(self) -> str:
        return f"Store({self.name!r}, scope={self.scope!r})"


def row_key(key: str | int | bytes) -> bytes:
    """The bytes of a free key: text as UTF-8, a number as decimal digits."""
    if isinstance(key, bytes):
        return key
    return key.encode() if isinstance(key, str) else b"%d" % key
