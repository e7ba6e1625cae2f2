"""Many seeds, until one of them does not hold."""

import multiprocessing
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Final, NamedTuple

from mainstem.errors import DefinitionError
from mainstem.testing.searching.options import OPTIONS
from mainstem.testing.searching.plays import Ending, play
from mainstem.testing.searching.shrinking import Shrinking
from mainstem.testing.searching.simulation import Simulation
from mainstem.testing.searching.story import tell
from mainstem.testing.world import World

SEEDS: Final = 200


_ONCE: Final = """It did not fail again: not the seed alone decides. So there is no smaller run to tell of.
Something outlives a run, or comes from outside of it: what a module remembers, the time of day, other chance."""


class _Found(NamedTuple):
    """What a search found with a seed, told in text: so it comes over from another process."""

    seed: int
    by: str
    expected: str
    found: str

    @classmethod
    def of(cls, ending: Ending) -> "_Found":
        assert ending.failure is not None
        return cls(ending.seed, ending.failure.by, ending.failure.expected, str(ending.failure))


class SeedFailed(AssertionError):
    """Something does not hold. Printed, it is a story: of the smallest run that was found to fail in that way.

    Where it did not fail again the story says so instead: then it is not the seed alone that decides.
    """

    def __init__(self, seed: int, by: str, error: str, story: str) -> None:
        super().__init__(seed, by, error, story)
        self.seed = seed
        """It makes the search fail again, unless the story says otherwise: ``search(simulation, [seed])``, or pytest's
        ``--mainstem-seed``."""
        self.by = by
        """The name of the invariant; or what else was at work."""
        self.error = error
        self.story = story

    def __str__(self) -> str:
        return self.story


def search(simulation: Simulation, seeds: int | Iterable[int] = SEEDS, *, processes: int = 1) -> int:
    """Run a simulation with each seed, and return how many were run.

    ``seeds`` is how many, from 0 on, or which. The first that does not hold is run again and again with less, until
    nothing more can be left out, and raised as :class:`SeedFailed`. With more than one of ``processes`` the simulation
    must have a name in a module that these can import.
    """
    chosen = _chosen(seeds)
    processes = OPTIONS.processes or processes
    if processes == 1 or len(chosen) < processes * 2:
        failed = _first_failure(simulation, chosen)
    else:
        found = _first_of_all(simulation, chosen, processes)
        failed = None if found is None else play(simulation, found.seed)
        if found is not None and failed is not None and failed.failure is None:
            raise _failed(found, [_ONCE])
    if failed is not None:
        raise _explained(simulation, failed)
    return len(chosen)


def _chosen(seeds: int | Iterable[int]) -> Sequence[int]:
    if OPTIONS.seed is not None:
        return [OPTIONS.seed]
    if OPTIONS.seeds is not None:
        return range(OPTIONS.seeds)
    return range(seeds) if isinstance(seeds, int) else list(seeds)


def _first_failure(simulation: Simulation, seeds: Iterable[int]) -> Ending | None:
    return next((ending for seed in seeds if (ending := play(simulation, seed)).failure is not None), None)


def _explained(simulation: Simulation, first: Ending) -> SeedFailed:
    shrinking = Shrinking(simulation, first)
    best = shrinking.shrink()
    lines: list[str] = []

    def look(world: World) -> None:
        lines.extend(tell(world))

    assert best.failure is not None
    last = play(simulation, best.seed, best.script, look) if shrinking.repeats else None
    if last is None or last.failure is None or not last.failure.is_like(best.failure):
        return _failed(_Found.of(first), [_ONCE])
    return _failed(_Found.of(last), [_measure(first, best, shrinking.runs), "", *lines])


def _measure(first: Ending, best: Ending, runs: int) -> str:
    deeds = best.deeds - len(best.script.left_out)
    incidents, most = len(best.script.incidents or ()), len(first.script.incidents or ())
    return (
        f"The smallest run that fails so, of {runs} tried: {_count(deeds, 'event')} of {first.deeds},"
        f" {_count(incidents, 'fault')} of {most}, {_count(best.script.workers, 'worker')} of {first.script.workers}."
    )


def _failed(found: _Found, lines: Sequence[str]) -> SeedFailed:
    again = f"{OPTIONS.again} --mainstem-seed={found.seed}" if OPTIONS.again else f"search(simulation, [{found.seed}])"
    what = "\n    ".join(found.found.splitlines())
    story = [
        f"seed {found.seed}: {found.by} does not hold",
        *([f"    expected: {found.expected}"] if found.expected else []),
        f"    found: {what}",
        "",
        *lines,
        "",
        f"Run it again: {again}",
    ]
    return SeedFailed(found.seed, found.by, found.found, "\n".join(story))


def _count(number: int, thing: str) -> str:
    return f"{number or 'no'} {thing}{'' if number == 1 else 's'}"


# -- several processes


def _first_of_all(simulation: Simulation, seeds: Sequence[int], processes: int) -> _Found | None:
    module, name = _named(simulation)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        parts = [pool.submit(_search_there, module, name, seeds[n::processes]) for n in range(processes)]
        found = [each for part in parts if (each := part.result()) is not None]
    return min(found, default=None)


def _search_there(module: str, name: str, seeds: Sequence[int]) -> _Found | None:
    __import__(module)
    found: object = getattr(sys.modules[module], name)
    simulation = found if isinstance(found, Simulation) else getattr(found, "simulation")  # noqa: B009 - a function of a test has it beside it
    assert isinstance(simulation, Simulation)
    ending = _first_failure(simulation, seeds)
    return None if ending is None else _Found.of(ending)


def _named(simulation: Simulation) -> tuple[str, str]:
    module = simulation.scenario.__module__
    for name, value in vars(sys.modules[module]).items():
        if value is simulation or getattr(value, "simulation", None) is simulation:
            return module, name
    raise DefinitionError(
        f"the simulation of {simulation.scenario.__qualname__} has no name in {module}",
        why="other processes find it by the module and the name under which it stands there",
        remedy="make it at the top of a module, or search in one process",
    )
