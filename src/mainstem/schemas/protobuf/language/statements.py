"""A .proto text, statement by statement, into a file descriptor whose names are not looked up yet."""

from collections.abc import Callable
from typing import Final

from google.protobuf.descriptor_pb2 import Edition, FileDescriptorProto, ServiceDescriptorProto

from mainstem.schemas.protobuf.language.messages import Extended, read_enum, read_extend, read_message, read_option
from mainstem.schemas.protobuf.language.options import decoded
from mainstem.schemas.protobuf.language.reading import FILES, Path, Reading
from mainstem.schemas.protobuf.language.tokens import refused

EDITIONS: Final = {
    name.removeprefix("EDITION_"): number
    for name, number in Edition.items()
    if name.removeprefix("EDITION_").isdecimal() and number >= Edition.Value("EDITION_2023")
}

# Field numbers of descriptor.proto: what a path is made of.
_IMPORT, _MESSAGE, _ENUM, _SERVICE, _EXTENSION, _METHOD = 3, 4, 5, 6, 7, 2


def read_file(text: str) -> FileDescriptorProto:
    """The file that a text describes. Raises ``SchemaRefused`` with line and column where it is none."""
    reading = Reading(text)
    file = FileDescriptorProto()
    _read_syntax(reading, file)
    while reading.peek().kind != "end":
        _read_statement(reading, file)
    file.source_code_info.CopyFrom(reading.source)
    return file


def _read_syntax(reading: Reading, file: FileDescriptorProto) -> None:
    file.syntax = "proto2"
    if not (reading.at("syntax", "edition") and reading.peek(1).text == "="):
        return
    first = reading.take()
    reading.expect("=")
    place = reading.peek().place
    said = decoded(reading.quoted())
    reading.expect(";")
    known = ("proto2", "proto3") if first.text == "syntax" else tuple(EDITIONS)
    if said not in known:
        raise refused(f"there is no {first.text} {said!r} here", place, remedy=f"take one of {', '.join(known)}")
    if first.text == "syntax":
        file.syntax = said
    else:
        file.syntax = "editions"
        file.edition = EDITIONS[said]


def _read_statement(reading: Reading, file: FileDescriptorProto) -> None:
    read = _STATEMENTS.get(reading.peek().text)
    if read is not None and reading.peek().kind == "word":
        read(reading, file)
    elif not reading.accept(";"):
        raise reading.unexpected("message, enum, service, extend, import, package or option")


def _read_package(reading: Reading, file: FileDescriptorProto) -> None:
    first = reading.take()
    if file.package:
        raise refused("a second package", first.place, why="a file has one")
    file.package = reading.dotted()
    reading.expect(";")


def _read_file_option(reading: Reading, file: FileDescriptorProto) -> None:
    read_option(reading, file.options)


def _read_file_message(reading: Reading, file: FileDescriptorProto) -> None:
    message = file.message_type.add()
    read_message(reading, message, (_MESSAGE, len(file.message_type) - 1), file.syntax)


def _read_file_enum(reading: Reading, file: FileDescriptorProto) -> None:
    enum = file.enum_type.add()
    read_enum(reading, enum, (_ENUM, len(file.enum_type) - 1))


def _read_file_extend(reading: Reading, file: FileDescriptorProto) -> None:
    read_extend(reading, file.syntax, Extended(file.extension, file.message_type, (_EXTENSION,), (_MESSAGE,)))


def _read_import(reading: Reading, file: FileDescriptorProto) -> None:
    reading.take()
    kind = reading.take().text if reading.at("public", "weak") else ""
    token = reading.peek()
    name = decoded(reading.quoted())
    reading.expect(";")
    if len(file.dependency) >= FILES:
        raise refused(f"more than {FILES} files are imported", token.place)
    if name in file.dependency:
        raise refused(f"{name} is imported twice", token.place)
    if kind:
        (file.public_dependency if kind == "public" else file.weak_dependency).append(len(file.dependency))
    reading.mark((_IMPORT, len(file.dependency)), token, token)
    file.dependency.append(name)


def _read_service(reading: Reading, file: FileDescriptorProto) -> None:
    service = file.service.add()
    path = (_SERVICE, len(file.service) - 1)
    first = reading.take()
    name = reading.word("the name of a service")
    reading.mark(path, name, first)
    service.name = name.text
    reading.expect("{")
    while not reading.accept("}"):
        if reading.at("option"):
            read_option(reading, service.options)
        elif reading.at("rpc"):
            _read_method(reading, service, (*path, _METHOD, len(service.method)))
        elif not reading.accept(";"):
            raise reading.unexpected("rpc or option")


def _read_method(reading: Reading, service: ServiceDescriptorProto, path: Path) -> None:
    first = reading.take()
    name = reading.word("the name of a method")
    reading.mark(path, name, first)
    method = service.method.add(name=name.text)
    method.input_type, streaming = _read_method_type(reading)
    if streaming:
        method.client_streaming = True
    reading.expect("returns")
    method.output_type, streaming = _read_method_type(reading)
    if streaming:
        method.server_streaming = True
    if reading.accept(";"):
        return
    reading.expect("{")
    while not reading.accept("}"):
        if not reading.accept(";"):
            read_option(reading, method.options)


def _read_method_type(reading: Reading) -> tuple[str, bool]:
    reading.expect("(")
    streaming = reading.at("stream") and reading.peek(1).text != ")"
    if streaming:
        reading.take()
    name = reading.dotted(leading=True)
    reading.expect(")")
    return name, streaming


_STATEMENTS: Final[dict[str, Callable[[Reading, FileDescriptorProto], None]]] = {
    "import": _read_import,
    "package": _read_package,
    "option": _read_file_option,
    "message": _read_file_message,
    "enum": _read_file_enum,
    "service": _read_service,
    "extend": _read_file_extend,
}
