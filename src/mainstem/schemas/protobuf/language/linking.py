"""A file with what it imports: every name looked up, every rule kept, and descriptors of the runtime made of it.

They lie in a pool of their own, never in the one that generated code shares.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

from mainstem.errors import SchemaRefused
from mainstem.schemas.protobuf.language.checks import check_file
from mainstem.schemas.protobuf.language.names import Names, Places, extensions_in, meant, merged, messages_in, names_of
from mainstem.schemas.protobuf.language.reading import FILES, Path
from mainstem.schemas.protobuf.language.tokens import Place, refused

OWN_NAME: Final = "schema.proto"
"""A registry gives a file no name; it needs one, and nobody imports it."""


class Linked:
    """A file that makes sense. ``descriptor`` is the runtime's, ``file`` the same as data, with all names in full."""

    def __init__(self, file: FileDescriptorProto, imports: Mapping[str, FileDescriptorProto]) -> None:
        self.file = file
        pool = DescriptorPool()
        for each in (*imports.values(), file):
            plain = FileDescriptorProto()
            plain.CopyFrom(each)
            plain.ClearField("source_code_info")
            try:
                pool.AddSerializedFile(plain.SerializeToString())
            except (TypeError, ValueError) as error:
                raise SchemaRefused(
                    f"this is no schema: {str(error).rpartition('pool: ')[2]}",
                    where=each.name if each is not file else "",
                ) from error
        self.descriptor: FileDescriptor = pool.FindFileByName(file.name)
        self.pool = pool


def link(file: FileDescriptorProto, find: Callable[[str], FileDescriptorProto | None]) -> Linked:
    """Link a file with what it imports; ``find`` knows other files by name, their own names not looked up.

    Raises ``SchemaRefused`` for an import that ``find`` does not know, for a circle of imports, for a type that is not
    declared, and for whatever makes no sense.
    """
    links = _Links(find)
    file.name = OWN_NAME
    links.add(file, OWN_NAME)
    linked = dict(links.files)
    return Linked(linked.pop(OWN_NAME), linked)


class _Links:
    """The files seen so far: those without imports first."""

    def __init__(self, find: Callable[[str], FileDescriptorProto | None]) -> None:
        self.files: dict[str, FileDescriptorProto] = {}
        self._names: dict[str, Names] = {}
        self._messages: dict[str, DescriptorProto] = {}
        self._find = find
        self._open: list[str] = []

    def add(self, file: FileDescriptorProto, name: str) -> None:
        places = Places(file, "" if name == OWN_NAME else name)
        self._open.append(name)
        for index, imported in enumerate(file.dependency):
            if imported not in self.files:
                self._add_import(imported, places.of((3, index)))
        self._open.pop()
        own = names_of(file, places)
        direct = [seen for imported in file.dependency for seen in self._offered(imported)]
        names = merged(own, (self._names[each] for each in dict.fromkeys(direct)))
        _resolve(file, names, places)
        self._messages.update((name, message) for name, message, _ in messages_in(file))
        check_file(file, places)
        _check_extensions(file, self._messages, places)
        self._names[name] = own
        self.files[name] = file

    def _add_import(self, name: str, place: Place | None) -> None:
        if name in self._open:
            circle = " → ".join([*self._open[self._open.index(name) :], name])
            raise refused(f"the imports go in a circle: {circle}", place, remedy="move what both need to a third file")
        if len(self.files) + len(self._open) > FILES or len(self._open) > FILES // 4:
            raise refused(f"more than {FILES} files are imported, or through too many others", place)
        try:
            found = self._find(name)
        except SchemaRefused as error:
            error.where = f"{name}, {error.where}".removesuffix(", ")
            raise
        if found is None:
            raise refused(
                f"{name} is not known",
                place,
                why="what is imported is a reference of the schema, or a file of google/protobuf",
                remedy=f"register {name} first, and name it in the references",
            )
        file = FileDescriptorProto()
        file.CopyFrom(found)
        file.name = name
        self.add(file, name)

    def _offered(self, name: str) -> Iterator[str]:
        """A file, and what it imports publicly."""
        waiting, seen = [name], {name}
        while waiting:
            yield (each := waiting.pop())
            file = self.files[each]
            further = {file.dependency[index] for index in file.public_dependency} - seen
            seen |= further
            waiting += sorted(further)


def _resolve(file: FileDescriptorProto, names: Names, places: Places) -> None:
    package = f".{file.package}" if file.package else ""
    for name, message, path in messages_in(file):
        for index, field in enumerate(message.field):
            _resolve_field(field, name, names, (places, (*path, 2, index)))
    for name, field, path in extensions_in(file):
        scope = name.rpartition(".")[0]
        _resolve_field(field, scope, names, (places, path))
        field.extendee = _known(field.extendee, scope, names, (places, path))
    for number, service in enumerate(file.service):
        for index, method in enumerate(service.method):
            at = (places, (6, number, 2, index))
            scope = f"{package}.{service.name}"
            method.input_type = _known(method.input_type, scope, names, at)
            method.output_type = _known(method.output_type, scope, names, at)


def _resolve_field(field: FieldDescriptorProto, scope: str, names: Names, at: tuple[Places, Path]) -> None:
    if not field.type_name:
        return
    field.type_name = _known(field.type_name, scope, names, at)
    if names[field.type_name] == "enum":
        field.type = FieldDescriptorProto.TYPE_ENUM
    elif field.type != FieldDescriptorProto.TYPE_GROUP:
        field.type = FieldDescriptorProto.TYPE_MESSAGE


def _check_extensions(file: FileDescriptorProto, messages: Mapping[str, DescriptorProto], places: Places) -> None:
    for name, field, path in extensions_in(file):
        extendee = messages.get(field.extendee)
        if extendee is None or not any(each.start <= field.number < each.end for each in extendee.extension_range):
            raise refused(
                f"{field.extendee[1:]} does not keep the number {field.number} of {name[1:]} for extensions",
                places.of(path),
                remedy=f"take a number that it does, or add extensions {field.number};",
            )


def _known(name: str, scope: str, names: Names, at: tuple[Places, Path]) -> str:
    found = meant(name, scope, names)
    if found is None:
        places, path = at
        raise refused(
            f"there is no type {name} in {scope[1:] or 'this file'}",
            places.of(path),
            remedy="declare it, or import the file that does",
        )
    return found
