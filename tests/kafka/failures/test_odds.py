"""Failing handlers, parking, redrive, pauses, limits, timers, schedules and doubles, while workers are killed."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, Self

import pytest

from tests.crash.checker import Report
from tests.crash.crew import wait_until
from tests.crash.journal import read_journal
from tests.crash.logfile import LogRecord
from tests.kafka.failures.cluster_log import ClusterLog
from tests.kafka.failures.conftest import Clusters
from tests.kafka.failures.crew import KafkaCrew
from tests.kafka.failures.killer import KafkaKiller
from tests.kafka.failures.odds import NAME, is_worthless

MINUTE_MS = 60_000
ROLES = {
    "worker-1": ("worker", "worker-1"),
    "worker-2": ("worker", "worker-2"),
    "producer-1": ("producer", "producer-1", "--patient", "--pause", "0.2"),
    "redriver": ("redriver", "redriver"),
}
WATCHFUL = ("--shifted", "--world", "watchful", "--session-timeout", "1")
ALL = ("pausing", "limited", "later")
Who = tuple[str, int]


class Log(Protocol):
    """What is looked at."""

    def records(self, topic: str) -> Iterator[LogRecord]:
        """All committed records of a topic, each partition in the order of its offsets."""
        ...


class OddCrew(KafkaCrew):
    """The same, with a service of odds, and a wall clock that is set forward now and then."""

    module = "tests.kafka.failures.odds"
    minutes = 0

    def __enter__(self) -> Self:
        self.log = ClusterLog(self.cluster.address, groups={NAME})
        return self

    def advance(self) -> None:
        """A minute passes, for everybody at once."""
        self.minutes += 1
        behind = self.folder / "clock.new"
        behind.write_text(str(self.minutes * MINUTE_MS))
        behind.rename(self.folder / "clock")

    def told(self) -> Counter[str]:
        """What was said of events that have failed."""
        return Counter(
            record.value["status"]
            for record in self.log.records(f"{NAME}.dead-letters")
            if record.value and "status" in record.value
        )

    def unsettled(self) -> list[str]:
        """What is still to come."""
        return [f"{rule}: {what}" for rule, found in self.check().differences.items() for what in found]

    def check(self) -> Report:
        """Whether all that was published has been handled, as often and in the order that was promised."""
        report = Report()
        acknowledged = read_journal(self.folder / "producer-1.journal").acknowledged
        known = {("producer-1", number) for burst in acknowledged for number in range(burst.first, burst.last + 1)}
        check(self.log, known, self.minutes, report)
        return report


class OddKiller(KafkaKiller):
    """The same; time passes in leaps, and what a handler needs goes away and comes back."""

    def _act(self) -> None:
        if self._random.random() < 0.6:
            assert isinstance(self._crew, OddCrew)
            self._crew.advance()
        away = self._crew.folder / "away"
        away.unlink() if away.exists() else away.touch()
        super()._act()


def check(log: Log, acknowledged: set[Who], minutes: int, report: Report) -> None:
    """Compare what came out with what went in."""
    steps: dict[str, list[Who]] = defaultdict(list)
    for record in log.records("steps"):
        steps[record.key].append((record.value["producer"], record.value["number"]))
    report.counts["steps"] = sum(map(len, steps.values()))
    missing = acknowledged - {who for each in steps.values() for who in each}
    report.compare("what was acknowledged is there", "steps", set(), missing)
    done: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for record in log.records("odd-done"):
        value = record.value
        done[value["handler"], record.key].append((value["producer"], value["number"], value["count"]))
    for key, given in steps.items():
        expected = dict.fromkeys(ALL, given)
        expected["steady"] = list(dict.fromkeys(given))
        expected["fragile"] = [who for who in given if not is_worthless(who[1])]
        for name, each in expected.items():
            counted = [(*who, place) for place, who in enumerate(each, 1)]
            report.compare("each once, in its order", f"{name}[{key}]", counted, done.pop((name, key), []))
    report.compare("each once, in its order", "handled, and never published", {}, dict(done))
    _timed(log, steps, report)
    due = [record.value["due_ms"] for record in log.records("odd-ticks")]
    expected_due = [due[0] + n * MINUTE_MS for n in range(len(due))]
    report.compare("a schedule has all its runs, once", "ticks", expected_due, due)
    if len(due) < minutes:
        report.differ(
            "a schedule has all its runs, once", f"{minutes} minutes have passed, and it ran {len(due)} times"
        )
    for topic in ("odd-done", "odd-late", "odd-rung", "odd-ticks"):
        ids = Counter(record.headers.get("ce_id") for record in log.records(topic))
        report.compare("an id is used once", topic, [], [each for each, times in ids.items() if times > 1])
        report.counts[topic] = sum(ids.values())


def _timed(log: Log, steps: dict[str, list[Who]], report: Report) -> None:
    late: dict[str, list[Who]] = defaultdict(list)
    for record in log.records("odd-late"):
        late[record.key].append((record.value["producer"], record.value["number"]))
    rung: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for record in log.records("odd-rung"):
        rung[record.key].append((record.value["due_ms"], record.value["count"]))
    for key, given in steps.items():
        report.compare("what waits for its time comes once, in its order", key, given, late.pop(key, []))
        firings = rung.pop(key, [])
        due, counts = [each[0] for each in firings], [each[1] for each in firings]
        report.compare("a setting fires once, in its order", key, sorted(set(due)), due)
        report.compare("a firing sees what was handled before", key, sorted(counts), counts)
        report.compare("the last setting fires", key, [len(given)], counts[-1:])
    report.compare("nothing comes that nobody has asked for", "later", {}, {**late, **rung})


def kill_and_check(crew: OddCrew, seed: int, kills: int) -> None:
    """Kill so many, let everything be worked off, and check."""
    killer = OddKiller(crew, seed, ROLES)
    killer.start_all()
    killer.kill(kills)
    (crew.folder / "away").unlink(missing_ok=True)
    killer.rest()
    wait_until(lambda: "dead-lettered" in crew.told(), "a dead letter", every_seconds=0.1)
    killer.stop()
    crew.members["producer-1"].wait_until_ready()
    assert crew.members["producer-1"].end() == 0, crew.members["producer-1"].say()[-3_000:]
    report = crew.finish()
    told = crew.told()
    doubled = sum(record.value["handler"] == "later" for record in crew.log.records("odd-done")) - sum(
        record.value["handler"] == "steady" for record in crew.log.records("odd-done")
    )
    story = f"seed {seed}: {killer}\n{crew.minutes} minutes, {doubled} doubles, {dict(told)}\n{report}"
    print(story)
    assert report.sound, story
    assert doubled > 0, story
    assert told["discarded"] > 0 < told["redriven"], story


@pytest.mark.timeout(300)
def test_no_odds_are_lost_or_repeated(tmp_path: Path, start_cluster: Clusters) -> None:
    """After five kills, whatever delays, repeats or withholds an event has done to it what it promises, once."""
    with OddCrew(tmp_path, start_cluster(), "--seed", "1", *WATCHFUL) as crew:
        kill_and_check(crew, seed=1, kills=5)


@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("seed", [int(os.environ.get("CRASH_SEED", "300")) + n for n in range(2)])
def test_no_odds_are_lost_in_the_long_run(seed: int, tmp_path: Path, start_cluster: Clusters) -> None:
    """The same for longer; ``CRASH_SEED`` and ``CRASH_KILLS`` say how."""
    with OddCrew(tmp_path, start_cluster(), "--seed", str(seed), *WATCHFUL) as crew:
        kill_and_check(crew, seed, kills=int(os.environ.get("CRASH_KILLS", "60")))


class Written:
    """A log that a test has written by hand: three steps of one key, and all that has to come of them."""

    def __init__(self) -> None:
        numbers = (1, 2, 11, 2)
        self.topics: dict[str, list[dict[str, Any]]] = {
            "steps": [self._of(number) for number in numbers],
            "odd-done": [
                {**self._of(number), "handler": name, "count": count}
                for name in (*ALL, "steady", "fragile")
                for count, number in enumerate(_expected(name, numbers), 1)
            ],
            "odd-late": [self._of(number) for number in numbers],
            "odd-rung": [{"key": "k", "count": count, "due_ms": 10 * count} for count in (2, 4)],
            "odd-ticks": [{"key": "odds", "due_ms": minute * MINUTE_MS} for minute in (7, 8, 9)],
        }

    @staticmethod
    def _of(number: int) -> dict[str, Any]:
        return {"key": "k", "producer": "p", "number": number}

    def records(self, topic: str) -> Iterator[LogRecord]:
        """Its records."""
        for offset, value in enumerate(self.topics[topic]):
            yield LogRecord(topic, 0, offset, value["key"], value, {"ce_id": b"%d" % value.get("id", offset)})


def _expected(name: str, numbers: tuple[int, ...]) -> list[int]:
    if name == "steady":
        return list(dict.fromkeys(numbers))
    return [number for number in numbers if name != "fragile" or not is_worthless(number)]


def checked(written: Written) -> list[str]:
    """The rules that are broken."""
    report = Report()
    check(written, {("p", 1), ("p", 2)}, 3, report)
    return [rule for rule, found in report.differences.items() if found]


@pytest.mark.parametrize("topic", ["steps", "odd-done", "odd-late", "odd-rung", "odd-ticks"])
@pytest.mark.parametrize("mistake", ["lost", "doubled", "swapped", "one id"])
def test_the_checker_finds_what_is_wrong(topic: str, mistake: str) -> None:
    """Anything that is lost, comes twice or out of order; nothing is found where nothing is wrong."""
    written = Written()
    assert checked(written) == []
    records = written.topics[topic]
    if mistake == "lost":
        del records[-1]
    elif mistake == "doubled":
        records.append(dict(records[-1]))
    elif mistake == "swapped":
        records[0], records[1] = records[1], records[0]
    elif topic != "steps":
        records[0]["id"] = records[1]["id"] = 77
    else:
        return
    assert checked(written)
