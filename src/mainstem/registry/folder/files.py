"""What stands in the files of a folder: an index for each context, one for each subject, and the texts."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from mainstem.registry.contents import DEFAULT, LARGEST_NUMBER, Config, Mode
from mainstem.registry.folder.faults import UNREADABLE
from mainstem.schemas.documents import NO_REFERENCES, Format, Metadata, Reference, RuleSet, Schema

FORMAT: Final = 1
"""Of the files, as it stands in each index: another one belongs to another version of this library."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class Index(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A context: what is configured for it, and every id that it has given out, with the GUID of its content."""

    format: Annotated[int, Meta(ge=FORMAT, le=FORMAT)]
    context: str = DEFAULT
    mode: Mode | None = None
    config: Config | None = None
    ids: dict[str, str] = {}


class Entry(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """A version of a subject; its text stands in a file of its own."""

    version: Annotated[int, Meta(ge=1, le=LARGEST_NUMBER)]
    id: int
    format: Format
    registered: Annotated[datetime, Meta(tz=True)]
    deleted: bool = False
    references: tuple[Reference, ...] = NO_REFERENCES
    metadata: Metadata | None = None
    rule_set: RuleSet | None = None

    @property
    def timestamp_ms(self) -> int:
        """When it was registered."""
        return (self.registered - _EPOCH) // _MILLISECOND

    def schema(self, text: str) -> Schema:
        """The schema, with its text."""
        return Schema(text, self.format, self.references, self.metadata, self.rule_set)


class Subject(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A subject. ``last`` is the highest number that was given out, where that is none of the versions."""

    subject: str
    mode: Mode | None = None
    config: Config | None = None
    last: int | None = None
    versions: tuple[Entry, ...] = ()


def moment(timestamp_ms: int) -> datetime:
    """A time as it is written."""
    return _EPOCH + timestamp_ms * _MILLISECOND


def document(value: Index | Subject) -> bytes:
    """A file, so that whoever compares two of them sees a version as a few lines."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def set_out(schema: Schema) -> bytes:
    """The file of a schema's text: JSON is set out in lines, if it can be read back from them as it was."""
    plain = schema.text.encode()
    if schema.format == "PROTOBUF":
        return plain
    try:
        shown = msgspec.json.format(plain, indent=2)
    except UNREADABLE:
        return plain
    return shown + b"\n" if schema.text in texts(shown, schema.format) else plain


def texts(file: bytes, kind: Format) -> list[str]:
    """What a file may say: JSON without what sets it out in lines, or else all of it."""
    plain = file.decode(errors="replace").replace("\r\n", "\n")
    if kind == "PROTOBUF":
        return [plain]
    try:
        return [msgspec.json.format(file, indent=-1).decode(), plain]
    except UNREADABLE:
        return [plain]
