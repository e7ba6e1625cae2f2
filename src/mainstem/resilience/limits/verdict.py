"""What a rate limit answers, and what every rate limit is."""

from typing import Final, NoReturn, Protocol, TypeVar

from msgspec import Struct

from mainstem.errors import DefinitionError

S = TypeVar("S")

LARGEST: Final = 2**63 - 1
"""The largest number that every store and every codec takes."""


class Verdict(Struct, frozen=True, gc=False):
    """The answer to one request. Times count from the moment of the request, in whole milliseconds, rounded up.

    ``remaining`` is how much may follow at this same moment. ``retry_after_ms`` is 0 when allowed; else the same
    request is allowed after so long, and not a millisecond sooner, if nobody else is allowed anything before.
    ``reset_after_ms`` is when the limit is as if it had never been used, if nothing follows. ``wait_ms`` is how long to
    hold back what was allowed; only ``LeakingQueue`` says other than 0.
    """

    allowed: bool
    remaining: int
    retry_after_ms: int
    reset_after_ms: int
    wait_ms: int = 0


class RateLimit(Protocol[S]):
    """A limit as a value. What it has counted is the state: plain data of at most 64 bits a number, kept by the caller.

    Where the state is kept decides what the limit is for: one state for everybody, one for each key, in memory or in a
    store that workers share. A step reads no clock; time that goes back counts as standing still.
    """

    def step(self, state: S | None, now_ms: int, cost: int = 1) -> tuple[S, Verdict]:
        """Ask for ``cost`` at ``now_ms``: the state to keep, and the answer. ``None`` is the state of a first request.

        A request that is not allowed changes nothing: the state that comes back is the one that was given. Raises
        ``DefinitionError`` for a cost that could never be allowed.
        """
        ...


def demand_whole(what: str, **numbers: int) -> None:
    """Raise ``DefinitionError`` unless each of ``numbers`` is a whole number from 1."""
    for name, number in numbers.items():
        if type(number) is not int or not 1 <= number <= LARGEST:
            raise DefinitionError(
                f"{what} with {name}={number!r}",
                why="limits are counted in whole numbers, and start at one",
                remedy=f"give {name} as a whole number from 1 on",
            )


def refuse_cost(limit: object, cost: int, most: int) -> NoReturn:
    """Raise ``DefinitionError`` for a request that waiting would not help."""
    raise DefinitionError(
        f"a request that costs {cost!r}",
        where=repr(limit),
        why=f"a cost is a whole number from 1 to {most} here; more than that is never there at once",
        remedy="split the request, or raise the limit",
    )
