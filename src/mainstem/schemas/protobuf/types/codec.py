"""Between an event and its bytes in Protobuf: the runtime's parser and printer in C, with our types around them."""

from collections.abc import Callable, Sequence
from functools import lru_cache

import msgspec
from google.protobuf.descriptor_pb2 import DescriptorProto
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from mainstem.errors import SchemaRefused
from mainstem.events import Declaration
from mainstem.schemas.annotations import annotations_of
from mainstem.schemas.codec import CODECS_REMEMBERED, EventCodec, typing_of
from mainstem.schemas.documents import Resolved, Schema
from mainstem.schemas.models import is_model
from mainstem.schemas.protobuf.files import linked
from mainstem.schemas.protobuf.types.emitting import message_name, schema_of
from mainstem.schemas.protobuf.types.outlining import outline_of
from mainstem.schemas.protobuf.types.reading import plain_reader_of, reader_of
from mainstem.schemas.protobuf.types.writing import writer_of


@lru_cache(maxsize=CODECS_REMEMBERED)
def codec_of(declaration: Declaration) -> EventCodec:
    """The codec of a declared type in Protobuf, without a registry's framing: its message is the first of its file.

    What is not known is passed over. ``decode`` looks at constraints as the codec of JSON does. ``plain`` reads what an
    older version has written by the numbers of this one, so that a field keeps its number from one major to the next,
    and what is not there any more gets lost. Raises ``DefinitionError`` as ``schema_of`` does.
    """
    link = linked(schema_of(declaration), {})
    message: type[Message] = GetMessageClass(link.pool.FindMessageTypeByName(message_name(declaration.wire_name)))
    outline = outline_of(declaration)
    write, read, read_plain = writer_of(outline), reader_of(outline), plain_reader_of(outline)
    typed = typing_of(declaration.type)
    constrained = _is_constrained(declaration.type)

    # The entries of maps have an order of their own, if nobody asks for one; and asking takes time.
    sorted_maps = any(each.label == "map" for record in outline.records for each in record.fields)

    def encode(event: object) -> bytes:
        content: bytes = message(**write(event)).SerializeToString(deterministic=sorted_maps)
        return content

    def parse(raw: bytes) -> Message:
        try:
            return message.FromString(raw)
        except (DecodeError, TypeError) as error:
            raise msgspec.DecodeError(f"these {len(raw)} bytes are no message of Protobuf") from error

    def decode(raw: bytes) -> object:
        event = read(parse(raw))
        return typed(event) if constrained else event

    def plain(raw: bytes) -> object:
        return msgspec.to_builtins(read_plain(parse(raw)), str_keys=True)

    return EventCodec(encode=encode, decode=decode, plain=plain, typed=typed)


def codec_reading(declaration: Declaration, writer: Schema, resolved: Resolved, indexes: tuple[int, ...]) -> EventCodec:
    """The same, for what was written as the message that stands at ``indexes`` in the file of another schema.

    Its fields are found by their numbers, as ever; that it is a message of this name is looked at here. Raises
    ``SchemaRefused`` where it is none.
    """
    found = _name_at(linked(writer, resolved).file.message_type, indexes)
    wanted = {message_name(each).rpartition(".")[2] for each in declaration.names}
    if found not in wanted:
        raise SchemaRefused(
            f"its message at {list(indexes)} is {found}" if found else f"it has no message at {list(indexes)}",
            where=declaration.label,
            why=f"a message of the name {' or '.join(sorted(wanted))} is read here",
        )
    return codec_of(declaration)


def plain_reading(writer: Schema, resolved: Resolved, indexes: tuple[int, ...]) -> Callable[[bytes], object]:
    """What gives plain data of the message that stands at ``indexes`` in the file of a schema, its fields by name.

    Raises ``SchemaRefused`` where there is none.
    """
    link = linked(writer, resolved)
    name = ".".join(_names_to(link.file.message_type, indexes))
    if not name:
        raise SchemaRefused(f"it has no message at {list(indexes)}", where="Protobuf schema")
    package = link.file.package
    message = GetMessageClass(link.pool.FindMessageTypeByName(f"{package}.{name}" if package else name))
    return lambda raw: MessageToDict(
        message.FromString(raw), preserving_proto_field_name=True, descriptor_pool=link.pool
    )


def _name_at(messages: Sequence[DescriptorProto], indexes: tuple[int, ...]) -> str:
    """The name of a message, by the way to it; empty where there is none."""
    return (_names_to(messages, indexes) or [""])[-1]


def _names_to(messages: Sequence[DescriptorProto], indexes: tuple[int, ...]) -> list[str]:
    names: list[str] = []
    for index in indexes:
        if index >= len(messages):
            return []
        names.append(messages[index].name)
        messages = messages[index].nested_type
    return names


def _is_constrained(kind: type[object]) -> bool:
    """Whether annotations say more than a type, such as that a number is above 0. A model looks at them itself."""
    return not is_model(kind) and any(
        isinstance(mark, msgspec.Meta) for each in annotations_of(kind) for mark in each.marks
    )
