"""Files as a registry has them: a text or a descriptor in base64, their references, and those that everybody has."""

import binascii
import re
from base64 import b64decode, b64encode
from functools import lru_cache
from importlib import import_module
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError

from mainstem.errors import SchemaRefused
from mainstem.schemas.documents import Resolved, Schema
from mainstem.schemas.protobuf.language import OWN_NAME, TEXT_SIZE_BYTES, Linked, link, read_file
from mainstem.schemas.protobuf.printing import printed

_BASE64: Final = re.compile(r"[A-Za-z0-9+/]++={0,2}")
BUILT_IN: Final = {
    f"google/protobuf/{name}.proto": f"google.protobuf.{name}_pb2"
    for name in (
        "any",
        "api",
        "descriptor",
        "duration",
        "empty",
        "field_mask",
        "source_context",
        "struct",
        "timestamp",
        "type",
        "wrappers",
    )
}
"""Files that need no reference: they come with every Protobuf runtime."""


def file_of(schema: Schema) -> FileDescriptorProto:
    """The file of a schema, its names not looked up. Raises ``SchemaRefused`` for what is no .proto text.

    A descriptor in base64 is read as well: confluent-kafka's client for Python registers nothing else.
    """
    if schema.format != "PROTOBUF":
        raise SchemaRefused(f"this is no schema in PROTOBUF: its format is {schema.format}")
    return _from_base64(schema.text) if is_serialized(schema.text) else read_file(schema.text)


def is_serialized(text: str) -> bool:
    """Whether a text can be base64: a .proto file that says anything has a semicolon or a brace."""
    joined = "".join(text.split())
    return len(joined) % 4 == 0 and _BASE64.fullmatch(joined) is not None


def _from_base64(text: str) -> FileDescriptorProto:
    file = FileDescriptorProto()
    if len(text) > TEXT_SIZE_BYTES:
        raise SchemaRefused(f"the schema is longer than {TEXT_SIZE_BYTES} bytes")
    try:
        file.ParseFromString(b64decode("".join(text.split()), validate=True))
    except (binascii.Error, DecodeError, RecursionError) as error:
        raise SchemaRefused(
            "the text is neither a .proto file nor a FileDescriptorProto in base64", why=str(error)
        ) from error
    if not file.ListFields():
        raise SchemaRefused("the descriptor is empty")
    file.ClearField("source_code_info")
    if not file.syntax:
        file.syntax = "proto2"
    return _looked_through(file)


def _looked_through(file: FileDescriptorProto) -> FileDescriptorProto:
    """A file that nobody has written as text, which could hold anything, by way of its text."""
    try:
        said = read_file(printed(file))
    except (SchemaRefused, TypeError, ValueError, LookupError) as error:
        what = error.what if isinstance(error, SchemaRefused) else "it holds what no file does"
        raise SchemaRefused(f"the descriptor describes no .proto file: {what}") from error
    if says_more(file):
        return file
    said.ClearField("source_code_info")
    return said


def says_more(file: FileDescriptorProto) -> bool:
    """Whether a descriptor has custom options, in bytes that only their declarations can explain."""
    known = FileDescriptorProto()
    known.CopyFrom(file)
    known.DiscardUnknownFields()
    return bool(known.ByteSize() != file.ByteSize())


@lru_cache(maxsize=len(BUILT_IN))
def built_in(name: str) -> FileDescriptorProto | None:
    """A file of ``google/protobuf``, as the runtime has it."""
    if name not in BUILT_IN:
        return None
    file = FileDescriptorProto()
    import_module(BUILT_IN[name]).DESCRIPTOR.CopyToProto(file)
    return file


def linked(schema: Schema, resolved: Resolved) -> Linked:
    """A schema with its references, all names looked up. Raises ``SchemaRefused`` where that cannot be."""

    def find(name: str) -> FileDescriptorProto | None:
        return file_of(resolved[name]) if name in resolved else built_in(name)

    return link(file_of(schema), find)


def serialized(schema: Schema, resolved: Resolved) -> str:
    """The schema as a FileDescriptorProto in base64: what a registry answers to ``format=serialized``.

    Raises ``SchemaRefused`` where it is none.
    """
    file = linked(schema, resolved).file
    file.ClearField("source_code_info")
    file.name = OWN_NAME
    if file.syntax == "proto2":
        file.ClearField("syntax")
    return b64encode(file.SerializeToString(deterministic=True)).decode()
