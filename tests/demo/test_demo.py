"""The demo: a part of the flights through real processes, one of them killed, and what its checks can see."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from examples.flights import check, reading, verify
from examples.flights.crew import Crew
from examples.flights.timetable import read_timetable
from examples.flights.watch import Watch
from mainstem.broker import TopicPartition, read_all
from mainstem.clock import SystemClock
from mainstem.identifiers import Identifiers
from mainstem.service import Backend, connected
from tests.architecture.source import ROOT
from tests.journeys.conditions import until

DATA = Path(check.__file__).parent / "data"
ROWS = 2_500


@dataclass(frozen=True)
class Run:
    """A demo that is over: the folder of its flights, the one it worked in, and its report."""

    data: Path
    folder: Path
    report: dict[str, Any]
    printed: str


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One demo on the first flights of January, in which the replay and the counting are killed."""
    folder = tmp_path_factory.mktemp("run")
    with started(folder, "--speed", "100000", "--kill", "flights", "--kill", "delays") as demo:
        printed, complaints = demo.communicate(timeout=200)
    assert demo.returncode == 0, printed + complaints
    return Run(folder / "data", folder / "demo", json.loads((folder / "report.json").read_text()), printed)


@contextmanager
def started(folder: Path, *options: str) -> Generator[subprocess.Popen[str], None, None]:
    """A demo in ``folder``; it is told to stop when the block ends and it has not."""
    data = folder / "data"
    data.mkdir()
    with check.opened(DATA / "flights.csv.gz") as text:
        (data / "flights.csv").write_text("".join(islice(text, ROWS + 1)))
    shutil.copy(DATA / "airlines.csv", data)
    environ = {**os.environ, "MAINSTEM_DEMO_DATA": str(data), "MAINSTEM_DEMO_FOLDER": str(folder / "demo")}
    command = [sys.executable, "-m", "examples.flights", "--report", str(folder / "report.json"), *options]
    with subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True, cwd=ROOT, env=environ) as demo:
        try:
            yield demo
        finally:
            demo.terminate()


def test_the_totals_are_those_of_the_file(run: Run) -> None:
    """What the stores hold at the end equals what an independent program adds up."""
    assert run.report["groups"] == check.totals(run.data)
    assert f"equal: {ROWS:,} flights" in run.printed


def test_the_report_says_what_happened(run: Run) -> None:
    """Published, handled, retried, dead-lettered and redriven are counted; all checks are listed, and held."""
    report = run.report
    assert report["held"]
    assert len(report["checks"]) == 11
    assert all(each["held"] for each in report["checks"])
    assert report["published"] > 3 * ROWS
    assert report["handled"] > 5 * ROWS
    assert report["redriven"] >= report["dead_lettered"] > 0
    assert report["retried"] > 0
    assert all(each["from_published_to_committed_ms"]["p99"] > 0 for each in report["services"].values())


def test_a_killed_worker_is_replaced(run: Run) -> None:
    """The tasks of a killed process got new owners, and another process took its place; the replay's while it ran."""
    kills = run.report["kills"]
    assert [each["service"] for each in kills] == ["flights", "delays"]
    assert 0 < kills[0]["replayed"] < len(read_timetable(run.data))
    for kill in kills:
        assert kill["tasks"]
        assert kill["replaced_by"] != kill["process"]
        assert 0 < kill["handed_over_ms"] <= kill["replaced_ms"]


def runs(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_ctrl_c_leaves_no_process_behind(tmp_path: Path) -> None:
    """Interrupted in the middle, the demo ends what it has started, says so and fails."""
    services = Crew({"delays": 2}, "", tmp_path / "demo").services["delays"]
    with started(tmp_path, "--speed", "1") as demo:
        await until(lambda: len(services.workers()) == 2, within_seconds=60)
        workers = services.workers()
        demo.send_signal(signal.SIGINT)
        assert "stopped" in demo.communicate(timeout=60)[1]
    assert demo.returncode == 130
    assert not any(map(runs, workers))
    assert services.workers() == []


async def failed(run: Run, folder: Path, spoil: Callable[[Backend], Awaitable[None]]) -> list[str]:
    """The checks that fail on a copy of the run's log that has been spoilt."""
    copied = shutil.copytree(run.folder, folder / "demo")
    clock = SystemClock()
    async with connected(f"sqlite:///{copied}/demo.db", clock, Identifiers(clock)) as broker:
        await spoil(broker)
        watch = Watch(broker, ["flights", "delays", "notices", "hotels"])
        await watch.look()
        watch.close()
        return [each.name for each in await verify.verify(broker, watch.sights) if not each.held]


@pytest.fixture
def looks_there(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the checks look at the run's data, and at the copy's letterbox."""
    monkeypatch.setattr(verify, "DATA", run.data)
    monkeypatch.setattr(reading, "LETTERBOX", tmp_path / "demo" / "notices.jsonl")


@pytest.mark.usefixtures("looks_there")
async def test_nothing_fails_on_what_is_whole(run: Run, tmp_path: Path) -> None:
    """The same checks hold on an unspoilt copy."""

    async def leave_alone(_broker: Backend) -> None:
        pass

    assert await failed(run, tmp_path, leave_alone) == []


@pytest.mark.usefixtures("looks_there")
@pytest.mark.parametrize(
    ("topic", "named"),
    [
        ("flights.history", "everything in the file was replayed, once"),
        ("flights", "each domain event became one integration event"),
        ("disruptions", "each delay and cancellation was published, once"),
        ("notices", "each disruption became one notification"),
    ],
)
async def test_an_event_too_many_is_seen(run: Run, tmp_path: Path, topic: str, named: str) -> None:
    """A record that stands twice fails the check of its hop, and is seen as work that is left."""

    async def repeat(broker: Backend) -> None:
        async for batch in read_all(broker, topic):
            await broker.log.append(TopicPartition(topic, batch.partition), [batch.record(0)])
            break

    found = await failed(run, tmp_path, repeat)
    assert named in found
    assert "nothing is left to do" in found


@pytest.mark.usefixtures("looks_there")
async def test_a_letter_that_was_not_delivered_is_seen(run: Run, tmp_path: Path) -> None:
    """A missing line fails the check of the letterbox, and a repeated one does not."""

    async def lose_a_line(_broker: Backend) -> None:
        letterbox = tmp_path / "demo" / "notices.jsonl"
        lines = letterbox.read_text().splitlines(keepends=True)
        letterbox.write_text("".join([*lines[1:], lines[-1]]))

    assert await failed(run, tmp_path, lose_a_line) == ["each notification was delivered, and repeats can be told"]


def test_the_timetable_is_in_order() -> None:
    """All that happened to January's flights, in event time; a flight departs before it arrives."""
    timetable = read_timetable(DATA)
    happenings = timetable.happenings(0, len(timetable))
    assert [each.at for each in happenings] == sorted(each.at for each in happenings)
    with check.opened(DATA / "flights.csv.gz") as text:
        assert len({each.flight_id for each in happenings}) == sum(1 for _ in csv.reader(text)) - 1
    steps: dict[str, list[str]] = {}
    for each in happenings:
        steps.setdefault(each.flight_id, []).append(type(each).__name__)
    assert {tuple(each) for each in steps.values()} == {
        ("Scheduled", "Cancelled"),
        ("Scheduled", "Departed", "Arrived"),
        ("Scheduled", "Departed", "Diverted"),
    }
