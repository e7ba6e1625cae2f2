"""Fields, maps, groups, oneofs and extensions of a message, from tokens to their descriptors."""

from collections.abc import Callable
from typing import Final

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto
from msgspec import Struct

from mainstem.schemas.protobuf.language.options import Value, decoded, set_option
from mainstem.schemas.protobuf.language.reading import Path, Reading
from mainstem.schemas.protobuf.language.tokens import Place, Token, refused

SCALARS: Final = {
    name.removeprefix("TYPE_").lower(): number
    for name, number in FieldDescriptorProto.Type.items()
    if name not in ("TYPE_GROUP", "TYPE_MESSAGE", "TYPE_ENUM")
}
LABELS: Final = {
    "optional": FieldDescriptorProto.LABEL_OPTIONAL,
    "required": FieldDescriptorProto.LABEL_REQUIRED,
    "repeated": FieldDescriptorProto.LABEL_REPEATED,
}
MAP_KEYS: Final = frozenset(SCALARS) - {"double", "float", "bytes"}
_FLOATS: Final = (FieldDescriptorProto.TYPE_DOUBLE, FieldDescriptorProto.TYPE_FLOAT)


class Owner(Struct, frozen=True):
    """What fields are read into: where they go, where the messages of groups and maps go, and their paths.

    ``message`` is the one that they are fields of; there is none for extensions.
    """

    syntax: str
    add: Callable[[], FieldDescriptorProto]
    add_nested: Callable[[], DescriptorProto]
    path: Callable[[], Path]
    nested_path: Callable[[], Path]
    body: Callable[[Reading, DescriptorProto, Path], None]
    message: DescriptorProto | None = None


def read_field(reading: Reading, owner: Owner, oneof: int | None = None) -> FieldDescriptorProto:
    """One field, with or without a label, of any type."""
    first = reading.peek()
    label = _read_label(reading, oneof)
    if reading.at("map") and reading.peek(1).text == "<":
        if label or oneof is not None:
            raise refused("a map cannot stand here" if label is None else f"a map cannot be {label}", first.place)
        return _read_map(reading, owner, first)
    if reading.at("group") and reading.peek(1).kind == "word" and reading.peek(2).text == "=":
        return _read_group(reading, owner, label, oneof)
    _check_label(owner, label, oneof, reading.peek())
    field = owner.add()
    path = owner.path()
    field.label = LABELS[label or "optional"]
    _read_type(reading, field)
    name = reading.word("the name of a field")
    reading.mark(path, name, first)
    field.name = name.text
    _read_number(reading, field)
    if oneof is not None:
        field.oneof_index = oneof
    field.proto3_optional = label == "optional" and owner.syntax == "proto3" and owner.message is not None
    if not field.proto3_optional:
        field.ClearField("proto3_optional")
    read_field_options(reading, field)
    reading.expect(";")
    return field


def _read_label(reading: Reading, oneof: int | None) -> str | None:
    label = None
    if reading.at(*LABELS):
        if oneof is not None:
            raise refused(f"a field of a oneof cannot be {reading.peek().text}", reading.peek().place)
        label = reading.take().text
    if reading.peek().kind != "word" and not reading.at("."):
        raise reading.unexpected("a field")
    return label


def _check_label(owner: Owner, label: str | None, oneof: int | None, at: Token) -> None:
    if label is None and oneof is None and owner.syntax == "proto2":
        raise refused(
            "a field of proto2 says whether it is optional, required or repeated",
            at.place,
            remedy='write one of them, or syntax = "proto3"; at the top',
        )
    if label == "required" and owner.syntax != "proto2":
        remedy = "write features.field_presence = LEGACY_REQUIRED" if owner.syntax == "editions" else "leave it out"
        raise refused(f"there is no required in {owner.syntax}", at.place, remedy=remedy)
    if label == "optional" and owner.syntax == "editions":
        raise refused("there is no optional in editions", at.place, remedy="leave it out: every field knows presence")


def _read_type(reading: Reading, field: FieldDescriptorProto) -> None:
    token = reading.peek()
    if token.text in SCALARS and reading.peek(1).text != ".":
        reading.take()
        field.type = SCALARS[token.text]
    else:
        field.type_name = reading.dotted(leading=True)


def _read_number(reading: Reading, field: FieldDescriptorProto) -> None:
    reading.expect("=")
    place = reading.peek().place
    number = reading.integer()
    if not 0 < number < 1 << 29:
        raise refused(
            f"{number} is no field number", place, why="the numbers of fields go from 1 to 536870911", remedy="take one"
        )
    field.number = number


def _read_map(reading: Reading, owner: Owner, first: Token) -> FieldDescriptorProto:
    reading.take()
    reading.expect("<")
    key = reading.word("the type of the keys")
    if key.text not in MAP_KEYS:
        raise refused(
            f"{key.text} cannot be the key of a map", key.place, remedy="take a whole number, bool or string as key"
        )
    reading.expect(",")
    field, entry = owner.add(), owner.add_nested()
    field.label = FieldDescriptorProto.LABEL_REPEATED
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=FieldDescriptorProto.LABEL_OPTIONAL, type=SCALARS[key.text])
    value = entry.field.add(name="value", number=2, label=FieldDescriptorProto.LABEL_OPTIONAL)
    _read_type(reading, value)
    reading.expect(">")
    name = reading.word("the name of a field")
    reading.mark(owner.path(), name, first)
    reading.mark(owner.nested_path(), name, name)
    field.name = name.text
    field.type_name = entry.name = entry_name(name.text)
    _read_number(reading, field)
    read_field_options(reading, field)
    reading.expect(";")
    return field


def entry_name(field: str) -> str:
    """The message that stands for the entries of a map: ``ItemsByNameEntry`` for ``items_by_name``."""
    return "".join(part[:1].upper() + part[1:] for part in field.split("_")) + "Entry"


def _read_group(reading: Reading, owner: Owner, label: str | None, oneof: int | None) -> FieldDescriptorProto:
    first = reading.take()
    if owner.syntax != "proto2":
        raise refused(f"there are no groups in {owner.syntax}", first.place, remedy="use a message")
    _check_label(owner, label, oneof, first)
    name = reading.word("the name of a group")
    if not name.text[0].isupper():
        raise refused(f"the group {name.text} does not begin with a capital letter", name.place)
    field, group = owner.add(), owner.add_nested()
    reading.mark(owner.path(), name, first)
    reading.mark(owner.nested_path(), name, name)
    field.name, field.type_name, group.name = name.text.lower(), name.text, name.text
    field.type = FieldDescriptorProto.TYPE_GROUP
    field.label = LABELS[label or "optional"]
    if oneof is not None:
        field.oneof_index = oneof
    _read_number(reading, field)
    read_field_options(reading, field)
    owner.body(reading, group, owner.nested_path())
    return field


def read_field_options(reading: Reading, field: FieldDescriptorProto) -> None:
    """``[deprecated = true, (my.option) = 3]``, with ``default`` and ``json_name``, which are none."""
    for name, value, place in reading.bracketed_options():
        if len(name) == 1 and not name[0].extension and name[0].text in ("default", "json_name"):
            _set_own(field, name[0].text, value, place)
        else:
            set_option(field.options, name, value, place)


def _set_own(field: FieldDescriptorProto, name: str, value: Value, place: Place) -> None:
    if field.HasField("default_value" if name == "default" else "json_name"):
        raise refused(f"{name} is set twice", place)
    if name == "json_name":
        field.json_name = decoded(value)
    else:
        field.default_value = _default(field, value)


def _default(field: FieldDescriptorProto, value: Value) -> str:
    if field.label == FieldDescriptorProto.LABEL_REPEATED:
        raise refused("a repeated field has no default", value.place)
    if not field.HasField("type"):
        return _named_default(value)
    if field.type == FieldDescriptorProto.TYPE_BOOL:
        return _named_default(value, ("true", "false"))
    if field.type == FieldDescriptorProto.TYPE_STRING:
        return decoded(value)
    if field.type == FieldDescriptorProto.TYPE_BYTES:
        return escaped(value.text())
    number = value.number()
    if field.type in _FLOATS:
        return float_text(float(number))
    if not isinstance(number, int):
        raise refused(f"the default of {field.name} is a whole number", value.place)
    return str(number)


def _named_default(value: Value, names: tuple[str, ...] = ()) -> str:
    token = value.tokens[0]
    if token.kind != "word" or value.negative or (names and token.text not in names):
        raise refused(f"{token.text} is no value of this field", value.place)
    return token.text


def float_text(number: float) -> str:
    """A number as protoc writes it: the shortest text that is read as the same one."""
    text = repr(number)
    return text.removesuffix(".0") if "e" not in text else text


def escaped(raw: bytes) -> str:
    """Bytes as the inside of a text in quotes."""
    named = {9: "\\t", 10: "\\n", 13: "\\r", 34: '\\"', 39: "\\'", 92: "\\\\"}
    return "".join(named.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}") for byte in raw)
