"""What a registry asks of Protobuf: is this a schema, what is stored of it, and what is its normal form."""

from typing import Final

from mainstem.schemas.documents import Grammar, Resolved, Schema
from mainstem.schemas.protobuf.files import file_of, is_serialized, linked, says_more
from mainstem.schemas.protobuf.printing import printed


class _Protobuf:
    def check(self, schema: Schema, resolved: Resolved) -> None:
        linked(schema, resolved)

    def plain(self, schema: Schema) -> str:
        if is_serialized(schema.text):
            file = file_of(schema)
            return schema.text.strip() if says_more(file) else printed(file)
        lines = schema.text.removeprefix("\ufeff").splitlines()
        return "\n".join(line.rstrip() for line in lines).strip() + "\n"

    def normal(self, schema: Schema, resolved: Resolved) -> str:
        file = linked(schema, resolved).file
        return schema.text.strip() if says_more(file) else printed(file)


GRAMMAR: Final[Grammar] = _Protobuf()
"""The grammar of .proto files: proto2, proto3 and editions.

A descriptor in base64 is taken too, and stored as the text that it stands for. References are imports: a file is found
by the name it is imported with. Custom options are kept as they are written, and not looked up. Nothing is longer than
a million bytes, messages are nested 32 deep at most, and 256 files imported.
"""
