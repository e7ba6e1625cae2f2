"""Handlers that fail: tried again in place, parked and tried later, dead letters; and events nobody can read."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from mainstem.delivery import Context, Processor, Retry, Store
from mainstem.errors import DatabaseFailed
from mainstem.events import IntegrationEvent
from mainstem.resilience import Backoff
from tests.rooms.delivery.stage import Keyless, Paid, Shipped, Stage, Told, on, staged, until

SPENT = Store("spent", int)
AT_ONCE = Backoff(first_seconds=0.0, longest_seconds=0.0)


def failing(times: int, runs: list[str], retry: Retry, bad: str = "bad") -> Processor:
    """A handler that fails so often for one key."""

    @on(Paid, retry=retry, name="handle")
    async def handle(event: Paid, context: Context) -> Told:
        runs.append(f"{event.order}{event.n}#{context.attempt}")
        context.put(SPENT, (context.get(SPENT) or 0) + 1)
        if event.order == bad and sum(run.startswith(bad) for run in runs) <= times:
            raise TimeoutError("not now")
        return Told(f"{event.order}{event.n}")

    return handle


async def tried(stage: Stage, handler: Processor, expected: int) -> None:
    """Run until so much has been told, and everything is settled."""

    async def enough() -> bool:
        return len(await stage.told()) >= expected

    async with stage.running(handler, stores=[SPENT]) as running:
        await until(enough)
        await stage.settled(running)
        await until(lambda: not stage.rows("$parking"))


async def test_inline_runs_stay_in_the_lane() -> None:
    """The event is run again at once; its key waits, nothing is parked, and the failed runs count for nothing."""
    runs: list[str] = []
    handler = failing(2, runs, Retry.on(TimeoutError).inline(2, AT_ONCE))
    async with staged() as stage:
        await stage.publish(Paid("bad", 1), Paid("bad", 2), Paid("ok", 1))
        await tried(stage, handler, 3)
        assert [run for run in runs if run.startswith("bad")] == ["bad1#1", "bad1#2", "bad1#3", "bad2#1"]
        assert sorted(await stage.told()) == ["bad1", "bad2", "ok1"]
        assert (stage.stored(SPENT, "bad"), await stage.history()) == (2, [])


async def test_later_means_that_the_key_waits() -> None:
    """The key is parked, its later events wait in order, other keys flow; in time all are handled, once each."""
    runs: list[str] = []
    handler = failing(2, runs, Retry.on(TimeoutError).later("5ms", "5ms"))
    async with staged() as stage:
        await stage.publish(Paid("bad", 1), Paid("bad", 2), Paid("ok", 1), Paid("bad", 3))
        await tried(stage, handler, 4)
        assert [run for run in runs if run.startswith("bad")] == ["bad1#1", "bad1#2", "bad1#3", "bad2#1", "bad3#1"]
        assert [told for told in await stage.told() if told.startswith("bad")] == ["bad1", "bad2", "bad3"]
        assert (stage.stored(SPENT, "bad"), stage.stored(SPENT, "ok")) == (3, 1)
        assert await stage.history() == ["parked", "parked", "over"]
        assert stage.rows("$parked") == stage.rows("$due") == stage.rows("$timers") == []


async def test_a_parked_key_survives_a_change_of_owner() -> None:
    """What was parked by one owner is worked off by the next one, with what has come behind it in between."""
    runs: list[str] = []
    async with staged() as stage:
        await stage.publish(Paid("bad", 1))
        slow = failing(9, runs, Retry.on(TimeoutError).later("1h"))
        await stage.run(slow, stores=[SPENT])
        await stage.publish(Paid("bad", 2))
        await stage.run(slow, stores=[SPENT])
        assert runs == ["bad1#1"]
        [parked] = await stage.entries()
        assert parked is not None
        assert (parked.status, parked.waiting, parked.failure.failures) == ("parked", 1, 1)
        assert len(stage.rows("$parked")) == 2


async def test_a_sequence_that_fails_on_the_way_stays_in_order() -> None:
    """When a later event of a parked key fails as well, it and those behind it wait on; what is done is done."""
    runs: list[str] = []
    failed = {"k1": 1, "k3": 2}

    @on(Paid, retry=Retry.on(TimeoutError).later("2ms", "2ms", "2ms"))
    async def handle(event: Paid) -> Told:
        name = f"{event.order}{event.n}"
        runs.append(name)
        if failed.get(name, 0):
            failed[name] -= 1
            raise TimeoutError("not now")
        return Told(name)

    async with staged() as stage:
        await stage.publish_at_once(*[Paid("k", n) for n in range(1, 6)])
        await tried(stage, handle, 5)
        assert runs == ["k1", "k1", "k2", "k3", "k3", "k3", "k4", "k5"]
        assert await stage.told() == ["k1", "k2", "k3", "k4", "k5"]
        assert await stage.history() == ["parked", "parked", "parked", "over"]


async def test_a_dead_letter_keeps_everything() -> None:
    """When no try is left the key waits for ever; bytes, headers, origin, reason and history can be seen."""
    runs: list[str] = []
    handler = failing(9, runs, Retry.on(TimeoutError).inline(1, AT_ONCE))
    async with staged() as stage:
        await stage.append("orders", b"bad", b'{"order":"bad","n":1}', ce_type=b"Paid", ce_id=b"e-1", extra=b"\xff")
        await stage.publish(Paid("bad", 2), Paid("ok", 1))
        await stage.run(handler, stores=[SPENT])
        [entry] = await stage.entries()
        assert entry is not None
        assert (entry.status, entry.handler, entry.key, entry.next_ms) == ("dead-lettered", "handle", "bad", None)
        assert (entry.failure.failures, entry.failure.error_type, entry.failure.error) == (2, "TimeoutError", "not now")
        assert "in handle" in entry.failure.trace
        letter = entry.letter
        assert (letter.topic, letter.partition, letter.offset, letter.key) == ("orders", 0, 0, b"bad")
        assert (letter.value, letter.headers["extra"]) == (b'{"order":"bad","n":1}', b"\xff")
        assert (sorted(runs), await stage.told()) == (["bad1#1", "bad1#2", "ok1#1"], ["ok1"])
        assert len(stage.rows("$parked")) == 2
        assert stage.rows("$due") == []


async def test_keyless_events_fail_alone() -> None:
    """Without a key there is nothing behind a failed event that has to wait."""

    @on(Keyless, retry=Retry.never())
    async def handle(event: Keyless) -> Told:
        if event.n % 2:
            raise ValueError("odd")
        return Told(str(event.n))

    async with staged() as stage:
        await stage.publish_at_once(*[Keyless(n) for n in range(6)])
        await stage.run(handle)
        assert await stage.told() == ["0", "2", "4"]
        entries = await stage.entries()
        assert [(each.key, each.letter.offset, each.waiting) for each in entries if each] == [
            (None, 1, 1),
            (None, 3, 1),
            (None, 5, 1),
        ]


class Strict(IntegrationEvent, topic="orders", key="order", version=2):
    """Has another shape than what comes."""

    order: str
    n: int


@Strict.upcast(1)
def keep(data: dict[str, object]) -> dict[str, object]:
    """The first version had the same fields."""
    return data


UNREADABLE: list[tuple[str, dict[str, bytes], bytes | None, str]] = [
    ("no JSON", {"ce_type": b"Strict"}, b"\xff\x00 not json", "no Strict"),
    ("another shape", {"ce_type": b"Strict"}, b'{"order":"a","n":"text"}', "expected int, found str"),
    ("nothing at all", {"ce_type": b"Strict"}, b"", "no Strict"),
    ("a later version", {"ce_type": b"Strict", "ce_eventversion": b"3"}, b'{"order":"a","n":1}', "only v2 is known"),
    ("no version", {"ce_type": b"Strict", "ce_eventversion": b"x"}, b'{"order":"a","n":1}', "ce_eventversion is b'x'"),
    ("no type", {"ce_id": b"e-1"}, b'{"order":"a","n":1}', "the record has no ce_type"),
]


@pytest.mark.parametrize(
    ("headers", "value", "what"), [each[1:] for each in UNREADABLE], ids=[each[0] for each in UNREADABLE]
)
async def test_what_cannot_be_read_parks(headers: dict[str, bytes], value: bytes | None, what: str) -> None:
    """Its bytes stay as they came, later events of its key wait behind it, and the partition goes on."""

    @on(Strict)
    async def strict(event: Strict) -> Told:
        return Told(f"{event.order}{event.n}")

    async with staged() as stage:
        await stage.append("orders", b"a", b'{"order":"a","n":1}', ce_type=b"Strict", ce_id=b"1", ce_eventversion=b"1")
        await stage.append("orders", b"a", value, **headers)
        await stage.append("orders", b"a", b'{"order":"a","n":2}', ce_type=b"Strict", ce_id=b"2")
        await stage.append("orders", b"b", b'{"order":"b","n":3}', ce_type=b"Strict", ce_id=b"3", ce_eventversion=b"2")
        await stage.run(strict)
        assert await stage.told() == ["a1", "b3"]
        [entry] = await stage.entries()
        assert entry is not None
        assert (entry.status, entry.failure.error_type, entry.letter.value) == (
            "dead-lettered",
            "VersionUnknown" if headers.get("ce_eventversion") == b"3" else "DecodingFailed",
            value,
        )
        assert what in entry.failure.error
        assert entry.letter.headers == headers
        assert len(stage.rows("$parked")) == 2


async def test_unreadable_events_wait_behind_one_another() -> None:
    """The second one that cannot be read is in the same sequence, and nothing of the first is lost."""

    @on(Paid)
    async def handle(event: Paid) -> None:
        pass

    async with staged() as stage:
        await stage.append("orders", b"a", b"one", ce_type=b"Paid")
        await stage.append("orders", b"a", b"two", ce_type=b"Paid")
        counters = await stage.run(handle)
        assert len(stage.rows("$parked")) == 2
        assert len(stage.rows("$parking")) == 1
        assert counters.dead_lettered == 1


async def test_a_predicate_that_raises_is_its_handlers_failure() -> None:
    """The event is a dead letter of that handler; others get it, and the task goes on."""

    def judge(envelope: object) -> bool:
        offset = envelope.origin.offset  # type: ignore[attr-defined]
        if offset == 1:
            raise LookupError("cannot judge")
        return bool(offset != 2)

    @on(Paid, where=judge)
    async def choosy(event: Paid) -> Told:
        return Told(f"choosy {event.n}")

    @on(Paid)
    async def other(event: Paid) -> Told:
        return Told(f"other {event.n}")

    async with staged() as stage:
        await stage.publish_at_once(*[Paid("k", n) for n in range(4)], Paid("l", 4))
        await stage.run(choosy, other)
        assert await stage.told() == ["choosy 0", "other 0", "other 1", "other 2", "other 3", "choosy 4", "other 4"]
        [entry] = await stage.entries()
        assert entry is not None
        assert (entry.handler, entry.failure.error_type, entry.failure.error) == (
            "choosy",
            "LookupError",
            "cannot judge",
        )
        # The event behind it that is wanted waits; the one that is not wanted does not.
        assert len(stage.rows("$parked")) == 2


class Cruel(Exception):
    """Cannot be told."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


async def cancelled_from_within() -> None:
    """Await something that has been cancelled."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


async def cancelled_by_itself() -> None:
    """Be cancelled by something that it has started."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().call_soon(task.cancel)
    await asyncio.Event().wait()


async def raising(error: BaseException) -> None:
    """Raise."""
    raise error


@pytest.mark.parametrize(
    ("fail", "error_type"),
    [
        (lambda: raising(Cruel()), "Cruel"),
        (lambda: raising(ValueError("\udcff")), "ValueError"),
        (lambda: raising(StopIteration(3)), "RuntimeError"),
        (lambda: raising(ExceptionGroup("several", [ValueError("a"), KeyError("b")])), "ExceptionGroup"),
        (cancelled_from_within, "RuntimeError"),
        (cancelled_by_itself, "RuntimeError"),
        (lambda: raising(asyncio.CancelledError()), "RuntimeError"),
        (lambda: raising(SystemExit(3)), "RuntimeError"),
    ],
)
async def test_no_exception_stops_the_task(fail: Callable[[], object], error_type: str) -> None:
    """Whatever a handler raises, also a cancellation that nobody asked for, is its failure; the lane goes on."""

    @on(Paid, retry=Retry.never())
    async def handle(event: Paid) -> Told:
        if event.n == 1:
            await fail()  # type: ignore[misc]
        return Told(str(event.n))

    async with staged() as stage:
        await stage.publish_at_once(Paid("a", 1), Paid("b", 2), Paid("a", 3))
        await stage.run(handle)
        assert await stage.told() == ["2"]
        assert [each.failure.error_type for each in await stage.entries() if each] == [error_type]


async def test_a_large_event_that_fails_can_be_told() -> None:
    """A record that fills its topic's limit becomes a dead letter like any other; its bytes lie in the store."""

    @on(Shipped, retry=Retry.never())
    async def handle(event: Shipped) -> None:
        raise ValueError("no")

    async with staged() as stage:
        await stage.append("orders", b"a", b'{"order":"' + b"x" * 900_000 + b'"}', ce_type=b"Shipped")
        await stage.run(handle)
        [entry] = await stage.entries()
        assert entry is not None
        assert (entry.letter.value, entry.left_out_bytes) == (None, 900_012)
        [(_, parked)] = stage.rows("$parked")
        assert len(parked) > 900_000


async def test_a_handler_that_times_out_is_tried_again() -> None:
    """The time-out ends the run, which leaves no trace, and the policy decides."""
    runs: list[int] = []

    @on(Paid, timeout_seconds=0.005, retry=Retry.on(TimeoutError).also_on(Exception).inline(1, AT_ONCE))
    async def handle(event: Paid, context: Context) -> Told:
        runs.append(context.attempt)
        context.put(SPENT, context.attempt)
        if context.attempt == 1:
            await asyncio.Event().wait()
        return Told("done")

    async with staged() as stage:
        await stage.publish(Paid("a"))
        counters = await stage.run(handle, stores=[SPENT])
        assert (runs, await stage.told(), stage.stored(SPENT, "a"), counters.failures) == ([1, 2], ["done"], 2, 1)


@pytest.mark.parametrize("late", [False, True])
async def test_a_cancellation_that_a_handler_survives_meets_no_other(late: bool) -> None:  # noqa: FBT001
    """A handler that swallows its own cancellation has succeeded; neither the next event nor the lane pays for it."""

    @on(Paid, retry=Retry.never())
    async def handle(event: Paid) -> Told:
        task = asyncio.current_task()
        assert task is not None
        if event.n == 1 and late:
            task.cancel()
        elif event.n == 1:
            with suppress(RuntimeError):
                try:
                    await cancelled_by_itself()
                except asyncio.CancelledError:
                    raise RuntimeError from None
        elif event.n == 2:
            await asyncio.sleep(0)
        else:
            await cancelled_from_within()
        return Told(str(event.n))

    async with staged() as stage:
        await stage.publish_at_once(Paid("a", 1), Paid("a", 2), Paid("a", 3), Paid("b", 3))
        await stage.run(handle)
        assert await stage.told() == ["1", "2"]
        assert [each.failure.failures for each in await stage.entries() if each] == [1, 1]


async def test_a_cancellation_that_arrives_too_late_costs_no_lane() -> None:
    """What a handler has left behind cancels the task that it ran in, which rests by then; events flow on."""

    @on(Paid, retry=Retry.never())
    async def handle(event: Paid) -> Told:
        task = asyncio.current_task()
        assert task is not None
        runners.append(task)
        return Told(str(event.n))

    runners: list[asyncio.Task[object]] = []
    async with staged() as stage, stage.running(handle, lanes=1) as running:
        for n in range(3):
            await stage.publish(Paid("a", n))
            await stage.settled(running)
            runners[-1].cancel()
            await asyncio.wait(runners[-1:], timeout=1)
    assert len(runners) == 3


async def test_a_store_that_cannot_be_read_is_no_failure_of_the_handler() -> None:
    """It ends the group, with the error; nothing is retried or parked, for the event is not to blame."""
    calls: list[int] = []

    @on(Paid, retry=Retry.on(Exception).inline(3))
    async def read(_event: Paid, _context: Context) -> None:
        calls.append(1)
        raise DatabaseFailed("the file of a store cannot be read")

    async with staged() as stage:
        await stage.publish(Paid("a", 1))
        with pytest.raises(DatabaseFailed, match="cannot be read"):
            async with stage.running(read) as running:
                await stage.settled(running)
        assert await stage.history() == []
    assert calls == [1]


async def test_a_discarded_event_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    """Its policy says so: it is told with its reason, also behind a parked one, and its key's later events go on."""
    runs: list[str] = []

    @on(Paid, retry=Retry.on(KeyError).discard("cancelled meanwhile").also_on(Late).later("5ms"), name="handle")
    async def handle(event: Paid, context: Context) -> Told:
        runs.append(f"{event.order}{event.n}#{context.attempt}")
        if event.order == "bad" and event.n == 2:
            raise KeyError("2")
        if event.n == 1 and context.attempt == 1:
            raise Late
        return Told(f"{event.order}{event.n}")

    async with staged() as stage:
        await stage.publish(Paid("bad", 2), Paid("bad", 1), Paid("bad", 2), Paid("bad", 3))
        await tried(stage, handle, 2)
        assert await stage.told() == ["bad1", "bad3"]
        assert await stage.history() == ["discarded", "parked", "discarded", "over"]
        reasons = {entry.reason for entry in await stage.entries() if entry and entry.status == "discarded"}
        assert reasons == {"cancelled meanwhile"}
        assert "which does not catch" in caplog.text


class Late(Exception):
    """Comes again later."""


class KeyException(Exception):
    """Looks like another one, and is not caught."""
