"""One process of the crash tests: ``python -m tests.crash.workload worker --folder ... --name ...``.

It ends when its standard input is closed, so that it never outlives the test that started it.
"""

import argparse
import asyncio
import logging
import os
import random
import signal
import sys
import threading
import types
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from pathlib import Path

from mainstem import Service
from mainstem.broker import Record, TopicPartition, read
from mainstem.broker.sqlite import SqliteBroker, SqliteOptions
from mainstem.clock import SystemClock
from mainstem.delivery import Command, decode_entry, encode_command, is_notice
from mainstem.errors import CommitUnknown, DiskFull, MainstemError, UnknownTopic
from mainstem.identifiers import Identifiers
from mainstem.service import Backend, Floor, running, serve
from mainstem.settings import Settings
from tests.crash import probes, sabotage, worlds
from tests.crash.disk import Choice
from tests.crash.journal import Burst, Journal, read_journal
from tests.crash.page import THAT_IS_ALL, Page
from tests.crash.services import PARTITIONS, Ground, Step, services

ORPHANED = 3


class ShiftedClock(SystemClock):
    """The system's clocks, with a wall clock that a file shifts by so many milliseconds."""

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def now_ms(self) -> int:
        """The shifted wall clock."""
        try:
            return super().now_ms() + int(self._path.read_text() or 0)
        except FileNotFoundError:
            return super().now_ms()


class Process:
    """What every role has: its ground, its page, a broker with fault points."""

    doubts: tuple[type[MainstemError], ...] = (CommitUnknown, DiskFull)
    """What a publish may raise that leaves a patient producer in doubt."""
    fragile = "fragile"
    """The group whose dead letters are redriven."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.name: str = arguments.name
        self.ground = Ground(arguments.folder)
        self.random = random.Random(f"{arguments.seed} {self.name}")
        self._disk = Choice(arguments.disk, arguments.folder, self.random, self._written)
        self.page = Page(arguments.folder / f"{self.name}.page", self._disk.lose_power)
        clock = ShiftedClock(arguments.folder / "clock") if arguments.shifted else SystemClock()
        identifiers = Identifiers(clock)
        self.floor = Floor(
            clock=clock,
            identifiers=identifiers,
            chance=random.Random(identifiers.new()),
        )
        self.broker: Backend = self.connected()
        self.settings = Settings(
            session_timeout_seconds=arguments.session_timeout,
            commit_interval_ms=5,
            commit_events=arguments.commit_events,
            buffer_events=200,
            grace_seconds=5,
        )

    def connected(self) -> Backend:
        """The broker of this process, not opened yet."""
        return SqliteBroker(
            self.ground.database,
            clock=self.floor.clock,
            identifiers=self.floor.identifiers,
            options=SqliteOptions(
                reserve_bytes=self.arguments.reserve,
                checkpoint_pages=200,
                maintenance_seconds=0.7,
                at=self.page.at,
                vfs=self._disk.vfs,
            ),
        )

    def services(self) -> list[Service]:
        """What a worker runs."""
        return services(self.ground)

    def again(self, _steps: list[Step]) -> list[Step]:
        """Which of these a producer publishes twice."""
        return []

    def _written(self, path: str) -> None:
        """Nothing but a checkpoint writes to the database file itself."""
        if path == str(self.ground.database):
            self.page.passing("page-copied")


async def work(process: Process) -> None:
    """Run all services until SIGTERM."""
    await process.broker.open()
    try:
        await serve(
            *process.services(),
            broker=process.broker,
            dev=True,
            settings=process.settings,
            floor=process.floor,
            started=lambda _: process.page.tell_ready(),
        )
    finally:
        await process.broker.close()


async def produce(process: Process) -> None:
    """Publish bursts of steps until SIGTERM, or until so many are out."""
    await _publish_beside(process)


async def alone(process: Process) -> None:
    """Run all services and publish as well, in one process."""
    await _publish_beside(process, *process.services())


async def _publish_beside(process: Process, *others: Service) -> None:
    producers = Service("producers", publishes=(Step,))
    producers.topic("steps", partitions=PARTITIONS)
    stopped = _stopped()
    await process.broker.open()
    try:
        async with running(
            producers,
            *others,
            broker=process.broker,
            dev=True,
            consume=bool(others),
            settings=process.settings,
            floor=process.floor,
        ):
            process.page.tell_ready()
            await _publish(process, producers, stopped)
            if others:
                await stopped.wait()
    finally:
        await process.broker.close()


async def _publish(process: Process, producers: Service, stopped: asyncio.Event) -> None:
    path = process.ground.folder / f"{process.name}.journal"
    number = read_journal(path).next_number
    journal = Journal(path)
    last = number + process.arguments.count if process.arguments.count else sys.maxsize
    keys: list[str] = process.arguments.keys.split(",")
    while not stopped.is_set() and number < last:
        burst = Burst(number, min(number + process.random.randrange(6), last - 1))
        number = burst.last + 1
        steps = [Step(process.random.choice(keys), process.name, each) for each in range(burst.first, burst.last + 1)]
        journal.tries(burst)
        try:
            await producers.publish(*steps, *process.again(steps))
        except process.doubts as error:
            print(f"{burst}: {error}", file=sys.stderr, flush=True)
            if not process.arguments.patient:
                raise
        else:
            journal.acknowledged(burst)
        await asyncio.sleep(process.random.uniform(0, process.arguments.pause))


async def redrive(process: Process) -> None:
    """Ask for every dead letter of the fragile service to be redriven, again and again, until SIGTERM."""
    stopped = _stopped()
    await process.broker.open()
    try:
        asked: set[tuple[bytes, int]] = set()
        process.page.tell_ready()
        while not stopped.is_set():
            await _redrive_once(process, asked)
            await asyncio.sleep(0.3)
    finally:
        await process.broker.close()


async def _redrive_once(process: Process, asked: set[tuple[bytes, int]]) -> None:
    log = process.broker.log
    for task in range(PARTITIONS):
        at = TopicPartition(f"{process.fragile}.dead-letters", task)
        try:
            start, end = await log.bounds(at)
        except UnknownTopic:
            return
        latest: dict[bytes | None, bytes | None] = {}
        async with aclosing(read(log, {at: start}, {at: end})) as batches:
            async for batch in batches:
                latest.update(zip(batch.keys, batch.values, strict=True))
        for key, value in latest.items():
            if value is None or is_notice(key):
                continue
            entry = decode_entry(value)
            if entry.status == "dead-lettered" and (entry.place, entry.at_ms) not in asked:
                asked.add((entry.place, entry.at_ms))
                command = Command(process.floor.identifiers.new(), "redrive", entry.handler, entry.place, "a test")
                record = Record(entry.place, encode_command(command), process.floor.clock.now_ms())
                await log.append(TopicPartition(f"{process.fragile}.inbox", entry.task), [record])


async def delete_topic(process: Process) -> None:
    """Delete the topic that some outputs go to, behind the services' backs, when there is a file that says so."""
    await process.broker.open()
    try:
        process.page.tell_ready()
        while not (process.ground.folder / "delete-now").exists():  # noqa: ASYNC110 - in the hands of another process
            await asyncio.sleep(0.005)
        await process.broker.admin.delete("doomed")
    finally:
        await process.broker.close()


ROLES = {"worker": work, "producer": produce, "alone": alone, "redriver": redrive, "delete-topic": delete_topic}


def _stopped() -> asyncio.Event:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    return stopped


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=sorted(ROLES))
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--seed", default="0")
    parser.add_argument("--sabotage", choices=sorted(sabotage.GUARDS), default=None)
    parser.add_argument("--disk", choices=("sound", "watched", "power-loss", "full", "failing-sync"), default="sound")
    parser.add_argument("--reserve", type=int, default=0)
    parser.add_argument("--broker", help="the URL of a broker that is elsewhere")
    parser.add_argument("--shifted", action="store_true", help="take the wall clock's shift from the file `clock`")
    parser.add_argument("--world", choices=sorted(worlds.WORLDS), default=None)
    parser.add_argument("--session-timeout", type=float, default=2.0, help="in seconds")
    parser.add_argument("--commit-events", type=int, default=50)
    parser.add_argument("--count", type=int, default=0, help="how many events to publish; 0: until SIGTERM")
    parser.add_argument("--keys", default=",".join(f"key-{number}" for number in range(24)))
    parser.add_argument("--pause", type=float, default=0.05, help="the longest wait between two bursts, in seconds")
    parser.add_argument("--patient", action="store_true", help="go on after a publish whose outcome is unknown")
    return parser.parse_args()


def _end_with_the_test() -> None:
    """The test holds the other end of standard input, and nobody else does."""
    os.read(0, 1)
    os._exit(ORPHANED)


async def _asked_where_it_stands(role: Coroutine[object, object, None]) -> None:
    """Be somebody, who says on SIGUSR1 where all that it does stands: for a test that waits in vain."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, _say_where_it_stands)
    await role


def _say_where_it_stands() -> None:
    for task in asyncio.all_tasks():
        places: list[str] = []
        awaited: object = task.get_coro()
        while isinstance(awaited, types.CoroutineType) and awaited.cr_frame is not None:
            places.append(f"{awaited.__qualname__}:{awaited.cr_frame.f_lineno}")
            awaited = awaited.cr_await
        print(f"{task.get_name()}: {' > '.join(places)} > {awaited!r:.80}", file=sys.stderr)
    print(THAT_IS_ALL, file=sys.stderr, flush=True)


def main(kind: type[Process] = Process, install: Callable[[Page], None] = probes.install) -> None:
    """Be one process of this kind, with these probes."""
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    threading.Thread(target=_end_with_the_test, daemon=True).start()
    if arguments.world is not None:
        worlds.WORLDS[arguments.world](arguments.folder)
    if arguments.sabotage is not None:
        sabotage.GUARDS[arguments.sabotage]()
    process = kind(arguments)
    install(process.page)
    asyncio.run(_asked_where_it_stands(ROLES[arguments.role](process)))


if __name__ == "__main__":
    main()
