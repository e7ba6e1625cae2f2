"""Doubles: an event that comes again is passed over, and none is taken for a double of itself."""

import logging
from dataclasses import dataclass
from typing import Any

import pytest

from mainstem.broker import Record, TopicPartition
from mainstem.delivery import Command, Deduplicate, Processor, Retry, Store, faults_of
from mainstem.errors import DefinitionError
from mainstem.events import Topic
from tests.rooms.delivery.stage import Keyless, Paid, Shipped, Stage, Told, on, staged, until
from tests.rooms.delivery.test_checkpoints import STORES, Door, crashed_at, sending

DAY = Deduplicate("1d")
DAY_MS = 86_400_000
COUNT = Store("count", int)


@dataclass
class Parcel:
    """What somebody else writes."""

    order: str
    n: int = 0


def teller(name: str = "tell", *types: type[Any], **options: Any) -> Processor:
    """A handler that tells the number of each event it is given."""
    options.setdefault("deduplicate", DAY)

    @on(*(types or (Paid,)), name=name, publishes=(Told,), **options)
    async def tell(event: Paid | Shipped) -> Told:
        return Told(f"{name} {event.n}")

    return tell


async def send(stage: Stage, event_id: str, n: int, *, key: str = "a", topic: str = "orders") -> None:
    """An event whose id is chosen, as a producer that is not ours would write it."""
    value = b'{"order":"%s","n":%d}' % (key.encode(), n)
    record = Record(
        key.encode(),
        value,
        stage.clock.now_ms(),
        {"ce_type": b"Parcel" if topic == "shipments" else b"Paid", "ce_id": event_id.encode()},
    )
    await stage.broker.log.append(TopicPartition(topic, 0), [record])


async def test_an_event_that_comes_again_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    """Of several events with one id the handler is given the first; the others are counted and logged."""
    async with staged() as stage:
        for n in (1, 2, 3):
            await send(stage, "same", n)
        await send(stage, "other", 4)
        with caplog.at_level(logging.INFO, "mainstem"):
            counters = await stage.run(teller())
        assert await stage.told() == ["tell 1", "tell 4"]
        assert (counters.doubles, counters.failures) == (2, 0)
        first = next(each.message for each in caplog.records if "double" in each.message)
        assert first.startswith("a double, passed over: orders[0] offset 1")


async def test_without_it_every_event_is_handled() -> None:
    """A handler that does not ask for it is given both, beside one that does; nothing is kept where nobody asks."""
    async with staged() as stage:
        await send(stage, "same", 1)
        await send(stage, "same", 2)
        await stage.run(teller("all", deduplicate=None))
        assert stage.rows("$seen") == []
    async with staged() as stage:
        await send(stage, "same", 1)
        await send(stage, "same", 2)
        await stage.run(teller("all", deduplicate=None), teller("once"))
        assert await stage.told() == ["all 1", "once 1", "all 2"]


async def test_each_handler_knows_its_own_doubles() -> None:
    """A handler that is new has not been given what another one has seen; a renamed one has."""
    async with staged() as stage:
        await send(stage, "same", 1)
        await stage.run(teller("one"))
        await send(stage, "same", 2)
        await stage.run(teller("one"), teller("two"))
        assert await stage.told() == ["one 1", "two 2"]
        await send(stage, "same", 3)
        await stage.run(teller("uno", was=("one",)), teller("two"))
        assert await stage.told() == ["one 1", "two 2"]


async def test_what_was_seen_survives_whoever_saw_it() -> None:
    """A later owner of the task knows what an earlier one was given."""
    async with staged() as stage:
        await send(stage, "same", 1)
        await stage.run(teller())
        await send(stage, "same", 2)
        await stage.run(teller())
        assert await stage.told() == ["tell 1"]


async def test_ids_count_by_topic_and_by_key() -> None:
    """The same id on another topic, or under another key, is another event."""
    shipments = Topic("shipments", Parcel, key="order")
    async with staged(shipments=1) as stage:

        @on(Paid, name="tell", publishes=(Told,), deduplicate=DAY)
        async def tell(event: Paid) -> Told:
            return Told(f"orders {event.n}")

        @on(shipments, name="ship", publishes=(Told,), deduplicate=DAY)
        async def ship(event: Parcel) -> Told:
            return Told(f"shipments {event.n}")

        await send(stage, "same", 1)
        await send(stage, "same", 2, key="b")
        async with stage.running(tell, ship) as running:
            await stage.settled(running)
            await send(stage, "same", 3, topic="shipments")
            await send(stage, "same", 4, topic="shipments")
            await stage.settled(running)
        assert sorted(await stage.told()) == ["orders 1", "orders 2", "shipments 3"]


async def test_a_chosen_field_tells() -> None:
    """With ``by``, events of all types of the handler are one when the field is the same, whatever their ids."""
    async with staged() as stage:
        await stage.publish(Paid("a", 1), Paid("a", 1), Shipped("a", 1), Paid("a", 2), Paid("b", 1))
        await stage.run(teller("tell", Paid, Shipped, deduplicate=Deduplicate("1h", by="n")))
        assert sorted(await stage.told()) == ["tell 1", "tell 1", "tell 2"]


async def test_a_window_ends() -> None:
    """An event that comes again later than the window allows is handled; then the rows of before are gone."""
    async with staged() as stage:
        await send(stage, "same", 1)
        await stage.run(teller())
        stage.clock.ahead_ms += DAY_MS - 60_000
        await send(stage, "same", 2)
        await stage.run(teller())
        stage.clock.ahead_ms += 120_000
        await send(stage, "same", 3)
        await stage.run(teller())
        assert await stage.told() == ["tell 1", "tell 3"]
        stage.clock.ahead_ms += 2 * DAY_MS
        async with stage.running(teller()):
            await until(lambda: stage.rows("$seen") == [] and stage.rows("$due") == [])


async def test_the_next_window_goes_in_its_own_time() -> None:
    """When the rows of a window have gone, the timer waits for those of the next one, and is not due all the time."""
    async with staged() as stage:
        await send(stage, "first", 1)
        await stage.run(teller())
        stage.clock.ahead_ms += DAY_MS
        await send(stage, "second", 2)
        await stage.run(teller())
        due = stage.rows("$due")
        assert (len(stage.rows("$seen")), len(due)) == (2, 1)
        stage.clock.ahead_ms += DAY_MS
        async with stage.running(teller()) as running:
            await until(lambda: len(stage.rows("$seen")) == 1)
            await stage.settled(running)
            assert [key > due[0][0] for key, _ in stage.rows("$due")] == [True]
        stage.clock.ahead_ms += DAY_MS
        async with stage.running(teller()):
            await until(lambda: stage.rows("$seen") == [] and stage.rows("$due") == [])


async def test_rows_go_by_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a window that is over, a commit deletes so many rows; one timer is set, however many events were seen."""
    monkeypatch.setattr("mainstem.delivery.gates.doubles.ROWS_AT_ONCE", 3)
    async with staged() as stage:
        await stage.publish(*(Paid("a", n) for n in range(8)))
        await stage.run(teller())
        assert (len(stage.rows("$seen")), len(stage.rows("$due"))) == (8, 1)
        stage.clock.ahead_ms += 2 * DAY_MS
        async with stage.running(teller(deduplicate=None)):
            await until(lambda: stage.rows("$seen") == [] and stage.rows("$due") == [])


async def test_a_row_is_small_whatever_the_id() -> None:
    """Ids and keys are kept as digests: a long one takes no more than a short one."""
    async with staged() as stage:
        await send(stage, "i" * 50_000, 1, key="k" * 50_000)
        await stage.run(teller())
        ((key, value),) = stage.rows("$seen")
        assert len(key) + len(value) < 64


async def test_an_event_tried_again_is_no_double() -> None:
    """Inline, later and redriven by hand, an event runs again; its doubles do not, whatever becomes of it."""
    runs: list[int] = []
    door = [True]
    async with staged() as stage:

        @on(Paid, retry=Retry.on(ValueError).inline(1).later("1h"), deduplicate=DAY)
        async def fails(event: Paid) -> None:
            runs.append(event.n)
            if door[0]:
                raise ValueError

        await send(stage, "same", 1)
        async with stage.running(fails) as running:
            await stage.settled(running)
            await send(stage, "same", 2)
            await stage.settled(running)
            assert (runs, running.counters.doubles) == ([1, 1], 1)
            stage.clock.ahead_ms += 3_600_000
        async with stage.running(fails) as running:
            await stage.settled(running)
            await until(lambda: running.counters.dead_lettered == 1)
            door[0] = False
            await stage.command(Command(id="c", action="redrive", handler="fails", place=b"ka"))
            await stage.settled(running)
        assert runs[-1] == 1
        assert 2 not in runs


async def test_an_event_that_waits_is_seen() -> None:
    """What waits behind a parked event counts as given: its double does not wait as well."""
    runs: list[int] = []
    async with staged() as stage:

        @on(Paid, retry=Retry.on(ValueError).later("1h"), deduplicate=DAY)
        async def fails(event: Paid) -> None:
            runs.append(event.n)
            if len(runs) == 1:
                raise ValueError

        await send(stage, "first", 1)
        await send(stage, "second", 2)
        await send(stage, "second", 3)
        await stage.run(fails)
        stage.clock.ahead_ms += 3_600_000
        async with stage.running(fails):
            await until(lambda: len(runs) == 3)
        assert runs == [1, 1, 2]


async def test_an_event_that_was_checkpointed_is_no_double() -> None:
    """Behind a checkpoint the event is noted and not done; after a crash it runs on."""
    door, seen = Door(), list[int | None]()
    send_on = sending(door, seen)
    marked = on(Paid, name="send", publishes=(Told,), deduplicate=DAY)(send_on.call)
    async with staged() as stage:
        await send(stage, "e-1", 1)
        await crashed_at(door, stage, marked)
        assert len(stage.rows("$seen")) == 1
        door.opened.set()
        await send(stage, "e-1", 2)
        counters = await stage.run(marked, stores=STORES)
        assert (seen, counters.doubles) == ([None, 1], 1)


async def test_keyless_doubles_do_not_overlap() -> None:
    """Two events without key and with one id take one lane, so that the second finds what the first has noted."""
    runs: list[int] = []
    door = Door()
    async with staged() as stage:

        @on(Keyless, deduplicate=DAY)
        async def slow(event: Keyless) -> None:
            runs.append(event.n)
            await door.pass_through()

        for n in (1, 2):
            await stage.append("talk", None, b'{"n":%d}' % n, ce_type=b"Keyless", ce_id=b"same")
        await stage.append("talk", None, b'{"n":3}', ce_type=b"Keyless", ce_id=b"other")
        async with stage.running(slow) as running:
            await until(lambda: len(runs) >= 2)
            door.opened.set()
            await stage.settled(running)
        assert sorted(runs) == [1, 3]


async def test_a_batch_holds_no_doubles() -> None:
    """A batch handler is given each event once, also when the batch fails and each is tried alone."""
    batches: list[list[int]] = []
    async with staged() as stage:

        @on(Paid, retry=Retry.never(), deduplicate=DAY)
        async def many(events: list[Paid]) -> None:
            batches.append([each.n for each in events])
            if len(events) > 1:
                raise ValueError

        for event_id, n in (("x", 1), ("x", 2), ("y", 3)):
            await send(stage, event_id, n)
        counters = await stage.run(many, lanes=1)
        assert batches == [[1, 3], [1], [3]]
        assert counters.doubles == 1


async def test_plain_handlers_know_doubles() -> None:
    """A plain function is not given a double either."""
    seen: list[int] = []
    async with staged() as stage:

        @on(Paid, deduplicate=DAY)
        def plain(event: Paid) -> None:
            seen.append(event.n)

        await send(stage, "same", 1)
        await send(stage, "same", 2)
        await stage.run(plain)
        assert seen == [1]


async def test_what_cannot_be_known_again_is_refused() -> None:
    """No window, an unknown field, an id that nobody wrote, and a group without memory are told before the start."""
    for wrong in ("0s", "32d"):
        with pytest.raises(DefinitionError, match="no window"):
            Deduplicate(wrong)
    with pytest.raises(DefinitionError, match="names no field"):
        Deduplicate("1d", by=())
    with pytest.raises(DefinitionError, match="known again by 'payment'"):
        teller(deduplicate=Deduplicate("1d", by="payment"))
    with pytest.raises(DefinitionError, match="does not say how long"):
        teller(deduplicate="1d")
    bare = Topic("parcels", Parcel, key="order", envelope=None)
    with pytest.raises(DefinitionError, match="have no ids"):
        on(bare, deduplicate=DAY)(_takes)
    async with staged() as stage:
        plan = stage.plan(teller(retry=Retry.never()), delivery="at_least_once")
        assert "has doubles to know" in str(faults_of(plan)[0])


async def _takes(event: Parcel) -> None: ...
