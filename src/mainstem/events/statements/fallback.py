"""An enum that may grow: the member that stands for every value that is not known yet."""

from collections.abc import Callable
from enum import Enum
from typing import TypeVar

from mainstem.errors import DefinitionError

E = TypeVar("E", bound=type[Enum])


def fallback(member: str) -> Callable[[E], E]:
    """Say which member of an enum stands for values that it does not know, such as those of a later version.

    ``@fallback("OTHER")`` above the class names it. Without one an unknown value is refused, so that an enum cannot get
    another member while anybody reads it as it was. Python itself does the same then: ``Channel("telex")`` is the
    fallback. Raises ``DefinitionError`` for a name that the enum does not have.
    """

    def declare(kind: E) -> E:
        found = kind.__members__.get(member)
        if found is None:
            raise DefinitionError(
                f"{kind.__name__} has no member {member!r} to fall back to",
                where=f"{kind.__module__}.{kind.__qualname__}",
                remedy=f"name one of {', '.join(kind.__members__) or 'its members, when it has some'}",
            )
        if "_missing_" in vars(kind):
            raise DefinitionError(
                f"{kind.__name__} has a fallback, and says itself what an unknown value is",
                where=f"{kind.__module__}.{kind.__qualname__}",
                remedy="take one of the two away: @fallback(...), or _missing_",
            )
        of_its_type = type(found.value)

        def missing(_: type[Enum], value: object) -> Enum | None:
            return found if isinstance(value, of_its_type) else None

        kind._missing_ = classmethod(missing)  # type: ignore[assignment]  # an enum looks for it so
        kind.__fallback__ = found  # type: ignore[attr-defined]  # nobody but fallback_of looks for it
        return kind

    return declare


def fallback_of(kind: type[object]) -> Enum | None:
    """The member that stands for unknown values; None where an enum has none, and for what is no enum."""
    found = getattr(kind, "__fallback__", None)
    return found if isinstance(found, Enum) else None
