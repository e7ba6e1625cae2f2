"""Events that handlers publish later: once, in order, replaced and cancelled, whatever dies in between."""

import asyncio

import pytest

from mainstem.delivery import Context
from mainstem.delivery.tasks import Task
from mainstem.errors import DefinitionError, EventRefused
from mainstem.state import TaskState, timers
from tests.rooms.delivery.stage import GROUP, Keyless, Paid, Stage, Told, on, staged, until

SOON_MS = 3_600_000
MANY = 2_000


async def told(stage: Stage, count: int) -> bool:
    """Whether so much has been told."""
    return len(await stage.told()) >= count


def nothing_waits(stage: Stage) -> bool:
    """Whether nothing is left of what has waited."""
    return not (stage.rows("$scheduled") or stage.rows("$due"))


@on(Paid, publishes=(Told,), name="later")
async def later(event: Paid, context: Context) -> None:
    """Tell in an hour."""
    context.publish_later(Told(f"{event.order} {event.n}"), after="1h")


async def test_an_event_is_published_when_it_is_due_and_not_before() -> None:
    """With the id and the causes that it would have had at once, by its own key, at the time it was due."""
    seen: list[tuple[str, int]] = []

    @on(Told, name="hear")
    async def hear(event: Told, context: Context) -> None:
        seen.append((context.causation_id or "", context.timestamp_ms))

    async with staged(told=4) as stage:
        before_ms = stage.clock.now_ms()
        await stage.publish(Paid("a", 1))
        async with stage.running(later, hear) as running:
            await stage.settled(running)
            assert await stage.told() == []
            assert [len(stage.rows(store)) for store in ("$scheduled", "$due")] == [1, 1]
            stage.clock.ahead_ms += SOON_MS + 1_000
            for task in running.runner.tasks.values():
                assert isinstance(task, Task)
                task._alarm._ring()
            await until(lambda: told(stage, 1))
            await stage.settled(running)
        [(key, _, headers)] = await stage.read("told")
        [(_, _, cause)] = await stage.read("orders")
        assert key == b"a 1"
        assert headers["ce_type"] == b"Told"
        assert headers["ce_causationid"] == cause["ce_id"]
        [(causation, at_ms)] = seen
        assert causation == cause["ce_id"].decode()
        assert 0 <= at_ms - before_ms - SOON_MS < 5_000
        assert nothing_waits(stage)


async def test_what_is_due_while_nobody_runs_is_published_by_the_next_owner_in_order() -> None:
    """Of those due at the same time the one that was scheduled first comes first."""
    due_ms = 0

    @on(Paid, publishes=(Told,), name="later")
    async def at_a_time(event: Paid, context: Context) -> None:
        for number in range(5):
            context.publish_later(Told(f"{event.n}-{number}"), at=due_ms)

    async with staged() as stage:
        due_ms = stage.clock.now_ms() + SOON_MS
        await stage.publish(*[Paid("a", n) for n in range(3)])
        await stage.run(at_a_time)
        assert await stage.told() == []
        stage.clock.ahead_ms += SOON_MS
        async with stage.running(at_a_time) as running:
            await until(lambda: told(stage, 15))
            await stage.settled(running)
        assert await stage.told() == [f"{n}-{number}" for n in range(3) for number in range(5)]
        assert len(set(await stage.told_ids())) == 15
        assert nothing_waits(stage)


async def test_a_named_one_is_replaced_for_its_key_alone() -> None:
    """The last one of each key and name is published."""

    @on(Paid, publishes=(Told,), name="later")
    async def remind(event: Paid, context: Context) -> None:
        assert context.publish_later(Told(f"{event.order}{event.n}"), after="1h", name="reminder") == "reminder"

    async with staged() as stage:
        await stage.publish(Paid("a", 1), Paid("b", 1), Paid("a", 2))
        await stage.run(remind)
        stage.clock.ahead_ms += 2 * SOON_MS
        async with stage.running(remind) as running:
            await until(lambda: told(stage, 2))
            await stage.settled(running)
        assert sorted(await stage.told()) == ["a2", "b1"]
        assert nothing_waits(stage)


async def test_it_is_cancelled_by_its_handle_and_by_its_own_key_alone() -> None:
    """Cancelling says whether there was something; another key finds nothing."""
    handles: list[str] = []
    found: list[bool] = []

    @on(Paid, publishes=(Told,), name="later")
    async def handle(event: Paid, context: Context) -> None:
        if event.n == 0:
            handles.append(context.publish_later(Told("never"), after="1h"))
        else:
            found.append(context.cancel_later(handles[0]))

    async with staged() as stage:
        await stage.publish(Paid("a", 0), Paid("b", 1), Paid("a", 1), Paid("a", 2))
        await stage.run(handle)
        assert sorted(found) == [False, False, True]
        assert nothing_waits(stage)


async def test_a_second_run_schedules_the_same_event() -> None:
    """A run that failed leaves nothing behind, and the next gives the same id."""
    handles: list[str] = []

    @on(Paid, publishes=(Told,), name="later")
    async def fail_once(event: Paid, context: Context) -> None:
        handles.append(context.publish_later(Told("x"), after="1h"))
        if len(handles) == 1:
            raise ConnectionError

    async with staged() as stage:
        await stage.publish(Paid("a"))
        await stage.run(fail_once)
        assert len(stage.rows("$scheduled")) == 1
        assert handles[0] == handles[1]


async def test_keyless_events_schedule_under_one_name() -> None:
    """They share what waits, and one of two that schedule at once is published."""

    @on(Keyless, publishes=(Told,), name="later")
    async def remind(event: Keyless, context: Context) -> None:
        context.publish_later(Told(str(event.n)), after="1h", name="all")
        await asyncio.sleep(0.001)  # the others are under way, and none knows of what another has scheduled

    async with staged() as stage:
        await stage.publish_at_once(*[Keyless(n) for n in range(8)])
        await stage.run(remind)
        stage.clock.ahead_ms += 2 * SOON_MS
        async with stage.running(remind) as running:
            await until(lambda: told(stage, 1))
            await stage.settled(running)
            await until(lambda: nothing_waits(stage))
        assert len(await stage.told()) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "either after= or at="),
        ({"after": "1h", "at": 5}, "either after= or at="),
        ({"after": "1h", "name": ""}, "cannot be called ''"),
        ({"after": "1h", "name": "a\n"}, "cannot be called"),
        ({"after": "soon"}, "not a duration"),
    ],
)
async def test_what_is_refused(options: dict[str, object], words: str) -> None:
    """No time, two, or a name that is none."""
    errors: list[str] = []

    @on(Paid, publishes=(Told,), name="later")
    async def handle(event: Paid, context: Context) -> None:
        with pytest.raises(DefinitionError, match=words) as caught:
            context.publish_later(Told("x"), **options)  # type: ignore[arg-type]
        errors.append(str(caught.value))

    async with staged() as stage:
        await stage.publish(Paid("a"))
        await stage.run(handle)
    assert len(errors) == 1


async def test_what_is_no_event_of_the_service_is_refused_when_it_is_scheduled() -> None:
    """Not when it is due, and nobody is there to hear of it."""
    refused: list[str] = []

    @on(Paid, publishes=(Told,), name="later")
    async def handle(event: Paid, context: Context) -> None:
        with pytest.raises(EventRefused) as caught:
            context.publish_later("x", after="1h")
        refused.append(str(caught.value))

    async with staged() as stage:
        await stage.publish(Paid("a"))
        await stage.run(handle)
    assert len(refused) == 1


async def test_at_least_once_nothing_waits() -> None:
    """There is no store for it, and the error says so."""
    refused: list[str] = []

    @on(Paid, publishes=(Told,), name="later")
    async def handle(event: Paid, context: Context) -> None:
        with pytest.raises(DefinitionError, match="at least once") as caught:
            context.publish_later(Told("x"), after="1h")
        refused.append(str(caught.value))

    async with staged() as stage:
        await stage.publish(Paid("a"))
        await stage.run(handle, delivery="at_least_once")
    assert len(refused) == 1


async def test_what_is_not_due_costs_nothing() -> None:
    """However many wait, a ring of the alarm reads one row of them; a take-over reads one row more."""

    @on(Paid, publishes=(Told,), name="later")
    async def handle(event: Paid, context: Context) -> None:
        for number in range(MANY):
            context.publish_later(Told(str(number)), after="1h")

    async with staged() as stage:
        await stage.publish(Paid("a"))
        await stage.run(handle)
        assert len(stage.rows("$scheduled")) == MANY
        rows = Counting(stage.broker.rows(GROUP, 0))
        state = TaskState(rows)  # type: ignore[arg-type]
        assert timers.due_until(state, stage.clock.now_ms(), 501) == []
        assert timers.next_due_ms(state) is not None
        assert timers.names(state) == []
        assert rows.read == 1


class Counting:
    """Counts the rows that are read."""

    def __init__(self, rows: object) -> None:
        """Of these."""
        self.rows = rows
        self.read = 0

    def scan(self, *args: object, **options: object) -> list[tuple[bytes, bytes]]:
        """Read rows."""
        found: list[tuple[bytes, bytes]] = self.rows.scan(*args, **options)  # type: ignore[attr-defined]
        self.read += len(found)
        return found
