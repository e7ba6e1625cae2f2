"""What makes sense in a file, beyond its grammar: numbers, reserved ones, and what each syntax has."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

from mainstem.schemas.protobuf.language.names import Places, enums_in, extensions_in, messages_in
from mainstem.schemas.protobuf.language.reading import Path
from mainstem.schemas.protobuf.language.tokens import refused

INTERNAL_NUMBERS: Final = range(19_000, 20_000)
OPTIONS: Final = ".google.protobuf."


def check_file(file: FileDescriptorProto, places: Places) -> None:
    """Raise ``SchemaRefused`` with its place for the first thing that makes no sense. Types are known by then."""
    for name, message, path in messages_in(file):
        if not message.options.map_entry:
            _check_ranges(name, message, path, places)
            _check_fields(name, message, path, places)
            _check_json_names(file, message, path, places)
        _check_syntax(file, name, message, path, places)
    for name, enum, path in enums_in(file):
        _check_enum(file, name, enum, path, places)
    for name, field, path in extensions_in(file):
        _check_internal(name, field, path, places)
        if file.syntax == "proto3" and not field.extendee.startswith(OPTIONS):
            raise refused(f"{name[1:]} extends {field.extendee[1:]}", places.of(path), why=_ONLY_OPTIONS)


_ONLY_OPTIONS: Final = "in proto3 only options can be extended"


def _check_ranges(name: str, message: DescriptorProto, path: Path, places: Places) -> None:
    ranges = [(each.start, each.end) for each in message.reserved_range]
    ranges += [(each.start, each.end) for each in message.extension_range]
    for one, other in pairwise(sorted(ranges)):
        if other[0] < one[1]:
            raise refused(
                f"{name[1:]} reserves {other[0]} twice, or for extensions too",
                places.of(path),
                remedy="let the ranges not overlap",
            )
    if len(set(message.reserved_name)) < len(message.reserved_name):
        raise refused(f"{name[1:]} reserves a name twice", places.of(path))


def _check_fields(name: str, message: DescriptorProto, path: Path, places: Places) -> None:
    numbers: dict[int, str] = {}
    reserved_names = set(message.reserved_name)
    for index, field in enumerate(message.field):
        at = (*path, 2, index)
        _check_internal(f"{name}.{field.name}", field, at, places)
        if field.number in numbers:
            raise refused(
                f"the fields {numbers[field.number]} and {field.name} of {name[1:]} have the number {field.number}",
                places.of(at),
                remedy="give one of them a number that was never used",
            )
        numbers[field.number] = field.name
        if field.name in reserved_names:
            raise refused(f"the name {field.name} is reserved in {name[1:]}", places.of(at), remedy="take another name")
    ends = [(each.start, each.end, "reserved") for each in message.reserved_range]
    ends += [(each.start, each.end, "kept for extensions") for each in message.extension_range]
    for number, start, said in _inside(sorted(numbers), sorted(ends)):
        index = next(index for index, field in enumerate(message.field) if field.number == number)
        raise refused(
            f"the number {number} of {numbers[number]} is {said} in {name[1:]}, from {start}",
            places.of((*path, 2, index)),
            why="it was used before, and old readers would mistake it" if said == "reserved" else "",
            remedy="take another number",
        )


def _inside(numbers: list[int], ranges: list[tuple[int, int, str]]) -> Iterator[tuple[int, int, str]]:
    """The numbers that lie in a range; both are sorted, so this takes one pass."""
    index = 0
    for number in numbers:
        while index < len(ranges) and ranges[index][1] <= number:
            index += 1
        if index < len(ranges) and ranges[index][0] <= number:
            yield number, ranges[index][0], ranges[index][2]


def _check_internal(name: str, field: FieldDescriptorProto, path: Path, places: Places) -> None:
    if field.number in INTERNAL_NUMBERS:
        raise refused(
            f"{name[1:]} has the number {field.number}",
            places.of(path),
            why="19000 to 19999 are for Protobuf itself",
            remedy="take another number",
        )


def json_name(field: str) -> str:
    """The name of a field in JSON where none is stated: ``customerId`` for ``customer_id``."""
    first, *others = field.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in others)


def _check_json_names(file: FileDescriptorProto, message: DescriptorProto, path: Path, places: Places) -> None:
    names: dict[str, str] = {}
    for index, field in enumerate(message.field):
        name = field.json_name or json_name(field.name)
        if file.syntax != "proto2" and name in names:
            raise refused(
                f"the fields {names[name]} and {field.name} of {message.name} are both {name} in JSON",
                places.of((*path, 2, index)),
                remedy="rename one of them",
            )
        names[name] = field.name


def _check_syntax(file: FileDescriptorProto, name: str, message: DescriptorProto, path: Path, places: Places) -> None:
    if file.syntax != "proto3":
        return
    if message.extension_range:
        raise refused(f"{name[1:]} has numbers for extensions", places.of(path), why=_ONLY_OPTIONS)
    if message.options.message_set_wire_format:
        raise refused(f"{name[1:]} is a message set", places.of(path), why="proto3 has none")
    for index, field in enumerate(message.field):
        if field.HasField("default_value"):
            raise refused(
                f"{name[1:]}.{field.name} has a default",
                places.of((*path, 2, index)),
                why="in proto3 the default of a field is that of its type",
                remedy="make it optional, and let the reader decide",
            )


def _check_enum(file: FileDescriptorProto, name: str, enum: EnumDescriptorProto, path: Path, places: Places) -> None:
    if file.syntax == "proto3" and enum.value[0].number != 0:
        raise refused(
            f"the first value of {name[1:]} is {enum.value[0].number}",
            places.of((*path, 2, 0)),
            why="in proto3 it is 0: what a reader finds where nothing was written",
            remedy=f"begin with a value such as {enum.name.upper()}_UNSPECIFIED = 0",
        )
    numbers: dict[int, str] = {}
    reserved = sorted((each.start, each.end + 1, "") for each in enum.reserved_range)
    for index, value in enumerate(enum.value):
        if value.number in numbers and not enum.options.allow_alias:
            raise refused(
                f"{numbers[value.number]} and {value.name} of {name[1:]} are both {value.number}",
                places.of((*path, 2, index)),
                remedy="change one of them, or say option allow_alias = true;",
            )
        numbers[value.number] = value.name
        if value.name in enum.reserved_name:
            raise refused(f"the name {value.name} is reserved in {name[1:]}", places.of((*path, 2, index)))
    for number, _, _ in _inside(sorted(numbers), reserved):
        raise refused(f"the number {number} of {numbers[number]} is reserved in {name[1:]}", places.of(path))
