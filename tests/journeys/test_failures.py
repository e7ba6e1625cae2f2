"""From a handler that fails, over parked keys and dead letters, to a redrive that is answered."""

import asyncio
from pathlib import Path

from mainstem import Context, IntegrationEvent, Retry, Service, running
from mainstem.broker import Broker, Record, TopicPartition
from mainstem.delivery import Answer, Command, Entry, answers_topic, decode_answer, decode_entry, encode_command
from mainstem.resilience import Backoff
from mainstem.service import Running
from tests.journeys.conditions import caught_up, stored, until

AT_ONCE = Backoff(first_seconds=0.001, longest_seconds=0.001)
NEVER = Retry.never()


class OrderPlaced(IntegrationEvent, topic="orders", key="customer"):
    customer: str
    number: int


class Bank:
    """Charges customers, unless it is told to fail."""

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.charged: list[tuple[str, int]] = []
        self.attempts: list[tuple[str, int]] = []

    def charge(self, order: OrderPlaced) -> None:
        """Charge a customer."""
        self.attempts.append((order.customer, order.number))
        if order.customer in self.down:
            message = f"no answer for {order.customer}"
            raise TimeoutError(message)
        self.charged.append((order.customer, order.number))


def billing(bank: Bank, retry: Retry) -> Service:
    """A service that charges, and one that counts beside it."""
    service = Service("billing", publishes=(OrderPlaced,))
    count = service.store("count", int)

    @service.on(OrderPlaced, retry=retry)
    async def charge(order: OrderPlaced) -> None:
        bank.charge(order)

    @service.on(OrderPlaced)
    async def tally(order: OrderPlaced, context: Context) -> None:
        context.put(count, context.get(count, 0) + 1)

    service.topic("orders", partitions=1)
    return service


async def entries(broker: Broker) -> list[Entry | None]:
    """The audit stream of the group, in order; None where a sequence was worked off."""
    found = await records(broker, "billing.dead-letters")
    return [None if value is None else decode_entry(value) for value in found]


async def records(broker: Broker, topic: str) -> list[bytes | None]:
    """The values of a topic with one partition."""
    at = TopicPartition(topic, 0)
    start, end = await broker.log.bounds(at)
    reader = broker.log.reader({at: start})
    values: list[bytes | None] = []
    while len(values) < end - start:
        batch = reader.take()
        assert batch is not None
        values += batch.values
    reader.close()
    return values


async def status(process: Running) -> list[str | None]:
    """What the audit stream says, in short."""
    return [None if each is None else each.status for each in await entries(process.broker)]


async def send(broker: Broker, command: Command) -> None:
    """Put a command into the inbox of the only task."""
    await broker.log.append(TopicPartition("billing.inbox", 0), [Record(None, encode_command(command), 0)])


async def answers(broker: Broker) -> list[Answer]:
    """What the group has answered."""
    return [decode_answer(value) for value in await records(broker, answers_topic("billing")) if value]


async def test_a_key_waits_and_the_others_flow() -> None:
    """A parked key is tried again later and in order; nobody else, and no other handler, waits for it."""
    bank = Bank()
    bank.down.add("ann")
    service = billing(bank, Retry.on(TimeoutError).inline(1, AT_ONCE).later(*["30ms"] * 1_000))
    [count] = service.stores
    async with service.running(broker="sqlite:///:memory:", dev=True) as process:
        await service.publish(OrderPlaced("ann", 1), OrderPlaced("bob", 2), OrderPlaced("ann", 3))
        await until(lambda: stored(process, "billing", count, b"ann") == 2)
        assert bank.charged == [("bob", 2)]
        bank.down.clear()
        await until(lambda: len(bank.charged) == 3)

        async def worked_off() -> bool:
            return await status(process) == ["parked", None]

        await until(worked_off)
    assert bank.charged == [("bob", 2), ("ann", 1), ("ann", 3)]
    assert bank.attempts.count(("ann", 1)) >= 3
    assert bank.attempts.count(("ann", 3)) == 1


async def test_a_dead_letter_is_redriven_in_order_and_answered() -> None:
    """Without a next try the key's later events wait behind it, until a command in the inbox says to go on."""
    bank = Bank()
    bank.down.add("ann")
    service = billing(bank, Retry.on(TimeoutError).dead_letter())
    async with service.running(broker="sqlite:///:memory:", dev=True) as process:
        broker = process.broker
        await service.publish(*[OrderPlaced("ann", number) for number in range(1, 4)], OrderPlaced("bob", 4))
        await caught_up(process)
        assert [each.counters.dead_lettered for each in await process.statistics()] == [1]
        [entry] = await entries(broker)
        assert entry is not None
        assert (entry.status, entry.handler, entry.key, entry.task) == ("dead-lettered", "charge", "ann", 0)
        assert (entry.failure.error_type, entry.failure.error) == ("TimeoutError", "no answer for ann")
        assert (entry.letter.value, entry.next_ms) == (b'{"customer":"ann","number":1}', None)

        await send(broker, Command("one", "redrive", "charge", entry.place, "the bank is back"))

        async def failed_again() -> bool:
            return await status(process) == ["dead-lettered", "redriven", "dead-lettered"]

        await until(failed_again)
        bank.down.clear()
        await send(broker, Command("two", "redrive", "charge", entry.place))
        await until(lambda: len(bank.charged) == 4)
        await send(broker, Command("three", "redrive", "charge", entry.place))

        async def answered() -> bool:
            return [(each.id, each.found) for each in await answers(broker)] == [("one", 3), ("two", 3), ("three", 0)]

        await until(answered)
        assert (await status(process))[-1] is None
    assert bank.charged == [("bob", 4), ("ann", 1), ("ann", 2), ("ann", 3)]


async def test_a_dead_letter_is_discarded_with_a_reason() -> None:
    """What waited is gone, the audit stream says why, and the key's next event is handled."""
    bank = Bank()
    bank.down.add("ann")
    service = billing(bank, Retry.on(TimeoutError).dead_letter())
    async with service.running(broker="sqlite:///:memory:", dev=True) as process:
        await service.publish(OrderPlaced("ann", 1), OrderPlaced("ann", 2))
        await caught_up(process)
        assert await status(process) == ["dead-lettered"]
        bank.down.clear()
        [entry] = await entries(process.broker)
        assert entry is not None
        await send(process.broker, Command("one", "discard", "charge", entry.place, "a test order"))

        async def gone() -> bool:
            return await status(process) == ["dead-lettered", "discarded", None]

        await until(gone)
        found = (await entries(process.broker))[1]
        assert found is not None
        assert (found.reason, found.waiting) == ("a test order", 2)
        await service.publish(OrderPlaced("ann", 3))
        await until(lambda: bank.charged == [("ann", 3)])


async def test_a_parked_key_survives_the_process(tmp_path: Path) -> None:
    """What waits is in the store: the next process goes on with it."""
    bank, url = Bank(), f"sqlite:///{tmp_path}/shop.db"
    bank.down.add("ann")
    service = billing(bank, Retry.on(TimeoutError).later("1h"))
    async with service.running(broker=url, dev=True) as process:
        await service.publish(OrderPlaced("ann", 1), OrderPlaced("ann", 2))
        await caught_up(process)
        assert await status(process) == ["parked"]
    bank.down.clear()
    again = billing(bank, Retry.on(TimeoutError).later("1h"))
    async with again.running(broker=url, dev=True) as process:
        [entry] = await entries(process.broker)
        assert entry is not None
        await again.publish(OrderPlaced("ann", 3))
        await send(process.broker, Command("one", "redrive", "charge", entry.place))
        await until(lambda: len(bank.charged) == 3)
    assert bank.charged == [("ann", 1), ("ann", 2), ("ann", 3)]


async def test_a_handler_that_fails_leaves_no_trace() -> None:
    """What it put, set and published before it raised is not there; after a checkpoint it is."""
    service = Service("billing", publishes=(OrderPlaced,))
    service.topic("orders", partitions=1)
    steps = service.store("steps", int)
    seen: list[int | None] = []

    @service.on(OrderPlaced, retry=Retry.on(TimeoutError).inline(5, AT_ONCE))
    async def pay(order: OrderPlaced, context: Context) -> None:
        seen.append(context.get(steps))
        if len(seen) == 2:
            context.put(steps, 1)
            await context.checkpoint()
        if len(seen) < 4:
            context.put(steps, 99)
            raise TimeoutError

    async with service.running(broker="sqlite:///:memory:", dev=True):
        await service.publish(OrderPlaced("ann", 1))
        await until(lambda: len(seen) == 4)
    assert seen == [None, None, 1, 1]


async def test_bytes_that_cannot_be_decoded_stop_nobody() -> None:
    """They become a dead letter with their bytes intact, for each handler that wants them, and the rest goes on."""
    bank = Bank()
    service = billing(bank, NEVER)
    async with service.running(broker="sqlite:///:memory:", dev=True) as process:
        await service.publish(OrderPlaced("ann", 1))
        await until(lambda: len(bank.charged) == 1)
        headers = {"ce_id": b"x", "ce_source": b"/elsewhere", "ce_type": b"OrderPlaced", "ce_specversion": b"1.0"}
        broken = Record(b"ann", b"\xff{not json", 0, own=headers)
        await process.broker.log.append(TopicPartition("orders", 0), [broken])
        await service.publish(OrderPlaced("bob", 2), OrderPlaced("ann", 3))
        await until(lambda: len(bank.charged) == 2)

        async def told() -> bool:
            return await status(process) == ["dead-lettered", "dead-lettered"]

        await until(told)
        found = await entries(process.broker)
    assert bank.charged == [("ann", 1), ("bob", 2)]
    assert {each.handler for each in found if each} == {"charge", "tally"}
    assert {(each.letter.value, each.letter.headers["ce_source"]) for each in found if each} == {
        (b"\xff{not json", b"/elsewhere")
    }


async def test_a_handler_that_takes_too_long_has_failed() -> None:
    """A time-out is an exception like another; an async handler is cancelled."""
    service = Service("billing", publishes=(OrderPlaced,))
    service.topic("orders", partitions=1)
    ended: list[str] = []

    @service.on(OrderPlaced, timeout="20ms", retry=NEVER)
    async def stuck(order: OrderPlaced) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async with running(service, broker="sqlite:///:memory:", dev=True) as process:
        await service.publish(OrderPlaced("ann", 1))

        async def told() -> bool:
            return await status(process) == ["dead-lettered"]

        await until(told)
        [entry] = await entries(process.broker)
    assert entry is not None
    assert (entry.failure.error_type, ended) == ("HandlerTimeout", ["cancelled"])


async def test_an_event_with_a_large_key_can_be_a_dead_letter() -> None:
    """What is told of it names its key several times, and is larger than the event; the task goes on all the same."""
    bank = Bank()
    large = "x" * 400_000
    bank.down.add(large)
    service = billing(bank, NEVER)
    async with service.running(broker="sqlite:///:memory:", dev=True) as process:
        await service.publish(OrderPlaced(large, 1), OrderPlaced("bob", 2))
        await caught_up(process)
        assert await status(process) == ["dead-lettered"]
    assert bank.charged == [("bob", 2)]
