"""What stands in a message: members, oneofs, reserved numbers; and enums, which stand where messages do."""

from collections.abc import Callable, Iterator
from typing import Final

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FieldDescriptorProto
from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
from google.protobuf.message import Message
from msgspec import Struct

from mainstem.schemas.protobuf.language.fields import Owner, read_field
from mainstem.schemas.protobuf.language.options import decoded, set_option
from mainstem.schemas.protobuf.language.reading import DEPTH, Path, Reading
from mainstem.schemas.protobuf.language.tokens import refused

MAXIMUM_NUMBER: Final = (1 << 29) - 1
MAXIMUM_ENUM: Final = (1 << 31) - 1
MINIMUM_ENUM: Final = -(1 << 31)

_FIELD, _NESTED, _NESTED_ENUM, _NESTED_EXTENSION, _ONEOF, _VALUE = 2, 3, 4, 6, 8, 2


class Extended(Struct, frozen=True):
    """Where the fields of an ``extend`` go, and the messages of its groups; with the paths of both."""

    fields: RepeatedCompositeFieldContainer[FieldDescriptorProto]
    messages: RepeatedCompositeFieldContainer[DescriptorProto]
    path: Path
    message_path: Path


def read_option(reading: Reading, options: Message) -> None:
    """``option java_package = "shop";``."""
    reading.expect("option")
    place = reading.peek().place
    name = reading.option_name()
    reading.expect("=")
    set_option(options, name, reading.option_value(), place)
    reading.expect(";")


def read_message(reading: Reading, message: DescriptorProto, path: Path, syntax: str) -> None:
    """``message Order { string id = 1; }``."""
    first = reading.take()
    name = reading.word("the name of a message")
    reading.mark(path, name, first)
    message.name = name.text
    _read_body(reading, message, path, syntax)


def _read_body(reading: Reading, message: DescriptorProto, path: Path, syntax: str) -> None:
    if len(path) > 2 * DEPTH:
        raise refused(f"messages are nested deeper than {DEPTH}", reading.peek().place)
    owner = Owner(
        syntax=syntax,
        add=message.field.add,
        add_nested=message.nested_type.add,
        path=lambda: (*path, _FIELD, len(message.field) - 1),
        nested_path=lambda: (*path, _NESTED, len(message.nested_type) - 1),
        body=lambda reading, group, path: _read_body(reading, group, path, syntax),
        message=message,
    )
    reading.expect("{")
    while not reading.accept("}"):
        _read_member(reading, message, path, owner)
    _add_synthetic(message)


def _read_member(reading: Reading, message: DescriptorProto, path: Path, owner: Owner) -> None:
    read = _MEMBERS.get(reading.peek().text)
    if read is not None and reading.peek().kind == "word":
        read(reading, message, path, owner)
    elif not reading.accept(";"):
        read_field(reading, owner)


def _read_nested(reading: Reading, message: DescriptorProto, path: Path, owner: Owner) -> None:
    nested = message.nested_type.add()
    read_message(reading, nested, (*path, _NESTED, len(message.nested_type) - 1), owner.syntax)


def _read_nested_enum(reading: Reading, message: DescriptorProto, path: Path, _: Owner) -> None:
    enum = message.enum_type.add()
    read_enum(reading, enum, (*path, _NESTED_ENUM, len(message.enum_type) - 1))


def _read_nested_extend(reading: Reading, message: DescriptorProto, path: Path, owner: Owner) -> None:
    nested = Extended(message.extension, message.nested_type, (*path, _NESTED_EXTENSION), (*path, _NESTED))
    read_extend(reading, owner.syntax, nested)


def _read_message_option(reading: Reading, message: DescriptorProto, _: Path, __: Owner) -> None:
    read_option(reading, message.options)


def _read_oneof(reading: Reading, message: DescriptorProto, path: Path, owner: Owner) -> None:
    first = reading.take()
    name = reading.word("the name of a oneof")
    index = len(message.oneof_decl)
    oneof = message.oneof_decl.add(name=name.text)
    reading.mark((*path, _ONEOF, index), name, first)
    reading.expect("{")
    fields = len(message.field)
    while not reading.accept("}"):
        if reading.at("option"):
            read_option(reading, oneof.options)
        elif not reading.accept(";"):
            read_field(reading, owner, index)
    if len(message.field) == fields:
        raise refused(f"the oneof {name.text} has no fields", name.place)


def _add_synthetic(message: DescriptorProto) -> None:
    """An ``optional`` of proto3 is a oneof of one field, and these come last."""
    taken = {each.name for each in message.field} | {each.name for each in message.oneof_decl}
    for field in message.field:
        if field.proto3_optional:
            name = "_" + field.name if not field.name.startswith("_") else field.name
            while name in taken:
                name = "X" + name
            taken.add(name)
            field.oneof_index = len(message.oneof_decl)
            message.oneof_decl.add(name=name)


def _read_ranges(reading: Reading, low: int, high: int) -> Iterator[tuple[int, int]]:
    """``5``, ``5 to 9`` or ``5 to max``, with commas between several; both ends within."""
    yield _read_range(reading, low, high)
    while reading.accept(","):
        yield _read_range(reading, low, high)


def _read_range(reading: Reading, low: int, high: int) -> tuple[int, int]:
    place = reading.peek().place
    start = end = reading.integer()
    if reading.accept("to"):
        end = high if reading.accept("max") else reading.integer()
    if not low <= start <= end <= high:
        raise refused(f"{start} to {end} is no range of numbers", place, why=f"they go from {low} to {high}")
    return start, end


def _read_extension_ranges(reading: Reading, message: DescriptorProto, _: Path, __: Owner) -> None:
    reading.take()
    first = len(message.extension_range)
    for start, end in _read_ranges(reading, 1, MAXIMUM_NUMBER):
        message.extension_range.add(start=start, end=end + 1)
    for name, value, place in reading.bracketed_options():
        for each in message.extension_range[first:]:
            set_option(each.options, name, value, place)
    reading.expect(";")


def _read_reserved(reading: Reading, message: DescriptorProto, _: Path, __: Owner) -> None:
    reading.take()
    if reading.peek().kind in ("text", "word"):
        message.reserved_name.extend(_read_names(reading))
    else:
        for start, end in _read_ranges(reading, 1, MAXIMUM_NUMBER):
            message.reserved_range.add(start=start, end=end + 1)
    reading.expect(";")


def _read_names(reading: Reading) -> list[str]:
    names = []
    while True:
        names.append(reading.take().text if reading.peek().kind == "word" else decoded(reading.quoted()))
        if not reading.accept(","):
            return names


def read_enum(reading: Reading, enum: EnumDescriptorProto, path: Path) -> None:
    """``enum Colour { RED = 0; }``."""
    first = reading.take()
    name = reading.word("the name of an enum")
    reading.mark(path, name, first)
    enum.name = name.text
    reading.expect("{")
    while not reading.accept("}"):
        if reading.at("option"):
            read_option(reading, enum.options)
        elif reading.at("reserved"):
            _read_reserved_values(reading, enum)
        elif not reading.accept(";"):
            _read_value(reading, enum, (*path, _VALUE, len(enum.value)))
    if not enum.value:
        raise refused(f"the enum {enum.name} has no values", name.place)


def _read_reserved_values(reading: Reading, enum: EnumDescriptorProto) -> None:
    reading.take()
    if reading.peek().kind in ("text", "word"):
        enum.reserved_name.extend(_read_names(reading))
    else:
        for start, end in _read_ranges(reading, MINIMUM_ENUM, MAXIMUM_ENUM):
            enum.reserved_range.add(start=start, end=end)
    reading.expect(";")


def _read_value(reading: Reading, enum: EnumDescriptorProto, path: Path) -> None:
    name = reading.word("the name of a value")
    reading.mark(path, name, name)
    value = enum.value.add(name=name.text)
    reading.expect("=")
    place = reading.peek().place
    number = reading.integer()
    if not MINIMUM_ENUM <= number <= MAXIMUM_ENUM:
        raise refused(f"{number} is no number of an enum", place, why="they have 32 bits")
    value.number = number
    for option, said, place in reading.bracketed_options():
        set_option(value.options, option, said, place)
    reading.expect(";")


def read_extend(reading: Reading, syntax: str, extended: Extended) -> None:
    """``extend google.protobuf.FieldOptions { ... }``."""
    first = reading.take()
    extendee = reading.dotted(leading=True)
    owner = Owner(
        syntax=syntax,
        add=extended.fields.add,
        add_nested=extended.messages.add,
        path=lambda: (*extended.path, len(extended.fields) - 1),
        nested_path=lambda: (*extended.message_path, len(extended.messages) - 1),
        body=lambda reading, group, path: _read_body(reading, group, path, syntax),
    )
    reading.expect("{")
    before = len(extended.fields)
    while not reading.accept("}"):
        if not reading.accept(";"):
            read_field(reading, owner).extendee = extendee
    if len(extended.fields) == before:
        raise refused(f"extend {extendee} adds nothing", first.place)


_MEMBERS: Final[dict[str, Callable[[Reading, DescriptorProto, Path, Owner], None]]] = {
    "message": _read_nested,
    "enum": _read_nested_enum,
    "extend": _read_nested_extend,
    "extensions": _read_extension_ranges,
    "reserved": _read_reserved,
    "option": _read_message_option,
    "oneof": _read_oneof,
}
"""What these words begin, in a message; anything else is a field. So no field's type can be called by one of them."""
