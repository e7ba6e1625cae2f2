"""The formats of schemas: for each its grammar and its differ, loaded when one is used."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Final, NamedTuple, TypeAlias, cast, get_args

from msgspec.structs import replace

from mainstem.errors import DefinitionError
from mainstem.events import Declaration
from mainstem.schemas.compatibility import Differ, Difference, Fields, Level, Policy, comparisons, concerned
from mainstem.schemas.documents import Format, Grammar, Resolved, Schema

FORMATS: Final[tuple[Format, ...]] = get_args(Format)
FORMAT_OF: Final[Mapping[str, Format]] = {"avro": "AVRO", "json": "JSON", "protobuf": "PROTOBUF"}
"""By what the class line of an event says."""

_ROOMS: Final[Mapping[Format, str]] = {
    "AVRO": "mainstem.schemas.avro",
    "JSON": "mainstem.schemas.jsonschema",
    "PROTOBUF": "mainstem.schemas.protobuf",
}
_EXTRAS: Final[Mapping[Format, str]] = {"AVRO": "avro", "JSON": "registry", "PROTOBUF": "protobuf"}

_FORMS: Final[Mapping[tuple[Format, str], str]] = {
    ("AVRO", "resolved"): "inlined",
    ("PROTOBUF", "serialized"): "serialized",
}

_PAIRS_MOST: Final = 20_000
"""So many pairs are remembered of which one can read the other: the versions of a few subjects that have thousands."""


PlainReading: TypeAlias = Callable[[Schema, Resolved, tuple[int, ...]], Callable[[bytes], object]]


class Linked(NamedTuple):
    """A schema with everything that it refers to."""

    schema: Schema
    resolved: Resolved


class Loss(NamedTuple):
    """Something that a reader misses or cannot read, and of which of its fields; of none where it is the whole."""

    fields: tuple[str, ...]
    difference: Difference


class Finding(NamedTuple):
    """A difference that the level does not allow, and which of the earlier schemas it is to, counted from 0.

    ``reads`` says that the new schema is the reader.
    """

    earlier: int
    reads: bool
    difference: Difference


def grammar_of(kind: Format) -> Grammar:
    """The rules of a format. Raises DefinitionError where what it needs is not installed."""
    return cast("Grammar", _loaded(kind, "GRAMMAR"))


def differ_of(kind: Format) -> Differ:
    """What compares two schemas of a format. Raises DefinitionError where what it needs is not installed."""
    return cast("Differ", _loaded(kind, "differences"))


def offered(declaration: Declaration, name: str) -> object:
    """What the format of a declared type has under this name; every format has the same ones.

    Raises DefinitionError where what the format needs is not installed.
    """
    return _loaded(FORMAT_OF[declaration.format], name)


def schema_of(declaration: Declaration) -> Schema:
    """The schema of a declared type in the format of its payload; the same text for the same type every time.

    Raises DefinitionError for a type that has none, and where what its format needs is not installed.
    """
    emit = cast("Callable[[Declaration], Schema]", offered(declaration, "schema_of"))
    return emit(declaration)


def fields_of(schema: Schema) -> Fields:
    """The fields that a schema names, each with its place. Raises SchemaRefused for what is no schema.

    Also raises DefinitionError where what the format needs is not installed.
    """
    return cast("Callable[[Schema], Fields]", _loaded(schema.format, "fields_of"))(schema)


def instances_of(schema: Schema) -> list[object]:
    """Some instances of a schema, as plain data; only for JSON are any made. Raises as :func:`fields_of` does."""
    if schema.format != "JSON":
        return []
    return cast("Callable[[Schema], list[object]]", _loaded(schema.format, "instances_of"))(schema)


def plain_reading(linked: Linked, indexes: tuple[int, ...] = ()) -> Callable[[bytes], object]:
    """What makes plain data of what was written with a schema, by no type of ours.

    ``indexes`` is the way to a message in the file of a Protobuf schema. Raises SchemaRefused for what is no schema,
    and DefinitionError where what the format needs is not installed; what is given, anything for other bytes.
    """
    make = cast("PlainReading", _loaded(linked.schema.format, "plain_reading"))
    return make(linked.schema, linked.resolved, indexes)


def compare(level: Level, policy: Policy, new: Linked, earlier: Sequence[Linked]) -> list[Finding]:
    """Why ``new`` may not follow the ``earlier`` ones at a level: nothing when it may. The newest pair comes first.

    A schema of another format than an earlier one that counts may not. Raises
    :class:`~mainstem.errors.SchemaRefused` where one of them is no schema.
    """
    found: list[Finding] = []
    # An object of its own, so that it is told from an earlier one that is the same, but for what its references mean.
    asked = replace(new.schema)
    digest, digests = _digest(new), [_digest(each) for each in earlier]
    for index, writer, reader in comparisons(level, asked, [each.schema for each in earlier]):
        before = earlier[index]
        if before.schema.format != new.schema.format:
            found.append(Finding(index, reader is asked, _other_format(writer, reader)))
            continue
        written, read = (new, before) if writer is asked else (before, new)
        known = _known((digest, digests[index]) if writer is asked else (digests[index], digest), policy)
        if known:
            continue
        links = (written.resolved, read.resolved)
        differences = differ_of(new.schema.format)(writer, reader, links, policy).differences
        found += (Finding(index, reader is asked, each) for each in differences)
        if not differences:
            known.append(True)
    return found


def losses(writer: Schema, reader: Schema) -> list[Loss]:
    """What a handler with one form would miss or could not read of events in another; nothing where it reads them all.

    Raises as :func:`fields_of` does, also where one of the two is in parts.
    """
    if writer.format != reader.format:
        return [Loss((), _other_format(writer, reader))]
    found = differ_of(reader.format)(writer, reader, ({}, {}), "LENIENT").differences
    # A message within another one never comes alone: who passes over the field that has it, does not miss it.
    found = tuple(each for each in found if each.rule != "MESSAGE_REMOVED" or "." not in each.path)
    fields = fields_of(reader) if found else {}
    return [Loss(concerned(each, fields), each) for each in found]


def formatted(linked: Linked, wanted: str) -> str:
    """The text of a schema in another form; one that is not known says nothing.

    ``resolved`` has everything in it that an Avro schema refers to, ``serialized`` is the descriptor of a Protobuf one.
    """
    schema = linked.schema
    name = _FORMS.get((schema.format, wanted))
    if name is None:
        return schema.text
    return cast("Callable[[Schema, Resolved], str]", _loaded(schema.format, name))(schema, linked.resolved)


def _digest(linked: Linked) -> bytes:
    # What is no schema may be no text in UTF-8 either: that is for the differ to say.
    return hashlib.sha256(repr(linked).encode()).digest()


@lru_cache(maxsize=_PAIRS_MOST)
def _known(writer_and_reader: tuple[bytes, bytes], policy: Policy) -> list[bool]:  # noqa: ARG001 - what it is known of
    """Whether it is known that one reads the other: with something in it, it is. So asking again goes on, and ends."""
    return []


def _other_format(writer: Schema, reader: Schema) -> Difference:
    return Difference(
        path="",
        rule="format-changed",
        message=f"what is written as {writer.format} cannot be read as {reader.format}",
        writer=writer.format,
        reader=reader.format,
    )


def _loaded(kind: Format, name: str) -> object:
    try:
        return getattr(import_module(_ROOMS[kind]), name)
    except ModuleNotFoundError as error:
        raise DefinitionError(
            f"schemas in {kind} cannot be read here",
            why=str(error),
            remedy=f"pip install 'mainstem[{_EXTRAS[kind]}]'",
        ) from error
