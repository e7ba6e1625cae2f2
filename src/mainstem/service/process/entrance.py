"""Before a process has started: it waits for a broker that does not answer yet, and says so."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from mainstem.errors import BrokerAway, DiskFull, StartRefused
from mainstem.resilience import Backoff
from mainstem.service.process.report import STARTING, Health
from mainstem.telemetry import log

AGAIN: Final = Backoff(first_seconds=0.5, longest_seconds=30.0, jitter="equal")
"""When a broker that does not answer is asked again."""


class Started(Protocol):
    """A process that runs."""

    async def health(self) -> Health:
        """How it is."""
        ...


class Entrance:
    """How a process is, from before it has started."""

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._process: Started | None = None
        self._begun = False
        self._reasons = STARTING.reasons
        self._tries = 0

    def open(self, process: Started) -> None:
        """Its groups take over what is theirs, which may take a while."""
        self._process = process

    def pass_through(self) -> None:
        """It runs: from now on nothing is tried again."""
        self._begun = True

    async def health(self) -> Health:
        """How it is now."""
        if self._process is not None:
            return await self._process.health()
        return Health("starting", ready=False, live=True, reasons=self._reasons, broker=None, groups=())

    async def wait(self, refused: StartRefused | BrokerAway | DiskFull, stopped: asyncio.Event) -> None:
        """Wait until it is time to try again. Raises ``refused`` where that would be of no use."""
        faults = refused.faults if isinstance(refused, StartRefused) else (refused,)
        if self._begun or not all(isinstance(each, BrokerAway | DiskFull) for each in faults):
            raise refused
        self._process = None
        self._tries += 1
        seconds = AGAIN.delay(self._tries, self._chance)
        fault = faults[0]
        what = "the disk is full" if isinstance(fault, DiskFull) else "the broker does not answer"
        self._reasons = (*STARTING.reasons, f"{what}: {fault.why or fault.what}")
        log.error("%s\n  trying again in %.1f s", fault, seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stopped.wait()
