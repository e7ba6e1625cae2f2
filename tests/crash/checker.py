"""Decides from the file and the journals alone whether every promise was kept. Imports nothing from the library.

``python -m tests.crash.checker FOLDER`` checks what a test has left behind.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import apsw

from tests.crash.journal import Account, read_journal
from tests.crash.logfile import DATABASE, Database, LogRecord, Readable

GROUPS = {"ledger", "ledger.stamps", "fragile", "fragile.stages"}

KEPT = {"$handlers", "$edition", "$inputs"}
"""What a task remembers for good: which handlers and topics it knows, and which edition of the service ran it last."""

SHOWN = 8
"""Of each kind of difference, so many are shown."""


HOUR_MS = 3_600_000


@dataclass
class Report:
    """What was found: numbers to be proud of, and differences, which there should be none of."""

    counts: dict[str, int] = field(default_factory=dict)
    differences: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def differ(self, rule: str, what: str) -> None:
        """A rule was broken."""
        self.differences[rule].append(what)

    def compare(self, rule: str, where: str, expected: object, found: object) -> None:
        """Two values ought to be equal."""
        if expected != found:
            self.differ(rule, f"{where}: expected {expected!r}, found {found!r}")

    @property
    def sound(self) -> bool:
        """Whether every promise was kept."""
        return not any(self.differences.values())

    def __str__(self) -> str:
        lines = [f"{name}: {count}" for name, count in self.counts.items()]
        for rule, found in self.differences.items():
            lines += [f"BROKEN: {rule} ({len(found)} times)", *(f"    {what}" for what in found[:SHOWN])]
            lines += [f"    and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        return "\n".join(lines)


@dataclass(frozen=True)
class Given:
    """What the services were given: the steps in the log, by key in their order, and the journals of producers."""

    database: Readable
    accounts: list[Account]
    steps: dict[str, list[dict[str, Any]]]
    set_back_ms: int
    """The wall clock may have been set back by so much between the decision that a timer is due and its firing."""


def check(folder: Path) -> Report:
    """Check the file and the journals that a workload has left in ``folder``, after everything was worked off."""
    report = Report()
    accounts = [read_journal(path) for path in sorted(folder.glob("*.journal"))]
    try:
        _check(folder / DATABASE, accounts, report, HOUR_MS if (folder / "clock").exists() else 0)
    except apsw.Error as error:
        report.differ("the file is sound", f"{type(error).__name__}: {error}")
    return report


def _check(path: Path, accounts: list[Account], report: Report, set_back_ms: int) -> None:
    with Database(path) as database:
        for text in database.integrity():
            report.differ("the file is sound", text)
        judge(database, accounts, report, set_back_ms)


def judge(database: Readable, accounts: list[Account], report: Report, set_back_ms: int = 0) -> None:
    """Every promise, wherever the log is."""
    given = Given(database, accounts, _by_key(database.records("steps")), set_back_ms)
    _acknowledged_events_are_there(given, report)
    _order_holds_within_a_key(given, report)
    _ids_are_used_once(database, report)
    _everything_was_worked_off(database, report)
    _tallies(given, report)
    _timers(given, report)
    _stamps(given, report)
    _mended(given, report)
    _checks(given, report)
    _stages(given, report)


def unsettled(path: Path) -> list[str]:
    """What the services still have to do; nothing, when there is nothing."""
    with Database(path) as database:
        return left_in(database)


def left_in(database: Readable) -> list[str]:
    """The same, wherever the log is."""
    report = Report()
    _everything_was_worked_off(database, report)
    return [f"{rule}: {what}" for rule, found in report.differences.items() for what in found]


# --- the log


def _acknowledged_events_are_there(given: Given, report: Report) -> None:
    found = Counter((step["producer"], step["number"]) for steps in given.steps.values() for step in steps)
    known = 0
    for account in given.accounts:
        for burst in account.acknowledged:
            for number in range(burst.first, burst.last + 1):
                known += 1
                who = f"{account.producer}:{number}"
                report.compare(
                    "an acknowledged event is in the log, once", who, 1, found.pop((account.producer, number), 0)
                )
        for burst in account.in_doubt:
            numbers = range(burst.first, burst.last + 1)
            there = [found.pop((account.producer, number), 0) for number in numbers]
            if there not in ([0] * len(there), [1] * len(there)):
                report.differ("a publish is there as a whole, or not", f"{account.producer}:{burst}: {there}")
            report.counts["in doubt, and in the log"] = report.counts.get("in doubt, and in the log", 0) + sum(there)
    for (producer, number), times in found.items():
        report.differ("nothing is in the log that nobody published", f"{producer}:{number}, {times} times")
    report.counts["acknowledged"] = known
    report.counts["in the log"] = sum(map(len, given.steps.values()))


def _order_holds_within_a_key(given: Given, report: Report) -> None:
    for key, steps in given.steps.items():
        last: dict[str, int] = {}
        for step in steps:
            producer, number = step["producer"], step["number"]
            if number <= last.get(producer, -1):
                report.differ("a producer's events keep their order", f"{key}: {producer}:{number} after {last}")
            last[producer] = number


def _ids_are_used_once(database: Readable, report: Report) -> None:
    for topic in ("steps", "tallied", "quiet", "stamped", "mended", "checked", "stages"):
        ids = Counter(record.headers.get("ce_id") for record in database.records(topic))
        report.counts[f"records in {topic}"] = sum(ids.values())
        for event_id, times in ids.items():
            if event_id is None or times > 1:
                report.differ("an event is in the log once", f"{topic}: {event_id!r}, {times} times")


def _everything_was_worked_off(database: Readable, report: Report) -> None:
    ends, positions, inputs = database.ends(), database.positions(), database.inputs()
    report.compare("every group is there", "the groups", GROUPS, inputs.keys() & GROUPS)
    for group, topics in inputs.items():
        for (topic, partition), end in ends.items():
            if topic in topics:
                at = f"{group} in {topic}/{partition}"
                report.compare("a position is where the log ends", at, end, positions.get((group, topic, partition)))
    for group, store, count in database.stores():
        if store.startswith("$") and store not in KEPT and count:
            report.differ("nothing is left over", f"{group}: {count} rows in {store}")


# --- what the services have made of it


def _tallies(given: Given, report: Report) -> None:
    rule = "a step is counted once, in its order"
    _chains(given, "ledger", "tallies", rule, report)
    _outputs(given, "tallied", rule, report)


def _mended(given: Given, report: Report) -> None:
    rule = "a step that failed is handled once, and nothing of its key overtakes it"
    _chains(given, "fragile", "mended", rule, report)
    _outputs(given, "mended", rule, report)


def _chains(given: Given, group: str, store: str, rule: str, report: Report) -> None:
    """The store has a count and a chain for each key: those that follow from the log."""
    found = _store(given.database, group, store, report)
    for key, steps in given.steps.items():
        chain = ""
        for step in steps:
            text = f"{chain}{step['producer']}:{step['number']}"
            chain = blake2b(text.encode(), digest_size=8).hexdigest()
        value = found.pop(key, {})
        report.compare(rule, f"{group}.{store}[{key}]", (len(steps), chain), (value.get("count"), value.get("chain")))
    for key, value in found.items():
        report.differ(rule, f"{group}.{store}[{key}] = {value}, and the log has no such key")


def _outputs(given: Given, topic: str, rule: str, report: Report) -> None:
    """One output for each step, in the order of the steps, counted through."""
    outputs = _by_key(given.database.records(topic))
    for key, steps in given.steps.items():
        expected = [(step["producer"], step["number"], place) for place, step in enumerate(steps, 1)]
        found = [(each["producer"], each["number"], each["count"]) for each in outputs.pop(key, [])]
        _compare_lists(rule, f"{topic}[{key}]", expected, found, report)
    for key in outputs:
        report.differ(rule, f"{topic}[{key}]: the log has no such key")


def _timers(given: Given, report: Report) -> None:
    """A timer fires once for its last setting, when it is due, and not for one that was replaced or cancelled."""
    rule = "a timer fires once, for its last setting"
    fired = _by_key(given.database.records("quiet"))
    for key, steps in _by_key(given.database.records("tallied")).items():
        due = {step["count"]: step["due_ms"] for step in steps}
        firings = fired.pop(key, [])
        counts = [firing["count"] for firing in firings]
        if counts != sorted(set(counts)):
            report.differ(rule, f"{key} fired for {counts}")
        for firing in firings:
            report.compare(rule, f"{key}, due time", due.get(firing["count"]), firing["due_ms"])
            if firing["fired_ms"] + given.set_back_ms < firing["due_ms"]:
                report.differ("a timer does not fire too early", f"{key}: {firing}")
        last = steps[-1]["count"]
        report.compare(rule, f"{key}: the last setting fired", bool(due[last]), last in counts)
    for key in fired:
        report.differ(rule, f"{key}: nobody set it")
    report.counts["timers fired"] = sum(1 for _ in given.database.records("quiet"))


def _checks(given: Given, report: Report) -> None:
    """The second timer's handler fails, and the firing parks; it is done once all the same."""
    rule = "a firing that failed is handled once, in its order"
    fired = _by_key(given.database.records("checked"))
    for key, steps in _by_key(given.database.records("mended")).items():
        due = [step["due_ms"] for step in steps if step["due_ms"]]
        found = [firing["due_ms"] for firing in fired.pop(key, [])]
        if len(set(found)) != len(found) or found != [each for each in due if each in found]:
            report.differ(rule, f"{key}: set {due}, fired {found}")
        if due and due[-1] not in found:
            report.differ(rule, f"{key}: the last setting {due[-1]} never fired; {found} did")
    for key in fired:
        report.differ(rule, f"{key}: nobody set it")


def _stamps(given: Given, report: Report) -> None:
    """The outputs of one service are the inputs of a plain function: each once, and in order."""
    rule = "an output is handled once, in its order"
    stamped = _by_key(given.database.records("stamped"))
    counts = _store(given.database, "ledger.stamps", "stamps", report)
    for key, steps in given.steps.items():
        found = [(each["count"], each["seen"]) for each in stamped.pop(key, [])]
        _compare_lists(rule, f"stamped[{key}]", [(n, n) for n in range(1, len(steps) + 1)], found, report)
        report.compare(rule, f"ledger.stamps[{key}]", len(steps), counts.pop(key, None))


def _stages(given: Given, report: Report) -> None:
    """What was done before a checkpoint is not done again, and what comes behind it is done once."""
    rule = "what stands before a checkpoint is done once"
    stages = _store(given.database, "fragile.stages", "stages", report)
    outputs = _by_key(given.database.records("stages"))
    for key, steps in given.steps.items():
        expected: list[tuple[object, ...]] = []
        for place, step in enumerate(steps, 1):
            who = (step["producer"], step["number"])
            expected += [(*who, "begun", place), (*who, "finished", place)]
        found: list[tuple[object, ...]] = []
        for each in outputs.pop(key, []):
            kind = "begun" if "begun" in each else "finished"
            found.append((each["producer"], each["number"], kind, each[kind]))
        _compare_lists(rule, f"stages[{key}]", expected, found, report)
        count = len(steps)
        report.compare(rule, f"fragile.stages[{key}]", {"begun": count, "finished": count, "open": ""}, stages.get(key))


# --- reading


def _by_key(records: Iterable[LogRecord]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        found.setdefault(record.key, []).append(record.value)
    return found


def _store(database: Readable, group: str, store: str, report: Report) -> dict[str, Any]:
    entries = database.entries(group, store)
    for key, times in Counter(key for key, _ in entries).items():
        if times > 1:
            report.differ("a key lives in one task", f"{group}.{store}[{key}], in {times} tasks")
    return dict(entries)


def _compare_lists(rule: str, where: str, expected: list[Any], found: list[Any], report: Report) -> None:
    """Say what is missing, what is there too often, and else where the order differs."""
    if expected == found:
        return
    missing, surplus = Counter(expected) - Counter(found), Counter(found) - Counter(expected)
    for text in _told("missing", missing.elements()):
        report.differ(rule, f"{where}: {text}")
    for text in _told("too often", surplus.elements()):
        report.differ(rule, f"{where}: {text}")
    if not missing and not surplus:
        place = next(place for place, pair in enumerate(zip(expected, found, strict=True)) if pair[0] != pair[1])
        report.differ(rule, f"{where}: {found[place]} stands where {expected[place]} should, at {place}")


def _told(word: str, elements: Iterable[Any]) -> Iterator[str]:
    found = list(elements)
    if found:
        yield f"{word}: {', '.join(map(str, found[:SHOWN]))}{' ...' if len(found) > SHOWN else ''}"


if __name__ == "__main__":
    outcome = check(Path(sys.argv[1]))
    print(outcome)
    sys.exit(not outcome.sound)
