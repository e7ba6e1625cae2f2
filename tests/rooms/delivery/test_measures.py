"""What tasks tell whoever measures."""

from mainstem.delivery import Context
from tests.rooms.delivery.faults import Commit, Ending, Faulty
from tests.rooms.delivery.stage import Paid, Told, on, staged
from tests.sdk import Measured, by_group


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
