"""A file descriptor as a .proto text in one fixed form.

What has an order that nothing depends on is sorted: imports, options, fields by number, values of an enum behind its
first. Messages keep their order, because the framing of a registry counts them; so do those within messages, among
which the entries of maps count as well.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from google.protobuf import text_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    Edition,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    ServiceDescriptorProto,
    UninterpretedOption,
)
from google.protobuf.message import Message

from mainstem.schemas.protobuf.language import LABELS, SCALARS, escaped, float_text, json_name

_MAX_FIELD: Final = 1 << 29
_MAX_ENUM: Final = (1 << 31) - 1
_TYPE_NAMES: Final = {number: name for name, number in SCALARS.items()}
_LABEL_NAMES: Final = {number: name for name, number in LABELS.items()}


def printed(file: FileDescriptorProto) -> str:
    """The text of a file. Reading it gives the same file again, but for the order of what is sorted."""
    lines = [_syntax(file)]
    if file.package:
        lines.append(f"package {file.package};")
    lines += _block(_imports(file))
    lines += _block(f"option {each};" for each in options_of(file.options))
    for enum in file.enum_type:
        lines += _block(_enum(enum))
    for message in file.message_type:
        lines += _block(_message(message, file.syntax))
    for extended in _extended(file.extension):
        lines += _block(_extend(extended, file.message_type, file.syntax))
    for service in file.service:
        lines += _block(_service(service))
    return "\n".join(lines) + "\n"


def _block(lines: Iterable[str]) -> list[str]:
    found = list(lines)
    return ["", *found] if found else []


def _syntax(file: FileDescriptorProto) -> str:
    if file.syntax == "editions":
        return f'edition = "{Edition.Name(file.edition).removeprefix("EDITION_")}";'
    return f'syntax = "{file.syntax or "proto2"}";'


def _imports(file: FileDescriptorProto) -> list[str]:
    public, weak = set(file.public_dependency), set(file.weak_dependency)
    kinds = {index: "public " if index in public else "weak " if index in weak else "" for index in public | weak}
    named = sorted((name, kinds.get(index, "")) for index, name in enumerate(file.dependency))
    return [f"import {kind}{_quoted(name)};" for name, kind in named]


def _quoted(text: str) -> str:
    named = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(named.get(sign) or (sign if sign >= " " else f"\\{ord(sign):03o}") for sign in text) + '"'


def options_of(options: Message) -> list[str]:
    """Each option as ``name = value``, sorted."""
    found: list[str] = []
    for field, value in options.ListFields():
        if field.name == "uninterpreted_option":
            found += [f"{_option_name(each)} = {_kept(each)}" for each in value]
        elif field.is_repeated:
            found += [f"{field.name} = {_value(field, each)}" for each in value]
        elif field.message_type is not None and field.name == "features":
            found += [f"features.{part.name} = {_value(part, inner)}" for part, inner in value.ListFields()]
        else:
            found.append(f"{field.name} = {_value(field, value)}")
    return sorted(found)


def _option_name(option: UninterpretedOption) -> str:
    return ".".join(f"({each.name_part})" if each.is_extension else each.name_part for each in option.name)


def _kept(option: UninterpretedOption) -> str:
    if option.HasField("aggregate_value"):
        return f"{{ {option.aggregate_value} }}"
    if option.HasField("string_value"):
        return f'"{escaped(option.string_value)}"'
    if option.HasField("identifier_value"):
        return str(option.identifier_value)
    if option.HasField("double_value"):
        return float_text(option.double_value)
    return str(option.negative_int_value or option.positive_int_value)


def _value(field: FieldDescriptor, value: object) -> str:
    if isinstance(value, Message):
        inside: str = text_format.MessageToString(value, as_one_line=True)
        return f"{{ {inside} }}"
    if field.enum_type is not None and isinstance(value, int):
        return str(field.enum_type.values_by_number[value].name)
    if isinstance(value, bool):
        return "true" if value else "false"
    return _quoted(value) if isinstance(value, str) else str(value)


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return ("  " + line for line in lines)


def _message(message: DescriptorProto, syntax: str) -> Iterator[str]:
    yield f"message {message.name} {{"
    yield from _indented(_body(message, syntax))
    yield "}"


def _body(message: DescriptorProto, syntax: str) -> Iterator[str]:
    yield from (f"option {each};" for each in options_of(message.options) if not each.startswith("map_entry"))
    yield from _reserved(message)
    for each in sorted(message.extension_range, key=lambda each: each.start):
        end = "max" if each.end == _MAX_FIELD else str(each.end - 1)
        options = ", ".join(options_of(each.options))
        yield f"extensions {each.start} to {end}{f' [{options}]' if options else ''};"
    for enum in message.enum_type:
        yield from _enum(enum)
    yield from _members(message, syntax)
    for extended in _extended(message.extension):
        yield from _extend(extended, message.nested_type, syntax)


def _members(message: DescriptorProto, syntax: str) -> Iterator[str]:
    """Fields and nested messages. A map or group makes a nested message, whose place among the others stays."""
    nested = {each.name: each for each in message.nested_type}
    oneofs = _Oneofs(message)
    for fields, inner in _runs(message, nested):
        for field in sorted(fields, key=lambda field: field.number):
            if field.HasField("oneof_index") and not field.proto3_optional:
                yield from oneofs.printed(field.oneof_index, nested, syntax)
            else:
                yield from _field(field, nested, syntax)
        if inner is not None:
            yield from _message(inner, syntax)


def _runs(
    message: DescriptorProto, nested: Mapping[str, DescriptorProto]
) -> Iterator[tuple[list[FieldDescriptorProto], DescriptorProto | None]]:
    """Fields that may be sorted, and the nested message behind them: none behind the last."""
    made = {_last(each.type_name): each for each in message.field if _makes_message(each, nested)}
    groups = {_last(each.type_name) for each in message.extension if each.type == each.TYPE_GROUP}
    run = [each for each in message.field if not _makes_message(each, nested)]
    for inner in message.nested_type:
        if inner.name in made:
            run.append(made[inner.name])
        elif inner.name not in groups:
            yield run, inner
            run = []
    yield run, None


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _makes_message(field: FieldDescriptorProto, nested: Mapping[str, DescriptorProto]) -> bool:
    """Whether a field is a group or a map, whose message is written with it."""
    if field.type == FieldDescriptorProto.TYPE_GROUP:
        return True
    entry = nested.get(_last(field.type_name))
    return field.label == FieldDescriptorProto.LABEL_REPEATED and entry is not None and entry.options.map_entry


class _Oneofs:
    """The oneofs of a message, each printed where its first field would stand."""

    def __init__(self, message: DescriptorProto) -> None:
        self._message = message
        self._members: dict[int, list[FieldDescriptorProto]] = {}
        for each in sorted(message.field, key=lambda each: each.number):
            if each.HasField("oneof_index"):
                self._members.setdefault(each.oneof_index, []).append(each)

    def printed(self, index: int, nested: Mapping[str, DescriptorProto], syntax: str) -> Iterator[str]:
        """The lines of a oneof; nothing when it was printed before."""
        members = self._members.pop(index, None)
        if members is None:
            return
        oneof = self._message.oneof_decl[index]
        yield f"oneof {oneof.name} {{"
        yield from _indented(f"option {each};" for each in options_of(oneof.options))
        for each in members:
            yield from _indented(_field(each, nested, syntax))
        yield "}"


def _field(field: FieldDescriptorProto, nested: Mapping[str, DescriptorProto], syntax: str) -> Iterator[str]:
    name = _last(field.type_name)
    entry = nested.get(name)
    options = ", ".join(sorted([*_own_options(field), *options_of(field.options)]))
    rest = f"{field.name} = {field.number}{f' [{options}]' if options else ''}"
    if entry is not None and entry.options.map_entry and field.label == FieldDescriptorProto.LABEL_REPEATED:
        yield f"map<{_type(entry.field[0])}, {_type(entry.field[1])}> {rest};"
    elif field.type == FieldDescriptorProto.TYPE_GROUP and entry is not None:
        rest = rest.replace(field.name, name, 1)
        yield f"{_label(field, syntax)}group {rest} {{"
        yield from _indented(_body(entry, syntax))
        yield "}"
    else:
        yield f"{_label(field, syntax)}{_type(field)} {rest};"


def _own_options(field: FieldDescriptorProto) -> Iterator[str]:
    if field.json_name and field.json_name != json_name(field.name):
        yield f"json_name = {_quoted(field.json_name)}"
    if not field.HasField("default_value"):
        return
    if field.type == FieldDescriptorProto.TYPE_STRING:
        yield f"default = {_quoted(field.default_value)}"
    elif field.type == FieldDescriptorProto.TYPE_BYTES:
        yield f'default = "{field.default_value}"'
    else:
        yield f"default = {field.default_value}"


def _label(field: FieldDescriptorProto, syntax: str) -> str:
    if field.HasField("oneof_index") and not field.proto3_optional:
        return ""
    if field.label == FieldDescriptorProto.LABEL_OPTIONAL and syntax in ("proto3", "editions"):
        return "optional " if field.proto3_optional else ""
    return _LABEL_NAMES[field.label] + " "


def _type(field: FieldDescriptorProto) -> str:
    return str(field.type_name or _TYPE_NAMES[field.type])


def _reserved(message: DescriptorProto) -> Iterator[str]:
    for each in sorted(message.reserved_range, key=lambda each: each.start):
        yield f"reserved {_range(each.start, each.end - 1, _MAX_FIELD - 1)};"
    for name in sorted(message.reserved_name):
        yield f"reserved {_quoted(name)};"


def _range(start: int, end: int, most: int) -> str:
    return str(start) if start == end else f"{start} to {'max' if end == most else end}"


def _enum(enum: EnumDescriptorProto) -> Iterator[str]:
    yield f"enum {enum.name} {{"
    yield from _indented(f"option {each};" for each in options_of(enum.options))
    for each in sorted(enum.reserved_range, key=lambda each: each.start):
        yield f"  reserved {_range(each.start, each.end, _MAX_ENUM)};"
    for name in sorted(enum.reserved_name):
        yield f"  reserved {_quoted(name)};"
    for value in [*enum.value[:1], *sorted(enum.value[1:], key=lambda value: value.number)]:
        options = ", ".join(options_of(value.options))
        yield f"  {value.name} = {value.number}{f' [{options}]' if options else ''};"
    yield "}"


def _extended(extensions: Iterable[FieldDescriptorProto]) -> Iterable[list[FieldDescriptorProto]]:
    """Extensions by what they extend, sorted."""
    found: dict[str, list[FieldDescriptorProto]] = {}
    for each in sorted(extensions, key=lambda each: (each.extendee, each.number)):
        found.setdefault(each.extendee, []).append(each)
    return found.values()


def _extend(extensions: list[FieldDescriptorProto], messages: Iterable[DescriptorProto], syntax: str) -> Iterator[str]:
    nested = {each.name: each for each in messages}
    yield f"extend {extensions[0].extendee} {{"
    for each in extensions:
        yield from _indented(_field(each, nested, syntax))
    yield "}"


def _service(service: ServiceDescriptorProto) -> Iterator[str]:
    yield f"service {service.name} {{"
    yield from _indented(f"option {each};" for each in options_of(service.options))
    for method in sorted(service.method, key=lambda method: method.name):
        taken = ("stream " if method.client_streaming else "") + method.input_type
        given = ("stream " if method.server_streaming else "") + method.output_type
        options = options_of(method.options)
        head = f"  rpc {method.name} ({taken}) returns ({given})"
        yield f"{head};" if not options else f"{head} {{"
        if options:
            yield from (f"    option {each};" for each in options)
            yield "  }"
    yield "}"
