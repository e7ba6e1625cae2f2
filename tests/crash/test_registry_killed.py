"""The schema registry, killed at every step of a write while several of its instances register at once."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mainstem import running
from mainstem.broker.sqlite import SqliteBroker, SqliteOptions
from mainstem.clock import SystemClock
from mainstem.identifiers import Identifiers
from mainstem.registry.contents import Config, Register, RegistryError, SetConfig
from mainstem.registry.ledger import Ledger
from mainstem.schemas.documents import Schema
from mainstem.service.registry import registry_access, schema_registry
from mainstem.settings import Settings

INSTANCES = 2
CONTENTS = 24
SUBJECTS = 5
AT_ONCE = 4
LIVES = 5
STRIDE = 14
"""A write has five steps: of lives that are so many steps longer each, some end at each of them."""
LIVES_AT_LENGTH = 40
STRIDE_AT_LENGTH = 4
"""Where all is done before the last of these lives ends, nobody dies in it."""
SETTINGS = Settings(session_timeout_seconds=2, grace_seconds=5)


def dying_at(step: int) -> Callable[[str], None]:
    """Hears the steps of every write of a process, and ends it at that one as ``kill -9`` does; 0 never does."""
    passed = 0

    def hear(_point: str) -> None:
        nonlocal passed
        passed += 1
        if passed == step:
            os.kill(os.getpid(), signal.SIGKILL)

    return hear


async def serve(database: str, step: int, first: int) -> None:
    """Be an instance: register every content in several subjects, begin at one of one's own, and tell each answer."""
    clock = SystemClock()
    broker = SqliteBroker(
        Path(database), clock=clock, identifiers=Identifiers(clock), options=SqliteOptions(at=dying_at(step))
    )
    await broker.open()
    service = schema_registry()
    async with (
        running(service, broker=broker, dev=True, settings=SETTINGS),
        registry_access(service) as access,
    ):
        await access.write(SetConfig(Config(compatibility_level="NONE")))
        wanted = [(first + number) % (CONTENTS * SUBJECTS) for number in range(CONTENTS * SUBJECTS)]
        await asyncio.gather(*(register(access, wanted[lane::AT_ONCE]) for lane in range(AT_ONCE)))
        contents = await access.caught_up()
        tell({"all": [[each.subject, each.version, each.id, each.schema.text] for each in contents.schemas()]})
    await broker.close()


async def register(access: Ledger, numbers: list[int]) -> None:
    """One after the other; what was not answered in time is asked for again."""
    for number in numbers:
        schema = Schema(f'{{"title":"{number % CONTENTS}","type":"object"}}', "JSON")
        while True:
            try:
                version = await access.write(Register(f"s{number % SUBJECTS}", schema))
            except RegistryError as refused:
                if refused.status == 500:
                    continue
                raise
            break
        tell({"one": [version.subject, version.version, version.id, version.schema.text]})


def tell(what: object) -> None:
    """Write a line that is there as a whole or not at all."""
    os.write(1, json.dumps(what).encode() + b"\n")


class Told(NamedTuple):
    """A version, as an instance has told it."""

    subject: str
    version: int
    id: int
    text: str


class Instance:
    """An instance that is started again whenever it has died, and lives longer each time; the last life is whole."""

    def __init__(self, folder: Path, number: int, lives: int, stride: int) -> None:
        self._log = folder / f"{number}.log"
        self._arguments = [sys.executable, "-m", "tests.crash.test_registry_killed", f"{folder}/registry.db"]
        self._number = number
        self._left = lives
        self._stride = stride
        self._step = 1 + 2 * number
        self.killed = 0
        self._process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        self._step += self._stride
        first = str(self._number * CONTENTS * SUBJECTS // INSTANCES)
        with self._log.open("ab") as log:
            return subprocess.Popen([*self._arguments, str(self._step if self._left else 0), first], stdout=log)

    def is_done(self) -> bool:
        """Whether its last life has ended; starts it again where another has."""
        code = self._process.poll()
        if code is None:
            return False
        if code == 0 or not self._left:
            assert code == 0
            return True
        assert code == -signal.SIGKILL
        self.killed += 1
        self._left -= 1
        self._process = self._start()
        return False

    def end(self) -> None:
        """Leave nothing behind."""
        self._process.kill()
        self._process.wait()

    def said(self, what: str) -> list[Any]:
        """What it has told."""
        lines = (json.loads(line) for line in self._log.read_bytes().splitlines())
        return [line[what] for line in lines if what in line]


def play(folder: Path, lives: int, stride: int, within_seconds: float) -> None:
    """Let instances register and die, then compare what each was answered with what is there."""
    instances = [Instance(folder, number, lives, stride) for number in range(INSTANCES)]
    try:
        deadline = time.monotonic() + within_seconds
        while sum(each.is_done() for each in instances) < INSTANCES:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        for each in instances:
            each.end()
    assert sum(each.killed for each in instances) > lives
    said = {Told(*answer) for each in instances for answer in each.said("one")}
    found = {Told(*version) for version in instances[0].said("all")[-1]}
    assert said <= found, "nothing that was answered is lost"
    ids = {each.text: each.id for each in found}
    assert len(found) == len({each[:2] for each in found}) == CONTENTS * SUBJECTS
    assert {(each.text, each.id) for each in found} == set(ids.items()), "a content has one id"
    assert sorted(ids.values()) == list(range(1, CONTENTS + 1)), "no id is given twice, or given to nobody"
    for subject in {each.subject for each in found}:
        assert sorted(each.version for each in found if each.subject == subject) == list(range(1, CONTENTS + 1))


@pytest.mark.timeout(280)
def test_no_id_is_lost_doubled_or_used_again(tmp_path: Path) -> None:
    """Instances die at each step of a write, at the first ones of a life and at later ones."""
    play(tmp_path, LIVES, STRIDE, 240)


@pytest.mark.long
@pytest.mark.timeout(2_000)
def test_no_id_is_lost_doubled_or_used_again_in_many_lives(tmp_path: Path) -> None:
    """The same, at every step of some thirty writes: instances that are so busy make several in one commit."""
    play(tmp_path, LIVES_AT_LENGTH, STRIDE_AT_LENGTH, 1_800)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
