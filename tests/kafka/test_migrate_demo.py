"""A part of the demo begins on a file, is moved in the middle of its replay, and ends on a cluster."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

import pytest

from examples.flights import check, reading, verify
from examples.flights.crew import Crew
from examples.flights.flights import flights
from examples.flights.happenings import ReplayOrdered
from examples.flights.timetable import read_timetable
from examples.flights.watch import Watch
from mainstem.service import Backend
from tests.architecture.source import ROOT
from tests.journeys.conditions import until
from tests.rooms.migration.journey import at, command
from tools.kafka import Cluster

FLIGHTS = 1_200
WORKERS = {"flights": 1, "delays": 1, "notices": 1, "hotels": 1}
DATA = Path(check.__file__).parent / "data"


@pytest.fixture
def cluster(kafka_jars: Path, tmp_path: Path) -> Iterator[str]:
    """A cluster that has no topics."""
    cluster = Cluster(tmp_path / "cluster", kafka_jars, ends_with_us=True)
    try:
        cluster.start()
        yield cluster.address
    finally:
        for node in cluster.nodes:
            node.kill()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the demo works, with the first flights of January beside it."""
    data, folder = tmp_path / "data", tmp_path / "demo"
    data.mkdir()
    folder.mkdir()
    with check.opened(DATA / "flights.csv.gz") as text:
        (data / "flights.csv").write_text("".join(islice(text, FLIGHTS + 1)))
    shutil.copy(DATA / "airlines.csv", data)
    monkeypatch.setenv("MAINSTEM_DEMO_DATA", str(data))
    monkeypatch.setenv("MAINSTEM_DEMO_FOLDER", str(folder))
    monkeypatch.setattr(verify, "DATA", data)
    monkeypatch.setattr(reading, "LETTERBOX", folder / "notices.jsonl")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    return folder


@asynccontextmanager
async def manned(url: str, folder: Path) -> AsyncIterator[None]:
    """The processes of all services; they drain when the block ends."""
    crew = Crew(WORKERS, url, folder)
    try:
        await crew.start()
        yield
        assert set((await crew.stop()).values()) == {0}
    finally:
        crew.end_now()


async def watched(broker: Backend, watch: Watch, done: Callable[[], bool]) -> None:
    """Look until it is so."""

    async def look() -> bool:
        await watch.look()
        return done()

    await until(look, within_seconds=90)


@pytest.mark.long
async def test_the_totals_are_the_same_after_a_move(folder: Path, cluster: str) -> None:
    """Replayed in part here and in part there, no flight is lost, none counted twice, and each is told in order."""
    here, there = f"sqlite:///{folder}/demo.db", f"kafka://{cluster}?state_folder={folder}/state"
    everything = len(read_timetable(folder.parent / "data"))
    async with flights.running(broker=here, dev=True, consume=False) as process, manned(here, folder):
        watch = Watch(process.broker, WORKERS)
        await watched(process.broker, watch, lambda: len(watch.groups) == len(WORKERS))
        await flights.publish(ReplayOrdered("everything", 100_000))
        await watched(process.broker, watch, lambda: watch.count("flights.history") > everything // 3)
        watch.close()
    moved = await asyncio.to_thread(command, "migrate", "--from", here, "--to", there)
    assert moved.exit_code == 0, moved.output
    async with at(there) as broker:
        watch = Watch(broker, WORKERS)
        await watched(broker, watch, lambda: watch.count("flights.history") > everything // 3)
        assert watch.count("flights.history") < everything
        async with manned(there, folder):
            await watched(broker, watch, lambda: watch.count("flights.history") == everything and watch.settled)
            await asyncio.to_thread((folder / "the-hotel-is-open").touch)
            redriven = await asyncio.to_thread(
                command, "dead-letters", "redrive", "hotels", "--all", "--yes", "--broker", there
            )
            assert redriven.exit_code == 0, redriven.output
            await watched(broker, watch, lambda: watch.settled and not watch.sights["hotels"].parked)
        checks = await verify.verify(broker, watch.sights)
        watch.close()
    assert [each for each in checks if not each.held] == []
