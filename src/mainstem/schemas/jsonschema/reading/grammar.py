"""The grammar of JSON Schema: what a registry accepts, and when two texts say the same."""

from collections.abc import Iterator

from mainstem.schemas.documents import NO_REFERENCES, Resolved, Schema
from mainstem.schemas.jsonschema.reading.dialects import KEYWORDS, draft_of, parts
from mainstem.schemas.jsonschema.reading.parsing import Json, parsed, refused, without_spaces, written
from mainstem.schemas.jsonschema.reading.places import REFERENCES, Lens, Library, Place
from mainstem.schemas.jsonschema.reading.validation import linear, look_for_faults

_SETS = frozenset({"required", "enum", "type"})


class JsonGrammar:
    """Drafts 4 to 2020-12, as ``$schema`` says; draft 7 where it says nothing."""

    def check(self, schema: Schema, resolved: Resolved) -> None:
        """Look whether the text is a JSON Schema whose references all lead somewhere."""
        library(schema, resolved)

    def plain(self, schema: Schema) -> str:
        """The text without insignificant spaces."""
        parsed(schema.text)
        return without_spaces(schema.text)

    def normal(self, schema: Schema, resolved: Resolved) -> str:
        """Members by name, and the lists that are sets (``required``, ``enum``, ``type``, names of others) in order."""
        self.check(schema, resolved)
        return written(_ordered(parsed(schema.text)))


def library(schema: Schema, resolved: Resolved, lens: Lens = "plain") -> Library:
    """The documents of a schema, checked. Raises :class:`~mainstem.errors.SchemaRefused`."""
    _look_for_circles(schema, resolved)
    root = parsed(schema.text)
    others = {name: parsed(each.text, name) for name, each in _reachable(schema, resolved)}
    for name, document in [("", root), *others.items()]:
        look_for_faults(document, draft_of(document, name), name)
    documents = Library(root, others, lens)
    _look_at_places(documents)
    return documents


def _reachable(schema: Schema, resolved: Resolved) -> Iterator[tuple[str, Schema]]:
    """What a schema refers to, directly or through others, once each."""
    waiting, seen = list(schema.references), set[str]()
    while waiting:
        name = waiting.pop().name
        if name in seen:
            continue
        seen.add(name)
        if name not in resolved:
            raise refused(f"the reference {name[:200]!r} is not known", name, "register it first, and name its version")
        yield name, resolved[name]
        waiting += resolved[name].references


def _look_for_circles(schema: Schema, resolved: Resolved) -> None:
    """Refuse references between documents that lead back to where they started."""
    done, open_names = set[str](), list[str]()
    waiting: list[tuple[str, bool]] = [(each.name, True) for each in schema.references]
    while waiting:
        name, enters = waiting.pop()
        if not enters:
            done.add(open_names.pop())
        elif name in open_names:
            raise refused("the references between schemas form a circle", " → ".join([*open_names, name])[:500])
        elif name not in done:
            open_names.append(name)
            waiting.append((name, False))
            further = resolved[name].references if name in resolved else NO_REFERENCES
            waiting += [(each.name, True) for each in further]


def _look_at_places(documents: Library) -> None:
    """Resolve every reference, try every pattern, and refuse what refers to itself without going into the instance."""
    looked: set[tuple[str, str]] = set()
    while todo := [each for each in documents.walked if each not in looked]:
        for document, pointer in todo:
            looked.add((document, pointer))
            place = documents.place(document, pointer, "plain")
            _look_at_patterns(place)
            for keyword in REFERENCES:
                if place.has(keyword):
                    place.referred(keyword)
    _look_for_self_reference([documents.place(*each, "plain") for each in documents.walked])


def _look_at_patterns(place: Place) -> None:
    stated = [place.schema.get("pattern")]
    named = place.schema.get("patternProperties")
    stated += list(named) if isinstance(named, dict) else []
    for pattern in stated:
        if isinstance(pattern, str) and not linear(pattern):
            raise refused(
                f"the pattern {pattern[:200]!r} cannot be matched in linear time",
                place.path,
                "write it without looking around, referring back, or large counts",
            )


def _look_for_self_reference(places: list[Place]) -> None:
    done, entered = set[Place](), set[Place]()
    for start in places:
        waiting = [(start, True)]
        while waiting:
            place, enters = waiting.pop()
            if not enters:
                entered.discard(place)
                done.add(place)
            elif place in entered:
                raise refused("the schema refers to itself without going into the instance", place.path)
            elif place not in done:
                entered.add(place)
                waiting.append((place, False))
                waiting += [(each.library.place(each.document, each.pointer, "plain"), True) for each in place.inside()]


def _ordered(schema: Json) -> Json:
    """A schema whose set-like lists are in order, at every place where a schema stands."""
    if not isinstance(schema, dict):
        return schema
    ordered = dict(schema)
    for keyword, value in schema.items():
        if keyword in _SETS and isinstance(value, list):
            ordered[keyword] = sorted(value, key=written)
        elif keyword in ("dependencies", "dependentRequired") and isinstance(value, dict):
            ordered[keyword] = {
                name: sorted(each, key=written) if isinstance(each, list) else each for name, each in value.items()
            }
    for keyword in dict.fromkeys(keyword for keyword, _, _ in parts(schema)):
        value = ordered[keyword]
        if isinstance(value, list):
            ordered[keyword] = [_ordered(each) for each in value]
        elif KEYWORDS[keyword].holds in ("named", "dependencies") and isinstance(value, dict):
            ordered[keyword] = {name: _ordered(each) for name, each in value.items()}
        else:
            ordered[keyword] = _ordered(value)
    return ordered


GRAMMAR = JsonGrammar()
"""The rules of JSON Schema for registry, differ and command line."""
