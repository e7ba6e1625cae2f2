"""The faults of one simulation: which of them happen now, here, to this worker."""

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from random import Random
from typing import Final, NamedTuple, cast

from mainstem.clock import ManualClock
from mainstem.errors import DefinitionError
from mainstem.service import Definition
from mainstem.testing.simulation.faults import OUTCOME, PUBLISH, Act, Armed, Fail, Fault, Function, Slow, points_of
from mainstem.testing.simulation.process import PROCESS, end_if_over

Strike = Callable[[Act, str], None]
"""Lets an act befall the process that is running, at a place."""


class Outcome(NamedTuple):
    """What faults do to one call: how much longer it takes, and what it raises when it has done its work."""

    delay_seconds: float
    late: Exception | type[Exception] | None


class Havoc:
    """Everything that is to go wrong in one simulation."""

    def __init__(self, faults: Iterable[Fault], random: Random, clock: ManualClock, strike: Strike) -> None:
        self._clock = clock
        self._strike = strike
        self._by_point: dict[str, list[Armed]] = {}
        self._by_function: dict[Function, list[Armed]] = {}
        for fault in faults:
            armed = Armed(fault, random)
            for point in points_of(fault):
                self._by_point.setdefault(point, []).append(armed)
            if not isinstance(fault.at, str):
                self._by_function.setdefault(fault.at, []).append(armed)

    def reach(self, point: str) -> None:
        """The running worker has come to a point; raises what befalls it there."""
        for armed in self._by_point.get(point, ()):
            if armed.fires(_worker()):
                self._strike(armed.fault.act, point)

    def outcome(self) -> Act | None:
        """What befalls the commit that is being made, if anything does."""
        firing = [armed.fault.act for armed in self._by_point.get(OUTCOME, ()) if armed.fires(_worker())]
        return firing[0] if firing else None

    def duplicates(self) -> bool:
        """Whether what is published now is appended twice."""
        return any(armed.fires(None) for armed in self._by_point.get(PUBLISH, ()))

    def befall(self, function: Function) -> Outcome:
        """A function is called; raises what befalls it before it begins."""
        delay, late = 0.0, None
        for armed in self._by_function.get(function, ()):
            if not armed.fires(_worker()):
                continue
            act = armed.fault.act
            if isinstance(act, Slow):
                delay += act.seconds
            elif not isinstance(act, Fail):
                self._strike(act, function.__qualname__)
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
            if registration.function in self._by_function
        }

    @contextmanager
    def in_place(self, services: Iterable[Definition], replaced: Mapping[type[object], object]) -> Iterator[None]:
        """Until the block ends, what handlers call goes wrong where it is to."""
        handlers = set(self.handlers(services).values())
        with ExitStack() as stack:
            for function in self._by_function.keys() - handlers:
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
