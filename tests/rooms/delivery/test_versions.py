"""One topic with several versions of a type: all are handled as the current one, and a later one never in silence."""

import json

import pytest

from mainstem.broker import Record, TopicPartition
from mainstem.delivery import Processor, Retry, faults_of
from mainstem.errors import VersionUnknown
from mainstem.events import IntegrationEvent, Plain
from mainstem.schemas.upcasting import rename
from tests.rooms.delivery.stage import Stage, Told, on, staged, until


class Placed(IntegrationEvent, topic="orders", key="order", version=3):
    order: str
    count: int


@Placed.upcast(1)
def counted(data: Plain) -> Plain:
    """The first version had a list, and may have had none."""
    items = data.pop("items")
    assert isinstance(items, list)
    return {**data, "number": len(items)}


Placed.upcast(2, rename("number", "count"))


class Later(IntegrationEvent, topic="orders", key="order", version=4, name="Placed"):
    """The same type in the service that is deployed next."""

    order: str
    total: int


Later.upcast(1, counted)
Later.upcast(2, rename("number", "count"))
Later.upcast(3, rename("count", "total"))


SILENT = (
    Retry(),
    Retry.on(TimeoutError).later("5ms"),
    Retry.on(Exception).later("5ms"),
    Retry.on(VersionUnknown).inline(3),
)
"""Policies that do not say when such an event may be tried later; what they say of others does not count."""


def placed(retry: Retry = SILENT[0]) -> Processor:
    """Tells what it was given."""

    @on(Placed, name="handle", retry=retry)
    async def handle(event: Placed) -> Told:
        return Told(f"{event.order}{event.count}")

    return handle


def record(order: str, version: int | None, **payload: object) -> Record:
    """An event of a version, as its producer writes it."""
    said = {} if version is None else {"ce_eventversion": b"%d" % version}
    headers = {"ce_id": order.encode(), "ce_type": b"Placed", **said}
    return Record(order.encode(), json.dumps({"order": order, **payload}).encode(), 1, {}, headers)


async def publish(stage: Stage, *records: Record) -> None:
    """Append them as one batch."""
    await stage.broker.log.append(TopicPartition("orders", 0), list(records))


async def test_versions_of_one_batch_are_read_each_in_its_way() -> None:
    """Older ones are upcast, the order stays, and a version without a header is the first."""
    async with staged() as stage:
        await publish(
            stage,
            record("a", None, items=["x"]),
            record("b", 3, count=2),
            record("c", 2, number=3),
            record("d", 1, items=[1, 2, 3, 4]),
            record("e", 3, count=5),
        )
        await stage.run(placed())
        assert await stage.told() == ["a1", "b2", "c3", "d4", "e5"]
        assert await stage.entries() == []


@pytest.mark.parametrize(
    ("version", "payload"), [(1, {"items": [1, 2]}), (2, {"number": 2}), (3, {"count": 2})], ids=str
)
async def test_a_batch_of_one_version_is_read_at_once(
    version: int, payload: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asks event by event: the decoder is looked up once for the batch."""
    asked = []
    monkeypatch.setattr("mainstem.delivery.desk.routes.Routes.decode", lambda *_: asked.append(1))
    async with staged() as stage:
        await publish(stage, *(record(each, version, **payload) for each in "abc"))
        await stage.run(placed())
        assert await stage.told() == ["a2", "b2", "c2"]
    assert asked == []


async def test_a_step_that_fails_makes_a_dead_letter() -> None:
    """It says which step failed; the bytes stay as they came, the key waits, and the others flow."""
    async with staged() as stage:
        await publish(
            stage,
            record("a", 1, items=None),
            record("a", 3, count=1),
            record("b", 1, items=[]),
            record("c", 2, quantity=1),
        )
        await stage.run(placed())
        assert await stage.told() == ["b0"]
        entries = [entry for entry in await stage.entries() if entry]
        errors = {entry.key: entry.failure.error for entry in entries}
        assert "Placed v1 did not become v2: counted(): AssertionError" in errors["a"]
        assert "the steps from v2 did not make a Placed v3: at the top the required field count is" in errors["c"]
        assert [entry.letter.value for entry in entries if entry.key == "a"] == [b'{"order": "a", "items": null}']


@pytest.mark.parametrize("retry", SILENT, ids=repr)
async def test_a_later_version_is_a_dead_letter(retry: Retry) -> None:
    """It is never passed over, nor decoded by guess; tried at once, it would be the same."""
    async with staged() as stage:
        await publish(stage, record("a", 4, count=1, total=1), record("b", 3, count=2))
        await stage.run(placed(retry))
        assert await stage.told() == ["b2"]
        [entry] = await stage.entries()
        assert entry is not None
        assert (entry.status, entry.failure.error_type, entry.failure.failures) == (
            "dead-lettered",
            "VersionUnknown",
            1,
        )


async def test_a_later_version_waits_where_the_policy_says_so() -> None:
    """It is parked with its key until somebody knows it: the service that is deployed next handles both, in order."""
    retry = Retry.on(VersionUnknown).inline(2).later("1h", "1h")
    async with staged() as stage:
        await publish(stage, record("a", 4, total=1), record("a", 3, count=2), record("b", 3, count=3))
        await stage.run(placed(retry))
        assert await stage.told() == ["b3"]
        assert await stage.history() == ["parked"]
        stage.clock.ahead_ms = 3_600_000

        @on(Later, name="handle", retry=retry)
        async def handle(event: Later) -> Told:
            return Told(f"{event.order}{event.total} later")

        async with stage.running(handle):
            await until(lambda: not stage.rows("$parked"))
        assert sorted(await stage.told()) == ["a1 later", "a2 later", "b3"]


async def test_waiting_for_a_later_version_ends() -> None:
    """The tries are counted as any others, and then it is a dead letter."""
    retry = Retry.on(VersionUnknown).later("1ms", "1ms")
    async with staged() as stage:
        await publish(stage, record("a", 4, total=1))

        async def given_up() -> bool:
            return "dead-lettered" in await stage.history()

        async with stage.running(placed(retry)):
            await until(given_up)
        assert await stage.history() == ["parked", "parked", "dead-lettered"]
        entry = (await stage.entries())[-1]
        assert entry is not None
        assert entry.failure.failures == 3


async def test_a_missing_step_stops_the_start() -> None:
    """It stands among the faults of the group, before anything is read."""

    class Gone(IntegrationEvent, topic="orders", version=2):
        order: str

    @on(Gone)
    async def handle(_: Gone) -> None: ...

    async with staged() as stage:
        assert ["nobody says how Gone v1 becomes" in str(each) for each in faults_of(stage.plan(handle))] == [True]
        assert faults_of(stage.plan(placed())) == []
