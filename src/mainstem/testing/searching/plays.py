"""One run of a simulation: how it ended, and what went wrong in it."""

import inspect
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from types import MethodType
from typing import Final, TypeAlias

from mainstem.errors import DefinitionError, StartRefused
from mainstem.testing.faults import Arsenal, Fault
from mainstem.testing.searching.simulation import Simulation
from mainstem.testing.simulation import SimulationLoop, SimulationStuck, run_simulation
from mainstem.testing.stage import Script, armed, staged
from mainstem.testing.world import World

Look: TypeAlias = Callable[[World], None]

SCENARIO: Final = "the scenario"
SETTLING: Final = "settling"


@dataclass(frozen=True, slots=True)
class Failure:
    """What did not hold, and how it showed. ``by`` is the name of an invariant, or says what else was at work."""

    by: str
    error: Exception
    expected: str = ""

    def is_like(self, other: "Failure") -> bool:
        """Whether the same thing does not hold; its words may differ."""
        return self.by == other.by and type(self.error) is type(other.error)

    def __str__(self) -> str:
        return f"{type(self.error).__name__}: {self.error}"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run has ended. Its ``script`` makes it end so again, with the same seed."""

    seed: int
    script: Script
    failure: Failure | None
    deeds: int
    """How much the scenario has done, or would have done."""


def play(simulation: Simulation, seed: int, script: Script | None = None, look: Look | None = None) -> Ending:
    """Run it once: what the seed draws, or what a script says. ``look`` sees the world at its end.

    Raises what keeps the services from starting.
    """
    faults, drawn = simulation.draw(seed)
    played = _Play(simulation, faults, script or drawn, look)
    with _silence():
        try:
            return run_simulation(lambda: played.run(seed), loop=SimulationLoop(seed))
        except SimulationStuck as stuck:
            # The loop itself says so, and nothing in it can go on any more.
            return played.ending(seed, stuck)


class _Play:
    def __init__(self, simulation: Simulation, faults: tuple[Fault, ...], script: Script, look: Look | None) -> None:
        self._simulation = simulation
        self._faults = faults
        self._script = script
        self._look = look
        self._arsenal: Arsenal | None = None
        self._world: World | None = None
        self._by = "starting"
        self._expected = ""

    async def run(self, seed: int) -> Ending:
        arsenal = self._arsenal = armed(self._faults, seed, self._script.incidents)
        try:
            async with staged(self._simulation.cast(seed), arsenal, self._script, seed) as world:
                self._world = world
                if self._look is not None:
                    _overhear(world)
                try:
                    await self._judge(world)
                finally:
                    if self._look is not None:
                        self._look(world)
        except (DefinitionError, StartRefused):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what the search looks for
            return self.ending(seed, error)
        return self.ending(seed, None)

    def ending(self, seed: int, error: Exception | None) -> Ending:
        """How it has ended."""
        happened = () if self._arsenal is None else tuple(self._arsenal.happened)
        failure = None if error is None else Failure(self._by, error, self._expected)
        deeds = 0 if self._world is None else self._world.deeds
        return Ending(seed, replace(self._script, incidents=happened), failure, deeds)

    async def _judge(self, world: World) -> None:
        self._by = SCENARIO
        await self._simulation.scenario(world)
        self._by = SETTLING
        if any(handler.schedule is not None for plan in world.plans for handler in plan.processors):
            # What runs by the calendar never comes to an end.
            await world.advance("1d")
            await world.quiet()
        else:
            await world.settle()
        for invariant in self._simulation.invariants:
            self._by = getattr(invariant, "__name__", repr(invariant))
            self._expected = (invariant.__doc__ or "").strip().partition("\n")[0]
            invariant(world)


def _overhear(world: World) -> None:
    """Let the trace tell what handlers ask of those who stand in for the outside."""
    for stand_in in world.stand_ins:
        for name, method in inspect.getmembers(stand_in, inspect.ismethod):
            if not name.startswith("_") and hasattr(stand_in, "__dict__"):
                setattr(stand_in, name, _overheard(world, type(stand_in).__name__, method))


def _overheard(world: World, kind: str, method: MethodType) -> Callable[..., object]:
    @wraps(method)
    def call(*args: object, **kwargs: object) -> object:
        given = [*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())]
        world.trace.note("calls", f"calls {kind}.{method.__name__}({', '.join(given)})")
        return method(*args, **kwargs)

    return call


@contextmanager
def _silence() -> Iterator[None]:
    """What the runtime says of each fault would fill pages, and take longer than what it speaks of."""
    logger = logging.getLogger("mainstem")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
