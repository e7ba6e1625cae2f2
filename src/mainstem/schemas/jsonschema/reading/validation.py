"""What jsonschema-rs does for us: is a text a schema, is a pattern one, does an instance fit. Never with a network."""

import copy
import functools
from typing import NoReturn
from urllib.parse import quote

import jsonschema_rs

from mainstem.schemas.annotations import FALLBACK
from mainstem.schemas.jsonschema.reading.dialects import Draft, steps
from mainstem.schemas.jsonschema.reading.parsing import Json, refused
from mainstem.schemas.jsonschema.reading.places import Lens, Library, Place

_VALIDATORS: dict[Draft, type[jsonschema_rs.Validator]] = {
    4: jsonschema_rs.Draft4Validator,
    6: jsonschema_rs.Draft6Validator,
    7: jsonschema_rs.Draft7Validator,
    2019: jsonschema_rs.Draft201909Validator,
    2020: jsonschema_rs.Draft202012Validator,
}

# Rust's automata: the time for a match is linear in the text, and what they would need in memory has a bound.
_LINEAR = jsonschema_rs.RegexOptions(size_limit=1 << 20, dfa_size_limit=1 << 20)

_IDENTITIES = ("$id", "id", "$anchor", "$schema")
_SCHEMES = {4: "http://json-schema.org/draft-04/schema#", 6: "http://json-schema.org/draft-06/schema#"}
_SCHEMES |= {7: "http://json-schema.org/draft-07/schema#", 2019: "https://json-schema.org/draft/2019-09/schema"}
_SCHEMES |= {2020: "https://json-schema.org/draft/2020-12/schema"}


def look_for_faults(document: Json, draft: Draft, where: str) -> None:
    """Refuse what the draft's own schema refuses."""
    if not isinstance(document, dict | bool) or (draft == 4 and isinstance(document, bool)):
        raise refused("a JSON Schema is an object, or true or false since draft 6", where)
    stated = {**document, "$schema": _SCHEMES[draft]} if isinstance(document, dict) else document
    try:
        jsonschema_rs.meta.validate(stated)
    except jsonschema_rs.ValidationError as error:
        place = "".join(f"/{step}" for step in error.instance_path)
        raise refused(f"no JSON Schema: {error.message[:500]}", f"{where}#{place}") from error
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise refused(f"no JSON Schema: {str(error)[:500]}", where) from error


@functools.lru_cache(maxsize=2048)
def _automaton(pattern: str) -> jsonschema_rs.Validator | None:
    try:
        return jsonschema_rs.Draft7Validator({"pattern": pattern}, pattern_options=_LINEAR)
    except (jsonschema_rs.ValidationError, ValueError):
        return None


def linear(pattern: str) -> bool:
    """Whether a pattern is one, and can be matched in linear time: no look around, no reference back, no huge count."""
    return _automaton(pattern) is not None


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern is found in a text. The pattern is linear."""
    automaton = _automaton(pattern)
    return automaton is not None and automaton.is_valid(text)


class Judge:
    """Says of an instance whether a place accepts it, under the lens of the place."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._numbers = {name: number for number, name in enumerate(library.documents)}
        self._registry: jsonschema_rs.Registry | None = None
        self._validators: dict[tuple[Place, bool], jsonschema_rs.Validator] = {}

    def accepts(self, place: Place, instance: Json, *, formats: bool = False) -> bool:
        """Whether an instance is valid there. Formats count always when ``formats``, else as the draft says."""
        key = (place, formats)
        if key not in self._validators:
            if self._registry is None or (place.document, place.pointer) not in self._library.walked:
                self._registry = self._bundle()
            self._validators[key] = _VALIDATORS[place.draft](
                {"$ref": self._uri(place)},
                registry=self._registry,
                pattern_options=_LINEAR,
                retriever=_no_retrieval,
                validate_formats=formats or None,
            )
        return self._validators[key].is_valid(instance)

    def _uri(self, place: Place) -> str:
        lens: Lens = "opened" if place.lens == "opened" else "plain"
        return f"http://{lens}.invalid/{self._numbers[place.document]}#{quote(place.pointer)}"

    def _bundle(self) -> jsonschema_rs.Registry:
        lenses: tuple[Lens, ...] = ("plain", "opened") if self._library.lens == "opened" else ("plain",)
        copies = {
            (lens, name): copy.deepcopy(document)
            for lens in lenses
            for name, document in self._library.documents.items()
        }
        for (lens, name), document in copies.items():
            for (where, pointer), plain in list(self._library.walked.items()):
                if where == name:
                    here: Lens = "plain" if plain else lens
                    self._rewrite(_at(document, pointer), self._library.place(name, pointer, here))
            if isinstance(document, dict):
                document["$schema"] = _SCHEMES[self._library.draft(name, "")]
        resources = [
            (f"http://{lens}.invalid/{self._numbers[name]}", document) for (lens, name), document in copies.items()
        ]
        return jsonschema_rs.Registry(resources, retriever=_no_retrieval)

    def _rewrite(self, schema: Json, place: Place) -> None:
        """Make a schema independent of identifiers, and open it where its lens says so."""
        if not isinstance(schema, dict):
            return
        for keyword in _IDENTITIES:
            if isinstance(schema.get(keyword), str):
                del schema[keyword]
        self._lead(schema, place)
        if place.lens == "opened":
            for keyword in ("additionalProperties", "unevaluatedProperties"):
                if schema.get(keyword) is False:
                    del schema[keyword]
            _widen(schema)

    def _lead(self, schema: dict[str, Json], place: Place) -> None:
        """Let references lead to places by no identifier. Nothing is compared where a dynamic one is not certain."""
        if isinstance(schema.get("$ref"), str):
            schema["$ref"] = self._uri(place.referred())
        for keyword in ("$recursiveRef", "$dynamicRef"):
            if place.has(keyword) and place.certain(keyword):
                combined = schema.get("allOf", [])
                followed: Json = {"$ref": self._uri(place.referred(keyword))}
                schema["allOf"] = [*(combined if isinstance(combined, list) else []), followed]
                del schema[keyword]


def _widen(schema: dict[str, Json]) -> None:
    """Let an enum with a fallback member take every value of its members' types."""
    members, combined = schema.get("enum"), schema.get("allOf", [])
    if not isinstance(members, list) or not isinstance(combined, list):
        return
    if FALLBACK in schema and schema[FALLBACK] in members:
        of_these_types: list[Json] = [{"type": _type(each)} for each in members]
        schema["allOf"] = [*combined, {"anyOf": of_these_types}]
        del schema["enum"]


def _type(value: Json) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _at(document: Json, pointer: str) -> Json:
    value = document
    for step in steps(pointer):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list):
            value = value[int(step)]
    return value


def _no_retrieval(uri: str) -> NoReturn:
    raise LookupError(uri)
