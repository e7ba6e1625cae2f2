"""Events through a group on the embedded broker: what handlers see, what comes of it, what leaves no trace."""

import asyncio
import logging
from dataclasses import dataclass

import pytest

from mainstem.broker import TopicPartition
from mainstem.delivery import Context, Retry, Store
from mainstem.events import Topic
from mainstem.resilience import Backoff
from tests.rooms.delivery.faults import Faulty
from tests.rooms.delivery.stage import Paid, Shipped, Told, on, staged

SPENT = Store("spent", int)


@dataclass
class Note:
    """An event of somebody else."""

    text: str


FOREIGN = Topic("foreign", Note, envelope=None)


@on(Paid)
async def tally(event: Paid, context: Context) -> Told:
    """Adds up."""
    context.put(SPENT, total := (context.get(SPENT) or 0) + event.n)
    return Told(f"{event.order}={total}")


async def test_an_event_becomes_facts_and_memory() -> None:
    """What a handler publishes and puts is committed, and the next run goes on behind it."""
    async with staged() as stage:
        await stage.publish(Paid("a", 1), Paid("b", 10), Paid("a", 2))
        counters = await stage.run(tally, stores=[SPENT])
        assert await stage.told() == ["a=1", "b=10", "a=3"]
        assert (counters.handled, counters.published, counters.failures) == (3, 3, 0)
        await stage.publish(Paid("a", 4))
        await stage.run(tally, stores=[SPENT])
        assert await stage.told() == ["a=1", "b=10", "a=3", "a=7"]
        assert (stage.stored(SPENT, "a"), stage.stored(SPENT, "b")) == (7, 10)


@pytest.mark.parametrize("waits", [False, True])
async def test_a_handler_that_raises_leaves_no_trace(waits: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Neither facts nor memory nor timers of it are committed; those of other events are."""

    @on(Paid, publishes=(Told,), retry=Retry.never())
    async def handle(event: Paid, context: Context) -> None:
        context.put(SPENT, event.n)
        context.publish(Told(event.order))
        context.wake("later", after=60)
        if waits:
            await asyncio.sleep(0)
        if event.order == "bad":
            raise ValueError("no")

    @on(timer="later")
    async def later(context: Context) -> None:
        pass

    async with staged() as stage:
        await stage.publish(Paid("a", 1), Paid("bad", 2), Paid("b", 3))
        counters = await stage.run(handle, later, stores=[SPENT])
        assert await stage.told() == ["a", "b"]
        assert [stage.stored(SPENT, key) for key in ("a", "bad", "b")] == [1, None, 3]
        assert len(stage.rows("$timers")) == len(stage.rows("$due")) == 2
        assert (counters.failures, counters.dead_lettered) == (1, 1)


async def test_the_handlers_of_an_event_see_each_other() -> None:
    """They run in order of registration, each sees what those before it have put, and so does the next event."""
    seen: list[tuple[str, int | None]] = []

    @on(Paid)
    async def first(event: Paid, context: Context) -> None:
        seen.append(("first", context.get(SPENT)))
        await asyncio.sleep(0)
        context.put(SPENT, event.n)

    @on(Paid)
    async def second(event: Paid, context: Context) -> Told:
        seen.append(("second", context.get(SPENT)))
        context.put(SPENT, event.n + 1)
        assert context.get(SPENT) == event.n + 1
        return Told("second")

    @on(Paid)
    async def third(event: Paid, context: Context) -> Told:
        seen.append(("third", context.get(SPENT)))
        context.delete(SPENT)
        assert context.get(SPENT, -1) == -1
        return Told("third")

    async with staged() as stage:
        await stage.publish_at_once(Paid("a", 10), Paid("a", 20))
        await stage.run(first, second, third, stores=[SPENT])
        assert seen == [("first", None), ("second", 10), ("third", 11), ("first", None), ("second", 20), ("third", 21)]
        assert await stage.told() == ["second", "third"] * 2
        assert stage.stored(SPENT, "a") is None


async def test_one_handlers_failure_is_its_own() -> None:
    """The other handlers of the event run, and what they do is committed; only the one that raised is parked."""

    @on(Paid, retry=Retry.never(), order="none")
    async def bad(event: Paid, context: Context) -> None:
        context.put(SPENT, 99)
        raise ValueError("no")

    @on(Paid)
    async def good(event: Paid, context: Context) -> Told:
        return Told(f"{event.order} {context.get(SPENT)}")

    async with staged() as stage:
        await stage.publish(Paid("a"), Paid("b"))
        await stage.run(bad, good, stores=[SPENT])
        assert await stage.told() == ["a None", "b None"]
        assert [(entry.handler, entry.key) for entry in await stage.entries() if entry] == [("bad", "a"), ("bad", "b")]


async def test_outputs_have_the_same_ids_in_every_run() -> None:
    """A commit that is refused falls; the next incarnation publishes the same facts under the same ids."""

    @on(Paid, publishes=(Told,))
    async def handle(event: Paid, context: Context) -> list[Told]:
        context.publish(Told("published"))
        return [Told("returned"), Told("returned too")]

    async with staged() as stage:
        faulty = Faulty(
            stage.broker, lambda commit: "refused" if commit.records and len(faulty.commits) < 3 else "done"
        )
        await stage.publish_at_once(Paid("a"), Paid("b"))
        await stage.run(handle, broker=faulty.broker)
        attempts = [[record.own["ce_id"] for record in each.records] for each in faulty.commits if each.records]
        assert len(attempts) == 2
        assert attempts[0] == attempts[1] == await stage.told_ids()
        assert len(set(attempts[0])) == 6
        assert faulty.take_overs == 2


async def test_outputs_say_where_they_come_from() -> None:
    """Cause, correlation and trace context are handed on; the timestamp is that of the event."""

    @on(Paid)
    async def handle(event: Paid, context: Context) -> Told:
        return Told(context.correlation_id)

    async with staged() as stage:
        await stage.append(
            "orders", b"a", b'{"order":"a"}', ce_type=b"Paid", ce_id=b"e-1", ce_correlationid=b"c-1", traceparent=b"t-1"
        )
        await stage.append("orders", b"a", b'{"order":"a"}', ce_type=b"Paid", ce_id=b"e-2")
        await stage.run(handle)
        headers = [each for _, _, each in await stage.read("told")]
        assert [each["ce_causationid"] for each in headers] == [b"e-1", b"e-2"]
        assert [each["ce_correlationid"] for each in headers] == [b"c-1", b"e-2"]
        assert [each.get("traceparent") for each in headers] == [b"t-1", None]
        assert await stage.told() == ["c-1", "e-2"]


async def test_what_nobody_wants_is_passed_over_and_counted() -> None:
    """Types without a handler are not decoded, in batches of one type or of many; each is counted by name."""
    seen: list[object] = []

    @on(Paid)
    async def paid(event: Paid) -> None:
        seen.append(event.n)

    @on(Shipped, where=lambda envelope: envelope.origin.offset % 2 == 0)
    async def even(event: Shipped) -> None:
        seen.append(f"shipped {event.n}")

    async with staged() as stage:
        await stage.publish_at_once(Paid("a", 1), Shipped("a", 2), Shipped("b", 3), Paid("c", 4))
        for number in range(3):
            await stage.append("orders", b"a", b"no json", ce_type=b"Padi", ce_id=b"%d" % number)
        await stage.append("orders", b"a", None, ce_type=b"Paid", ce_id=b"gone")
        counters = await stage.run(paid, even)
        assert seen == [1, "shipped 3", 4]
        assert counters.skipped == {"Padi": 3, "Shipped": 1, "Paid": 1}
        assert (counters.handled, counters.failures) == (3, 0)
        assert (await stage.broker.admin.groups())["shop"].positions[TopicPartition("orders", 0)] == 8


async def test_types_that_alternate_keep_their_order() -> None:
    """A batch of many types is handled in the order of its offsets."""
    seen: list[int] = []

    @on(Paid, Shipped)
    async def handle(event: Paid | Shipped) -> None:
        seen.append(event.n)

    async with staged() as stage:
        await stage.publish_at_once(*[(Paid if n % 3 else Shipped)("k", n) for n in range(20)])
        await stage.run(handle)
        assert seen == list(range(20))


async def test_a_topic_without_envelope() -> None:
    """Every record counts as the topic's type; its id derives from its place, and is the same in every run."""
    seen: list[tuple[str, str | None, bytes | None]] = []

    @on(FOREIGN, where=lambda envelope: envelope.type == "Note")
    async def handle(note: Note, context: Context) -> Told:
        seen.append((context.event_id, context.causation_id, context.key))
        return Told(note.text)

    async with staged(foreign=1) as stage:
        await stage.append("foreign", b"k", b'{"text":"one"}', anything=b"\xff")
        await stage.append("foreign", None, b'{"text":"two"}')
        await stage.run(handle)
        assert await stage.told() == ["one", "two"]
        assert [(cause, key) for _, cause, key in seen] == [(None, b"k"), (None, None)]
        assert [headers["ce_causationid"].decode() for _, _, headers in await stage.read("told")] == [
            event_id for event_id, _, _ in seen
        ]


async def test_a_failure_tells_of_its_own_run_alone() -> None:
    """What is written down of a handler that failed twice is the second failure, and not the first one with it."""

    @on(Paid, retry=Retry.on(ValueError).inline(1, Backoff(first_seconds=0.0, longest_seconds=0.0)))
    async def handle(_event: Paid, context: Context) -> None:
        raise ValueError(f"run {context.attempt}")

    async with staged() as stage:
        await stage.publish(Paid("a"))
        await stage.run(handle)
        [entry] = [each for each in await stage.entries() if each]
        assert (entry.failure.trace.count("Traceback"), "run 1" in entry.failure.trace) == (1, False)
        assert "ValueError: run 2" in entry.failure.trace


async def test_a_type_that_nobody_takes_is_seen(caplog: pytest.LogCaptureFixture) -> None:
    """The log names it once, however many events of it there are, so that a renamed or misspelt type is noticed."""

    @on(Paid)
    async def handle(_event: Paid) -> None: ...

    caplog.set_level(logging.INFO, "mainstem")
    async with staged() as stage:
        for n in range(3):
            await stage.append("orders", b"a", b"{}", ce_type=b"Payed", ce_id=b"e-%d" % n)
        counters = await stage.run(handle)
    assert counters.skipped == {"Payed": 3}
    assert [line for line in caplog.messages if "'Payed' from orders" in line] == [
        "task 0 of 'shop': nobody takes 'Payed' from orders; it is passed over"
    ]


async def test_types_that_somebody_invents_take_no_memory(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever writes to a topic may name any number of types; a hundred are counted and logged by name, cut to size."""

    @on(Paid)
    async def handle(_event: Paid) -> None: ...

    caplog.set_level(logging.INFO, "mainstem")
    async with staged() as stage:
        await stage.append("orders", b"a", b"{}", ce_type=b"x" * 10_000, ce_id=b"long")
        for n in range(120):
            await stage.append("orders", b"a", b"{}", ce_type=b"T-%d" % n, ce_id=b"e-%d" % n)
        counters = await stage.run(handle)
    assert (len(counters.skipped), counters.skipped["(other types)"]) == (101, 21)
    assert sum(counters.skipped.values()) == 121
    assert max(map(len, counters.skipped)) == 200
    assert len([line for line in caplog.messages if "nobody takes" in line]) == 101
