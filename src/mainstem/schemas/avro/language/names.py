"""Names in Avro: what may be one, how it becomes full, and which types are known by theirs."""

import re
from collections.abc import Callable
from typing import Final

from mainstem.errors import SchemaRefused
from mainstem.schemas.avro.language.text import refused
from mainstem.schemas.avro.language.tree import PRIMITIVES, Enum, Fixed, Record
from mainstem.schemas.documents import Resolved, Schema

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
FULL_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_OWN: Final = ""
"""The document that is read itself; its references have the names they are referred to with."""


def simple_name(value: object, what: str, path: str) -> str:
    """A name without dots: of a field or a symbol. Raises ``SchemaRefused``."""
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    raise refused(
        f"{value!r} cannot be the name of a {what}" if value is not None else f"a {what} has no name",
        path,
        why="a name is letters of English, digits and underscores, and does not begin with a digit",
        remedy="write one, and what people should read into doc",
    )


def full_name(value: object, namespace: object, enclosing: str, path: str) -> str:
    """The full name of a type, from its ``name``, its ``namespace`` and the one around it. Raises ``SchemaRefused``."""
    if not isinstance(value, str) or not FULL_NAME.fullmatch(value):
        simple_name(None if value is None else value, "type", f"{path}/name")
        raise AssertionError(value)
    if value in PRIMITIVES or value.rpartition(".")[2] in PRIMITIVES:
        raise refused(
            f"{value!r} cannot be the name of a type", f"{path}/name", why="Avro has a primitive type of this name"
        )
    if "." in value:
        return value
    if namespace is None:
        namespace = enclosing
    elif not isinstance(namespace, str) or (namespace and not FULL_NAME.fullmatch(namespace)):
        raise refused(
            f"{namespace!r} is no namespace",
            f"{path}/namespace",
            remedy="write names with dots between them, or nothing",
        )
    return f"{namespace}.{value}" if namespace else value


def alias_names(value: object, namespace: str, path: str) -> tuple[str, ...]:
    """The aliases of a type, in full: those without a dot are in its own namespace. Raises ``SchemaRefused``."""
    words = listed(value, path)
    for index, word in enumerate(words):
        if not FULL_NAME.fullmatch(word):
            simple_name(word, "type", f"{path}/{index}")
    return tuple(word if "." in word or not namespace else f"{namespace}.{word}" for word in words)


def listed(value: object, path: str) -> list[str]:
    """A list of texts, or nothing. Raises ``SchemaRefused``."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise refused("a list of names is expected here", path)
    return [str(each) for each in value]


class KnownNames:
    """The named types of a schema and of those it refers to. References are read when they are first needed.

    ``read`` reads one document: it is told which, and defines the types that it finds here.
    """

    def __init__(self, resolved: Resolved, read: Callable[[Schema, str], object]) -> None:
        self._resolved = resolved
        self._read = read
        self._types: dict[str, tuple[Record | Enum | Fixed, str]] = {}
        self._under_way: list[str] = [_OWN]
        self._done: set[str] = set()

    @property
    def document(self) -> str:
        """The name of the document that is being read."""
        return self._under_way[-1]

    def define(self, node: Record | Enum | Fixed, path: str) -> None:
        """Remember a type. Raises ``SchemaRefused`` when there is one of its name."""
        if node.name in self._types:
            where = self._types[node.name][1]
            raise refused(
                f"{node.name} is defined twice",
                path,
                why=f"the first time in {f'the reference {where}' if where else 'this schema'}",
                remedy="define it once, and name it from then on",
            )
        self._types[node.name] = (node, self.document)

    def own(self) -> frozenset[str]:
        """The types that the schema itself defines."""
        return frozenset(name for name, (_, document) in self._types.items() if document == _OWN)

    def every(self) -> frozenset[str]:
        """Those, and the types that its references define."""
        return frozenset(self._types)

    def find(self, name: str, namespace: str, path: str) -> Record | Enum | Fixed:
        """The type of a name as it stands in a text. Raises ``SchemaRefused`` for an unknown one, and for circles."""
        names = [name] if "." in name or not namespace else [f"{namespace}.{name}", name]
        for each in names:
            if each not in self._types and each in self._resolved:
                self.load(each, path)
            if each in self._types:
                node, document = self._types[each]
                if document != self.document and document in self._under_way:
                    raise self._circle(each, path)
                return node
        raise refused(
            f"{name} is not defined",
            path,
            why="a type is defined before it is named, here or in a schema that this one refers to",
            remedy="define it first, or add a reference of this name",
        )

    def load(self, name: str, path: str) -> None:
        """Read a reference, once. Raises ``SchemaRefused`` for one that is not there, and for circles."""
        if name in self._done:
            return
        if name in self._under_way:
            raise self._circle(name, path)
        if name not in self._resolved:
            raise refused(
                f"the reference {name} is not there",
                path,
                remedy="register the schema it names first, or correct subject and version",
            )
        schema = self._resolved[name]
        self._under_way.append(name)
        try:
            self._read(schema, name)
        except SchemaRefused as error:
            raise refused(
                error.what, path, why=f"in the reference {name}: {error.where}", remedy=error.remedy
            ) from error
        finally:
            self._under_way.pop()
        self._done.add(name)

    def _circle(self, name: str, path: str) -> SchemaRefused:
        way = " > ".join([*(each for each in self._under_way if each), name])
        return refused(
            f"the references go round in a circle: {way}",
            path,
            remedy="put types that hold one another into one schema",
        )
