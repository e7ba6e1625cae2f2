"""Examples of what a schema lets be written: for the counterexample of a difference.

In the JSON encoding of Avro's specification: bytes are a text, and a value of a union says its type, unless it is null.
"""

from typing import Final, NamedTuple, Optional

from msgspec import UNSET, UnsetType

from mainstem.schemas.avro.language import Array, Enum, Fixed, Map, Primitive, Record, Type, Union, branch_name

_PARTS: Final = 500
_DEPTH: Final = 24
_ZEROES: Final[dict[str, object]] = {
    "null": None,
    "boolean": False,
    "int": 0,
    "long": 0,
    "float": 0.5,
    "double": 0.5,
    "bytes": "",
    "string": "",
}


class Trail(NamedTuple):
    """The way from the root of the writer's schema to a place in it: what holds the place, and under which name."""

    above: Optional["Trail"]
    holder: Record | Array | Map | Union
    name: str = ""


def example(node: Type, trail: Trail | None, value: object | UnsetType = UNSET) -> object | UnsetType:
    """A value of the whole schema that has ``value``, or some value of ``node``, where the trail ends.

    Unset where there is none of moderate size: a record may hold itself without end.
    """
    room = _Room()
    found = room.sample(node, 0) if value is UNSET else value
    while trail is not None and found is not UNSET:
        if isinstance(trail.holder, Record):
            around = room.record(trail.holder, 0, leave_out=trail.name)
            found = UNSET if isinstance(around, UnsetType) else _placed(trail.holder, around, trail.name, found)
        elif isinstance(trail.holder, Union):
            found = _tagged(trail.name, found)
        else:
            found = [found] if isinstance(trail.holder, Array) else {"key": found}
        trail = trail.above
    return found


def _tagged(name: str, value: object) -> object:
    return None if name == "null" else {name: value}


def _placed(node: Record, around: dict[str, object], name: str, value: object) -> dict[str, object]:
    return {each.name: value if each.name == name else around[each.name] for each in node.fields}


class _Room:
    """Counts what has been made, so that a schema cannot ask for a value that never ends."""

    def __init__(self) -> None:
        self._left = _PARTS

    def sample(self, node: Type, depth: int) -> object | UnsetType:
        self._left -= 1
        if self._left < 0 or depth > _DEPTH:
            return UNSET
        if isinstance(node, Record):
            return self.record(node, depth)
        if isinstance(node, Union):
            # A branch without parts first: it ends what would go on for ever.
            branches = sorted(node.branches, key=lambda each: not isinstance(each, Primitive))
            found = ((branch_name(each), self.sample(each, depth + 1)) for each in branches)
            return next((_tagged(name, value) for name, value in found if value is not UNSET), UNSET)
        return _least(node)

    def record(self, node: Record, depth: int, leave_out: str = "") -> dict[str, object] | UnsetType:
        found: dict[str, object] = {}
        for field in node.fields:
            if field.name != leave_out:
                value = self.sample(field.type, depth + 1)
                if value is UNSET:
                    return UNSET
                found[field.name] = value
        return found


def _least(node: Primitive | Enum | Fixed | Array | Map) -> object | UnsetType:
    if isinstance(node, Primitive):
        return _ZEROES[node.kind]
    if isinstance(node, Enum):
        return node.symbols[0] if node.symbols else UNSET
    if isinstance(node, Fixed):
        return "\0" * node.size if node.size <= _PARTS else UNSET
    return [] if isinstance(node, Array) else {}
