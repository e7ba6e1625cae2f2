"""Payloads behind the id of their schema, read by one type of ours."""

from collections.abc import Callable, Collection, Sequence
from typing import Final, cast

from msgspec.structs import replace

from mainstem.errors import DecodingFailed, SchemaRefused
from mainstem.events import Declaration
from mainstem.schemas.codec import EventCodec, codec_for
from mainstem.schemas.failures import DECODER_ERRORS
from mainstem.schemas.formats import offered, schema_of
from mainstem.schemas.framing import Frame, unframed
from mainstem.schemas.subjects import context_of
from mainstem.schemas.writers.known import SCHEMA_HEADER, SchemaName, Writers, Written, name_in

_ID_BYTES: Final = 5
_FIRST_MESSAGE: Final = (0,)
_CODECS_MOST: Final = 1_000
"""So many writers' schemas are ready for one type; a topic that has more is read slowly, and fills no memory."""

_Place = tuple[SchemaName, tuple[int, ...]]


class Framed:
    """How the payloads of one type are read whose schema is named before them, or in a header."""

    def __init__(self, declaration: Declaration, writers: Writers) -> None:
        self._declaration = declaration
        self._writers = writers
        self._own = codec_for(declaration)
        self._indexed = declaration.format == "protobuf"
        self._context = context_of(declaration)
        self._codecs: dict[_Place, EventCodec] = {}
        self._older: dict[Declaration, EventCodec] = {}
        # By what nearly every record begins with: the id, and for Protobuf that it is the first message.
        self._by_start: dict[bytes, EventCodec] = {}
        self._width = _ID_BYTES + self._indexed
        self.codec = replace(self._own, decode=self._decoding(), plain=self.plain)

    def plain(self, value: bytes, version: int | None = None) -> object:
        """The plain data of a record of this version, by default the current one. Raises as a codec's ``plain``."""
        frame = unframed(value, {}, indexed=self._indexed)
        return self._codec(frame, version).plain(frame.payload)

    def behind(self, header: bytes, version: int | None = None) -> EventCodec:
        """The codec of payloads of this version whose schema is named in this header. Raises ``DecodingFailed``."""
        return self._codec(unframed(b"", {SCHEMA_HEADER: header}, indexed=self._indexed), version)

    def unknown(
        self, values: Sequence[bytes | None], headers: Sequence[bytes | None] | None, *, again: bool = False
    ) -> Collection[SchemaName]:
        """The names in these records that somebody must be asked for. ``headers`` are those that name schemas.

        What was denied just now is among them when it is asked for ``again``.
        """
        if self._writers.alone:
            return ()
        if headers is None:
            width = self._width
            if {value[:width] for value in values if value} <= self._by_start.keys():
                return ()
            headers = [None] * len(values)
        found: set[SchemaName] = set()
        for value, header in zip(values, headers, strict=True):
            name = None if value is None else self._name(value, header)
            if name is not None:
                found.add(name)
        return self._writers.unknown(found, again=again)

    def _name(self, value: bytes, header: bytes | None) -> SchemaName | None:
        """What a record calls its writer's schema; None where that is broken, and no question."""
        try:
            frame = unframed(value, {} if header is None else {SCHEMA_HEADER: header}, indexed=self._indexed)
        except DecodingFailed:
            return None
        name = name_in(frame, self._context)
        return None if name.in_play and self._writers.in_play else name

    def _decoding(self) -> Callable[[bytes], object]:
        by_start, width, slowly = self._by_start, self._width, self._opened

        def decode(value: bytes) -> object:
            codec = by_start.get(value[:width])
            if codec is not None:
                return codec.decode(value[width:])
            codec, payload = slowly(value)
            return codec.decode(payload)

        return decode

    def _opened(self, value: bytes) -> tuple[EventCodec, bytes]:
        frame = unframed(value, {}, indexed=self._indexed)
        codec = self._codec(frame, None)
        if frame.id is not None and len(value) - len(frame.payload) == self._width:
            self._by_start[value[: self._width]] = codec
        return codec, frame.payload

    def _codec(self, frame: Frame, version: int | None) -> EventCodec:
        name = name_in(frame, self._context)
        if name.in_play and self._writers.in_play:
            return self._played(version)
        place = name, frame.indexes
        found = self._codecs.get(place)
        if found is None:
            if len(self._codecs) >= _CODECS_MOST:
                self._codecs.clear()
                self._by_start.clear()
            found = self._codecs[place] = self._made(place)
        return found

    def _made(self, place: _Place) -> EventCodec:
        name, indexes = place
        written = self._writers.find(name)
        if isinstance(written, Written):
            return self._reading(name, written, indexes)
        if self._writers.alone and indexes == _FIRST_MESSAGE:
            # A message is read by its numbers, and of the first one there is little doubt.
            return self._own
        raise DecodingFailed(
            f"the schema with {name} is not known",
            where=self._declaration.label,
            why=written or "nobody has been asked for it yet",
            remedy="name the registry that its producer uses (MAINSTEM_REGISTRY), or register the schema there again; "
            "then redrive the record",
        )

    def _played(self, version: int | None) -> EventCodec:
        """In play: what was written with the type of this process that has the version of the record."""
        declaration = self._declaration
        if version is None or version == declaration.version or self._indexed:
            return self._own
        found = self._writers.played(declaration, version)
        if found is None:
            raise DecodingFailed(
                f"nobody here knows the schema of {declaration.wire_name} v{version}",
                where=declaration.label,
                why="in play nothing is registered, and no service of this process publishes that version",
                remedy="run it in the same process, or without --dev behind a registry",
            )
        if found not in self._older:
            schema = schema_of(found)
            self._older[found] = self._reading(SchemaName(0), Written(schema, {}), ())
        return self._older[found]

    def _reading(self, name: SchemaName, written: Written, indexes: tuple[int, ...]) -> EventCodec:
        make = cast("Callable[..., EventCodec]", offered(self._declaration, "codec_reading"))
        try:
            if self._indexed:
                return make(self._declaration, written.schema, written.resolved, indexes)
            return make(self._declaration, written.schema, written.resolved)
        except SchemaRefused as refused:
            what, why = refused.what, refused.why
        except DECODER_ERRORS as error:
            # A schema from elsewhere may hold anything, and a partition must not stand still for it.
            what, why = f"{type(error).__name__}: {error}", "its codec cannot be made of it"
        raise DecodingFailed(
            f"what was written with the schema with {name} is read by no {self._declaration.wire_name}: {what}",
            where=self._declaration.label,
            why=why or "the id is that of another type, or its producer has changed it",
            remedy="declare the type as its producer does, with type_name= where that has another name; "
            "then redrive the record",
        )
