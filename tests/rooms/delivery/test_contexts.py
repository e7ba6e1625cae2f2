"""What a context lets a handler do, and what it refuses."""

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, cast

import pytest

from mainstem.delivery import Context, Retry, Store
from mainstem.errors import IncarnationOver
from mainstem.events import IntegrationEvent
from tests.rooms.delivery.stage import Keyless, Paid, Shipped, Stage, Told, on, staged

SPENT = Store("spent", int)
EXPIRING = Store("expiring", int, expire_after="1h")
TOP = Store("top", int, scope="partition")


class Lost(IntegrationEvent, topic="told"):
    """What nobody has said that it is published."""


NAIVE = datetime(2013, 1, 1)  # noqa: DTZ001 - which is what is refused
STRANGER = Store("spent", int)


@on(timer="known")
async def known(context: Context) -> None:
    """A timer that may be set."""


async def failure_of(stage: Stage, do: Callable[[Context], object], event: object, **options: Any) -> str:
    """How a handler fails that does this with its context."""

    @on(Paid, Keyless, retry=Retry.never(), publishes=(Told,))
    async def handle(event: Paid | Keyless, context: Context) -> None:
        do(context)

    await stage.publish(event)
    await stage.run(handle, known, stores=[SPENT, TOP], **options)
    [entry] = [each for each in await stage.entries() if each is not None]
    return f"{entry.failure.error_type}: {entry.failure.error}"


@pytest.mark.parametrize(
    ("do", "event", "expected"),
    [
        (
            lambda it: it.get(SPENT, key="b"),
            Paid("a"),
            ["StoreRefused", "keyed by the event's key", 'scope="partition"'],
        ),
        (lambda it: it.put(SPENT, 1, key="b"), Paid("a"), ["StoreRefused", "another key was given: 'b'"]),
        (lambda it: it.delete(SPENT, key=b"b"), Paid("a"), ["StoreRefused", "another key was given"]),
        (lambda it: it.scan(SPENT, limit=1), Paid("a"), ["StoreRefused", "keyed by the event's key"]),
        (lambda it: it.get(SPENT), Keyless(), ["StoreRefused", "needs a key", "the event has none"]),
        (lambda it: it.put(TOP, 1), Paid("a"), ["StoreRefused", "needs a key", "pass key="]),
        (lambda it: it.get(STRANGER), Paid("a"), ["StoreRefused", "is not one of this group's", "include()"]),
        (lambda it: it.put(EXPIRING, 1), Paid("a"), ["StoreRefused", "is not one of this group's"]),
        (lambda it: it.put(SPENT, 2**70), Paid("a"), ["EventRefused", "cannot be stored as int", "store spent"]),
        (lambda it: it.put(cast("Store[str]", SPENT), "7"), Paid("a"), ["EventRefused", "expected int, found str"]),
        (
            lambda it: it.get(cast("Any", "spent")),
            Paid("a"),
            ["DefinitionError", "'str' is not a store", "context.get("],
        ),
        (lambda it: it.put(cast("Any", 5), cast("Any", SPENT)), Paid("a"), ["DefinitionError", "'int' is not a store"]),
        (lambda it: it.delete(cast("Any", None)), Paid("a"), ["DefinitionError", "is not a store"]),
        (
            lambda it: it.wake("known"),
            Paid("a"),
            ["DefinitionError", "either after= or at=", "next: write context.wake"],
        ),
        (lambda it: it.wake("known", at=NAIVE), Paid("a"), ["DefinitionError", "has no time zone", "tzinfo=UTC"]),
        (lambda it: it.wake("known", at=it.now_ms // 1000), Paid("a"), ["DefinitionError", "is a time in seconds"]),
        (lambda it: it.wake("known", at=cast("int", 1.5)), Paid("a"), ["DefinitionError", "at=1.5 is no time"]),
        (lambda it: it.wake("known", after=1, at=1), Paid("a"), ["DefinitionError", "either after= or at="]),
        (lambda it: it.wake("known", after=-1), Paid("a"), ["DefinitionError", "-1 is not a duration"]),
        (lambda it: it.wake("unknown", after=1), Paid("a"), ["DefinitionError", "known timers: known", "on_timer"]),
        (lambda it: it.cancel("unknown"), Paid("a"), ["DefinitionError", "no handler is registered for the timer"]),
        (lambda it: it.publish("text"), Paid("a"), ["EventRefused", "a str is not an event", "an instance of a class"]),
        (lambda it: it.publish({"what": "x"}), Paid("a"), ["EventRefused", "a dict is not an event", "declare one"]),
        (lambda it: it.publish(Lost()), Paid("a"), ["EventRefused", "Lost is not among", "it publishes"]),
        (lambda it: it.publish(Told(2)), Paid("a"), ["EventRefused", "Told"]),  # type: ignore[arg-type]
        (lambda it: it.publish(Told("x"), subject=""), Paid("a"), ["EventRefused", "the attribute subject is empty"]),
        (lambda it: it.publish(Told("x"), extensions={"a_b": "c"}), Paid("a"), ["EventRefused", "'a_b' cannot name"]),
        (lambda it: it.publish(Told("x" * 2_000_000)), Paid("a"), ["RecordTooLarge", "larger than its topic takes"]),
    ],
)
async def test_misuse_is_the_handlers_failure(
    do: Callable[[Context], object], event: object, expected: list[str]
) -> None:
    """The error says what is wrong and what to do, it is a dead letter, and the group goes on."""
    async with staged() as stage:
        failure = await failure_of(stage, do, event, lanes=1)
        assert [text for text in expected if text not in failure] == []


async def test_a_batch_needs_a_store_with_free_keys() -> None:
    """Its events have keys, and the error does not ask for one."""

    @on(Paid, retry=Retry.never())
    async def handle(events: list[Paid], context: Context) -> None:
        context.get(SPENT)

    async with staged() as stage:
        await stage.publish(Paid("a"))
        await stage.run(handle, stores=[SPENT], lanes=1)
        [entry] = [each for each in await stage.entries() if each is not None]
        assert "a batch is handled, and its events have many keys" in entry.failure.error
        assert 'declare the store with scope="partition"' in entry.failure.error


async def test_a_timer_is_set_for_a_moment() -> None:
    """An aware time counts in whatever zone it is written, to the millisecond above."""
    zone = timezone(timedelta(hours=5, minutes=30))

    @on(Paid)
    async def handle(event: Paid, context: Context) -> None:
        context.wake("known", at=datetime(2040, 1, 1, 5, 30, 0, 1500, tzinfo=zone))

    async with staged() as stage:
        await stage.publish(Paid("a"))
        await stage.run(handle, known)
        [(due, _)] = stage.rows("$due")
    assert int.from_bytes(due[:8], "big") == round(datetime(2040, 1, 1, tzinfo=UTC).timestamp() * 1000) + 2


async def test_free_keys_need_the_right_store() -> None:
    """With ``scope="partition"`` any key can be read and written; a scan is in key order and sees what was put."""
    found: list[object] = []

    @on(Paid)
    async def first(event: Paid, context: Context) -> None:
        context.put(TOP, event.n, key=event.order)
        if event.order == "c":
            context.delete(TOP, key="a")
            context.put(TOP, 7, key=17)

    @on(Paid)
    async def second(event: Paid, context: Context) -> None:
        context.put(TOP, 0, key="z")
        found.append(context.scan(TOP, limit=10))
        found.append([key for key, _ in context.scan(TOP, "b", "d", limit=10)])
        found.append([key for key, _ in context.scan(TOP, limit=1)])
        found.append(context.get(TOP, key=b"b"))

    async with staged() as stage:
        await stage.publish_at_once(Paid("b", 2), Paid("a", 1), Paid("c", 3))
        await stage.run(first, second, stores=[TOP], lanes=1)
        assert found[-4:] == [[(b"17", 7), (b"b", 2), (b"c", 3), (b"z", 0)], [b"b", b"c"], [b"17"], 2]
        assert [key for key, _ in stage.rows("top")] == [b"17", b"b", b"c", b"z"]


async def test_a_context_does_nothing_after_its_handler_has_returned() -> None:
    """What a handler has left running is told so, instead of being lost in silence; the group goes on."""
    contexts: list[Context] = []

    @on(Paid, retry=Retry.never(), publishes=(Told,))
    async def handle(event: Paid, context: Context) -> None:
        contexts.append(context)
        context.put(SPENT, 1)
        if event.order == "b":
            raise ValueError("no")

    async with staged() as stage:
        await stage.publish(Paid("a"), Paid("b"))
        async with stage.running(handle, stores=[SPENT]) as running:
            await stage.settled(running)
            for context in contexts:
                with pytest.raises(IncarnationOver, match="used after the handler had returned"):
                    context.put(SPENT, 2)
                with pytest.raises(IncarnationOver, match="used after the handler had returned"):
                    context.publish(Told("late"))
            assert contexts[0].get(SPENT) == 1
            await contexts[0].checkpoint()
            await stage.publish(Paid("c"))
            await stage.settled(running)
        assert (stage.stored(SPENT, "a"), stage.stored(SPENT, "b"), await stage.told()) == (1, None, [])


async def test_a_context_of_a_lost_task_does_nothing() -> None:
    """When the task has been lost while a handler runs, whatever it does next is refused."""
    began, goes_on = asyncio.Event(), asyncio.Event()
    refusals: list[str] = []

    @on(Paid, publishes=(Told,))
    async def handle(event: Paid, context: Context) -> None:
        began.set()
        try:
            await goes_on.wait()
        except asyncio.CancelledError:
            with pytest.raises(IncarnationOver) as raised:
                context.put(SPENT, 1)
            refusals.append(raised.value.what)
            with pytest.raises(IncarnationOver) as raised:
                context.publish(Told("late"))
            refusals.append(raised.value.what)
            raise

    async with staged() as stage:
        await stage.publish(Paid("a"))
        running = stage.start(stage.plan(handle, stores=[SPENT]))
        await began.wait()
        next(iter(running.runner.tasks.values())).kill()
        await running.crash()
        assert [what.startswith("task 0 of 'shop', epoch 1 is no longer owned") for what in refusals] == [True, True]
        assert (await stage.told(), stage.rows("spent")) == ([], [])


async def test_where_an_event_stands() -> None:
    """Topic, partition, offset, time, key, headers and attempt are those of the record and the run."""
    seen: list[object] = []

    @on(Shipped, retry=Retry.on(ValueError).inline(2))
    async def handle(event: Shipped, context: Context) -> None:
        seen.append((context.topic, context.partition, context.offset, context.timestamp_ms, context.key))
        seen.append((context.headers["ce_type"], context.handler, context.attempt, context.event_id))
        seen.append((context.idempotency_key("charge"), context.idempotency_key("mail")))
        if context.attempt == 1:
            raise ValueError("again")

    async with staged(orders=4) as stage:
        await stage.publish(Shipped("k"), timestamp_ms=77)
        await stage.run(handle, tasks=2)
        at, names, keys = seen[:3]
        assert isinstance(at, tuple)
        assert at[0] == "orders"
        assert at[2:] == (0, 77, b"k")
        assert isinstance(names, tuple)
        assert names[:3] == (b"Shipped", "handle", 1)
        assert seen[3] == at
        assert seen[4] == (*names[:2], 2, names[3])
        assert seen[5] == keys
        assert isinstance(keys, tuple)
        assert keys[0] != keys[1]


async def test_an_id_that_is_no_text_stops_nobody() -> None:
    """Bytes that are no UTF-8 in an id are shown escaped, whether the handler succeeds or fails."""
    seen: list[str] = []

    @on(Paid, retry=Retry.never())
    async def handle(event: Paid, context: Context) -> Told:
        seen.append(context.event_id)
        if event.n:
            raise ValueError("no")
        return Told(event.order)

    async with staged() as stage:
        await stage.append("orders", b"a", b'{"order":"a"}', ce_type=b"Paid", ce_id=b"\xff1")
        await stage.append("orders", b"b", b'{"order":"b","n":1}', ce_type=b"Paid", ce_id=b"\xff2")
        await stage.append("orders", b"c", b'{"order":"c"}', ce_type=b"Paid")
        await stage.run(handle)
        assert seen[:2] == ["\\xff1", "\\xff2"]
        assert await stage.told() == ["a", "c"]
        assert [entry.letter.headers["ce_id"] for entry in await stage.entries() if entry] == [b"\xff2"]


def test_a_context_offers_what_is_documented_and_nothing_of_the_runtime() -> None:
    """What a handler is offered is what docs/handlers.md lists: what the runtime does with a run is not among it."""
    page = (Path(__file__).parents[3] / "docs" / "handlers.md").read_text(encoding="utf-8")
    table = page.partition("## `Context`")[2].partition("\n## ")[0]
    assert {name for name in dir(Context) if not name.startswith("_")} == set(re.findall(r"context\.(\w+)", table))
