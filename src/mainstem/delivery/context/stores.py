"""Durable memory as a handler sees it: a named store of typed values.

Values are encoded when they are put and decoded when they are got, so that a handler always holds a value of its own,
and one that it changes without putting it back changes nothing.
"""

from collections.abc import Iterator
from typing import Final, Generic, Literal, Protocol, TypeAlias, TypeVar

from mainstem.calendar import Duration, milliseconds
from mainstem.errors import DecodingFailed, DefinitionError
from mainstem.schemas import (
    DECODER_ERRORS,
    ENCODER_ERRORS,
    state_codec_for,
    state_decoding_failure,
    state_encoding_failure,
)
from mainstem.state import Rows, header, unpack

V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)
StoreScope = Literal["key", "partition"]
FreeKey: TypeAlias = str | int | bytes
"""A key in a store with ``scope="partition"``."""

PAGE_ROWS: Final = 5_000


class Readable(Protocol[V_co]):
    """A store as its readers see it: one of integers is also one of objects, which a :class:`Store` could not be."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def scope(self) -> StoreScope:
        """Whose keys it has."""
        ...

    @property
    def expire_after_ms(self) -> int | None:
        """How long a value counts."""
        ...

    def unpack(self, row: bytes, now_ms: int) -> V_co | None:
        """The value of a row; None when it has expired."""
        ...


class Store(Generic[V]):
    """Typed values by key, committed together with what a handler publishes.

    With ``scope="key"`` there is one value for each event key, and a handler sees the one of its event. With
    ``scope="partition"`` keys are free, and the store counts per task; that needs ``lanes=1``. ``version`` is the
    schema version written with each value; ``expire_after`` lets a value count as absent after a while.
    """

    __slots__ = (
        "_codec",
        "_decode",
        "_encode",
        "_header",
        "_sure",
        "_type",
        "expire_after_ms",
        "name",
        "scope",
        "version",
    )

    def __init__(
        self,
        name: str,
        value_type: type[V],
        *,
        scope: StoreScope = "key",
        version: int = 1,
        expire_after: Duration | None = None,
    ) -> None:
        if not name or name.startswith("$"):
            raise DefinitionError(
                f"a store cannot be called {name!r}",
                why="names that begin with $ belong to the runtime",
                remedy='give it a plain name, such as "spent"',
            )
        if scope not in ("key", "partition"):
            raise DefinitionError(
                f"the store {name!r} has scope={scope!r}",
                why="a value belongs to the event's key, or keys are free within a task",
                remedy='write scope="key" or scope="partition"',
            )
        _check_type(name, value_type)
        codec = state_codec_for(value_type, f"store {name!r}")
        self.name = name
        self.scope: StoreScope = scope
        self.version = version
        self.expire_after_ms = None if expire_after is None else milliseconds(expire_after)
        self._type = value_type
        self._codec = codec
        self._sure = codec.sure
        self._encode = codec.encode
        self._decode = codec.decode
        self._header = header(version)

    def pack(self, value: V, now_ms: int) -> bytes:
        """The bytes of a row. ``now_ms`` counts only for a store whose values expire.

        Raises :class:`~mainstem.errors.EventRefused` for a value that is none of the store's type, or has no form in
        bytes.
        """
        try:
            encoded = self._encode(value)
        except ENCODER_ERRORS as error:
            raise state_encoding_failure(error, self._type, self.name) from error
        if type(value) not in self._sure:
            # Found at the next read, it would be that event's failure, and the key's for ever.
            try:
                self._codec.check(value, encoded)
            except DECODER_ERRORS as error:
                raise state_encoding_failure(error, self._type, self.name) from error
        if self.expire_after_ms is None:
            return self._header + encoded
        return header(self.version, now_ms + self.expire_after_ms) + encoded

    def unpack(self, row: bytes, now_ms: int) -> V | None:
        """The value of a row; None when it has expired.

        Raises :class:`~mainstem.errors.DecodingFailed` for a row that a later version of the store or of the library
        has written, and for bytes that are no value of the store's type.
        """
        payload = row[3:] if row[:3] == self._header else self._payload(row, now_ms)
        if payload is None:
            return None
        try:
            return self._decode(payload)  # type: ignore[return-value]  # it is the decoder of this type
        except DECODER_ERRORS as error:
            raise state_decoding_failure(error, self._type, self.name) from error

    def _payload(self, row: bytes, now_ms: int) -> bytes | None:
        try:
            stored = unpack(row)
        except ValueError as error:
            raise DecodingFailed(
                str(error),
                where=f"store {self.name}",
                why="a later version of Mainstem has written it",
                remedy="run that version, or restore a backup that is as old as this one",
            ) from error
        if stored.version > self.version:
            raise DecodingFailed(
                f"a stored value has version {stored.version}, and the store is declared with version {self.version}",
                where=f"store {self.name}",
                why="a later version of the service has written it",
                remedy=f"deploy a service that declares version={stored.version}",
            )
        return None if stored.expires_ms is not None and stored.expires_ms <= now_ms else stored.payload

    def values(self, rows: Rows, now_ms: int) -> Iterator[tuple[bytes, V]]:
        """What one task has committed in this store, by key bytes, without what has expired; for readers from outside.

        ``rows`` are the task's, as its broker gives them. They are read in pages, each of them at its own moment.
        """
        start = b""
        while page := rows.scan(self.name, start, None, limit=PAGE_ROWS):
            for key, row in page:
                value = self.unpack(row, now_ms)
                if value is not None:
                    yield key, value
            start = page[-1][0] + b"\x00"

    def __repr__(self) -> str:
        return f"Store({self.name!r}, scope={self.scope!r})"


def _check_type(name: str, value_type: object) -> None:
    """Refuse what is no type, and ``object``, which is easily written for a default; ``Any`` says what it means."""
    is_value = isinstance(value_type, str | int | float | bytes | list | tuple | dict | set | None)
    if is_value or value_type is object:
        raise DefinitionError(
            f"the store {name!r} is declared with {value_type!r}, which is "
            + ("no type" if is_value else "no type in particular"),
            why="values are written as their type says, and read again as such",
            remedy=f"name the type of its values: service.store({name!r}, int), or a dataclass of your own",
        )


def row_key(key: FreeKey) -> bytes:
    """The bytes of a free key: text as UTF-8, a number as decimal digits."""
    if isinstance(key, bytes):
        return key
    return key.encode() if isinstance(key, str) else b"%d" % key
