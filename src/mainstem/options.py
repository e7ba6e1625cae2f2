"""Options that there are none of: refused in the name of what was called, with those that there are."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TypeVar, cast

import msgspec

from mainstem.errors import DefinitionError

T = TypeVar("T")


def check_options(called: str, given: Iterable[str], known: tuple[str, ...]) -> None:
    """Raise :class:`~mainstem.errors.DefinitionError` for the first option that is not known."""
    for each in given:
        if each not in known:
            near = get_close_matches(each, known, n=1)
            raise DefinitionError(
                f"{called}(...) has no option {each!r}",
                why=f"its options are {', '.join(known)}",
                remedy=f"did you mean {near[0]}?" if near else "leave it out, or name one of them",
            )


class Stated(msgspec.StructMeta):
    """The metaclass of structs that users write down: a keyword that is misspelt is told with the class."""

    def __call__(self: type[T], *given: object, **options: object) -> T:
        """A value of the class. Raises :class:`~mainstem.errors.DefinitionError`."""
        check_options(self.__name__, options, cast("type[msgspec.Struct]", self).__struct_fields__)
        made: T = msgspec.StructMeta.__call__(self, *given, **options)
        return made
