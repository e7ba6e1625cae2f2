"""Partitions that wait for the schema of what stands there, and parked events that do."""

import asyncio
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from mainstem import Topic
from mainstem.broker import Record, TopicPartition
from mainstem.delivery import Command, Processor, Retry
from mainstem.errors import DefinitionError, MainstemError, ServerAway
from mainstem.schemas.documents import Schema
from mainstem.schemas.framing import guid_header, id_prefix
from mainstem.schemas.writers import Answer, SchemaName, Writers, Written
from tests.rooms.delivery.stage import Paid, Stage, on, staged, until
from tests.rooms.delivery.test_commands import answered


@dataclass
class Order:
    """What is read."""

    id: str


ORDERS = Topic("told", Order, key="id", envelope=None, format="avro", schema_id="prefix", type_name="Order")
GUID = "89791762-2336-4186-9674-299b90a802e2"


def written(*fields: str) -> Written:
    """The schema of a record of these texts."""
    record = {"type": "record", "name": "Order", "fields": [{"name": each, "type": "string"} for each in fields]}
    return Written(Schema(json.dumps(record)), {})


class Shelf:
    """Answers for a registry, as long as it is ``open``."""

    def __init__(self, **schemas: Written) -> None:
        self.schemas = schemas
        self.closed: MainstemError | None = None
        self.asked: list[list[str]] = []

    async def ask(self, names: Sequence[SchemaName]) -> Sequence[Answer]:
        """The schemas of these names."""
        self.asked.append(sorted(map(str, names)))
        await asyncio.sleep(0)
        if isinstance(self.closed, DefinitionError):
            raise self.closed
        if self.closed is not None:
            return [self.closed] * len(names)
        return [self.schemas.get(f"n{each.id or 'guid'}", "there is none") for each in names]


AWAY = ServerAway("nobody answers")
ONE, TWO = id_prefix(1) + b"\x02a", id_prefix(2) + b"\x02x\x02b"


def reading(given: list[str], retry: Retry | None = None) -> Processor:
    """A handler that keeps what it is given; what begins with ``!`` it fails at."""

    @on(ORDERS, name="read", retry=retry or Retry.never())
    async def read(order: Order) -> None:
        if order.id.startswith("!"):
            raise ValueError("no")
        given.append(order.id)

    return read


async def at_once(stage: Stage, *values: bytes, partition: int = 0, **headers: bytes) -> None:
    """Append records as one batch."""
    records = [Record(value[:6], value, stage.clock.now_ms(), headers) for value in values]
    await stage.broker.log.append(TopicPartition("told", partition), records)


async def test_all_that_is_unknown_in_a_batch_is_asked_for_once() -> None:
    """In one go, before anything of it is decoded; later batches need no question, nor does what is no name."""
    shelf, given = Shelf(n1=written("id"), n2=written("gone", "id"), nguid=written("id")), list[str]()
    async with staged() as stage:
        await at_once(stage, ONE, TWO, ONE, b"\x05", b"\0\0")
        async with stage.running(reading(given), writers=Writers(shelf.ask, stage.clock.monotonic)) as running:
            await stage.settled(running)
            await at_once(stage, TWO, ONE)
            await at_once(stage, b"\x02c", __value_schema_id=guid_header(GUID))
            await stage.settled(running)
            assert [each and each.failure.error_type for each in await stage.entries()] == ["DecodingFailed"] * 2
    assert given == ["a", "b", "a", "b", "a", "c"]
    assert shelf.asked == [["id 1", "id 2"], [f"GUID {GUID}"]]


async def test_one_partition_waits_and_everything_else_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """Other partitions, other topics and the inbox; it is told once, in log, task and audit, and so is the end."""
    caplog.set_level(logging.INFO, logger="mainstem")
    shelf, given, paid = Shelf(n1=written("id"), n2=written("gone", "id")), list[str](), list[str]()

    @on(Paid, name="pay")
    async def pay(event: Paid) -> None:
        paid.append(event.order)

    async with staged(told=2) as stage:
        writers = Writers(shelf.ask, stage.clock.monotonic)
        async with stage.running(reading(given), pay, writers=writers) as running:
            await at_once(stage, ONE)
            await stage.settled(running)
            shelf.closed = AWAY
            await at_once(stage, TWO, ONE)
            task = running.runner.tasks[0]
            await until(lambda: bool(task.paused))
            assert task.in_flight == 0, "what nobody answers for is not being worked at"
            await at_once(stage, ONE, partition=1)
            await stage.publish(Paid("o-1"))
            await until(lambda: (given, paid) == (["a", "a"], ["o-1"]))
            await stage.command(Command("c-1", "redrive", "read", b"kx"))
            await until(lambda: _answers(stage))
            [(reason, seconds)] = task.paused.items()
            assert reason == "told[0] waits for the schema of what stands there"
            assert seconds < 60
            shelf.closed = None
            await stage.settled(running)
            assert (given, dict(task.paused)) == (["a", "a", "b", "a"], {})
            assert await stage.notices() == [
                "paused: told[0] waits for the schema of what stands there",
                "not paused: told[0] waits for the schema of what stands there",
            ]
            assert await stage.entries() == []
    said = [each.getMessage() for each in caplog.records]
    assert len([each for each in said if "no registry of schemas answers" in each]) == 1
    assert len([each for each in said if "answers again" in each]) == 1


async def test_a_few_of_many_unknown_schemas_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """A batch of garbage may name thousands, in one line of the log and one notice."""
    shelf, given = Shelf(**{f"n{number}": written("id") for number in range(1, 10)}), list[str]()
    shelf.closed = AWAY
    async with staged() as stage:
        await at_once(stage, *(id_prefix(number) + b"\x02a" for number in range(1, 10)))
        async with stage.running(reading(given), writers=Writers(shelf.ask, stage.clock.monotonic)) as running:
            await until(lambda: "waits for the schema" in caplog.text)
            shelf.closed = None
            await stage.settled(running)
    assert len(given) == 9
    assert "id 1, id 2, id 3, id 4, id 5 and 4 more: nobody answers" in caplog.text


async def _answers(stage: Stage) -> bool:
    return [each.text for each in await stage.answers()] == ["redrive: nothing is parked there"]


async def test_a_drained_task_asks_no_more(caplog: pytest.LogCaptureFixture) -> None:
    """What waits is read again by whoever has the task next; until then it is asked for again, and told once."""
    shelf, given = Shelf(n1=written("id")), list[str]()
    shelf.closed = AWAY
    async with staged() as stage:
        await at_once(stage, ONE)
        since = time.monotonic()
        async with stage.running(reading(given), writers=Writers(shelf.ask)):
            await until(lambda: len(shelf.asked) > 2)
        assert time.monotonic() - since > 0.5, "each question waits for longer than the one before"
        asked = len(shelf.asked)
        shelf.closed = None
        assert given == []
        assert caplog.text.count("no registry of schemas answers") == 1
        await stage.run(reading(given), writers=Writers(shelf.ask))
        assert (given, len(shelf.asked)) == (["a"], asked + 1)


async def test_what_is_no_wait_ends_the_task() -> None:
    """Nobody waits for something that will never be, such as a client that is not installed."""
    shelf, given = Shelf(), list[str]()
    shelf.closed = DefinitionError("the HTTP client is not installed")
    async with staged() as stage:
        await at_once(stage, ONE)
        running = stage.start(stage.plan(reading(given)), writers=Writers(shelf.ask))
        with pytest.raises(DefinitionError, match="is not installed"):
            await running.task


async def test_a_dead_letter_whose_schema_has_come_is_redriven() -> None:
    """A redrive asks again, also at once; records that come behind a denial ask only after a while."""
    shelf, given = Shelf(), list[str]()
    async with staged() as stage:
        writers = Writers(shelf.ask, stage.clock.monotonic)
        async with stage.running(reading(given), writers=writers) as running:
            await at_once(stage, ONE)
            await stage.settled(running)
            await at_once(stage, ONE)
            await stage.settled(running)
            [entry] = await stage.entries()
            assert entry is not None
            assert "the schema with id 1 is not known" in entry.failure.error
            assert "why: there is none" in entry.failure.error
            assert len(shelf.asked) == 1
            shelf.schemas["n1"] = written("id")
            await answered(stage, running, Command("c-1", "redrive", "read", entry.place))
            await until(lambda: given == ["a", "a"])


async def test_a_parked_event_waits_on_while_nobody_answers() -> None:
    """In a process that does not know its schema yet; it has not failed, and comes back by itself."""
    shelf, given = Shelf(n1=written("id")), list[str]()
    bad = id_prefix(1) + b"\x04!a"
    async with staged() as stage:
        await at_once(stage, bad)
        await stage.run(reading(given), writers=Writers(shelf.ask))
        [before] = await stage.entries()
        assert before is not None
        shelf.closed = AWAY
        async with stage.running(reading(given), writers=Writers(shelf.ask)) as running:
            edit = Command("c-1", "edit", "read", before.place, "typo", "eva", origin=before.letter.origin, value=ONE)
            [(_, _, text)] = await answered(stage, running, edit)
            assert "nobody has been asked for it yet" in text
            await answered(stage, running, Command("c-2", "redrive", "read", before.place))
            await stage.settled(running)
            parked = (await stage.entries())[-1]
            assert parked is not None
            assert (parked.status, parked.failure.failures, parked.failure.error) == ("parked", 0, "nobody answers")
            assert parked.next_ms is not None
            shelf.closed = None
            assert await answered(stage, running, edit) == [("c-1", 1, "edit: 1 events")]
            await answered(stage, running, Command("c-3", "redrive", "read", before.place))
            await until(lambda: given == ["a"])
