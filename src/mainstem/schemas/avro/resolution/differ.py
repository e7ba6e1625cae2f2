"""Whether a reader's Avro schema resolves against a writer's, for every value that the writer may write."""

from collections import Counter, deque
from functools import lru_cache
from typing import Final, NamedTuple

from msgspec import UNSET, UnsetType

from mainstem.schemas.avro.language import (
    Array,
    Enum,
    Fixed,
    Map,
    Primitive,
    Record,
    Type,
    Union,
    branch_name,
    logical_of,
    parsed,
    spelled,
)
from mainstem.schemas.avro.resolution.rules import Branches, logical_clash, names_match, promoted, written_as
from mainstem.schemas.avro.resolution.samples import Trail, example
from mainstem.schemas.compatibility import Difference, Policy, Verdict
from mainstem.schemas.documents import Format, Resolved, Schema

COMPARISONS: Final = 200_000
"""Pairs of types that are looked at; a union of thousands of types against another one would take minutes."""
SHOWN: Final = 100
"""Differences that are told."""

_SMALL: Final = 65_536


def differences(writer: Schema, reader: Schema, resolved: tuple[Resolved, Resolved], policy: Policy) -> Verdict:  # noqa: ARG001 - a Differ; Avro knows no open and closed models
    """Why ``reader`` cannot read what ``writer`` writes, by the specification's schema resolution.

    Paths are JSON pointers into the reader's schema, where a named type counts as written out. The rules:
    ``TYPE_MISMATCH``, ``NAME_MISMATCH``, ``FIXED_SIZE_MISMATCH``, ``MISSING_ENUM_SYMBOLS``,
    ``READER_FIELD_MISSING_DEFAULT_VALUE``, ``MISSING_UNION_BRANCH`` as Apache Avro calls them;
    ``LOGICAL_TYPE_MISMATCH``, where the value would mean something else; and ``AMBIGUOUS_ALIAS`` and
    ``TOO_MANY_COMPARISONS``, which are not provable. Both policies are the same for Avro.
    """
    before, after = _tree(writer, resolved[0]), _tree(reader, resolved[1])
    if writer == reader and dict(resolved[0]) == dict(resolved[1]):
        return Verdict()
    return _Comparison().verdict(_Pair(before, after, "", None))


def _tree(schema: Schema, resolved: Resolved) -> Type:
    if resolved or schema.references or len(schema.text) > _SMALL:
        return parsed(schema, resolved).root
    return _read_just_now(schema.text, schema.format)


@lru_cache(maxsize=4)
def _read_just_now(text: str, kind: Format) -> Type:
    """A schema that is compared with one after the other, and each of these both ways, is read once."""
    return parsed(Schema(text, kind), {}).root


class _Pair(NamedTuple):
    """Two types that meet: ``path`` is the place in the reader's schema, ``trail`` the one in the writer's."""

    writer: Type
    reader: Type
    path: str
    trail: Trail | None


class _Comparison:
    """One comparison. Pairs wait in a list, since types may hold one another in chains of any length, or in circles."""

    def __init__(self) -> None:
        self._waiting: deque[_Pair] = deque()
        self._met: set[tuple[int, int]] = set()
        self._found: list[Difference] = []
        self._unions: dict[int, Branches] = {}
        self._left = COMPARISONS

    def verdict(self, pair: _Pair) -> Verdict:
        self._meet(pair)
        while self._waiting and len(self._found) < SHOWN:
            self._compare(self._waiting.popleft())
        return Verdict(tuple(self._found))

    def _meet(self, pair: _Pair) -> None:
        """Let a pair wait, unless it has been met before: what is to be said of it is said once."""
        known = (id(pair.writer), id(pair.reader))
        if known not in self._met and self._may_go_on(pair.path):
            self._met.add(known)
            self._waiting.append(pair)

    def _may_go_on(self, path: str) -> bool:
        self._left -= 1
        if self._left == 0:
            message = f"more than {COMPARISONS:,} pairs of types would have to be compared"
            self._found.append(Difference(path, "TOO_MANY_COMPARISONS", message, outcome="not provable"))
        return self._left > 0

    def _compare(self, pair: _Pair) -> None:
        writer, reader, path, trail = pair
        if isinstance(writer, Union):
            for index, branch in enumerate(writer.branches):
                place = f"{path}/{index}" if isinstance(reader, Union) else path
                self._branch(_Pair(branch, reader, place, Trail(trail, writer, branch_name(branch))))
        elif isinstance(reader, Union):
            self._branch(pair)
        elif type(writer) is not type(reader):
            self._mismatch(pair)
        elif isinstance(writer, Primitive):
            self._primitives(pair)
        elif isinstance(writer, Array | Map):
            self._contents(pair)
        else:
            self._named(pair)

    def _primitives(self, pair: _Pair) -> None:
        assert isinstance(pair.writer, Primitive)
        assert isinstance(pair.reader, Primitive)
        if not promoted(pair.writer, pair.reader):
            self._mismatch(pair)
        else:
            self._logical(pair)

    def _contents(self, pair: _Pair) -> None:
        writer, reader, path, trail = pair
        if isinstance(writer, Array) and isinstance(reader, Array):
            self._meet(_Pair(writer.items, reader.items, f"{path}/items", Trail(trail, writer)))
        elif isinstance(writer, Map) and isinstance(reader, Map):
            self._meet(_Pair(writer.values, reader.values, f"{path}/values", Trail(trail, writer)))

    def _branch(self, pair: _Pair) -> None:
        """A type that is written, or one of a union's, against whatever is to read it."""
        if not isinstance(pair.reader, Union):
            self._meet(pair)
            return
        if not self._may_go_on(pair.path):
            return
        known = id(pair.reader)
        if known not in self._unions:
            self._unions[known] = Branches(pair.reader.branches)
        chosen = self._unions[known].taking(pair.writer)
        if chosen is not None:
            self._meet(pair._replace(reader=chosen))
            return
        branches = [spelled(each) for each in pair.reader.branches]
        message = (
            f"{spelled(pair.writer)} is written, and the reader's union has only {', '.join(branches) or 'nothing'}"
        )
        self._tell(pair, "MISSING_UNION_BRANCH", message, (spelled(pair.writer), branches))

    def _mismatch(self, pair: _Pair) -> None:
        writer, reader = spelled(pair.writer), spelled(pair.reader)
        self._tell(pair, "TYPE_MISMATCH", f"{writer} is written, and {reader} is read", (writer, reader))

    def _logical(self, pair: _Pair) -> None:
        if logical_clash(pair.writer, pair.reader):
            before, after = logical_of(pair.writer), logical_of(pair.reader)
            assert before is not None
            assert after is not None
            message = f"{before.name} is written, and the same bytes are read as {after.name} of other size or unit"
            path = f"{pair.path}/logicalType"
            values = (before._asdict(), after._asdict())
            # Every value can be read, only as another one: there is none to show.
            self._found.append(Difference(path, "LOGICAL_TYPE_MISMATCH", message, *values))

    def _named(self, pair: _Pair) -> None:
        writer, reader, path, _ = pair
        assert isinstance(writer, Record | Enum | Fixed)
        assert isinstance(reader, Record | Enum | Fixed)
        if not names_match(writer, reader):
            message = f"{writer.name} is written, and {reader.name} is read, which does not name it as an alias"
            self._tell(pair._replace(path=f"{path}/name"), "NAME_MISMATCH", message, (writer.name, reader.name))
        if isinstance(writer, Record) and isinstance(reader, Record):
            self._fields(writer, reader, pair)
        elif isinstance(writer, Enum) and isinstance(reader, Enum):
            self._symbols(writer, reader, pair)
        elif isinstance(writer, Fixed) and isinstance(reader, Fixed):
            if writer.size != reader.size:
                message = f"{writer.size} bytes are written, and {reader.size} are read"
                place = pair._replace(path=f"{path}/size")
                self._tell(place, "FIXED_SIZE_MISMATCH", message, (writer.size, reader.size))
            self._logical(pair)

    def _fields(self, writer: Record, reader: Record, pair: _Pair) -> None:
        types = {field.name: field.type for field in writer.fields}
        written = frozenset(types)
        sources = [written_as(field, written) for field in reader.fields]
        claims = Counter(name for names in sources for name in names)
        for index, (field, names) in enumerate(zip(reader.fields, sources, strict=True)):
            place = pair._replace(path=f"{pair.path}/fields/{index}")
            if not names:
                if field.default is UNSET:
                    message = f"{field.name} is not written, and has no default"
                    values = ([each.name for each in writer.fields], field.name)
                    self._tell(place, "READER_FIELD_MISSING_DEFAULT_VALUE", message, values)
                continue
            if len(names) > 1 or claims[names[0]] > 1:
                message = f"{field.name} could be read from {' and '.join(names)}, which others may want too"
                wanted = [field.name, *field.aliases]
                self._found.append(
                    Difference(place.path, "AMBIGUOUS_ALIAS", message, names, wanted, outcome="not provable")
                )
            inner = Trail(pair.trail, writer, names[0])
            self._meet(_Pair(types[names[0]], field.type, f"{place.path}/type", inner))

    def _symbols(self, writer: Enum, reader: Enum, pair: _Pair) -> None:
        known = set(reader.symbols)
        unknown = [each for each in writer.symbols if each not in known]
        if unknown and reader.default is None:
            message = f"the reader does not know {', '.join(unknown)}, and its enum has no default"
            place = pair._replace(path=f"{pair.path}/symbols")
            self._tell(place, "MISSING_ENUM_SYMBOLS", message, (unknown, list(reader.symbols)), unknown[0])

    def _tell(
        self, pair: _Pair, rule: str, message: str, values: tuple[object, object], value: object | UnsetType = UNSET
    ) -> None:
        """Something that is certain: with a value that shows it, of which ``value`` is the part in question."""
        counterexample = example(pair.writer, pair.trail, value)
        self._found.append(Difference(pair.path, rule, message, *values, counterexample=counterexample))
