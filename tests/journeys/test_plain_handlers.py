"""Handlers that are ordinary functions: they run in threads, and may block."""

import threading
import time

import pytest

from mainstem import Context, IntegrationEvent, Retry, Service
from mainstem.service import Floor
from tests.journeys.conditions import stored, until


class OrderPaid(IntegrationEvent, topic="orders", key="customer"):
    customer: str
    cents: int


class GoldReached(IntegrationEvent, topic="loyalty", key="customer"):
    customer: str


@pytest.mark.parametrize("threads", [True, False])
async def test_a_plain_function_handles_events(threads: bool) -> None:  # noqa: FBT001 - both ways of the floor
    """It remembers and publishes like an async one; without threads, as in a simulation, it runs on the loop."""
    service = Service("loyalty", publishes=(OrderPaid,))
    spent = service.store("spent", int)
    where: set[bool] = set()
    gold: list[str] = []

    @service.on(OrderPaid)
    def tally(order: OrderPaid, context: Context) -> GoldReached | None:
        where.add(threading.current_thread() is threading.main_thread())
        before = context.get(spent, 0)
        context.put(spent, after := before + order.cents)
        return GoldReached(order.customer) if before < 100 <= after else None

    @service.on(GoldReached)
    def note(event: GoldReached) -> None:
        gold.append(event.customer)

    here = Floor.of_this_machine()
    floor = Floor(clock=here.clock, identifiers=here.identifiers, chance=here.chance, threads=threads)
    async with service.running(broker="sqlite:///:memory:", dev=True, floor=floor) as process:
        await service.publish(*[OrderPaid(f"c-{n % 7}", 1) for n in range(1_400)])
        await until(lambda: len(gold) == 7)
        await until(lambda: all(stored(process, "loyalty", spent, b"c-%d" % n) == 200 for n in range(7)))
    assert where == {not threads}
    assert sorted(gold) == [f"c-{n}" for n in range(7)]


async def test_plain_functions_that_block_do_so_side_by_side() -> None:
    """Once it turns out that they wait, keys no longer wait for each other."""
    service = Service("slow", lanes=16, publishes=(OrderPaid,))
    service.topic("orders", partitions=1)
    inside: set[str] = set()
    most: list[int] = []

    @service.on(OrderPaid)
    def wait(order: OrderPaid) -> None:
        inside.add(order.customer)
        most.append(len(inside))
        time.sleep(0.01)
        inside.remove(order.customer)

    async with service.running(broker="sqlite:///:memory:", dev=True):
        await service.publish(*[OrderPaid(f"c-{n}", 1) for n in range(64)])
        await until(lambda: len(most) == 64)
    assert 4 < max(most) <= 16


async def test_a_key_has_one_thread_at_a_time() -> None:
    """Events of one key run one after the other, in order, in whichever thread."""
    service = Service("ordered", publishes=(OrderPaid,))
    inside: set[str] = set()
    seen: dict[str, list[int]] = {}

    @service.on(OrderPaid)
    def watch(order: OrderPaid) -> None:
        assert order.customer not in inside
        inside.add(order.customer)
        time.sleep(0.0005)
        seen.setdefault(order.customer, []).append(order.cents)
        inside.remove(order.customer)

    async with service.running(broker="sqlite:///:memory:", dev=True):
        await service.publish(*[OrderPaid(f"c-{n % 5}", n) for n in range(200)])
        await until(lambda: sum(map(len, seen.values())) == 200)
    assert all(each == sorted(each) for each in seen.values())


async def test_a_plain_function_that_fails_is_tried_again() -> None:
    """Its exception goes to the retry policy, and what it did before counts for nothing."""
    service = Service("flaky", publishes=(OrderPaid,))
    spent = service.store("spent", int)
    attempts: list[int] = []

    @service.on(OrderPaid, retry=Retry.on(OSError).inline(3))
    def flaky(order: OrderPaid, context: Context) -> None:
        attempts.append(context.attempt)
        context.put(spent, context.get(spent, 0) + 1)
        if len(attempts) < 3:
            raise OSError

    async with service.running(broker="sqlite:///:memory:", dev=True) as process:
        await service.publish(OrderPaid("c-1", 1))
        await until(lambda: stored(process, "flaky", spent, b"c-1") == 1)
    assert attempts == [1, 2, 3]
