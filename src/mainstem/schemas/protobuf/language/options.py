"""Options: those that descriptor.proto declares are read into its messages, and custom ones are kept as written."""

from collections.abc import Mapping
from typing import Final, TypeAlias, cast

from google.protobuf import text_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import FileOptions, UninterpretedOption
from google.protobuf.message import Message
from msgspec import Struct

from mainstem.schemas.protobuf.language.tokens import Place, Token, refused, unquoted

_WHOLE: Final = {
    FieldDescriptor.CPPTYPE_INT32: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, (1 << 32) - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, (1 << 64) - 1),
}


Fields: TypeAlias = Mapping[str, FieldDescriptor]


class Part(Struct, frozen=True):
    """A part of an option's name; one of an extension stands in parentheses."""

    text: str
    extension: bool


class Value(Struct, frozen=True):
    """An option's value as written: one token with its sign, a text of several, or all of an aggregate's."""

    tokens: tuple[Token, ...]
    negative: bool = False

    @property
    def aggregate(self) -> bool:
        """Whether it stands in braces."""
        return self.tokens[0].text == "{"

    @property
    def place(self) -> Place:
        """Where it begins."""
        return self.tokens[0].place

    @property
    def inside(self) -> str:
        """The text between the braces, with single spaces."""
        return " ".join(token.text for token in self.tokens[1:-1])

    def text(self) -> bytes:
        """What the quoted texts stand for, one after the other."""
        if any(token.kind != "text" for token in self.tokens):
            raise refused(f"a text in quotes is expected, and {self.tokens[0].text} stands here", self.place)
        return b"".join(unquoted(token) for token in self.tokens)

    def number(self) -> int | float:
        """The number, as it was written: with a point or without."""
        token = self.tokens[0]
        if token.kind == "integer":
            return -whole(token) if self.negative else whole(token)
        if token.kind == "float" or token.text in ("inf", "nan"):
            return -float(token.text) if self.negative else float(token.text)
        raise refused(f"a number is expected, and {token.text} stands here", self.place)


def whole(token: Token) -> int:
    """A whole number: decimal, octal or hexadecimal."""
    text = token.text
    if len(text) > 25:
        raise refused("the number has too many digits", token.place)
    try:
        return int(text, 16 if text[:2] in ("0x", "0X") else 8 if text[0] == "0" and len(text) > 1 else 10)
    except ValueError as error:
        raise refused(f"{text} is no octal number", token.place) from error


def set_option(options: Message, name: tuple[Part, ...], value: Value, place: Place) -> None:
    """Put one option into the options of a file, message, field or another thing; all of them keep custom ones."""
    if name[0].extension or name[0].text == "uninterpreted_option":
        _keep(cast("FileOptions", options).uninterpreted_option.add(), name, value)
        return
    message = options
    for part in name[:-1]:
        field = _known(message, part, place)
        if field.message_type is None or field.is_repeated:
            raise refused(f"{part.text} has no parts", place)
        message = getattr(message, field.name)
    if name[-1].extension:
        _keep(cast("FileOptions", options).uninterpreted_option.add(), name, value)
        return
    _assign(message, _known(message, name[-1], place), value, place)


def _known(message: Message, part: Part, place: Place) -> FieldDescriptor:
    field = None if part.extension else cast("Fields", message.DESCRIPTOR.fields_by_name).get(part.text)
    if field is None:
        raise refused(
            f"there is no option {part.text}",
            place,
            why=f"google/protobuf/descriptor.proto declares none of this name in {message.DESCRIPTOR.name}",
            remedy="write the name of a custom option in parentheses",
        )
    return field


def _assign(message: Message, field: FieldDescriptor, value: Value, place: Place) -> None:
    if not field.is_repeated and message.HasField(field.name):
        raise refused(f"the option {field.name} is set twice", place)
    if field.message_type is not None:
        _aggregate(message, field, value)
    elif field.is_repeated:
        getattr(message, field.name).append(_scalar(field, value))
    else:
        setattr(message, field.name, _scalar(field, value))


def _aggregate(message: Message, field: FieldDescriptor, value: Value) -> None:
    if not value.aggregate:
        raise refused(f"{field.name} takes a value in braces", value.place)
    into = getattr(message, field.name)
    try:
        text_format.Parse(value.inside, into.add() if field.is_repeated else into)
    except (text_format.ParseError, UnicodeError, RecursionError) as error:
        raise refused(f"the value of {field.name} cannot be read: {error}", value.place) from error
    if not field.is_repeated:
        into.SetInParent()


def _scalar(field: FieldDescriptor, value: Value) -> object:
    token = value.tokens[0]
    if field.enum_type is not None:
        number = field.enum_type.values_by_name.get(token.text)
        if number is None or value.negative:
            names = ", ".join(field.enum_type.values_by_name)
            raise refused(f"{field.name} is one of {names}, not {token.text}", value.place)
        return number.number
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        if token.text not in ("true", "false"):
            raise refused(f"{field.name} is true or false, not {token.text}", value.place)
        return token.text == "true"
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return decoded(value)
    low, high = _WHOLE[field.cpp_type]
    number_ = value.number()
    if not isinstance(number_, int) or not low <= number_ <= high:
        raise refused(f"{field.name} is a whole number from {low} to {high}", value.place)
    return number_


def decoded(value: Value) -> str:
    """A value that is a text."""
    try:
        return value.text().decode()
    except UnicodeDecodeError as error:
        raise refused("a text in quotes is not UTF-8", value.place) from error


def _keep(option: UninterpretedOption, name: tuple[Part, ...], value: Value) -> None:
    for part in name:
        option.name.add(name_part=part.text, is_extension=part.extension)
    token = value.tokens[0]
    if value.aggregate:
        option.aggregate_value = value.inside
    elif token.kind == "text":
        option.string_value = value.text()
    elif token.kind == "word" and not value.negative:
        option.identifier_value = token.text
    else:
        _keep_number(option, value)


def _keep_number(option: UninterpretedOption, value: Value) -> None:
    number = value.number()
    if isinstance(number, float):
        option.double_value = number
    elif not -(1 << 63) <= number < 1 << 64:
        option.double_value = float(number)
    elif number < 0:
        option.negative_int_value = number
    else:
        option.positive_int_value = number
