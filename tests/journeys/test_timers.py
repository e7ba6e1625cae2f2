"""Durable timers: set, replaced, cancelled, and handled as events of their key."""

import random
from pathlib import Path

from mainstem import Context, IntegrationEvent, Service, Timer, running
from mainstem.clock import SystemClock
from mainstem.identifiers import Identifiers
from mainstem.service import Floor
from tests.journeys.conditions import Collected, until


class BasketFilled(IntegrationEvent, topic="baskets", key="basket"):
    basket: str
    step: str = "fill"


class BasketLeft(IntegrationEvent, topic="left", key="basket"):
    basket: str
    items: int


class Tomorrow(SystemClock):
    """The system's clocks, with the wall clock a day ahead."""

    def now_ms(self) -> int:
        """The time of day, tomorrow."""
        return super().now_ms() + 86_400_000


def shop(after: str = "30ms") -> tuple[Service, list[Timer]]:
    """A shop that notices a basket which has been left alone."""
    service = Service("shop", publishes=(BasketFilled,))
    items = service.store("items", int)
    fired: list[Timer] = []

    @service.on(BasketFilled)
    async def fill(event: BasketFilled, context: Context) -> None:
        context.put(items, context.get(items, 0) + 1)
        context.wake("left-alone", after=after)

    @service.on_timer("left-alone")
    async def leave(timer: Timer, context: Context) -> BasketLeft:
        fired.append(timer)
        return BasketLeft((context.key or b"").decode(), context.get(items, 0))

    return service, fired


async def test_a_timer_fires_once_for_its_key() -> None:
    """Setting it again replaces it, so that many events lead to one firing, which sees the key's memory."""
    service, fired = shop()
    left = Collected("left", BasketLeft)
    async with running(service, left.service, broker="sqlite:///:memory:", dev=True):
        await service.publish(BasketFilled("b-1"), BasketFilled("b-1"), BasketFilled("b-2"))
        await until(lambda: len(left.events) == 2)
    assert {(each.basket, each.items) for each in left.events} == {("b-1", 2), ("b-2", 1)}
    assert {(each.name, each.key) for each in fired} == {("left-alone", b"b-1"), ("left-alone", b"b-2")}
    assert len(fired) == 2


async def test_a_timer_outlives_the_process(tmp_path: Path) -> None:
    """What was set by one process is due in the next, although nobody ran when its time came."""
    first, _ = shop("12h")
    url = f"sqlite:///{tmp_path}/shop.db"
    async with first.running(broker=url, dev=True) as process:
        await first.publish(BasketFilled("b-1"))

        async def handled() -> bool:
            return sum(each.counters.handled for each in await process.statistics()) == 1

        await until(handled)
    second, fired = shop("12h")
    left = Collected("left", BasketLeft)
    clock = Tomorrow()
    floor = Floor(clock=clock, identifiers=Identifiers(clock), chance=random.Random(1))
    async with running(second, left.service, broker=url, dev=True, floor=floor):
        await until(lambda: left.events == [BasketLeft("b-1", 1)])
    assert len(fired) == 1


async def test_a_timer_can_be_cancelled() -> None:
    """A cancelled one never fires, while another key's does."""
    service = Service("shop", publishes=(BasketFilled,))
    fired: list[bytes | None] = []

    @service.on(BasketFilled)
    async def fill(event: BasketFilled, context: Context) -> None:
        if event.step == "cancel":
            assert context.cancel("remind")
            assert not context.cancel("remind")
        else:
            context.wake("remind", after="20ms" if event.basket == "b-1" else "40ms")

    @service.on_timer("remind")
    async def remind(context: Context) -> None:
        fired.append(context.key)

    async with service.running(broker="sqlite:///:memory:", dev=True):
        await service.publish(BasketFilled("b-1"), BasketFilled("b-2"), BasketFilled("b-1", "cancel"))
        await until(lambda: bool(fired))
    assert fired == [b"b-2"]


async def test_a_timer_that_fails_is_tried_again() -> None:
    """A firing is an event of its key: it has the retry policy of its handler."""
    service = Service("shop", publishes=(BasketFilled,))
    attempts: list[int] = []

    @service.on(BasketFilled)
    async def fill(event: BasketFilled, context: Context) -> None:
        context.wake("remind", after="1ms")

    @service.on_timer("remind", publishes=(BasketLeft,))
    async def remind(context: Context) -> None:
        attempts.append(context.attempt)
        if len(attempts) < 3:
            raise TimeoutError

    async with service.running(broker="sqlite:///:memory:", dev=True):
        await service.publish(BasketFilled("b-1"))
        await until(lambda: len(attempts) == 3)
    assert attempts == [1, 2, 3]


async def test_a_timer_may_set_itself_again_at_once() -> None:
    """A firing that sets its own timer for a time that has passed fires again, and publishes under other ids."""
    service = Service("shop", publishes=(BasketFilled,))
    ids: list[str] = []

    @service.on(BasketFilled)
    async def fill(event: BasketFilled, context: Context) -> None:
        context.wake("again", at=1)

    @service.on_timer("again")
    async def again(context: Context) -> None:
        ids.append(context.event_id)
        if len(ids) < 3:
            context.wake("again", at=1)

    async with service.running(broker="sqlite:///:memory:", dev=True):
        await service.publish(BasketFilled("b-1"))
        await until(lambda: len(ids) == 3)
    assert len(set(ids)) == 3
