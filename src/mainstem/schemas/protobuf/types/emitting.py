"""The .proto text of a type: proto3, with the types within it nested in its own message."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from mainstem.errors import DefinitionError, SchemaRefused
from mainstem.events import Declaration, retired_in
from mainstem.schemas.annotations import own_words, personal_tags
from mainstem.schemas.documents import Schema
from mainstem.schemas.protobuf.files import linked
from mainstem.schemas.protobuf.types.outlining import outline_of, snake
from mainstem.schemas.protobuf.types.shapes import Choice, Held, Member, Moment, Outline, Record, Scalar

_FORMS: Final = {
    "decimal": "a decimal number, as text",
    "uuid": "a UUID, as text",
    "date": "a date, as text: 2026-11-22",
    "time": "a time of day, as text: 17:30:00",
}
_NO_WORD: Final = re.compile(r"[^A-Za-z0-9_]")


def schema_of(declaration: Declaration) -> Schema:
    """The schema of a declared type: proto3, one message for it, all others within that; the same text each time.

    The namespace is the package. Numbers are those of ``FieldNumber``, never counted. A field with another default than
    zero, or that may be ``None``, is ``optional``: what is not written is read as its default. What is marked
    ``Personal`` stands in the tags of the metadata, by the path of its field. Raises ``DefinitionError`` where a number
    is missing or stands twice, and for what has no form in Protobuf.
    """
    outline = outline_of(declaration)
    schema = Schema(
        text="\n".join(_file(declaration.wire_name, outline)) + "\n",
        format="PROTOBUF",
        metadata=personal_tags(declaration.type),
    )
    try:
        linked(schema, {})
    except SchemaRefused as error:
        raise DefinitionError(
            f"{declaration.type.__name__} is no message: {error.what}",
            where=declaration.label,
            why=error.why,
            remedy=error.remedy or "rename what is in the way",
        ) from error
    return schema


def message_name(wire_name: str) -> str:
    """The full name of the message for a type: its namespace as the package, and its name."""
    words = (_NO_WORD.sub("_", word) for word in wire_name.split(".") if word)
    return ".".join(f"_{word}" if word[0].isdecimal() else word for word in words)


def _file(wire_name: str, outline: Outline) -> Iterator[str]:
    package, _, name = message_name(wire_name).rpartition(".")
    yield 'syntax = "proto3";'
    if package:
        yield ""
        yield f"package {package};"
    moments = {each.held.name for record in outline.records for each in record.fields if isinstance(each.held, Moment)}
    moments |= {
        each.held.name
        for record in outline.records
        for field in record.fields
        for each in field.alternatives
        if isinstance(each.held, Moment)
    }
    if moments:
        yield ""
        yield from (f'import "google/protobuf/{each.lower()}.proto";' for each in sorted(moments))
    yield ""
    yield from _described(outline.root.kind)
    yield f"message {name} {{"
    yield from _indented(_members(outline.root, outline, name))
    for choice in outline.choices:
        yield ""
        yield from _indented(_choice(choice))
    for record in outline.records:
        if record is not outline.root:
            yield ""
            yield from _indented(_described(record.kind))
            yield f"  message {record.name} {{"
            yield from _indented(_indented(_members(record, outline, name)))
            yield "  }"
    yield "}"


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" if line else line for line in lines)


def _described(kind: type[object]) -> Iterator[str]:
    return (f"// {line}".rstrip() for line in own_words(kind).splitlines())


def _members(record: Record, outline: Outline, root: str) -> Iterator[str]:
    kept = retired_in(record.kind)
    if numbers := sorted(each for each in kept if isinstance(each, int)):
        yield f"reserved {', '.join(map(str, numbers))};"
    if names := sorted(each for each in kept if isinstance(each, str)):
        yield "reserved " + ", ".join(f'"{each}"' for each in names) + ";"
    for field in record.fields:
        yield from _member(field, outline, root)


def _member(field: Member, outline: Outline, root: str) -> Iterator[str]:
    if field.label == "oneof":
        yield f"oneof {field.name} {{"
        for each in field.alternatives:
            yield f"  {_type(each.held, outline, root)} {each.name} = {each.number};{_comment(each.held)}"
        yield "}"
        return
    assert field.held is not None
    held, rest = _type(field.held, outline, root), f"{field.name} = {field.number};{_comment(field.held)}"
    if field.label == "map" and field.key is not None:
        yield f"map<{field.key.name}, {held}> {rest}"
    elif field.label == "single":
        yield f"{held} {rest}"
    else:
        yield f"{field.label} {held} {rest}"


def _type(held: Held, outline: Outline, root: str) -> str:
    match held:
        case Scalar():
            return held.name
        case Moment():
            return f".google.protobuf.{held.name}"
        case Choice():
            return held.kind.__name__
        case Record():
            return root if held is outline.root else held.name


def _comment(held: Held) -> str:
    said = _FORMS.get(held.form) if isinstance(held, Scalar) else None
    return f"  // {said}" if said else ""


def _choice(choice: Choice) -> Iterator[str]:
    prefix = snake(choice.kind.__name__).upper()
    yield from _described(choice.kind)
    yield f"enum {choice.kind.__name__} {{"
    if 0 not in choice.numbers.values():
        yield f"  {prefix}_UNSPECIFIED = 0;"
    for name, number in sorted(choice.numbers.items(), key=lambda item: (item[1] != 0, item[1])):
        yield f"  {prefix}_{name} = {number};"
    yield "}"
