"""Restarts and several processes: what was committed is not done again, and nothing is left out."""

import asyncio
import subprocess
import sys
from pathlib import Path

from mainstem import Context, IntegrationEvent, Service, running
from mainstem.service import Running
from tests.journeys.conditions import Collected, caught_up, stored, until


class Counted(IntegrationEvent, topic="numbers", key="name"):
    name: str
    number: int


class Doubled(IntegrationEvent, topic="doubled", key="name"):
    name: str
    number: int


def counting() -> Service:
    """A service that counts by name, and publishes what it has seen."""
    service = Service("counting")
    counts = service.store("counts", int)

    @service.on(Counted)
    async def count(event: Counted, context: Context) -> Doubled:
        context.put(counts, context.get(counts, 0) + 1)
        return Doubled(event.name, event.number * 2)

    return service


async def test_a_restart_goes_on_from_the_commit(tmp_path: Path) -> None:
    """Five runs over one file: each event counts once, and leads to one output."""
    url = f"sqlite:///{tmp_path}/numbers.db"
    source = Service("source", publishes=(Counted,))
    seen: list[int] = []
    for run in range(5):
        service, doubled = counting(), Collected("doubled", Doubled)
        async with running(source, service, doubled.service, broker=url, dev=True) as process:
            first = run * 100
            await source.publish(*[Counted(f"n-{n % 10}", n) for n in range(first, first + 100)])
            await caught_up(process)
            [counts] = service.stores
            assert [stored(process, "counting", counts, b"n-%d" % n) for n in range(10)] == [10 * (run + 1)] * 10
        seen += [event.number for event in doubled.events]
    assert sorted(seen) == [2 * n for n in range(500)]


async def test_a_handler_that_is_new_starts_behind_what_was_done() -> None:
    """Added to a group that has run, it sees what comes from then on; renamed with ``was=``, it goes on as before."""
    source = Service("source", publishes=(Counted,))
    seen: dict[str, list[int]] = {"old": [], "renamed": [], "added": []}

    def service(*names: str, was: tuple[str, ...] = ()) -> Service:
        made = Service("numbers")
        for name in names:

            async def see(event: Counted, *, name: str = name) -> None:
                seen[name].append(event.number)

            made.on(Counted, name=name, was=was if name == "renamed" else ())(see)
        return made

    async with source.running(broker="sqlite:///:memory:", dev=True) as process:
        for number, definition in enumerate((service("old"), service("renamed", "added", was=("old",)))):
            await source.publish(Counted("n", number))
            async with definition.running(broker=process.broker, dev=True) as run:
                await caught_up(run)
                await source.publish(Counted("n", 10 + number))
                await caught_up(run)
    assert seen == {"old": [0, 10], "renamed": [1, 11], "added": [1, 11]}


async def test_a_group_starts_where_it_says() -> None:
    """The first time at the earliest event, or with ``start="latest"`` behind all that is there; then at its commit."""
    source = Service("source", publishes=(Counted,))
    first, last = Collected("first", Counted), Collected("last", Counted)
    last.service.start = "latest"
    async with source.running(broker="sqlite:///:memory:", dev=True) as process:
        await source.publish(Counted("n", 1))
        for number in (2, 3):
            async with running(first.service, last.service, broker=process.broker, dev=True) as run:
                await caught_up(run)
                await source.publish(Counted("n", number))
                await caught_up(run)
    assert [event.number for event in first.events] == [1, 2, 3]
    assert [event.number for event in last.events] == [2, 3]


async def test_two_processes_share_the_tasks(tmp_path: Path) -> None:
    """Two brokers on one file, as two processes have them: the tasks are shared, and given back at the end."""
    url = f"sqlite:///{tmp_path}/numbers.db"
    source, doubled = Service("source", publishes=(Counted,)), Collected("doubled", Doubled)
    async with running(source, doubled.service, broker=url, dev=True) as here:
        async with counting().running(broker=url, dev=True) as one:
            await caught_up(one)
            async with counting().running(broker=url, dev=True) as two:
                await until(lambda: (tasks(one), tasks(two)) == (4, 4))
                await source.publish(*[Counted(f"n-{n % 50}", n) for n in range(1_000)])
                await until(lambda: len(doubled.events) == 1_000)
            await until(lambda: tasks(one) == 8)
            await source.publish(*[Counted(f"n-{n % 50}", n) for n in range(1_000, 1_200)])
            await until(lambda: len(doubled.events) == 1_200)
        [counts] = counting().stores
        totals = [value(here, counts.name, b"n-%d" % n) for n in range(50)]
    assert totals == [24] * 50
    assert sorted(event.number for event in doubled.events) == [2 * n for n in range(1_200)]


def tasks(process: Running) -> int:
    """How many tasks of the counting group this process has."""
    return len(process.runners["counting"].tasks)


def value(process: Running, store: str, key: bytes) -> int:
    """The count of a name, in whichever task it is."""
    [counts] = counting().stores
    rows = [process.broker.rows("counting", task).get_many(store, [key]) for task in range(8)]
    [found] = [counts.unpack(row[key], 0) for row in rows if key in row]
    assert isinstance(found, int)
    return found


WORKER = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from mainstem.service import serve
from tests.journeys.test_restart import counting
asyncio.run(serve(counting(), broker=sys.argv[2], dev=True))
"""


async def test_a_process_that_is_killed_is_replaced(tmp_path: Path) -> None:
    """A worker process is killed in the middle: another one goes on, nothing is lost, nothing counts twice."""
    url = f"sqlite:///{tmp_path}/numbers.db"
    source, doubled = Service("source", publishes=(Counted,)), Collected("doubled", Doubled)
    root = str(Path(__file__).parents[2])
    async with running(source, doubled.service, broker=url, dev=True) as here:
        worker = subprocess.Popen([sys.executable, "-c", WORKER, root, url])  # noqa: ASYNC220 - returns at once
        try:
            for first in range(0, 2_000, 100):
                await source.publish(*[Counted(f"n-{n % 50}", n) for n in range(first, first + 100)])
            await until(lambda: len(doubled.events) > 100)
        finally:
            worker.kill()
            await asyncio.to_thread(worker.wait)
        async with counting().running(broker=url, dev=True):
            await until(lambda: len(doubled.events) == 2_000)
        assert [value(here, "counts", b"n-%d" % n) for n in range(50)] == [40] * 50
    assert sorted(event.number for event in doubled.events) == [2 * n for n in range(2_000)]
