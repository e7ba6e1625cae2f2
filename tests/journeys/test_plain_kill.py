"""Plain consumers in processes of their own, of which one is killed: each record comes at least once."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mainstem import Producer
from mainstem.broker import TopicSpec
from mainstem.clock import SystemClock
from mainstem.identifiers import Identifiers
from mainstem.service import connected
from tests.architecture.source import ROOT
from tests.journeys.conditions import until

RECORDS = 400
READER = """
import asyncio, os, sys
from mainstem import Consumer
from mainstem.settings import Settings

async def read(url, path):
    settings = Settings(session_timeout_seconds=1, grace_seconds=5)
    async with Consumer("readings", group="display", broker=url, settings=settings) as consumer:
        async for message in consumer:
            with open(path, "ab") as out:
                out.write(message.value + b"\\n")
            await asyncio.sleep(0.002)

asyncio.run(read(*sys.argv[1:]))
"""


@contextmanager
def reader(url: str, path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that writes down what it is given."""
    path.touch()
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    process = subprocess.Popen([sys.executable, "-c", READER, url, str(path)], env=environ)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def test_what_a_killed_consumer_had_in_hand_comes_again(tmp_path: Path) -> None:
    """Two consumers share the work; one is killed at it, and the other does the rest, in order in each partition."""
    url, clock = f"sqlite:///{tmp_path}/plain.db", SystemClock()
    async with connected(url, clock, Identifiers(clock)) as broker, Producer(broker) as producer:
        await broker.admin.create(TopicSpec("readings", 4))
        sent = [
            (await producer.send("readings", b"%d" % number, key=b"%d" % (number % 20))) for number in range(RECORDS)
        ]
        first, second = tmp_path / "first", tmp_path / "second"
        with reader(url, first) as killed, reader(url, second):
            await until(lambda: all(len(each.read_text().split()) > 20 for each in (first, second)))
            os.kill(killed.pid, signal.SIGKILL)

            def seen() -> set[str]:
                return {*first.read_text().split(), *second.read_text().split()}

            await until(lambda: len(seen()) == RECORDS)
    told = second.read_text().split()
    assert len(told) + len(first.read_text().split()) < RECORDS + 200, "what was committed does not come again"
    for partition in range(4):
        offsets = [sent[int(each)][1] for each in told if sent[int(each)][0] == partition]
        assert offsets == sorted(offsets)
