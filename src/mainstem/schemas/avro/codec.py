"""Between an event and its bytes in Avro."""

from collections.abc import Callable
from functools import lru_cache, partial
from io import BytesIO
from typing import Final, cast

import fastavro
import msgspec
from fastavro import _read_py
from fastavro.read import SchemaResolutionError
from fastavro.types import Schema as Loaded
from msgspec.structs import replace

from mainstem.errors import SchemaRefused
from mainstem.events import Declaration
from mainstem.schemas.avro.emitting import described_of, schema_of
from mainstem.schemas.avro.hazards import endless, recursive
from mainstem.schemas.avro.language import Type, give_natives, parsed, written_out
from mainstem.schemas.avro.meanings import agree
from mainstem.schemas.avro.types import KEPT
from mainstem.schemas.codec import CODECS_REMEMBERED, EventCodec, in_order, typing_of
from mainstem.schemas.documents import Resolved, Schema
from mainstem.schemas.models import is_model
from mainstem.schemas.shape import has_set

_NO_AVRO: Final = (EOFError, LookupError, ValueError, ArithmeticError, TypeError, AttributeError, RecursionError)
"""What the library raises for bytes that are not what the schema says; EOFError without a word."""

_made_plain: Final = partial(msgspec.to_builtins, builtin_types=KEPT)


@lru_cache(maxsize=CODECS_REMEMBERED)
def codec_of(declaration: Declaration) -> EventCodec:
    """The codec of a declared type for what is written with its own schema, without any framing.

    What reads only some fields of a type reads what is written with the schema of that.

    ``encode`` raises what ``encoding_failure`` is for; a datetime without a time zone is refused there, unless its
    annotation says ``Meta(tz=False)``. ``decode`` raises what ``decoding_failure`` is for, also for bytes that are left
    over. Raises ``DefinitionError`` for a type without a form in Avro.
    """
    whole = declaration.whole
    written = declaration if whole is None else replace(declaration, type=whole, whole=None)
    return _codec(declaration, schema_of(written), {})


def codec_reading(declaration: Declaration, writer: Schema, resolved: Resolved) -> EventCodec:
    """The same, of which ``decode`` reads what was written with another schema, and ``plain`` gives that as it says.

    Make it once for a schema, and keep it: this takes as long as a thousand events. Raises ``SchemaRefused`` for what
    is no schema, or what would let a few bytes stop the process.
    """
    return _codec(declaration, writer, resolved)


def plain_reading(writer: Schema, resolved: Resolved, _indexes: tuple[int, ...]) -> Callable[[bytes], object]:
    """What gives plain data of what was written with a schema. Raises as :func:`codec_reading`."""
    read = _reading(_Written(writer, resolved), None, named=False)
    return lambda raw: msgspec.to_builtins(read(raw))


def _codec(declaration: Declaration, writer: Schema, resolved: Resolved) -> EventCodec:
    own = schema_of(declaration)
    described = described_of(declaration)
    same = writer.text == own.text
    reader = _Written(own, {})
    written = reader if same else _Written(writer, resolved, into=reader)
    typed, dumped = _typing(declaration.type)
    read = _reading(written, None if same else reader, named=described.named)
    inward = described.form.inward
    # Of an older version nothing is read as the newest one has it: what its steps are given, its own schema says.
    bare = read if same else _reading(_Written(writer, resolved), None, named=False)
    tagged = inward if same else None
    return EventCodec(
        encode=_encoding(reader.loaded, dumped, described.form.outward),
        decode=(lambda raw: typed(inward(read(raw)))) if inward else (lambda raw: typed(read(raw))),
        plain=lambda raw: msgspec.to_builtins(tagged(bare(raw)) if tagged else bare(raw)),
        typed=typing_of(declaration.type),
    )


class _Written:
    """A schema as the library wants it, its references written out, and what there is to know before it reads."""

    def __init__(self, schema: Schema, resolved: Resolved, *, into: "_Written | None" = None) -> None:
        tree = parsed(schema, resolved)
        self.root: Type = tree.root
        if into is not None:
            agree(tree.root, into.root)
        if endless(tree.root):
            raise SchemaRefused(
                "the schema has arrays of what takes no bytes",
                where="Avro schema",
                why="a payload of a few bytes could hold so many of them that reading it takes years",
                remedy="write a number: how many there are",
            )
        try:
            self.loaded: Loaded = fastavro.parse_schema(cast("Loaded", written_out(tree)))
        except RecursionError as error:
            raise SchemaRefused(
                "the schema and its references nest too deep", where="Avro schema", why="its codec runs out of stack"
            ) from error
        if into is None:
            give_natives(self.loaded, tree)
        self.recursive = recursive(tree.root)


def _typing(kind: type[object]) -> tuple[Callable[[object], object], Callable[[object], object]]:
    """What makes an event of what was read, and what makes plain data of an event."""
    if not is_model(kind):
        dumped = in_order(partial(_made_plain, order="deterministic"), _made_plain) if has_set(kind) else _made_plain
        return partial(msgspec.convert, type=kind), dumped
    from pydantic import TypeAdapter  # noqa: PLC0415 - an extra, loaded by who declares a model

    adapter = TypeAdapter(kind)
    return adapter.validate_python, lambda event: _made_plain(adapter.dump_python(event, by_alias=True))


def _encoding(
    schema: Loaded, dumped: Callable[[object], object], outward: Callable[[object], object] | None
) -> Callable[[object], bytes]:
    write = fastavro.schemaless_writer

    def encode(event: object) -> bytes:
        file = BytesIO()
        value = dumped(event)
        try:
            write(file, schema, outward(value) if outward else value)
        except AttributeError as error:
            raise TypeError(str(error)) from error
        return file.getvalue()

    return encode


def _reading(written: _Written, reader: _Written | None, *, named: bool) -> Callable[[bytes], object]:
    # In C a type that holds itself is read by functions that call themselves, and nobody counts how often: a few
    # thousand bytes end the process. The same in Python stops in time, and has no public name; so its major is bound.
    deep = written.recursive or (reader is not None and reader.recursive)
    read = _read_py.schemaless_reader if deep else fastavro.schemaless_reader
    schema, into = written.loaded, None if reader is None else reader.loaded

    def decode(raw: bytes) -> object:
        file = BytesIO(raw)
        try:
            found = read(file, schema, into, return_record_name=True) if named else read(file, schema, into)
        except SchemaResolutionError as error:
            raise msgspec.ValidationError(str(error)) from error
        except _NO_AVRO as error:
            raise msgspec.DecodeError(
                f"these bytes are not what the schema says: {str(error) or 'they end too early'}"
            ) from error
        if file.tell() != len(raw):
            raise msgspec.DecodeError(f"{len(raw) - file.tell()} bytes are left over")
        return found

    return decode
