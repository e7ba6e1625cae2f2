"""Starts processes of the workload, watches them, kills them, and leaves none behind."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.crash.checker import Report, check, unsettled
from tests.crash.logfile import DATABASE
from tests.crash.page import THAT_IS_ALL, Ask, Page

ROOT = Path(__file__).parents[2]
# However busy the machine is: nobody waits for so long, unless something is wrong.
PATIENCE_SECONDS = 60.0


class NotInTime(AssertionError):
    """Something that was waited for did not happen; the message says what, and what the processes have said."""


class Member:
    """One process of the crew, under a name that may be used by several, one after the other."""

    def __init__(self, folder: Path, name: str, arguments: list[str], module: str) -> None:
        """Start it: ``module`` is the program."""
        self.name = name
        self.arguments = arguments
        self.page = Page(folder / f"{name}.page")
        self.page.clear()
        self.log_path = folder / f"{name}.log"
        self._log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        command = [sys.executable, "-m", module, *arguments]
        command += ["--folder", str(folder), "--name", name]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=log, stderr=log)

    @property
    def alive(self) -> bool:
        """Whether it runs, or could, if it were not stopped."""
        return self.process.poll() is None

    @property
    def stopped(self) -> bool:
        """Whether it stands still by SIGSTOP."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return bool(re.search(r"^State:\s+T", status, re.MULTILINE))

    def say(self) -> str:
        """What it has written so far."""
        with self.log_path.open(errors="replace") as log:
            log.seek(self._log_start)
            return log.read()

    def stands(self) -> str:
        """Where all that it does stands now, by its own account; nothing of one that cannot say it."""
        before = len(self.say())
        if not self.alive or self.stopped:
            return ""
        self.signal(signal.SIGUSR1)
        with suppress(NotInTime):
            wait_until(lambda: not self.alive or THAT_IS_ALL in self.say()[before:], "it", within_seconds=5)
        return self.say()[before:]

    @property
    def gave_up(self) -> bool:
        """Whether it has ended because it could not know whether something had happened."""
        return not self.alive and "[commit-unknown]" in self.say()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.process.pid, number)

    def go_on(self) -> None:
        """Let it go on after it was stopped."""
        self.signal(signal.SIGCONT)

    def kill(self) -> str:
        """End it with SIGKILL; returns the fault point at which it was."""
        self.process.kill()
        self.process.wait(PATIENCE_SECONDS)
        self.close()
        return self.page.reached

    def end(self) -> int:
        """Let it drain, and wait until it has ended; returns its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait_for_end()

    def wait_for_end(self, within_seconds: float = PATIENCE_SECONDS) -> int:
        """Wait until it ends by itself; returns its exit code."""
        try:
            code = self.process.wait(within_seconds)
        except subprocess.TimeoutExpired:
            raise NotInTime(f"{self.name} has not ended:\n{self.say()[-3_000:]}\n{self.stands()}") from None
        self.close()
        return code

    def wait_until_ready(self) -> None:
        """Wait until it is up."""
        wait_until(lambda: self.page.ready or not self.alive, f"{self.name} to be up", self)
        if not self.alive:
            raise NotInTime(f"{self.name} ended with code {self.process.returncode}:\n{self.say()[-3_000:]}")

    def wait_at(self, ask: Ask, point: str) -> None:
        """Ask it to wait or to stop at a point, and return when it stands there."""
        self.page.ask(ask, point)
        wait_until(lambda: self.page.doing, f"{self.name} to reach {point}", self)
        if ask is Ask.STOP:
            wait_until(lambda: self.stopped, f"{self.name} to stop", self)

    def close(self) -> None:
        """Let go of what ended."""
        if self.process.stdin is not None:
            self.process.stdin.close()


class Crew:
    """All processes of a test. Leaving the block kills what still runs."""

    module = "tests.crash.workload"

    def __init__(self, folder: Path, *arguments: str, without: str | None = None) -> None:
        """``arguments`` go to every process. ``without`` names the guard that careless processes do without."""
        self.folder = folder
        self.database = folder / DATABASE
        self.database.parent.mkdir(exist_ok=True)
        self.careless = () if without is None else ("--sabotage", without)
        self._arguments = arguments
        self.members: dict[str, Member] = {}
        self._ended: list[Member] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for member in [*self.members.values(), *self._ended]:
            if member.alive:
                member.kill()
            member.close()
            member.page.close()

    def start(self, role: str, name: str, *arguments: str) -> Member:
        """Start a process in a role, under a name that no living one has."""
        before = self.members.get(name)
        if before is not None:
            assert not before.alive, f"{name} is still alive"
            before.close()
        member = self.members[name] = Member(self.folder, name, [role, *self._arguments, *arguments], self.module)
        return member

    def up(self, role: str, name: str, *arguments: str) -> Member:
        """Start a process, and wait until it is up."""
        member = self.start(role, name, *arguments)
        member.wait_until_ready()
        return member

    def run(self, role: str, name: str, *arguments: str) -> Member:
        """Start a process that ends by itself, and wait until it has."""
        member = self.start(role, name, *arguments)
        code = member.wait_for_end()
        assert code == 0, member.say()
        return member

    def ends(self, member: Member) -> int:
        """Wait until somebody ends by itself, and expect nothing more of it; returns its exit code."""
        code = member.wait_for_end()
        self._ended.append(self.members.pop(member.name))
        return code

    def settle(self, within_seconds: float = 2 * PATIENCE_SECONDS) -> None:
        """Wait until the services have nothing left to do."""
        left: list[str] = []

        def settled() -> bool:
            left[:] = self.unsettled()
            self.require_alive()
            return not left

        try:
            wait_until(settled, "everything to be worked off", within_seconds=within_seconds, every_seconds=0.05)
        except NotInTime as error:
            raise NotInTime("\n".join([str(error), *left[:20], *self.tails()])) from None

    def require_alive(self) -> None:
        """Nobody may end without being told to, but one who was told that an outcome is unknown, and says so."""
        for member in self.members.values():
            if member.process.poll() not in (None, 0, -signal.SIGKILL) and not member.gave_up:
                raise NotInTime(f"{member.name} ended with {member.process.returncode}:\n{member.say()[-3_000:]}")

    def finish(self, within_seconds: float = 2 * PATIENCE_SECONDS) -> Report:
        """Let everything be worked off and everybody drain, then check."""
        self.settle(within_seconds)
        for member in self.members.values():
            if member.alive:
                member.wait_until_ready()
                code = member.end()
                assert code == 0, f"{member.name} ended with {code}:\n{member.say()[-3_000:]}"
        return self.check()

    def unsettled(self) -> list[str]:
        """What the services still have to do."""
        return unsettled(self.database)

    def check(self) -> Report:
        """Decide whether every promise was kept."""
        return check(self.folder)

    def tails(self) -> list[str]:
        """The last words of everybody."""
        return [f"--- {member.name}\n{member.say()[-1_500:]}\n{member.stands()}" for member in self.members.values()]


def wait_until(
    condition: Callable[[], bool],
    what: str,
    who: Member | None = None,
    *,
    within_seconds: float = PATIENCE_SECONDS,
    every_seconds: float = 0.005,
) -> None:
    """Return once the condition holds; it is looked at again and again."""
    until = time.monotonic() + within_seconds
    while not condition():
        if time.monotonic() > until:
            raise NotInTime(f"waited {within_seconds:g} s for {what}\n{who.say()[-3_000:] if who else ''}")
        time.sleep(every_seconds)
