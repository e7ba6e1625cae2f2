"""Names of a file, what each of them stands for, and which one is meant where a type is named."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

from mainstem.schemas.protobuf.language.reading import Path
from mainstem.schemas.protobuf.language.tokens import Place, refused

NameKind: TypeAlias = Literal["package", "message", "enum", "value", "field", "oneof", "extension", "service", "method"]
Names: TypeAlias = dict[str, NameKind]

_TYPES: Final = ("message", "enum")
_SCOPES: Final = ("package", "message", "enum", "service")


class Named(NamedTuple):
    """A full name, what it stands for, and where."""

    name: str
    kind: NameKind
    path: Path


class Places:
    """Where the parts of a file stand in its text. A file that was read from a descriptor has no places."""

    def __init__(self, file: FileDescriptorProto, name: str) -> None:
        self._file = file
        self._name = name
        self._spans: dict[Path, Place] | None = None

    def of(self, path: Path) -> Place | None:
        """The line and column of a part."""
        if self._spans is None:
            found = self._file.source_code_info.location
            self._spans = {tuple(each.path): Place(each.span[0] + 1, each.span[1] + 1, self._name) for each in found}
        return self._spans.get(path)


def scope_of(package: str) -> str:
    """What full names of a package begin with: ``.shop.`` or ``.``."""
    return f".{package}." if package else "."


def messages_in(file: FileDescriptorProto) -> Iterator[tuple[str, DescriptorProto, Path]]:
    """Every message of a file with its full name and path, outer ones first."""
    scope = scope_of(file.package)
    waiting: list[tuple[str, DescriptorProto, Path]] = []
    waiting += [(scope, each, (4, index)) for index, each in enumerate(file.message_type)][::-1]
    while waiting:
        scope, message, path = waiting.pop()
        yield scope + message.name, message, path
        inner = enumerate(message.nested_type)
        waiting += [(f"{scope}{message.name}.", each, (*path, 3, index)) for index, each in inner][::-1]


def enums_in(file: FileDescriptorProto) -> Iterator[tuple[str, EnumDescriptorProto, Path]]:
    """Every enum of a file with its full name and path."""
    scope = scope_of(file.package)
    yield from ((scope + each.name, each, (5, index)) for index, each in enumerate(file.enum_type))
    for name, message, path in messages_in(file):
        for index, each in enumerate(message.enum_type):
            yield f"{name}.{each.name}", each, (*path, 4, index)


def extensions_in(file: FileDescriptorProto) -> Iterator[tuple[str, FieldDescriptorProto, Path]]:
    """Every extension of a file with its full name and path."""
    scope = scope_of(file.package)
    yield from ((scope + each.name, each, (7, index)) for index, each in enumerate(file.extension))
    for name, message, path in messages_in(file):
        for index, each in enumerate(message.extension):
            yield f"{name}.{each.name}", each, (*path, 6, index)


def _named(file: FileDescriptorProto) -> Iterator[Named]:
    for name, message, path in messages_in(file):
        yield Named(name, "message", path)
        for index, field in enumerate(message.field):
            yield Named(f"{name}.{field.name}", "field", (*path, 2, index))
        for index, oneof in enumerate(message.oneof_decl):
            yield Named(f"{name}.{oneof.name}", "oneof", (*path, 8, index))
    yield from _named_values(file)
    for name, _, path in extensions_in(file):
        yield Named(name, "extension", path)
    for index, service in enumerate(file.service):
        name = scope_of(file.package) + service.name
        yield Named(name, "service", (6, index))
        for number, method in enumerate(service.method):
            yield Named(f"{name}.{method.name}", "method", (6, index, 2, number))


def _named_values(file: FileDescriptorProto) -> Iterator[Named]:
    for name, enum, path in enums_in(file):
        yield Named(name, "enum", path)
        for index, value in enumerate(enum.value):  # beside their enum, not in it
            yield Named(f"{name.rpartition('.')[0]}.{value.name}", "value", (*path, 2, index))


def names_of(file: FileDescriptorProto, places: Places) -> Names:
    """Every name of a file. Raises ``SchemaRefused`` for one that stands twice."""
    names = _packages(file.package)
    for name, kind, path in _named(file):
        if name in names:
            why = "values of an enum stand beside it, not in it" if "value" in (kind, names[name]) else ""
            raise refused(f"{name[1:]} is declared twice", places.of(path), why=why, remedy="rename one of them")
        names[name] = kind
    return names


def _packages(package: str) -> Names:
    parts = package.split(".") if package else []
    return {"." + ".".join(parts[: index + 1]): "package" for index in range(len(parts))}


def merged(own: Names, others: Iterable[Names]) -> Names:
    """The names that a file sees: its own, and those of what it imports."""
    names = dict(own)
    for each in others:
        for name, kind in each.items():
            if names.setdefault(name, kind) != kind or (kind != "package" and name in own):
                raise refused(f"{name[1:]} is declared here and in a file that is imported", None, remedy="rename it")
    return names


def meant(name: str, scope: str, names: Mapping[str, NameKind]) -> str | None:
    """The full name of the type that ``name`` means in ``scope``, which is a full name; none where there is none.

    As protoc does: the innermost scope that knows the first part decides, and the rest must be there.
    """
    if name.startswith("."):
        return name if names.get(name) in _TYPES else None
    first, dot, _ = name.partition(".")
    while True:
        kind = names.get(f"{scope}.{first}")
        if dot and kind in _SCOPES:
            return full if names.get(full := f"{scope}.{name}") in _TYPES else None
        if not dot and kind in _TYPES:
            return f"{scope}.{name}"
        if not scope:
            return None
        scope = scope.rpartition(".")[0]
