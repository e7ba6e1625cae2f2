"""Kills processes at random points, starts them again, and keeps count of where they were hit."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from tests.crash.crew import Crew, Member, wait_until
from tests.crash.logfile import Database
from tests.crash.page import ARRIVING_POINTS, CHECKPOINT_POINTS, INSIDE, LEAVING_POINTS, WRITER_POINTS, Ask

LOCKED_POINTS: Final = (*WRITER_POINTS, *CHECKPOINT_POINTS[1:])
"""Of a commit and of a checkpoint, with the write lock held or just released."""

PHASE: Final = 10
"""After so many kills the file is looked at."""

STALL_SECONDS: Final = 2.6
"""Longer than the session timeout: a process that is stopped for so long is replaced, and does not know."""


class Hit(NamedTuple):
    """A kill: whom it hit, how it was aimed, and which fault point the victim had reached last."""

    name: str
    aim: str
    point: str


class Killer:
    """Has a crew of processes, and no mercy."""

    points: tuple[str, ...] = LOCKED_POINTS
    """Where somebody may be held before being killed."""

    def __init__(self, crew: Crew, seed: int, roles: dict[str, tuple[str, ...]]) -> None:
        """``roles`` are the arguments with which each of the crew is started, by name."""
        self._crew = crew
        self._random = random.Random(seed)
        self._roles = roles
        self._stalled: dict[str, float] = {}
        self._doubted: set[int] = set()
        self.hits: list[Hit] = []
        self.doubts = 0
        self.stalls = 0
        self.drains = 0

    @property
    def inside(self) -> int:
        """How many kills hit a process that had a commit open."""
        return sum(hit.point in INSIDE for hit in self.hits)

    def __str__(self) -> str:
        aims = Counter(hit.aim for hit in self.hits)
        points = Counter(hit.point for hit in self.hits)
        return (
            f"{len(self.hits)} kills, {self.inside} of them inside an open commit; {dict(aims)} at {dict(points)};"
            f" {self.stalls} processes stopped for longer than the session timeout, {self.drains} drained,"
            f" {self.doubts} commits made unknown"
        )

    def start_all(self) -> None:
        """Start the crew."""
        for name in self._roles:
            self._start(name)

    def kill(self, count: int) -> None:
        """Kill so many, one after the other, and everybody at once now and then."""
        until = len(self.hits) + count
        while len(self.hits) < until:
            self._mend_or_break()
            before = len(self.hits) // PHASE
            self._act()
            if len(self.hits) // PHASE > before:
                self.inspect()

    def inspect(self) -> None:
        """Look at the file."""
        with Database(self._crew.database) as database:
            assert database.integrity() == [], f"after {self.hits[-1]}"

    def rest(self) -> None:
        """Let everybody go on who was stopped, and leave what is broken as it is."""
        for name in list(self._stalled):
            self._wake(name)
        (self._crew.folder / "mended").unlink(missing_ok=True)

        def all_up() -> bool:
            self._start_again()
            return all(member.page.ready for member in self._crew.members.values())

        wait_until(all_up, "everybody to be up")

    def stop(self) -> None:
        """Mend what is broken."""
        (self._crew.folder / "mended").touch()

    def _act(self) -> None:
        victim = self.choose()
        actions = self.actions(victim)
        [action] = self._random.choices(list(actions), list(actions.values()))
        action(victim)

    def actions(self, victim: Member) -> dict[Callable[[Member], None], int]:
        """What may be done to somebody, and how often in relation to the rest."""
        actions: dict[Callable[[Member], None], int] = {
            self._kill_everybody: 3,
            self._doubt: 6,
            self._drain: 4,
            self._kill_blind: 16,
            self._kill_racing: 22,
            self._kill_held: 32,
        }
        if victim.name.startswith("worker"):
            actions |= {self._stall: 7, self._kill_leaving: 12, self._kill_arriving: 7}
        return actions

    def _stall(self, victim: Member) -> None:
        """Let it stand still for longer than the session timeout; one at a time."""
        if not self._stalled:
            victim.signal(signal.SIGSTOP)
            self._stalled[victim.name] = time.monotonic() + STALL_SECONDS
            self.stalls += 1

    def _doubt(self, victim: Member) -> None:
        """Let a commit's outcome be unknown, once in a life: a task that is lost three times is, rightly, an error."""
        if victim.process.pid not in self._doubted:
            self._doubted.add(victim.process.pid)
            self.doubts += self._ask(victim, Ask.FAIL)

    def _drain(self, victim: Member) -> None:
        """Tell it to stop; it gives everything back, and ends without complaint."""
        # Whoever stands still may hold the lock, and then nobody can give anything back.
        for name in list(self._stalled):
            self._wake(name)
        self._see_off(victim, victim.end())

    def _see_off(self, victim: Member, code: int) -> None:
        """It has drained and ended."""
        assert code == 0 or victim.gave_up, f"{victim.name} ended with {code}:\n{victim.say()[-3_000:]}"
        self.drains += 1
        self._start(victim.name)

    def _kill_blind(self, victim: Member) -> None:
        time.sleep(self._random.uniform(0, 1.0))
        self._kill(victim, "blind")

    def _kill_racing(self, victim: Member) -> None:
        """Wait until a commit is open, and be quick."""
        until = time.monotonic() + 0.5
        while victim.page.reached not in INSIDE and time.monotonic() < until:
            time.sleep(0.0001)
        self._kill(victim, "racing")

    def _kill_held(self, victim: Member) -> None:
        """Let it stand still at a point, and take it from there."""
        victim.page.ask(Ask.WAIT, self._random.choice(self.points))
        self._watch(victim, 1.0)
        self._kill(victim, "held")

    def _kill_leaving(self, victim: Member) -> None:
        """Tell it to stop, and do not wait until it has."""
        victim.page.ask(Ask.WAIT, self._random.choice(LEAVING_POINTS))
        victim.signal(signal.SIGTERM)
        self._watch(victim, 5.0)
        if victim.alive:
            self._kill(victim, "leaving")
        else:
            self._see_off(victim, victim.wait_for_end())

    def _kill_arriving(self, victim: Member) -> None:
        """Kill it, and then its successor as soon as that one is given something to do."""
        self._kill(victim, "blind")
        successor = self._crew.members[victim.name]
        successor.page.ask(Ask.WAIT, self._random.choice(ARRIVING_POINTS))
        self._watch(successor, 10.0)
        if successor.page.doing:
            self._kill(successor, "arriving")
        else:
            # It has not come there in time, and must not stand still there later.
            successor.page.withdraw()

    def _watch(self, victim: Member, within_seconds: float) -> None:
        """Wait until it stands still where it was asked to, or has ended, if it does so in time."""
        until = time.monotonic() + within_seconds
        while victim.alive and not victim.page.doing and time.monotonic() < until:
            time.sleep(0.001)

    def _kill_everybody(self, _victim: Member) -> None:
        self._stalled.clear()
        for member in self._crew.members.values():
            if member.page.ready:
                self.hits.append(Hit(member.name, "all at once", member.kill()))
            else:
                member.kill()
        self.start_all()

    def _kill(self, victim: Member, aim: str) -> None:
        self.hits.append(Hit(victim.name, aim, victim.kill()))
        self._start(victim.name)

    def _ask(self, victim: Member, ask: Ask) -> bool:
        """Ask for something at a random point; whether it was done in time."""
        victim.page.ask(ask, self._random.choice(WRITER_POINTS))
        until = time.monotonic() + 0.5
        while victim.page.asked and time.monotonic() < until:
            time.sleep(0.001)
        done = not victim.page.asked
        victim.page.withdraw()
        return done

    def choose(self, fits: Callable[[Member], bool] = lambda _: True) -> Member:
        """Somebody who is up; workers more often than others."""
        members: list[Member] = []

        def found() -> bool:
            self._wake_stalled()
            self._start_again()
            members[:] = [
                each
                for each in self._crew.members.values()
                if each.page.ready and each.name not in self._stalled and fits(each)
            ]
            return bool(members)

        wait_until(found, "somebody to be up")
        weights = [3 if each.name.startswith("worker") else 1 for each in members]
        return self._random.choices(members, weights)[0]

    def _start_again(self) -> None:
        """Start those who gave up, with good reason; nobody else may have ended."""
        self._crew.require_alive()
        for member in list(self._crew.members.values()):
            if member.gave_up:
                self._start(member.name)

    def _start(self, name: str) -> None:
        self._crew.start(*self._roles[name])

    def _wake_stalled(self) -> None:
        for name, until in list(self._stalled.items()):
            if time.monotonic() > until:
                self._wake(name)

    def _wake(self, name: str) -> None:
        del self._stalled[name]
        self._crew.members[name].signal(signal.SIGCONT)

    def _mend_or_break(self) -> None:
        """What is broken is mended now and then, and breaks again."""
        mended = self._crew.folder / "mended"
        if self._random.random() < 0.2:
            if mended.exists():
                mended.unlink()
            else:
                mended.touch()
