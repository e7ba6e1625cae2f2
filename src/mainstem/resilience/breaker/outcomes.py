"""How the last calls have ended: the last so many, or those of the last so many milliseconds."""

from bisect import bisect_right
from typing import Final, NamedTuple, TypeAlias

from msgspec import Struct

from mainstem.errors import DefinitionError
from mainstem.options import Stated


class Tally(NamedTuple):
    """So many calls, of which so many have failed, and so many were slow; a call may be both."""

    calls: int
    failed: int
    slow: int


class LastCalls(Struct, frozen=True, array_like=True, tag="calls"):
    """What a ``CallsWindow`` remembers: how many calls it has seen, and the numbers of those that were not good."""

    seen: int
    failed: tuple[int, ...]
    slow: tuple[int, ...]


class CallsWindow(Struct, frozen=True, tag="calls", metaclass=Stated):
    """Looks at the last ``calls`` calls. Good calls cost nothing to remember."""

    calls: int = 100

    def __post_init__(self) -> None:
        """Refuse a window of nothing, with ``DefinitionError``."""
        _demand(self.calls, "CallsWindow", "calls")

    def add(self, state: object, now_ms: int, *, failed: bool, slow: bool) -> LastCalls:  # noqa: ARG002 - as TimeWindow
        """The state with one more call. Any other state than this window's is that of no calls."""
        if not isinstance(state, LastCalls):
            state = LastCalls(0, (), ())
        number = state.seen + 1
        if not (failed or slow or state.failed or state.slow):
            return LastCalls(number, (), ())
        return LastCalls(
            number,
            self._kept(state.failed, number, add=failed),
            self._kept(state.slow, number, add=slow),
        )

    def tally(self, state: object, now_ms: int) -> Tally:  # noqa: ARG002 - as TimeWindow
        """The calls in the window."""
        if not isinstance(state, LastCalls):
            return _NOTHING
        return Tally(min(state.seen, self.calls), len(state.failed), len(state.slow))

    def _kept(self, numbers: tuple[int, ...], newest: int, *, add: bool) -> tuple[int, ...]:
        if numbers and numbers[0] <= newest - self.calls:
            numbers = numbers[bisect_right(numbers, newest - self.calls) :]
        return (*numbers, newest) if add else numbers


class Slice(Struct, frozen=True, array_like=True, gc=False):
    """The calls that ended in one tenth of a ``TimeWindow``."""

    number: int
    calls: int
    failed: int
    slow: int


class LastSlices(Struct, frozen=True, array_like=True, tag="slices"):
    """What a ``TimeWindow`` remembers."""

    slices: tuple[Slice, ...]


class TimeWindow(Struct, frozen=True, tag="time", metaclass=Stated):
    """Looks at the calls that ended in the last ``period_ms``, and moves on by tenths of it.

    So it covers between nine tenths of the period and all of it.
    """

    period_ms: int = 60_000

    def __post_init__(self) -> None:
        """Refuse a window of nothing, with ``DefinitionError``."""
        _demand(self.period_ms, "TimeWindow", "period_ms")

    def add(self, state: object, now_ms: int, *, failed: bool, slow: bool) -> LastSlices:
        """The state with one more call. Any other state than this window's is that of no calls."""
        slices = state.slices if isinstance(state, LastSlices) else ()
        number = now_ms * SLICES // self.period_ms
        if slices and number <= slices[-1].number:
            last = slices[-1]
            return LastSlices(
                (*slices[:-1], Slice(last.number, last.calls + 1, last.failed + failed, last.slow + slow))
            )
        recent = tuple(each for each in slices if each.number > number - SLICES)
        return LastSlices((*recent, Slice(number, 1, int(failed), int(slow))))

    def tally(self, state: object, now_ms: int) -> Tally:
        """The calls in the window."""
        if not isinstance(state, LastSlices):
            return _NOTHING
        first = now_ms * SLICES // self.period_ms - SLICES
        calls = failed = slow = 0
        for each in state.slices:
            if each.number > first:
                calls += each.calls
                failed += each.failed
                slow += each.slow
        return Tally(calls, failed, slow)


SLICES: Final = 10
"""A ``TimeWindow`` forgets so many times in its period."""

Window: TypeAlias = CallsWindow | TimeWindow
Outcomes: TypeAlias = LastCalls | LastSlices

_NOTHING: Final = Tally(0, 0, 0)


def _demand(number: int, window: str, name: str) -> None:
    if type(number) is not int or number < 1:
        raise DefinitionError(
            f"a {window} with {name}={number!r}",
            why="a window that holds nothing tells nothing",
            remedy=f"give {name} as a whole number from 1 on",
        )
