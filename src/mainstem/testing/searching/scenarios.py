"""A scenario as a test: a decorator that makes a test function of it, for any test runner."""

from collections.abc import Callable, Iterable, Sequence

from mainstem.service import Definition
from mainstem.testing.faults import USUAL, Fault
from mainstem.testing.invariants import GUARANTEES, Invariant
from mainstem.testing.searching.seeds import SEEDS, search
from mainstem.testing.searching.simulation import Scenario, Simulation, StandIns


def scenario(
    *services: Definition,
    invariants: Iterable[Invariant] = (),
    faults: Iterable[Fault] = (),
    replace: StandIns | None = None,
    workers: int | Sequence[int] = (1, 2, 3),
    seeds: int | Iterable[int] = SEEDS,
    processes: int = 1,
) -> Callable[[Scenario], Callable[[], None]]:
    """Make a test of what is done to services: it is done with many seeds, and with each other things go wrong.

    To the ``faults`` come :data:`USUAL`, and to the ``invariants`` :data:`GUARANTEES`; to choose among those as well,
    make a :class:`Simulation` of it. The test raises :class:`SeedFailed`, which tells what has happened.
    """

    def decorate(function: Scenario) -> Callable[[], None]:
        simulation = Simulation(
            *services,
            scenario=function,
            invariants=(*GUARANTEES, *invariants),
            faults=(*USUAL, *faults),
            replace=replace,
            workers=workers,
        )

        def test() -> None:
            search(simulation, seeds, processes=processes)

        test.__name__, test.__qualname__, test.__module__ = (
            function.__name__,
            function.__qualname__,
            function.__module__,
        )
        test.__doc__ = function.__doc__
        vars(test)["simulation"] = simulation
        return test

    return decorate
