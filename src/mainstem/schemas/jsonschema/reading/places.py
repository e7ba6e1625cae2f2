"""A schema with all it refers to, and places in it: ``$ref`` is resolved here, and nothing is ever fetched."""

from collections.abc import Iterator, Mapping
from typing import Final, Literal, TypeAlias
from urllib.parse import unquote, urljoin

from mainstem.schemas.jsonschema.reading.dialects import Draft, draft_of, escaped, knows, parts, steps
from mainstem.schemas.jsonschema.reading.parsing import Json, refused

Lens: TypeAlias = Literal["plain", "closed", "opened"]
"""How object schemas are read: as they stand, as writing only what they declare, or as accepting what they do not."""

ROOT: Final = ""
"""The name of the document that is not referred to by name."""

REFERENCES: Final = ("$ref", "$recursiveRef", "$dynamicRef")

_ALWAYS_PLAIN = frozenset({"not", "if", "contains", "propertyNames"})
_IN_PLACE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies")


class Place:
    """A schema where it stands. Two are equal when they are the same place of one library, under one lens."""

    __slots__ = ("document", "draft", "lens", "library", "pointer", "value")

    def __init__(self, library: "Library", document: str, pointer: str, lens: Lens, value: Json) -> None:
        self.library = library
        self.document = document
        self.pointer = pointer
        self.lens = lens
        self.value = value
        self.draft = library.draft(document, pointer)

    @property
    def path(self) -> str:
        """Where it is, for a person: a JSON pointer, behind the name of the document when it is not the root."""
        return f"{self.document}#{self.pointer}" if self.document else self.pointer

    @property
    def schema(self) -> Mapping[str, Json]:
        """Its keywords. Those beside ``$ref`` have no meaning before draft 2019-09."""
        if not isinstance(self.value, dict):
            return {}
        if self.draft < 2019 and "$ref" in self.value:
            return {"$ref": self.value["$ref"]}
        return self.value

    def get(self, keyword: str) -> Json:
        """The value of a keyword, or nothing where it is absent or has no meaning in this draft."""
        return self.schema.get(keyword) if knows(self.draft, keyword) else None

    def has(self, keyword: str) -> bool:
        """Whether a keyword is there and has a meaning in this draft."""
        return keyword in self.schema and knows(self.draft, keyword)

    def child(self, keyword: str, *rest: str) -> "Place":
        """The schema in the value of a keyword."""
        lens: Lens = "plain" if keyword in _ALWAYS_PLAIN else self.lens
        pointer = self.pointer + escaped(keyword) + "".join(map(escaped, rest))
        return self.library.place(self.document, pointer, lens)

    def children(self, keyword: str) -> list["Place"]:
        """The schemas in the list of a keyword."""
        value = self.get(keyword)
        return [self.child(keyword, str(index)) for index in range(len(value))] if isinstance(value, list) else []

    def named(self, keyword: str) -> dict[str, "Place"]:
        """The schemas in the object of a keyword, by name."""
        value = self.get(keyword)
        if not isinstance(value, dict):
            return {}
        return {name: self.child(keyword, name) for name, each in value.items() if isinstance(each, dict | bool)}

    def certain(self, keyword: str) -> bool:
        """Whether a reference leads to one place only, whoever comes by."""
        if keyword == "$ref":
            return True
        reference = str(self.schema[keyword])
        return self.library.dynamic(reference.rpartition("#")[2] if keyword == "$dynamicRef" else "#") <= 1

    def referred(self, keyword: str = "$ref") -> "Place":
        """What a reference in this place leads to."""
        return self.library.resolve(self, str(self.schema[keyword]))

    def inside(self) -> Iterator["Place"]:
        """The places that speak of the same instance as this one."""
        for keyword in _IN_PLACE:
            if keyword in ("not", "if", "then", "else"):
                if self.has(keyword):
                    yield self.child(keyword)
            else:
                yield from self.children(keyword)
                yield from self.named(keyword).values()
        for keyword in REFERENCES:
            if self.has(keyword):
                yield self.referred(keyword)


class Library:
    """The documents that one schema is made of: itself, and what it refers to by name."""

    def __init__(self, root: Json, others: Mapping[str, Json], lens: Lens = "plain") -> None:
        self.documents: dict[str, Json] = {ROOT: root, **others}
        self.lens = lens
        self.walked: dict[tuple[str, str], bool] = {}
        """Every schema, and whether it stands where schemas are always read as they are."""
        self._drafts: dict[tuple[str, str], Draft] = {}
        self._bases: dict[tuple[str, str], str] = {}
        self._targets: dict[str, tuple[str, str]] = {}
        self._dynamic: dict[str, list[tuple[str, str]]] = {}
        self._places: dict[tuple[str, str, Lens], Place] = {}
        for name, document in self.documents.items():
            self._targets.setdefault(name, (name, ""))
            self._walk(name, "", name, draft_of(document, name), plain=False)

    @property
    def root(self) -> Place:
        """The schema itself."""
        return self.place(ROOT, "", self.lens)

    def place(self, document: str, pointer: str, lens: Lens) -> Place:
        """The one object for a place."""
        key = (document, pointer, lens)
        if key not in self._places:
            self._places[key] = Place(self, document, pointer, lens, self.value(document, pointer))
        return self._places[key]

    def value(self, document: str, pointer: str) -> Json:
        """What stands at a pointer. Refuses one that leads nowhere."""
        value = self.documents[document]
        for step in steps(pointer):
            if isinstance(value, dict) and step in value:
                value = value[step]
            elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
                value = value[int(step)]
            else:
                raise refused(f"the reference to {pointer!r} leads nowhere", document)
        return value

    def draft(self, document: str, pointer: str) -> Draft:
        """The draft that holds at a place."""
        return self._drafts[document, pointer]

    def resolve(self, place: Place, reference: str) -> Place:
        """Where a reference leads. Raises :class:`~mainstem.errors.SchemaRefused` for one that leads nowhere."""
        uri, _, fragment = reference.partition("#")
        base = self._bases[place.document, place.pointer]
        document, pointer = self._resource(uri, base, place)
        if fragment.startswith("/"):
            pointer += unquote(fragment)
            if not isinstance(self.value(document, pointer), dict | bool):
                raise refused(f"the reference {reference!r} leads to something that is no schema", place.path)
            self._walk_on(document, pointer)
        elif fragment:
            anchored = self._targets.get(f"{self._bases[document, pointer]}#{unquote(fragment)}")
            if anchored is None:
                raise refused(f"the reference {reference!r} names an anchor that is not there", place.path)
            document, pointer = anchored
        return self.place(document, pointer, place.lens)

    def dynamic(self, name: str) -> int:
        """How many places a dynamic reference of this name may lead to."""
        return len(self._dynamic.get(name, ()))

    def _resource(self, uri: str, base: str, place: Place) -> tuple[str, str]:
        try:
            names = [uri, urljoin(base, uri)] if uri else [base]
        except ValueError as error:
            raise refused(f"the reference {uri[:200]!r} is no URI", place.path) from error
        for name in names:
            if name in self._targets:
                return self._targets[name]
        remedy = "list it among the references; nothing is fetched from outside"
        raise refused(f"the reference {uri[:200]!r} is to nothing that is known here", place.path, remedy)

    def _walk_on(self, document: str, pointer: str) -> None:
        """Take note of a schema that stands where none is looked for, because a reference leads there."""
        if (document, pointer) in self.walked:
            return
        above = pointer
        while (document, above) not in self.walked:
            above = above.rpartition("/")[0]
        self._walk(document, pointer, self._bases[document, above], self._drafts[document, above], plain=False)

    def _walk(self, document: str, pointer: str, base: str, draft: Draft, *, plain: bool) -> None:
        value = self.value(document, pointer) if pointer else self.documents[document]
        waiting = [(pointer, value, base, draft, plain)]
        while waiting:
            pointer, value, base, draft, plain = waiting.pop()
            if not isinstance(value, dict | bool):
                continue
            key = (document, pointer)
            draft = draft_of(value, document + "#" + pointer, draft)
            base = self._identified(key, value, base, draft)
            self.walked[key], self._drafts[key], self._bases[key] = plain, draft, base
            if isinstance(value, dict):
                waiting += [
                    (pointer + step, each, base, draft, plain or keyword in _ALWAYS_PLAIN)
                    for keyword, step, each in parts(value)
                ]

    def _identified(self, key: tuple[str, str], value: Json, base: str, draft: Draft) -> str:
        """The base of a place, after its identifier and its anchors have been taken down."""
        if not isinstance(value, dict) or (draft < 2019 and "$ref" in value):
            return base
        stated = value.get("id" if draft == 4 else "$id")
        if isinstance(stated, str):
            try:
                identifier = urljoin(base, stated)
            except ValueError as error:
                raise refused(f"{stated[:200]!r} is no URI", key[0] + "#" + key[1]) from error
            base = base if stated.startswith("#") else identifier.removesuffix("#")
            self._targets.setdefault(identifier.removesuffix("#"), key)
        if draft >= 2019:
            self._anchored(key, value, base)
        return base

    def _anchored(self, key: tuple[str, str], value: dict[str, Json], base: str) -> None:
        for keyword in ("$anchor", "$dynamicAnchor"):
            anchor = value.get(keyword)
            if isinstance(anchor, str):
                self._targets.setdefault(f"{base}#{anchor}", key)
        self._dynamic.setdefault(str(value.get("$dynamicAnchor", "")), []).append(key)
        if value.get("$recursiveAnchor") is True:
            self._dynamic.setdefault("#", []).append(key)
