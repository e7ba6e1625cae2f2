"""Recorded events through handlers again: the live group stays as it is, and what differs is said."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mainstem.broker import read_all
from mainstem.clock import SystemClock
from mainstem.delivery import Outputs
from mainstem.events import declaration_of
from mainstem.identifiers import Identifiers
from mainstem.service import Backend, connected, running
from tests.journeys.conditions import until
from tests.rooms.ops import past
from tests.rooms.ops.conftest import Shell
from tests.rooms.ops.past import CHARGED, SEEN, Order

PAST = "tests.rooms.ops.past"
HOUR_MS = 3_600_000
BEGAN_MS = 1_767_225_600_000
"""1 January 2026."""


async def put(broker: Backend, number: int, order: Order, minutes: int) -> None:
    """Write an order into the log with the timestamp it has had then."""
    outputs = Outputs([declaration_of(Order)], {"past-orders": 2}, "/past")
    at, record = outputs.fact(order, f"order-{number}", {}, BEGAN_MS + minutes * 60_000)
    await broker.log.append(at, [record])


ORDERS = [
    (Order("ann", 100), 0),
    (Order("bob", 200), 1),
    (Order("ann", 300), 90),
    (Order("cid", 400), 300),
    (Order("ann", 500), 400),
]


async def live_through(url: str) -> None:
    """Run the service on the orders, until all of them are handled."""
    clock = SystemClock()
    async with (
        connected(url, clock, Identifiers(clock)) as broker,
        running(past.past, broker=broker, dev=True),
    ):
        for number, order in enumerate(ORDERS, 1):
            await put(broker, number, *order)

            async def reminded(so_many: int = number) -> bool:
                return len(await contents(broker, "past-reminders")) == so_many

            await until(reminded)


async def contents(broker: Backend, topic: str) -> list[tuple[object, ...]]:
    """All records of a topic, with their places."""
    return [
        (batch.partition, batch.offsets[index], *msgspec.structs.astuple(batch.record(index)))
        async for batch in read_all(broker, topic)
        for index in range(len(batch))
    ]


async def everything(url: str) -> dict[str, object]:
    """All that a broker has: topics, records, groups with their positions and epochs, rows of stores."""
    clock = SystemClock()
    async with connected(url, clock, Identifiers(clock)) as broker:
        topics = await broker.admin.topics()
        groups = await broker.admin.groups()
        rows = {
            (name, task, store): (await broker.snapshot(name, task)).scan(store, b"", None, limit=1_000)
            for name, group in groups.items()
            for task in range(group.tasks)
            for store in ("orders", "$timers", "$due", "$parked", "$handlers", "$completed")
        }
        return {
            "topics": topics,
            "records": {name: await contents(broker, name) for name in topics},
            "groups": groups,
            "rows": {at: list(each) for at, each in rows.items()},
        }


@pytest.fixture
def lived(shell: Shell) -> Shell:
    """A broker on which the service has handled its orders."""
    CHARGED.clear()
    SEEN.clear()
    asyncio.run(live_through(shell.broker))
    return shell


def replayed(shell: Shell, version: str, *arguments: str) -> dict[str, Any]:
    """What ``replay --json`` says of a version of the service, from the beginning on."""
    [told] = shell.json("replay", f"{PAST}:{version}", "--since", "earliest", *arguments)
    return told


def test_the_same_code_publishes_the_same(lived: Shell) -> None:
    """Handlers that have not changed publish the same facts under the same ids, also those of timers."""
    told = replayed(lived, "past")
    assert [
        (each["topic"], each["same"], each["changed"], each["new"], each["missing"]) for each in told["topics"]
    ] == [
        ("past-invoices", 5, 0, 0, 0),
        ("past-reminders", 5, 0, 0, 0),
    ]
    assert (told["events"], told["failures"], told["differences"], told["published"]) == (5, [], [], 0)


def test_the_live_group_is_not_touched(lived: Shell) -> None:
    """Topics, records, groups with positions and epochs, and stores are after a replay what they were before."""
    before = asyncio.run(everything(lived.broker))
    replayed(lived, "cheaper")
    replayed(lived, "stricter", "--publish")
    assert asyncio.run(everything(lived.broker)) == before


def test_what_another_version_does_otherwise_is_told(lived: Shell) -> None:
    """A fact with other contents has changed; it has the id that it had."""
    told = replayed(lived, "cheaper", "--only", "invoice")
    [invoices] = told["topics"]
    assert (invoices["same"], invoices["changed"]) == (3, 2)
    assert [(each["outcome"], each["key"], each["cause"]) for each in told["differences"]] == [
        ("changed", "ann", "order-3"),
        ("changed", "ann", "order-5"),
    ]


def test_a_failure_is_told_and_what_it_would_have_published_is_missing(lived: Shell) -> None:
    """A run that raises is told with key, place and error; it is tried once, and others of its key wait."""
    told = replayed(lived, "stricter")
    [failure] = told["failures"]
    assert (failure["handler"], failure["key"], failure["error"]) == ("invoice", "ann", "ValueError: 300 cents")
    assert told["waiting"] == 1
    assert [each["outcome"] for each in told["differences"]] == ["missing"] * 4


def test_nothing_outside_is_called(lived: Shell) -> None:
    """What is provided is refused unless it says what stands in for it; the run ends there, and is no failure."""
    charged = list(CHARGED)
    told = replayed(lived, "past", "--only", "charge")
    assert charged == CHARGED
    assert told["refused"] == {"Bank.charge": 5}
    assert [(each["handled"], each["failed"], each["refused"]) for each in told["handlers"]] == [(0, 0, 5)]


def test_the_outside_is_called_where_that_is_asked_for(lived: Shell) -> None:
    """With --outside --yes it is called with the keys of the live group, so that it can know what it has had before."""
    charged = sorted(CHARGED)
    assert lived("replay", f"{PAST}:past", "--since", "earliest", "--outside").exit_code == 2
    replayed(lived, "past", "--only", "charge", "--outside", "--yes")
    assert sorted(CHARGED) == sorted(charged * 2)


def test_a_handler_knows_of_the_replay_and_has_the_time_of_its_events(lived: Shell) -> None:
    """``context.replaying`` is true, keys for the outside are those of the live run, and now is when it happened."""
    live = {customer: key for customer, key, replaying, _ in SEEN if not replaying}
    SEEN.clear()
    replayed(lived, "past")
    assert [replaying for _, _, replaying, _ in SEEN] == [True] * 5
    assert {customer: key for customer, key, _, _ in SEEN} == live
    minutes = [minutes for _, minutes in ORDERS]
    assert [now - BEGAN_MS for _, _, _, now in SEEN] == pytest.approx([60_000 * each for each in minutes], abs=1_000)


def test_time_goes_on_to_the_end_that_is_stated_and_no_further(lived: Shell) -> None:
    """Timers that are due later are told, and so are those whose handler is not among the chosen."""
    until_ms = "2026-01-01T01:30:00Z"
    told = replayed(lived, "past", "--until", until_ms)
    assert (told["events"], told["pending"], told["unheard"]) == (2, {}, {})
    assert replayed(lived, "past", "--until", "2026-01-01T00:30:00Z")["pending"] == {"remind": 2}
    assert replayed(lived, "past", "--until", until_ms, "--only", "invoice")["unheard"] == {"remind": 2}


def test_what_is_new_can_be_published(lived: Shell) -> None:
    """Only with --publish and --yes, only what was never published, under the id that it has in the replay."""
    for arguments in ((), ("--publish",)):
        assert replayed(lived, "thorough", *arguments)["published"] == 0
    assert "topics apply" in lived("replay", f"{PAST}:thorough", "--since", "earliest", "--publish", "--yes").stderr
    assert lived("topics", "apply", f"{PAST}:thorough").exit_code == 0
    told = replayed(lived, "thorough", "--publish", "--yes")
    assert (told["published"], [each["outcome"] for each in told["differences"]]) == (5, ["new"] * 5)
    again = replayed(lived, "thorough", "--publish", "--yes")
    assert (again["published"], again["differences"]) == (0, [])


def test_stores_and_output_can_be_kept(lived: Shell) -> None:
    """--keep leaves a file that the other commands can look at, and is refused where one is; --write leaves lines."""
    arguments = ("--keep", "kept", "--write", "out.jsonl")
    replayed(lived, "past", *arguments)
    [group] = lived.json("groups", "list", "--broker", "sqlite:///kept/replay.db")
    assert group["group"] == "past"
    lines = [msgspec.json.decode(line) for line in Path("out.jsonl").read_bytes().splitlines()]
    assert len(lines) == 10
    result = lived("replay", f"{PAST}:past", "--since", "earliest", *arguments)
    assert (result.exit_code, "is there already" in result.stderr) == (1, True)


def test_what_it_says_can_be_read(lived: Shell) -> None:
    """Handlers, topics, failures and what was left undone are told in words."""
    said = lived("replay", f"{PAST}:stricter", "--since", "earliest").stdout
    assert "failed: invoice for ann" in said
    # What waits for ann behind her failed invoice waits for the whole party.
    assert "Bank.charge would have been called 3 times" in said
    assert said.endswith("Nothing was published.\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--only", "invoic"), "did you mean invoice?"),
        (("--only", "remind"), "takes events"),
        (("--since", "yesterday"), "no point in a topic"),
    ],
)
def test_what_cannot_be_replayed_is_refused(arguments: tuple[str, ...], said: str, lived: Shell) -> None:
    """A handler that is not there, one that takes no events, and a time that is none."""
    result = lived("replay", f"{PAST}:past", "--since", "earliest", *arguments)
    assert result.exit_code == 1
    assert said in result.stderr
