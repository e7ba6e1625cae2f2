"""What tasks tell whoever measures."""

from mainstem.delivery import Context
from mainstem.delivery.measures import Counted
from tests.rooms.delivery.faults import Commit, Ending, Faulty
from tests.rooms.delivery.stage import Paid, Told, on, staged
from tests.sdk import Measured, by_group, keep_spans


async def test_a_lost_task_is_counted_and_its_work_once(measured: Measured) -> None:
    """What a refused commit would have carried is counted when it is committed; the loss says why."""

    @on(Paid)
    async def handle(event: Paid, _context: Context) -> Told:
        return Told(event.order)

    async with staged() as stage:

        def once(commit: Commit) -> Ending:
            bad = [each for each in faulty.commits if each.records]
            return "fenced" if bad and commit is bad[0] else "done"

        faulty = Faulty(stage.broker, once)
        await stage.publish_at_once(*[Paid("a", n) for n in range(5)])
        await stage.run(handle, broker=faulty.broker)
    found = measured.now()
    assert by_group(found, "mainstem.tasks.lost", "shop") == {"Fenced": 1}
    assert by_group(found, "mainstem.tasks.taken_over", "shop") == {"": 2}
    assert by_group(found, "mainstem.events.handled", "shop") == {"": 5}
    assert by_group(found, "messaging.client.consumed.messages", "shop") == {"mainstem poll receive orders": 10}


def test_whoever_looks_and_whoever_measures_are_told_the_same(measured: Measured) -> None:
    """What becomes of events in a handler is counted once, for the statistics of a task and for the metrics."""
    counted = Counted("shop")
    notes = (counted.parked, counted.dead_lettered, counted.discarded, counted.doubled)
    for times, note in enumerate(notes, 1):
        for _ in range(times):
            note("pay")
    counted.redriven("pay", 5)
    found = measured.now()
    told = {
        name: by_group(found, f"mainstem.events.{name}", "shop")
        for name in ("parked", "dead_lettered", "discarded", "doubles", "redriven")
    }
    assert told == {name: {"pay": getattr(counted.counters, name)} for name in told}
    assert [each["pay"] for each in told.values()] == [1, 2, 3, 4, 5]


async def test_an_sdk_is_noticed_with_the_next_batch() -> None:
    """A program may configure it while its services run; they ask once for a batch."""
    handled: list[str] = []

    @on(Paid)
    async def handle(event: Paid) -> None:
        handled.append(event.order)

    async with staged() as stage, stage.running(handle) as running:
        await stage.publish(Paid("a"))
        await stage.settled(running)
        exported = keep_spans()
        await stage.publish(Paid("b"))
        await stage.settled(running)
    assert handled == ["a", "b"]
    assert [each.name for each in exported.get_finished_spans()] == ["process orders"]


async def test_one_run_of_a_batch_is_on_the_clock(measured: Measured) -> None:
    """The others run as if nobody measured; so does the thread that runs plain functions."""
    awaited: list[object] = []

    @on(Paid)
    async def wait(event: Paid) -> None:
        awaited.append(event)

    @on(Paid)
    def plain(event: Paid) -> None:
        awaited.append(event)

    async with staged() as stage:
        await stage.publish_at_once(*[Paid("a", n) for n in range(50)])
        await stage.run(wait, plain)
    assert len(awaited) == 100
    found = by_group(measured.now(), "messaging.process.duration", "shop")
    assert found == {f"mainstem process process {name} orders": 1 for name in ("wait", "plain")}
