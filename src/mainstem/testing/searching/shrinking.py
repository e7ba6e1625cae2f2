"""From a run that fails to a small one that still does: fewer faults, fewer workers, fewer events, less chance.

What is tried is a script, and each is really run. So whatever is left has failed, in the same way.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from mainstem.testing.faults import Incident
from mainstem.testing.searching.plays import SCENARIO, Ending, play
from mainstem.testing.searching.simulation import Simulation
from mainstem.testing.stage import Script

RUNS_MOST: Final = 400
EARLIER_MOST: Final = 8
"""An incident may happen so many occasions earlier, when less is done."""


class Shrinking:
    """Makes one failing run smaller."""

    def __init__(self, simulation: Simulation, first: Ending) -> None:
        assert first.failure is not None
        self.best = first
        self.runs = 0
        self.repeats = False
        """Whether the first script has failed again; when not, the seed alone does not decide."""
        self._simulation = simulation
        self._failure = first.failure

    def shrink(self) -> Ending:
        """The smallest run found; the first one where it does not fail again."""
        self.repeats = self._try(self.best.script)
        if not self.repeats:
            return self.best
        self._fewer_incidents()
        self._try(replace(self.best.script, calm=True))
        self._fewer_workers()
        self._fewer_deeds()
        self._fewer_incidents()
        self._earlier()
        return self.best

    def _try(self, script: Script) -> bool:
        """Run it; keep it if it fails in the same way."""
        if self.runs >= RUNS_MOST:
            return False
        self.runs += 1
        ending = play(self._simulation, self.best.seed, script)
        if ending.failure is None or not ending.failure.is_like(self._failure) or not self._counts(script):
            return False
        self.best = replace(ending, script=replace(script, incidents=ending.script.incidents))
        return True

    def _counts(self, script: Script) -> bool:
        """A scenario that checks something itself may miss nothing but what was left out of it."""
        if self._failure.by != SCENARIO or not script.left_out:
            return True
        self.runs += 1
        return play(self._simulation, self.best.seed, replace(script, incidents=())).failure is None

    def _fewer_incidents(self) -> None:
        incidents = self.best.script.incidents or ()
        if not incidents or self._try(self._with(())):
            return
        if len(incidents) > 1 and any(self._try(self._with((each,))) for each in incidents):
            return
        for each in incidents:
            left = self.best.script.incidents or ()
            if each in left and len(left) > 1:
                self._try(self._with(tuple(other for other in left if other is not each)))

    def _fewer_workers(self) -> None:
        for workers in range(1, self.best.script.workers):
            incidents = [
                each._replace(worker=min(each.worker, workers - 1)) if each.worker is not None else each
                for each in self.best.script.incidents or ()
            ]
            if any(self._try(replace(script, workers=workers)) for script in self._moved(tuple(incidents))):
                return

    def _fewer_deeds(self) -> None:
        """Leave out halves, then quarters, then one after the other; the later ones first."""
        count = self.best.deeds
        size = max(1, count // 2)
        while True:
            for begin in reversed(range(0, count, size)):
                chunk = frozenset(range(begin, min(begin + size, count)))
                left_out = self.best.script.left_out | chunk
                if left_out != self.best.script.left_out and len(left_out) < count:
                    incidents = self.best.script.incidents or ()
                    any(self._try(replace(script, left_out=left_out)) for script in self._moved(incidents))
            if size == 1:
                return
            size //= 2

    def _earlier(self) -> None:
        """Let each thing happen as early as it can."""
        for each in self.best.script.incidents or ():
            for occasion in range(1, min(each.occasion, EARLIER_MOST)):
                others = tuple(other for other in self.best.script.incidents or () if other is not each)
                if self._try(self._with((*others, each._replace(occasion=occasion)))):
                    break

    def _with(self, incidents: Sequence[Incident]) -> Script:
        return replace(self.best.script, incidents=tuple(incidents))

    def _moved(self, incidents: tuple[Incident, ...]) -> Iterator[Script]:
        """The same, and, for a single incident, with that at other occasions: where less is done, they come sooner."""
        yield self._with(incidents)
        if len(incidents) == 1:
            (only,) = incidents
            for occasion in range(1, min(only.occasion, EARLIER_MOST) + 1):
                if occasion != only.occasion:
                    yield self._with((only._replace(occasion=occasion),))
