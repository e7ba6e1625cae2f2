"""A replay of what is recorded on a real Kafka broker: it only reads there."""

from collections.abc import Callable
from pathlib import Path

from mainstem import Context, IntegrationEvent, Service, running
from mainstem.broker import TopicPartition, inbox_of
from mainstem.clock import SystemClock
from mainstem.identifiers import Identifiers
from mainstem.service import connected
from mainstem.service.replay import Span, Wanted, replay, replayed_topics
from mainstem.settings import Settings
from tests.journeys.conditions import until

QUICK = Settings(session_timeout_seconds=3, grace_seconds=5)


async def test_recorded_events_are_handled_again_and_nothing_is_written(
    kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    """Through transaction markers and several partitions, the same code publishes the same; no offset moves."""
    orders, sums = unique("orders"), unique("sums")

    class Ordered(IntegrationEvent, topic=orders, key="customer"):
        customer: str
        cents: int

    class Summed(IntegrationEvent, topic=sums, key="customer"):
        customer: str
        cents: int

    def version(fee: int) -> Service:
        service = Service(orders, publishes=(Ordered,))
        service.topic(orders, partitions=2)
        service.topic(sums, partitions=2)
        total = service.store("total", int)

        @service.on(Ordered)
        async def add(order: Ordered, context: Context) -> Summed:
            context.put(total, after := context.get(total, 0) + order.cents + fee)
            return Summed(order.customer, after)

        return service

    clock = SystemClock()
    live = connected(f"kafka://{kafka}?state_folder={tmp_path}/state", clock, Identifiers(clock))
    scratch = connected("sqlite:///:memory:", clock, Identifiers(clock))
    before = version(0)
    async with live as broker, running(before, broker=broker, dev=True, settings=QUICK) as process:
        for number in range(3):  # several transactions, and so several markers between them
            await before.publish(*(Ordered(f"c-{n % 7}", number) for n in range(50)))

        async def handled() -> bool:
            tasks = await process.statistics()
            return sum(each.counters.handled for each in tasks) == 150 and not sum(each.lag for each in tasks)

        await until(handled)
        topics = [orders, sums, inbox_of(orders), f"{orders}.dead-letters", f"{orders}.changelog"]

        async def state() -> object:
            groups = await broker.admin.groups([orders])
            return groups[orders].positions, groups[orders].members, await broker.admin.topics(topics)

        was = await state()
        described = await broker.admin.topics(replayed_topics(before, ()))
        spans = {at: Span(*bounds) for each in described.values() for at, bounds in each.bounds.items()}
        assert set(spans) == {TopicPartition(orders, 0), TopicPartition(orders, 1)}
        wanted = Wanted(end_ms=clock.now_ms())
        async with scratch as own:
            told = await replay(before, broker, own, spans, wanted)
        assert (told.events, [(each.same, each.changed, each.new, each.missing) for each in told.topics]) == (
            150,
            [(150, 0, 0, 0)],
        )
        async with connected("sqlite:///:memory:", clock, Identifiers(clock)) as own:
            told = await replay(version(1), broker, own, spans, wanted)
        assert [(each.same, each.changed, each.new, each.missing) for each in told.topics] == [(0, 150, 0, 0)]
        assert await state() == was
