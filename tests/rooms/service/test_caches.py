"""Caches on stores: loaded once, written at once or behind; what is written behind is committed, and never lost."""

import asyncio
from collections.abc import Callable
from random import Random

import pytest

from mainstem import Context, IntegrationEvent, Retry, Service, StoreCache
from mainstem.errors import DefinitionError, StartRefused, StoreRefused
from mainstem.settings import Settings
from mainstem.testing import (
    World,
    crash,
    fail,
    lose_answer,
    lose_ownership,
    refuse_commit,
    run_simulation,
    simulate,
    simulated,
)


class Ordered(IntegrationEvent, topic="orders", key="customer"):
    customer: str
    amount: int = 1


class Other:
    """The other system: what it knows, and what it was told."""

    def __init__(self) -> None:
        self.known: dict[str, int | None] = {"c-1": 100}
        self.asked: list[str] = []
        self.told: list[tuple[str, int | None]] = []
        self.look: Callable[[str, int | None], None] = lambda *_: None

    async def find(self, customer: str) -> int | None:
        self.asked.append(customer)
        await asyncio.sleep(0.01)
        return self.known.get(customer)

    async def tell(self, customer: str, value: int | None) -> None:
        self.look(customer, value)
        self.told.append((customer, value))
        await asyncio.sleep(0.01)
        self.known[customer] = value


class Shop:
    """A service that adds up, with a cache of what the other system knows."""

    def __init__(self, *, retry: Retry | None = None, **options: object) -> None:
        self.service, self.other = Service("shop"), Other()
        self.service.topic("orders", partitions=2)
        self.service.provide(Other, lambda: self.other)
        self.totals: StoreCache[int] = StoreCache("totals", int, **options)  # type: ignore[arg-type]
        self.service.include(self.totals)

        @self.totals.loader()
        async def load(customer: str, other: Other) -> int | None:
            return await other.find(customer)

        @self.totals.writer(retry=retry or Retry())
        async def write(customer: str, value: int | None, other: Other) -> None:
            await other.tell(customer, value)

        @self.service.on(Ordered, retry=Retry.on(Exception).inline(2).later("1m"))
        async def add(order: Ordered, context: Context) -> None:
            await self.add(order, context)

    async def add(self, order: Ordered, context: Context) -> None:
        """Add an amount; nothing deletes, and minus one forgets."""
        if order.amount > 0:
            await self.totals.put(context, (await self.totals.get(context) or 0) + order.amount)
        elif order.amount == 0:
            await self.totals.delete(context)
            assert await self.totals.get(context) is None
        else:
            self.totals.forget(context)
            await self.totals.get(context)


@simulated
async def test_what_was_loaded_is_kept() -> None:
    """For its key, for as long as it counts, and over a crash; nothing is not kept."""
    shop, got = Shop(expire_after="1h"), []

    async def look(order: Ordered, context: Context) -> None:
        got.append(await shop.totals.get(context))

    shop.add = look  # type: ignore[method-assign]
    async with simulate(shop.service) as world:
        await world.publish(*[Ordered("c-1")] * 3, Ordered("c-2"), Ordered("c-2"))
        await world.settle()
        assert sorted(shop.other.asked) == ["c-1", "c-2", "c-2"]
        world.crash()
        await world.publish(Ordered("c-1"))
        await world.settle()
        assert shop.other.asked.count("c-1") == 1
        await world.advance("61m")
        await world.publish(Ordered("c-1"))
        await world.settle()
        assert shop.other.asked.count("c-1") == 2
        assert got.count(100) == 5


@simulated
async def test_what_loading_raises_is_the_handlers_failure() -> None:
    """It is tried again as the handler is, and what was loaded before it failed is not kept."""
    shop = Shop()
    async with simulate(shop.service, faults=[fail(Other.find, ConnectionError, times=2)]) as world:
        await world.publish(Ordered("c-1", 5))
        await world.settle()
        assert world.value(shop.totals.values, "c-1") == 105


@simulated
async def test_what_is_put_is_written_at_once() -> None:
    """What writing raises is the handler's failure, and leaves nothing behind in the cache."""
    shop = Shop(retry=None)
    async with simulate(shop.service, faults=[fail(Other.tell, ConnectionError, times=3)]) as world:
        await world.publish(Ordered("c-1", 5))
        await world.advance("10s")
        assert world.values(shop.totals.values) == {}
        await world.settle()
        assert shop.other.told == [("c-1", 105)]
        assert world.value(shop.totals.values, "c-1") == 105
        await world.publish(Ordered("c-1", 0))
        await world.settle()
        assert shop.other.told == [("c-1", 105), ("c-1", None)]
        assert world.values(shop.totals.values) == {}


@simulated
async def test_what_waits_is_coalesced_and_counts_however_old() -> None:
    """Nothing is loaded over it, nor forgotten; the last value is written, once."""
    shop = Shop(behind="2h", expire_after="1h")
    async with simulate(shop.service) as world:
        await world.publish(*[Ordered("c-1", 5)] * 10)
        await world.advance("90m")
        await world.publish(Ordered("c-1", -1), Ordered("c-1", 5))
        await world.advance("1m")
        assert (shop.other.told, shop.other.asked) == ([], ["c-1"])
        await world.advance("1h")
        assert shop.other.told == [("c-1", 155)]
        await world.publish(Ordered("c-1", 0), Ordered("c-1", 0))
        await world.settle()
        assert shop.other.told == [("c-1", 155), ("c-1", None)]
        assert len(shop.other.asked) == 1, "what is deleted, and not told yet, is not asked for"
        await world.publish(Ordered("c-1", -1))
        await world.settle()
        assert len(shop.other.asked) == 2


@simulated
async def test_not_more_than_so_many_keys_wait() -> None:
    """Above that a handler writes at once; when some are written, others may wait again."""
    shop = Shop(behind="1h", most=2)
    shop.service.topics.clear()
    shop.service.topic("orders", partitions=1)
    async with simulate(shop.service) as world:
        await world.publish(*[Ordered(f"c-{number}") for number in range(6)])
        await world.advance("1m")
        assert len(shop.other.told) == 4
        late = {f"c-{number}" for number in range(6)} - {customer for customer, _ in shop.other.told}
        await world.publish(*[Ordered(each) for each in late])
        await world.advance("1m")
        assert len(shop.other.told) == 4, "they wait already"
        await world.settle()
        assert len(shop.other.told) == 6
        await world.publish(Ordered("c-7"))
        await world.advance("1m")
        assert len(shop.other.told) == 6


@simulated
async def test_what_is_written_makes_room() -> None:
    """As many may wait again as have been written."""
    shop = Shop(behind="1m", most=20)
    shop.service.topics.clear()
    shop.service.topic("orders", partitions=1)
    async with simulate(shop.service) as world:
        for _ in range(3):
            await world.publish(*[Ordered(f"c-{number}") for number in range(20)])
            before = len(shop.other.told)
            await world.advance("50s")
            assert len(shop.other.told) == before
            await world.advance("50s")
            assert len(shop.other.told) == before + 20


@simulated
async def test_no_more_wait_while_the_other_system_is_away() -> None:
    """A key whose writing has failed waits still, also for who takes the task over; what is refused is not kept."""
    shop = Shop(behind="1s", most=5, retry=Retry.on(ConnectionError).later("10h"))
    shop.service.topics.clear()
    shop.service.topic("orders", partitions=1)
    async with simulate(shop.service, faults=[fail(Other.tell, ConnectionError, times=1_000)]) as world:
        for number in range(12):
            await world.publish(Ordered(f"c-{number + 2}"))
            await world.advance("5s")
        assert len(world.values(shop.totals.values)) == 5
        world.crash()
        for number in range(12):
            await world.publish(Ordered(f"d-{number}"))
            await world.advance("5s")
        assert len(world.values(shop.totals.values)) == 5


@simulated
async def test_what_cannot_be_kept_is_not_written() -> None:
    """The other system would have it, and the cache the one before."""
    shop = Shop()

    async def add(order: Ordered, context: Context) -> None:
        await shop.totals.put(context, "many")  # type: ignore[arg-type]

    shop.add = add  # type: ignore[method-assign]
    async with simulate(shop.service) as world:
        await world.publish(Ordered("c-1"))
        await world.advance("1s")
        assert shop.other.told == []


@simulated
async def test_handlers_that_fail_do_not_count_for_ever() -> None:
    """They have let nobody wait."""
    shop = Shop(behind="1h", most=20)
    shop.service.topics.clear()
    shop.service.topic("orders", partitions=1)
    add, failed = shop.add, set[str]()

    async def fail_once(order: Ordered, context: Context) -> None:
        await add(order, context)
        if order.customer not in failed:
            failed.add(order.customer)
            raise ConnectionError

    shop.add = fail_once  # type: ignore[method-assign]
    async with simulate(shop.service) as world:
        await world.publish(*[Ordered(f"c-{number}") for number in range(15)])
        await world.advance("1m")
        assert len(shop.other.told) < 5
        assert len(world.values(shop.totals.values)) == 15


@simulated
async def test_a_key_that_cannot_be_written_has_one_dead_letter() -> None:
    """However much is put meanwhile; its events go on, and a redrive writes the last value."""
    shop = Shop(behind="1s", retry=Retry.on(ConnectionError).later("5s").dead_letter())
    async with simulate(shop.service, faults=[fail(Other.tell, ConnectionError, times=2)]) as world:
        for _ in range(10):
            await world.publish(Ordered("c-1"))
            await world.advance("2s")
        [letter] = world.dead_letters()
        assert (letter.entry.handler, letter.entry.waiting) == ("totals.write", 1)
        assert world.value(shop.totals.values, "c-1") == 110
        assert shop.other.told == []
        await world.redrive(letter)
        await world.settle()
        assert shop.other.told == [("c-1", 110)]
        await world.publish(Ordered("c-1"))
        await world.settle()
        assert shop.other.told == [("c-1", 110), ("c-1", 111)]


async def mishaps() -> None:
    """Everything goes wrong that can, while values are put."""
    random = Random(asyncio.get_running_loop().seed)  # type: ignore[attr-defined]
    shop = Shop(behind=random.choice([0, 0.001, 0.5]))
    every = [
        refuse_commit(probability=0.2),
        lose_answer(happened=True, probability=0.1),
        lose_answer(happened=False, probability=0.1),
        crash("commit.*", probability=0.2, times=4),
        crash("handler.*", probability=0.2, times=4),
        lose_ownership("*", probability=0.05, times=2),
        fail(Other.tell, ConnectionError, probability=0.2),
    ]
    worlds: list[World] = []
    early: list[int | None] = []

    def look(customer: str, value: int | None) -> None:
        # A process that has been replaced, and does not know it yet, may be late.
        if not lost and worlds[0].value(shop.totals.values, customer) != value:
            early.append(value)

    chosen = random.sample(every, random.randint(1, 4))
    lost = every[5] in chosen
    shop.other.look = look
    async with simulate(
        shop.service,
        workers=random.randint(1, 2),
        faults=chosen,
        settings=Settings(session_timeout_seconds=5),
    ) as world:
        worlds.append(world)
        for _ in range(6):
            await world.publish(*[Ordered(f"c-{random.randint(1, 4)}") for _ in range(5)])
            await world.advance(random.random())
        await world.settle()
        kept = {key.decode(): value for key, value in world.values(shop.totals.values).items()}
        assert sum(kept.values()) == (130 if "c-1" in kept else 30)
        assert early == []
        if not lost:
            assert {"c-1": 100} | kept == shop.other.known


def test_what_is_written_is_committed_and_what_is_committed_is_written() -> None:
    """Whatever dies, and at whichever step."""
    for seed in range(25):
        run_simulation(mishaps, seed=seed)


async def start(service: Service) -> None:
    """Start a service, and end it."""
    async with service.running(broker="sqlite:///:memory:", dev=True):
        pass


async def test_what_cannot_work_stops_the_start() -> None:
    """Nobody writes, a function takes what nobody provides, or is none that can be awaited."""
    idle, greedy, plain = Service("idle"), Service("greedy"), Service("plain")
    lazy: StoreCache[int] = StoreCache("lazy", int, behind="5s")
    idle.include(lazy)
    with pytest.raises(StartRefused, match="nobody writes"):
        await start(idle)
    wanting: StoreCache[int] = StoreCache("wanting", int)
    greedy.include(wanting)

    @wanting.loader()
    async def load(customer: str, other: Other) -> None: ...

    with pytest.raises(StartRefused, match="wants 'other', which nobody provides"):
        await start(greedy)
    flat: StoreCache[int] = StoreCache("flat", int)
    plain.include(flat)

    @flat.writer()  # type: ignore[type-var]
    def write(customer: str, value: int | None) -> None: ...

    with pytest.raises(StartRefused, match="cannot be called"):
        await start(plain)


@pytest.mark.parametrize("options", [{"behind": -1}, {"most": 0}, {"expire_after": "soon"}])
def test_what_cannot_be_declared(options: dict[str, object]) -> None:
    """A time before it was put, nobody waiting, a duration that is none."""
    with pytest.raises(DefinitionError):
        StoreCache("totals", int, **options)  # type: ignore[arg-type]


@simulated
async def test_another_groups_cache_is_refused() -> None:
    """It would be kept in another task."""
    shop, strange = Shop(), StoreCache("strange", int)
    refused: list[str] = []

    async def add(order: Ordered, context: Context) -> None:
        with pytest.raises(StoreRefused) as caught:
            await strange.get(context)
        refused.append(str(caught.value))

    shop.add = add  # type: ignore[method-assign]
    async with simulate(shop.service) as world:
        await world.publish(Ordered("c-1"))
        await world.settle()
    assert "not one of this group's" in refused[0]
