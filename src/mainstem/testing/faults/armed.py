"""The faults of one run: those that chance lets happen, or those of an earlier run, at the same places."""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from mainstem.testing.faults.acts import Act, Function
from mainstem.testing.faults.kinds import Fault, points_of


class Incident(NamedTuple):
    """One thing that has gone wrong: what, at which place, in which worker, when it came there for the nth time."""

    act: Act
    place: str
    worker: int | None
    occasion: int


class Armed:
    """A fault in one run, and how often it may still happen."""

    __slots__ = ("_left", "_passed", "_random", "fault")

    def __init__(self, fault: Fault, random: Random) -> None:
        self.fault = fault
        self._random = random
        self._left = fault.times
        self._passed = 0

    def fires(self, worker: int | None) -> bool:
        """Whether it happens now, to this worker."""
        fault = self.fault
        if self._left == 0 or fault.worker not in (None, worker):
            return False
        if fault.probability is not None and fault.probability < 1.0 and self._random.random() >= fault.probability:
            return False
        self._passed += 1
        if self._passed <= fault.skip:
            return False
        if self._left is not None:
            self._left -= 1
        return True


class Arsenal:
    """Says, wherever something may go wrong, what goes wrong there now; and keeps a record of it."""

    def __init__(self, faults: Sequence[Fault], random: Random, script: Sequence[Incident] | None) -> None:
        """With a ``script``, what stands in it goes wrong, and nothing else."""
        self.happened: list[Incident] = []
        self.functions: dict[Function, str] = {}
        """The functions that are to go wrong, and the names of these places."""
        self.spent = False
        """From the end of a simulation on nothing goes wrong any more."""
        self._script = None if script is None else _by_occasion(script)
        self._armed: dict[str, list[Armed]] = {}
        self._occasions: dict[tuple[str, int | None], int] = {}
        for fault in faults:
            armed = Armed(fault, random)
            for place in points_of(fault):
                self._armed.setdefault(place, []).append(armed)
            if not isinstance(fault.at, str):
                place = self.functions.setdefault(fault.at, f"{fault.at.__module__}.{fault.at.__qualname__}")
                self._armed.setdefault(place, []).append(armed)

    def due(self, place: str, worker: int | None) -> Sequence[Act]:
        """What goes wrong at this place now."""
        armed = self._armed.get(place)
        if armed is None or self.spent:
            return ()
        at = (place, worker)
        occasion = self._occasions[at] = self._occasions.get(at, 0) + 1
        if self._script is not None:
            acts = self._script.get((place, worker, occasion), [])
        else:
            acts = [each.fault.act for each in armed if each.fires(worker)]
        if acts:
            self.happened += [Incident(act, place, worker, occasion) for act in acts]
        return acts


def _by_occasion(script: Sequence[Incident]) -> dict[tuple[str, int | None, int], list[Act]]:
    found: dict[tuple[str, int | None, int], list[Act]] = {}
    for act, place, worker, occasion in script:
        found.setdefault((place, worker, occasion), []).append(act)
    return found
