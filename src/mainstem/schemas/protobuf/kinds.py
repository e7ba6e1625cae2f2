"""What kinds of fields there are, and which of them the bytes of one are good for."""

from typing import Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from mainstem.schemas.compatibility import Difference

_GROUPS: Final[tuple[tuple[str, ...], ...]] = (
    ("int32", "uint32", "int64", "uint64", "bool"),
    ("sint32", "sint64"),
    ("fixed32", "sfixed32"),
    ("fixed64", "sfixed64"),
    ("float",),
    ("double",),
    ("string",),
    ("bytes",),
)
"""Scalars with the same form in bytes, as the documentation of Protobuf lists them under "Updating a message type"."""

_GROUP_OF: Final = {name: number for number, group in enumerate(_GROUPS) for name in group}
_NAMES: Final = {
    getattr(FieldDescriptor, f"TYPE_{name.upper()}"): name for name in (*_GROUP_OF, "group", "message", "enum")
}
_SAMPLES: Final = {"string": '"x"', "bytes": '"\\377"', "bool": "true", "float": "0.5", "double": "0.5"}


def type_name(field: FieldDescriptor) -> str:
    """The name of a scalar; ``enum``, ``message`` or ``group``."""
    return _NAMES[field.type]


def is_map(field: FieldDescriptor) -> bool:
    """Whether a field is written ``map<..., ...>``."""
    message: Descriptor | None = field.message_type
    return bool(field.is_repeated and message is not None and message.GetOptions().map_entry)


def kind_of(field: FieldDescriptor) -> str:
    """``scalar``, ``enum``, ``message``, ``group`` or ``map``."""
    if is_map(field):
        return "map"
    name = type_name(field)
    return "scalar" if name in _GROUP_OF else name


def spelled(field: FieldDescriptor) -> str:
    """The type of a field as it is written, with its label where that means something."""
    if is_map(field):
        key, value = entry_of(field)
        return f"map<{spelled(key)}, {spelled(value)}>"
    label = "repeated " if field.is_repeated else "required " if field.is_required else ""
    named: Descriptor | EnumDescriptor | None = field.message_type or field.enum_type
    return label + (str(named.full_name) if named is not None else type_name(field))


def message_of(field: FieldDescriptor) -> Descriptor:
    """The message that a field holds."""
    found: Descriptor | None = field.message_type
    assert found is not None
    return found


def enum_of(field: FieldDescriptor) -> EnumDescriptor:
    """The enum that a field holds."""
    found: EnumDescriptor | None = field.enum_type
    assert found is not None
    return found


def entry_of(field: FieldDescriptor) -> tuple[FieldDescriptor, FieldDescriptor]:
    """The key and the value of a map, as fields."""
    key, value = message_of(field).fields
    return key, value


def same_bytes(writer: str, reader: str) -> bool:
    """Whether a scalar can be read as another. A string is read as bytes; bytes need not be UTF-8."""
    return _GROUP_OF[writer] == _GROUP_OF[reader] or (writer, reader) == ("string", "bytes")


def is_packable(field: FieldDescriptor) -> bool:
    """Whether several values of a field may be written without repeating its number: numbers, bools and enums."""
    return type_name(field) not in ("string", "bytes", "message", "group")


def sample(field: FieldDescriptor) -> str:
    """A value of a field in Protobuf's text format."""
    if field.enum_type is not None:
        return f"{field.name}: {enum_of(field).values[-1].name}"
    if field.message_type is not None:
        return f"{field.name} {{ }}"
    return f"{field.name}: {_SAMPLES.get(type_name(field), '1')}"


def changed(rule: str, path: str, writer: FieldDescriptor, reader: FieldDescriptor) -> Difference:
    """A difference between what a number is for a writer, and what it is for a reader."""
    return Difference(
        path,
        rule,
        f"number {writer.number} is written as {spelled(writer)}, and read as {spelled(reader)}",
        writer=spelled(writer),
        reader=spelled(reader),
        counterexample=sample(writer),
    )
