"""Services, what is done to them, what may go wrong, and what must hold all the same."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace as with_changes
from random import Random
from typing import Final, TypeAlias

from mainstem.errors import DefinitionError
from mainstem.service import Definition
from mainstem.settings import Settings
from mainstem.testing.faults import USUAL, AssignTwice, Fault, LoseAnswer, Refuse
from mainstem.testing.invariants import GUARANTEES, Invariant
from mainstem.testing.simulation import Cast
from mainstem.testing.stage import Script, check_replaced
from mainstem.testing.world import World

Scenario: TypeAlias = Callable[[World], Awaitable[None]]
"""What is done to the services: it publishes, waits, restarts."""

StandIns: TypeAlias = Mapping[type, Callable[[], object]]
"""How each run makes what stands in for something that a service provides."""

FAULTS_MOST: Final = 4
LOSSES_MOST: Final = 2
"""Three losses of a task in a row, without anything done between, end a process with a named error, and rightly so."""


class Simulation:
    """Services that are simulated again and again, each time with other faults at other places, drawn by a seed."""

    def __init__(
        self,
        *services: Definition,
        scenario: Scenario,
        invariants: Iterable[Invariant] = GUARANTEES,
        faults: Iterable[Fault] = USUAL,
        replace: StandIns | None = None,
        workers: int | Sequence[int] = (1, 2, 3),
        settings: Callable[[Random], Settings] | Settings | None = None,
    ) -> None:
        """``scenario`` is what is done; when everything has settled, ``invariants`` look at the world.

        Of the ``faults`` each seed draws some. Of :data:`USUAL` it takes a few, and of others each as often as not;
        those without a probability get one. ``replace`` has a class or function for each type, so that every run has
        stand-ins of its own: :meth:`World.stand_in` finds them. Of several numbers of ``workers`` a seed draws one.
        Without ``settings`` sessions are short, and a seed draws how many events share a commit.
        """
        self.services = services
        self.scenario = scenario
        self.invariants = tuple(invariants)
        self.faults = tuple(faults)
        self.replace: StandIns = dict(replace or {})
        self._workers = (workers,) if isinstance(workers, int) else tuple(workers)
        self._settings = settings
        check_replaced(services, self.replace)
        for kind, made in self.replace.items():
            if not callable(made):
                raise DefinitionError(
                    f"for a {kind.__name__} stands in {made!r}, and every run needs one of its own",
                    why="what one run has left in it would be found by the next one",
                    remedy=f"name the class, or a function that makes one: replace={{{kind.__name__}: "
                    f"{type(made).__name__}}}",
                )

    def draw(self, seed: int) -> tuple[tuple[Fault, ...], Script]:
        """What a seed lets happen. With seed 0 nothing goes wrong: what fails there fails by itself."""
        random = Random(f"{seed} draw")  # noqa: S311 - chance that can be repeated is the point
        workers = random.choice(self._workers)
        if seed == 0:
            return (), Script(workers=workers)
        usual = [each for each in self.faults if each in USUAL]
        found = random.sample(usual, min(len(usual), random.randint(0, FAULTS_MOST)))
        found += [each for each in self.faults if each not in USUAL and random.random() < 0.5]
        losses = [each for each in found if isinstance(each.act, Refuse | LoseAnswer | AssignTwice)][LOSSES_MOST:]
        chances = [
            each if each.probability is not None else with_changes(each, probability=_probability(each, random))
            for each in found
            if each not in losses
        ]
        return tuple(chances), Script(workers=workers)

    def cast(self, seed: int) -> Cast:
        """Who plays in one run."""
        random = Random(f"{seed} settings")  # noqa: S311 - the same
        settings = self._settings
        if settings is None:
            settings = Settings(session_timeout_seconds=5, commit_events=random.choice([1, 3, 1_000]))
        elif not isinstance(settings, Settings):
            settings = settings(random)
        return Cast(self.services, {kind: made() for kind, made in self.replace.items()}, settings, audited=True)


def _probability(fault: Fault, random: Random) -> float:
    """Often for a function, which is called now and then; also seldom for a point, which is passed at all times."""
    return 10 ** (random.uniform(-2.0, -0.3) if isinstance(fault.at, str) else random.uniform(-1.0, -0.1))
