"""Handlers that take a list of events at once."""

from mainstem import Context, IntegrationEvent, Service
from tests.journeys.conditions import Collected, stored, until


class Measured(IntegrationEvent, topic="measured", key="sensor"):
    sensor: str
    value: int


class Summed(IntegrationEvent, topic="summed"):
    count: int
    total: int


async def test_a_batch_handler_sees_many_events_at_once() -> None:
    """Every event is seen once and in order within its partition; a store of the partition keeps the totals."""
    service = Service("sums", lanes=1, publishes=(Measured,))
    service.topic("measured", partitions=2)
    totals = service.store("totals", int, scope="partition")
    seen: dict[str, list[int]] = {}
    sizes: list[int] = []

    @service.on(Measured)
    async def add(events: list[Measured], context: Context) -> Summed:
        sizes.append(len(events))
        for event in events:
            seen.setdefault(event.sensor, []).append(event.value)
            context.put(totals, context.get(totals, 0, key=event.sensor) + event.value, key=event.sensor)
        return Summed(len(events), sum(event.value for event in events))

    sums = Collected("reader", Summed)
    async with (
        service.running(broker="sqlite:///:memory:", dev=True) as process,
        sums.service.running(broker=process.broker, dev=True),
    ):
        for start in (0, 500):
            await service.publish(*[Measured(f"s-{n % 10}", n) for n in range(start, start + 500)])
        await until(lambda: sum(each.count for each in sums.events) == 1_000)
        assert sum(each.total for each in sums.events) == sum(range(1_000))
        for n in range(10):
            assert stored(process, "sums", totals, b"s-%d" % n) == sum(range(n, 1_000, 10))
    assert max(sizes) > 1
    assert all(values == sorted(values) and len(values) == 100 for values in seen.values())


async def test_one_bad_event_does_not_hold_the_batch_back() -> None:
    """When a batch fails its events are handled one by one, so that only the bad one is set aside."""
    service = Service("sums", lanes=1, publishes=(Measured,))
    service.topic("measured", partitions=1)
    good: list[int] = []

    @service.on(Measured)
    async def add(events: list[Measured]) -> None:
        if any(event.value < 0 for event in events):
            message = "negative"
            raise ValueError(message)
        good.extend(event.value for event in events)

    async with service.running(broker="sqlite:///:memory:", dev=True):
        await service.publish(Measured("a", 1), Measured("b", -1), Measured("c", 3), Measured("b", 4))
        await until(lambda: 3 in good)
    assert sorted(good) == [1, 3]
