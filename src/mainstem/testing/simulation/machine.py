"""The machine that simulated processes share: one memory in the place of a file, and what they know of each other."""

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterable
from contextvars import Context, copy_context
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from mainstem.clock import Clock
from mainstem.database import Memory, Presence
from mainstem.errors import BrokerAway
from mainstem.testing.simulation.process import Process

Heard = Callable[[frozenset[int] | None], None]

LATENCY_SECONDS = 0.005
"""A wake-up, and a write, takes at most this long."""

POLL_SECONDS = 0.25
"""So often a process looks whether it has missed a wake-up."""


class Machine:
    """One machine. Who lives on it is asked of the simulated processes themselves, as the kernel would know it."""

    def __init__(self, clock: Clock, random: Random) -> None:
        self.memory = Memory()
        self.clock = clock
        self.random = random
        self.calm = False
        """Everything takes as long as everything else."""
        self.away = False
        """The broker answers nobody."""
        self._back: asyncio.Future[None] | None = None
        self.listening: dict[str, _Listener] = {}
        self.members: dict[str, _Member] = {}

    def latency(self) -> float:
        """How long the next thing takes, in seconds."""
        return LATENCY_SECONDS / 5 if self.calm else self.random.random() * LATENCY_SECONDS

    def lose_broker(self) -> None:
        """From now on the broker answers nobody."""
        self.away = True

    def find_broker(self) -> None:
        """It answers again."""
        self.away = False
        back, self._back = self._back, None
        if back is not None:
            back.set_result(None)

    def require_broker(self) -> None:
        """Raise what a client raises while the broker is away."""
        if self.away:
            raise BrokerAway("the broker does not answer", why="it is away, in this simulation, for a while")

    async def broker_back(self) -> None:
        """Wait until it answers."""
        while self.away:
            if self._back is None:
                self._back = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._back)

    def hear_everything(self, process: Process) -> None:
        """After a process was deaf: it may have missed something."""
        for listener in self.listening.values():
            if listener.process is process:
                listener.loop.call_soon(listener.heard, None, context=listener.context)

    def close(self) -> None:
        """Switch it off."""
        self.memory.close()


@dataclass(slots=True)
class _Listener:
    """A process that can be woken, and the context in which it hears."""

    process: Process
    loop: AbstractEventLoop
    heard: Heard
    context: Context
    polling: bool = False

    def poll(self) -> None:
        """Look everywhere."""
        self.polling = False
        if not self.process.deaf:
            self.heard(None)


class _Member(NamedTuple):
    process: Process
    beat: float


class SimulatedNeighbours:
    """What one simulated process knows of the others: the neighbours of an embedded broker."""

    poll_seconds: float | None = None

    def __init__(self, machine: Machine, process: Process, name: str) -> None:
        """``name`` is one that no process has had before."""
        self.process = name
        self._machine = machine
        self._of = process

    def open(self, loop: AbstractEventLoop, heard: Heard) -> None:
        """Listen, in the context that calls."""
        self._machine.listening[self.process] = _Listener(self._of, loop, heard, copy_context())

    def wake(self, processes: Iterable[str], numbers: Iterable[int]) -> list[str]:
        """Tell processes what has changed, a moment later; returns those that are no more.

        Whoever is not told sees a while later that the file has changed, and then looks everywhere.
        """
        machine, message = self._machine, frozenset(numbers)
        told = set(processes)
        for name, listener in machine.listening.items():
            if listener.process.deaf or name == self.process:
                continue
            if name in told:
                listener.loop.call_later(machine.latency(), listener.heard, message, context=listener.context)
            elif not listener.polling:
                listener.polling = True
                listener.loop.call_later(POLL_SECONDS, listener.poll, context=listener.context)
        return [name for name in told if name not in machine.listening or not machine.listening[name].process.alive]

    def attend(self, member: str) -> None:
        """Be present under this name."""
        self._machine.members[member] = _Member(self._of, self._machine.clock.monotonic())

    def beat(self, member: str) -> None:
        """Beat the heart of a member that is present, unless nobody hears it."""
        if member in self._machine.members and not self._of.deaf:
            self.attend(member)

    def depart(self, member: str) -> None:
        """Be present no more; the last heartbeat stays until somebody forgets it."""
        found = self._machine.members.get(member)
        if found is not None:
            self._machine.members[member] = _Member(_NOBODY, found.beat)

    def look(self, member: str) -> Presence:
        """Is a member there, and when was it heard last?"""
        found = self._machine.members.get(member)
        if found is None:
            return Presence(alive=False, silent_seconds=float("inf"))
        return Presence(found.process.alive, self._machine.clock.monotonic() - found.beat)

    def forget(self, member: str) -> None:
        """Remove what a member that is gone has left."""
        self._machine.members.pop(member, None)

    def close(self) -> None:
        """Listen no more."""
        self._machine.listening.pop(self.process, None)


_NOBODY = Process("nobody")
_NOBODY.end()
