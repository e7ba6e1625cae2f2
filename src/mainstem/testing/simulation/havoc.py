"""The faults of one simulation: which of them happen now, here, to this worker."""

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from typing import Final, NamedTuple, cast

from mainstem.clock import ManualClock
from mainstem.errors import DefinitionError
from mainstem.service import Definition
from mainstem.testing.faults import (
    OUTCOME,
    PUBLISH,
    READ,
    Act,
    Arsenal,
    Fail,
    Function,
    Hold,
    LoseAnswer,
    Refuse,
    Slow,
)
from mainstem.testing.simulation.process import PROCESS, end_if_over
from mainstem.testing.simulation.trace import Trace

Strike = Callable[[Act, str], None]
"""Lets an act befall the process that is running, at a place."""


class Outcome(NamedTuple):
    """What faults do to one call: how much longer it takes, and what it raises when it has done its work."""

    delay_seconds: float
    late: Exception | type[Exception] | None


class Havoc:
    """Everything that is to go wrong in one simulation."""

    def __init__(self, arsenal: Arsenal, trace: Trace, clock: ManualClock, strike: Strike) -> None:
        self.arsenal = arsenal
        self._trace = trace
        self._clock = clock
        self._strike = strike

    def reach(self, point: str) -> None:
        """The running worker has come to a point; lets befall it what befalls it there."""
        for act in self.arsenal.due(point, _worker()):
            self._strike(act, point)

    def outcome(self) -> Refuse | LoseAnswer | None:
        """What befalls the commit that is being made, if anything does."""
        found: Refuse | LoseAnswer | None = None
        for act in self.arsenal.due(OUTCOME, _worker()):
            if found is None and isinstance(act, Refuse | LoseAnswer):
                found = act
        return found

    def duplicates(self) -> bool:
        """Whether what is published now is appended twice."""
        return bool(self.arsenal.due(PUBLISH, None))

    def late_seconds(self) -> float:
        """How much later than it is there the running worker reads what it would read now."""
        return sum(act.seconds for act in self.arsenal.due(READ, _worker()) if isinstance(act, Hold))

    def befall(self, function: Function) -> Outcome:
        """A function is called; raises what befalls it before it begins."""
        delay, late = 0.0, None
        place = self.arsenal.functions.get(function)
        for act in () if place is None else self.arsenal.due(place, _worker()):
            if not isinstance(act, Slow | Fail):
                self._strike(act, function.__qualname__)
                continue
            self._trace.note("goes wrong", f"{function.__qualname__} {act}")
            if isinstance(act, Slow):
                delay += act.seconds
            elif act.after:
                late = act.error
            else:
                raise act.error
        return Outcome(delay, late)

    def handlers(self, services: Iterable[Definition]) -> dict[tuple[str, str], Function]:
        """The handlers that are to go wrong, by group and name."""
        return {
            (group.name, registration.name): registration.function
            for service in services
            for group in service.groups
            for registration in group.registered
            if registration.function in self.arsenal.functions
        }

    @contextmanager
    def in_place(self, services: Iterable[Definition], replaced: Mapping[type[object], object]) -> Iterator[None]:
        """Until the block ends, what handlers call goes wrong where it is to."""
        handlers = set(self.handlers(services).values())
        with ExitStack() as stack:
            for function in [each for each in self.arsenal.functions if each not in handlers]:
                owners = _owners_of(function, replaced)
                if not owners:
                    raise DefinitionError(
                        f"{function!r} is neither a handler of these services nor found under its own name",
                        remedy="name a handler, a function of a module, or a method of a class: Bank.charge",
                    )
                for owner in owners:
                    stack.enter_context(_patched(owner, function.__name__, partial(self._around, function)))
            yield

    def _around(self, function: Function, real: Function) -> Function:
        if inspect.iscoroutinefunction(real):

            @wraps(real)
            async def call(*args: object, **kwargs: object) -> object:
                outcome = self.befall(function)
                # Also for no time at all: a process that stands still goes on here later, and one that ended does not.
                await asyncio.sleep(outcome.delay_seconds)
                result = await cast("Awaitable[object]", real(*args, **kwargs))
                if outcome.late is not None:
                    raise outcome.late
                return result

            return call

        @wraps(real)
        def call_now(*args: object, **kwargs: object) -> object:
            outcome = self.befall(function)
            end_if_over()
            self._clock.advance(outcome.delay_seconds)
            result = real(*args, **kwargs)
            if outcome.late is not None:
                raise outcome.late
            return result

        return call_now


def _worker() -> int | None:
    process = PROCESS.get()
    return None if process is None else process.worker


# --- where a function is looked up

_MISSING: Final = object()


def _owners_of(function: Function, replaced: Mapping[type[object], object]) -> list[object]:
    """The module or class under whose name a function is found, and the classes of what stands in for that class."""
    *path, name = function.__qualname__.split(".")
    owner: object = sys.modules.get(function.__module__)
    for part in path:
        owner = getattr(owner, part, None)
    found = [] if getattr(owner, name, None) is not function else [owner]
    # A class that is local to a test cannot be walked to by name, but what is replaced is known by its class.
    for kind, stand_in in replaced.items():
        kinds = [kind, type(stand_in)]
        if any(getattr(each, name, None) is function for each in kinds):
            found += [each for each in kinds if each not in found and hasattr(each, name)]
    return found


@contextmanager
def _patched(owner: object, name: str, around: Callable[[Function], Function]) -> Iterator[None]:
    """Put something around ``owner.name`` until the block ends."""
    before = vars(owner).get(name, _MISSING)
    stand_in = around(getattr(owner, name))
    setattr(owner, name, staticmethod(stand_in) if isinstance(before, staticmethod) else stand_in)
    try:
        yield
    finally:
        if before is _MISSING:
            delattr(owner, name)
        else:
            setattr(owner, name, before)
