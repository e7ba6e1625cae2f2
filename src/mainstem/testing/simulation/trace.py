"""What happened in a simulation, as data: the same seed gives the same trace."""

from datetime import timedelta
from typing import NamedTuple, TypeAlias

from mainstem.clock import ManualClock
from mainstem.testing.simulation.process import PROCESS

Place: TypeAlias = tuple[str, int, int]
"""A record: its topic, partition and offset."""


class Step(NamedTuple):
    """Something that happened: when, in which process, what, and about what.

    ``seconds`` have gone by since the beginning, on the clock by which timers are due. ``places`` are the records that
    it is about, of which it has read or written the first of several.
    """

    seconds: float
    process: str
    what: str
    about: str
    places: tuple[Place, ...] = ()

    def __str__(self) -> str:
        gone = timedelta(seconds=int(self.seconds))
        thousandths = round(self.seconds * 1_000) % 1_000
        return f"{gone!s:>17}.{thousandths:03}  {self.process:<12}  {self.what:<24}  {self.about}"


class Trace:
    """The steps so far, in order. Printed, it is what one reads to understand a failure."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.began_ms = clock.now_ms()
        """The wall clock at the beginning."""
        self.steps: list[Step] = []
        self.last_seconds = 0.0
        """When the last step was taken, in the time of the event loop."""
        self.closed = False
        """From the end of the simulation on nothing is added."""

    def note(self, what: str, about: str = "", *places: Place) -> None:
        """Add a step of the process that is running."""
        if self.closed:
            return
        process = PROCESS.get()
        self.last_seconds = self._clock.monotonic()
        seconds = (self._clock.now_ms() - self.began_ms) / 1_000
        self.steps.append(Step(seconds, "" if process is None else process.name, what, about, places))

    def __str__(self) -> str:
        return "\n".join(map(str, self.steps))
