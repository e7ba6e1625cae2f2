"""Many seeds, until one of them fails."""

import multiprocessing
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ProcessPoolExecutor
from typing import Final, NamedTuple, TypeAlias

from mainstem.testing.simulation import SimulationLoop, run_simulation

Scenario: TypeAlias = Callable[[], Coroutine[object, object, None]]

_STEPS_SHOWN: Final = 200


class SeedFailed(AssertionError):
    """A scenario has failed. ``seed`` makes it fail again: ``run_simulation(scenario, seed=seed)``."""

    def __init__(self, seed: int, error: str, trace: str) -> None:
        super().__init__(seed, error, trace)
        self.seed = seed
        self.error = error
        self.trace = trace

    def __str__(self) -> str:
        return f"seed {self.seed}: {self.error}\n{self.trace}"


class _Failure(NamedTuple):
    seed: int
    error: str
    trace: str


def search(scenario: Scenario, seeds: int | Iterable[int] = 1_000, *, processes: int = 1) -> int:
    """Run a scenario with each seed, and return how many were run.

    ``seeds`` is how many, from 0 on, or which. The first that fails is raised as :class:`SeedFailed`, with the error
    and the trace of what happened. With more than one of ``processes`` the scenario must be a function of a module that
    these can import; what a test has put in the place of something else is not there.
    """
    chosen = list(range(seeds) if isinstance(seeds, int) else seeds)
    if processes == 1:
        for seed in chosen:
            _run(scenario, seed)
        return len(chosen)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        parts = [pool.submit(_first_failure, scenario, chosen[number::processes]) for number in range(processes)]
        failures = [failure for part in parts if (failure := part.result()) is not None]
    if failures:
        first = min(failures)
        raise SeedFailed(first.seed, first.error, first.trace)
    return len(chosen)


def _first_failure(scenario: Scenario, seeds: list[int]) -> _Failure | None:
    for seed in seeds:
        try:
            _run(scenario, seed)
        except SeedFailed as failed:
            return _Failure(failed.seed, failed.error, failed.trace)
    return None


def _run(scenario: Scenario, seed: int) -> None:
    loop = SimulationLoop(seed)
    try:
        run_simulation(scenario, loop=loop)
    except Exception as error:
        raise SeedFailed(seed, f"{type(error).__name__}: {error}", _told(loop)) from error


def _told(loop: SimulationLoop) -> str:
    steps = "\n".join(map(str, loop.traces)).splitlines()
    left_out = len(steps) - _STEPS_SHOWN
    return "\n".join([*([f"... {left_out} steps before"] if left_out > 0 else []), *steps[-_STEPS_SHOWN:]])
