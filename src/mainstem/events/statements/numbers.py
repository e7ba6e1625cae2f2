"""The numbers of fields and enum members, which Protobuf writes instead of names. Who declares a type states them."""

from collections.abc import Callable
from enum import Enum
from typing import Final, TypeVar

from msgspec import Struct

from mainstem.errors import DefinitionError

MAXIMUM_NUMBER: Final = (1 << 29) - 1
_OWN: Final = range(19_000, 20_000)
_ENUM: Final = range(-(1 << 31), 1 << 31)

C = TypeVar("C", bound=type[object])
E = TypeVar("E", bound=type[Enum])


class FieldNumber(Struct, frozen=True):
    """The number of a field in Protobuf: ``customer_id: Annotated[str, FieldNumber(1)]``.

    It stands in the bytes where JSON has the name, so it is never changed, and never used again for another field.
    Each alternative of a union has one: ``Annotated[Card, FieldNumber(4)] | Annotated[Cash, FieldNumber(5)]``.
    Raises ``DefinitionError`` for what is no number of a field: they go from 1 to 536870911, without 19000 to 19999.
    """

    number: int

    def __post_init__(self) -> None:
        if not _is_field_number(self.number):
            raise DefinitionError(
                f"FieldNumber({self.number!r}) is no number of a field",
                why="they go from 1 to 536870911, and 19000 to 19999 are for Protobuf itself",
                remedy="count from 1; those up to 15 take one byte",
            )


def _is_field_number(number: object) -> bool:
    is_whole = isinstance(number, int) and not isinstance(number, bool)
    return is_whole and 0 < number <= MAXIMUM_NUMBER and number not in _OWN  # type: ignore[operator]  # it is whole


def retired(*fields: int | str) -> Callable[[C], C]:
    """Keep the numbers and names of fields that a class had once: ``@retired(4, "total")`` above it.

    In bytes that are kept somewhere they still have their old meaning. A field that takes one of them is refused.
    Raises ``DefinitionError`` for what is neither a number of a field nor a name.
    """
    wrong = [each for each in fields if not (_is_field_number(each) or (isinstance(each, str) and each.isidentifier()))]
    if wrong or not fields:
        raise DefinitionError(
            f"retired({', '.join(map(repr, wrong))}) names no field",
            remedy='write the numbers and names that are not used any more: @retired(4, "total")',
        )

    def declare(kind: C) -> C:
        kind.__protobuf_retired__ = fields  # type: ignore[attr-defined]  # nobody but retired_in looks for it
        return kind

    return declare


def retired_in(kind: type[object]) -> tuple[int | str, ...]:
    """What a class and those that it extends have retired, each once."""
    return tuple(dict.fromkeys(each for one in kind.__mro__ for each in vars(one).get("__protobuf_retired__", ())))


def numbered(**members: int) -> Callable[[E], E]:
    """Say the numbers of an enum's members in Protobuf: ``@numbered(WEB=1, SHOP=2)`` above the class.

    An enum whose values are whole numbers needs none. 0 is what a reader finds where nothing was written: give it to a
    member that means that, or to none. Raises ``DefinitionError`` where a member has no number, or two have the same.
    """

    def declare(kind: E) -> E:
        where = f"{kind.__module__}.{kind.__qualname__}"
        if set(members) != set(kind.__members__):
            missing = ", ".join(sorted(set(kind.__members__) - set(members)) or sorted(set(members)))
            raise DefinitionError(
                f"numbered(...) and the members of {kind.__name__} are not the same: {missing}",
                where=where,
                remedy="give each member a number, and keep it",
            )
        if len(set(members.values())) < len(members) or not all(each in _ENUM for each in members.values()):
            raise DefinitionError(
                f"the numbers of {kind.__name__} are not different whole numbers of 32 bits",
                where=where,
                remedy="give each member another one",
            )
        kind.__protobuf_numbers__ = members  # type: ignore[attr-defined]  # nobody but numbers_of looks for it
        return kind

    return declare


def numbers_of(kind: type[Enum]) -> dict[str, int] | None:
    """The numbers of an enum's members by their names, aliases left out; none where nobody has said them."""
    stated: object = vars(kind).get("__protobuf_numbers__")
    if isinstance(stated, dict):
        return {member.name: stated[member.name] for member in kind}
    values = {member.name: member.value for member in kind}
    whole = all(isinstance(each, int) and not isinstance(each, bool) and each in _ENUM for each in values.values())
    return values if whole and values else None
