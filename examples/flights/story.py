"""The demo from beginning to end: replay, kill one, let it settle, redrive, drain, check."""

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Callable
from dataclasses import dataclass

from examples.flights.board import Board
from examples.flights.crew import Crew, ServiceEnded
from examples.flights.surroundings import BROKER, HOTEL_IS_OPEN
from examples.flights.watch import Watch
from mainstem.broker import GroupDescription
from mainstem.service import Backend

LOOK_EVERY_SECONDS = 0.02
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Kill:
    """A worker that was killed: when all of its tasks had a new owner, and when another worker was there in its place.

    ``replayed`` and ``lag`` are events, as of then.
    """

    service: str
    process: int
    replayed: int
    lag: int
    tasks: list[int]
    handed_over_ms: int
    replaced_by: int
    replaced_ms: int


class Story:
    """One run of the demo. ``everything`` is how many events there are to be replayed."""

    def __init__(self, broker: Backend, crew: Crew, board: Board, everything: int) -> None:
        self.watch = Watch(broker, crew.services)
        self.everything = everything
        self.replayed = 0
        self._broker = broker
        self._crew = crew
        self._board = board

    async def until(self, condition: Callable[[], bool]) -> None:
        """Watch until the condition holds. Raises TimeoutError when nothing has moved for a minute."""
        moved, before = time.monotonic(), -1
        while True:
            await self.watch.look()
            self.replayed = self.watch.count("flights.history")
            self._board.show(self.watch, self.replayed, self.everything)
            self._crew.check()
            if condition():
                return
            now, after = time.monotonic(), self.watch.moves
            if after != before:
                moved, before = now, after
            elif now - moved > PATIENCE_SECONDS:
                raise TimeoutError(f"nothing has moved for {PATIENCE_SECONDS:g} s; see the logs beside {BROKER}")
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def assemble(self) -> None:
        """Watch until every process is a member of its group, and every task has an owner."""
        await self.until(
            lambda: all(
                is_manned(self.watch.groups.get(name), service.count) for name, service in self._crew.services.items()
            )
        )

    async def replay(self, part: float) -> None:
        """Watch until this part is replayed."""
        await self.until(lambda: self.replayed >= part * self.everything)

    async def kill(self, service: str) -> Kill:
        """Kill a worker, and watch until somebody else has its tasks."""
        before = self.watch.groups[service]
        replayed, lag = self.replayed, self.watch.sights[service].lag
        processes = self._crew.services[service]
        killed = processes.kill_one()
        began = time.monotonic()
        self._board.say(f"process {killed} of {service} is killed, with {lag:,} events waiting")
        await self.until(lambda: handed_over(before, self.watch.groups[service]))
        handed_over_ms = round((time.monotonic() - began) * 1_000)
        tasks = tasks_of_the_dead(before, self.watch.groups[service])
        self._board.say(f"its tasks {', '.join(map(str, tasks))} have new owners after {handed_over_ms:,} ms")
        await self.until(lambda: len(self.watch.groups[service].members) == len(before.members))
        replaced_ms = round((time.monotonic() - began) * 1_000)
        replaced_by = processes.workers()[0]
        self._board.say(f"process {replaced_by} takes its place after {replaced_ms:,} ms")
        return Kill(service, killed, replayed, lag, tasks, handed_over_ms, replaced_by, replaced_ms)

    async def settle(self) -> None:
        """Watch until everything is replayed and nothing is under way."""
        await self.until(lambda: self.replayed == self.everything and self.watch.settled)

    async def redrive(self) -> int:
        """Mend what was broken, and let the dead letters be handled again; returns how many events that were."""
        waiting = len(self.watch.sights["hotels"].parked)
        self._board.say(f"{waiting} dead letters of hotels; the hotel opens, and they are redriven")
        HOTEL_IS_OPEN.touch()
        command = ("dead-letters", "redrive", "hotels", "--all", "--yes", "--reason", "the hotel is open", "--json")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mainstem.ops", *command, "--broker", BROKER), stdout=PIPE
        )
        try:
            said, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode:
            raise ServiceEnded(f"mainstem {' '.join(command)} has ended with {process.returncode}")
        await self.settle()
        outcome = json.loads(said)["outcome"]
        return outcome["events"] if outcome else 0


def is_manned(group: GroupDescription | None, members: int) -> bool:
    """Whether a group has so many members, and each task an owner."""
    return group is not None and len(group.members) == members and None not in group.owners


def handed_over(before: GroupDescription, now: GroupDescription) -> bool:
    """Whether a member has gone, and each task has an owner again."""
    return bool(set(before.members) - set(now.members)) and set(now.owners) <= set(now.members)


def tasks_of_the_dead(before: GroupDescription, now: GroupDescription) -> list[int]:
    """The tasks whose owner has gone."""
    gone = set(before.members) - set(now.members)
    return [task for task, owner in enumerate(before.owners) if owner in gone]
