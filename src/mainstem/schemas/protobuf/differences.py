"""Whether a message that one schema describes can be read as the other describes it.

What counts is the bytes, in one direction: what a reader does not know it passes over, and what it does not find has
its default. So fields may come and go, and change their names; what may not change is what a number means.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor
from msgspec.structs import replace

from mainstem.schemas.compatibility import Difference, Policy, Verdict
from mainstem.schemas.documents import Resolved, Schema
from mainstem.schemas.protobuf.enums import enum_differences
from mainstem.schemas.protobuf.files import linked
from mainstem.schemas.protobuf.kinds import (
    changed,
    entry_of,
    enum_of,
    is_packable,
    kind_of,
    message_of,
    same_bytes,
    sample,
    spelled,
    type_name,
)
from mainstem.schemas.protobuf.oneofs import oneof_differences
from mainstem.schemas.protobuf.ranges import reserved_numbers

_INTEGERS: Final = ("int32", "uint32", "int64", "uint64")


def differences(writer: Schema, reader: Schema, resolved: tuple[Resolved, Resolved], policy: Policy) -> Verdict:  # noqa: ARG001 - a Differ; Protobuf knows no open and closed models
    """Whether ``reader`` reads what ``writer`` writes: every message of the writer's file, in Protobuf's binary form.

    Raises :class:`~mainstem.errors.SchemaRefused` where one of them is no schema.
    """
    written, read = linked(writer, resolved[0]), linked(reader, resolved[1])
    return Verdict(tuple(_Comparison(written.descriptor, read.descriptor).all()))


def _messages_in(messages: Iterator[Descriptor]) -> Iterator[Descriptor]:
    waiting = list(messages)[::-1]
    while waiting:
        message = waiting.pop()
        if not message.GetOptions().map_entry:
            yield message
            waiting += list(message.nested_types)[::-1]


class _Comparison:
    """Two files. A pair of messages is compared once, so that those that contain themselves come to an end."""

    def __init__(self, writer: FileDescriptor, reader: FileDescriptor) -> None:
        self._writer = writer
        self._reader = reader
        self._readers = {_short(each, reader): each for each in _messages_of(reader)}
        self._seen: set[tuple[str, str]] = set()
        self._waiting: deque[tuple[Descriptor, Descriptor]] = deque()

    def all(self) -> Iterator[Difference]:
        """Every difference that matters, in the order of the writer's file."""
        for message in _messages_in(iter(self._writer.message_types_by_name.values())):
            name = _short(message, self._writer)
            other = self._readers.get(name) or self._imported(message)
            if other is not None:
                self._waiting.append((message, other))
            elif message.containing_type is None or _short(message.containing_type, self._writer) in self._readers:
                yield Difference(
                    name,
                    "MESSAGE_REMOVED",
                    f"the message {name} is not there: who finds one in a topic cannot read it",
                    writer=str(message.full_name),
                    counterexample=f"{name} {{ }}",
                )
        while self._waiting:
            written, read = self._waiting.popleft()
            if (key := (str(written.full_name), str(read.full_name))) not in self._seen:
                self._seen.add(key)
                name = _short(written, self._writer)
                yield from _within(name, self._messages(written, read, name))

    def _imported(self, message: Descriptor) -> Descriptor | None:
        """A message that has moved to a file of the same package, which the reader imports."""
        try:
            found: Descriptor = self._reader.pool.FindMessageTypeByName(message.full_name)
        except KeyError:
            return None
        return found

    def _messages(self, writer: Descriptor, reader: Descriptor, path: str) -> Iterator[Difference]:
        known = {each.number: each for each in reader.fields}
        for field in writer.fields:
            if field.number in known:
                yield from self._fields(field, known[field.number], f"{path}.{field.name}")
        yield from _renumbered([each for each in writer.fields if each.number not in known], writer, reader, path)
        written = {each.number: each for each in writer.fields}
        for field in reader.fields:
            was = written.get(field.number)
            if field.is_required and (was is None or not was.is_required):
                yield Difference(
                    f"{path}.{field.name}",
                    "REQUIRED_FIELD_ADDED",
                    f"{field.name} is required, and a {path} can be written without it",
                    writer=spelled(was) if was is not None else None,
                    reader=spelled(field),
                    counterexample="",
                )
        yield from oneof_differences(writer, reader, path)

    def _fields(self, writer: FieldDescriptor, reader: FieldDescriptor, path: str) -> Iterator[Difference]:
        kinds = (kind_of(writer), kind_of(reader))
        if kinds == ("map", "map"):
            for one, other, name in zip(entry_of(writer), entry_of(reader), ("key", "value"), strict=True):
                yield from _within(str(writer.name), self._fields(one, other, f"{path}.{name}"))
            return
        if not _readable_kind(kinds, writer, reader):
            yield changed("FIELD_KIND_CHANGED", path, writer, reader)
            return
        if kinds[0] == kinds[1] == "scalar" and not same_bytes(type_name(writer), type_name(reader)):
            yield changed("FIELD_SCALAR_KIND_CHANGED", path, writer, reader)
        elif kinds[0] in ("message", "group"):
            yield from self._named(writer, reader, path)
        elif kinds == ("enum", "enum"):
            yield from self._enums(writer, reader, path)
        if writer.is_repeated != reader.is_repeated and (is_packable(writer) or is_packable(reader)):
            yield changed("FIELD_NUMERIC_LABEL_CHANGED", path, writer, reader)

    def _named(self, writer: FieldDescriptor, reader: FieldDescriptor, path: str) -> Iterator[Difference]:
        if self._same_name(message_of(writer), message_of(reader)):
            self._waiting.append((message_of(writer), message_of(reader)))
        else:
            yield changed("FIELD_NAMED_TYPE_CHANGED", path, writer, reader)

    def _enums(self, writer: FieldDescriptor, reader: FieldDescriptor, path: str) -> Iterator[Difference]:
        one, other = enum_of(writer), enum_of(reader)
        if (key := (str(one.full_name), str(other.full_name))) not in self._seen:
            self._seen.add(key)
            yield from enum_differences(writer, reader, path, same_name=self._same_name(one, other))

    def _same_name(self, writer: Descriptor | EnumDescriptor, reader: Descriptor | EnumDescriptor) -> bool:
        return writer.full_name == reader.full_name or _short(writer, self._writer) == _short(reader, self._reader)


def _messages_of(file: FileDescriptor) -> Iterator[Descriptor]:
    return _messages_in(iter(file.message_types_by_name.values()))


def _short(named: Descriptor | EnumDescriptor | None, file: FileDescriptor) -> str:
    """A name without the package of its file, so that a package may change; in full where another file declares it."""
    name = str(named.full_name) if named is not None else ""
    if named is not None and named.file.name == file.name and file.package:
        return name.removeprefix(f"{file.package}.")
    return name


def _readable_kind(kinds: tuple[str, str], writer: FieldDescriptor, reader: FieldDescriptor) -> bool:
    if kinds[0] == kinds[1]:
        return True
    if kinds == ("enum", "scalar"):
        return type_name(reader) in _INTEGERS
    return kinds == ("scalar", "enum") and type_name(writer) in _INTEGERS and not enum_of(reader).is_closed


def _within(name: str, found: Iterator[Difference]) -> Iterator[Difference]:
    """Differences in a message or an entry of a map, their counterexamples put into it."""
    return (replace(each, counterexample=f"{name} {{ {each.counterexample} }}") for each in found)


def _renumbered(gone: list[FieldDescriptor], writer: Descriptor, reader: Descriptor, path: str) -> Iterator[Difference]:
    """Fields of a writer that a reader has under another number, which nobody has taken out of use."""
    moved = [(field, other) for field in gone if (other := reader.fields_by_name.get(field.name)) is not None]
    if not moved:
        return
    kept, was_kept = reserved_numbers(reader), reserved_numbers(writer)
    for field, other in moved:
        if field.number in kept or other.number in was_kept:
            continue
        yield Difference(
            f"{path}.{field.name}",
            "FIELD_NUMBER_CHANGED",
            f"{field.name} is written as number {field.number}, and read from number {other.number}: it gets lost",
            writer=field.number,
            reader=other.number,
            counterexample=sample(field),
        )
