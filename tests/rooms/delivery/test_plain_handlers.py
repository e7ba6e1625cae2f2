"""Plain functions: many events to a thread's hop, with the same guarantees as coroutines."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mainstem.delivery import Context, Processor, Retry, Store, enter_handlers, inside_handler
from mainstem.resilience import Backoff
from mainstem.settings import Settings
from tests.rooms.delivery.stage import QUICK, Keyless, Paid, Running, Shipped, Stage, Told, on, staged, until

SPENT = Store("spent", int)
TOP = Store("top", int, scope="partition")
AT_ONCE = Backoff(first_seconds=0.0, longest_seconds=0.0)


@pytest.fixture
def threads() -> Iterator[Executor]:
    """Worker threads, as a service has them."""
    with ThreadPoolExecutor(4, initializer=enter_handlers) as executor:
        yield executor


@asynccontextmanager
async def running(stage: Stage, threads: Executor, *processors: Processor, **options: object) -> AsyncIterator[Running]:
    """Run a group with threads."""
    async with stage.running(*processors, executor=threads, **options) as it:
        yield it


@on(Paid)
def tally(event: Paid, context: Context) -> Told:
    """Adds up, in a thread."""
    context.put(SPENT, total := (context.get(SPENT) or 0) + event.n)
    return Told(f"{event.order}={total}")


async def test_plain_functions_do_everything_that_coroutines_do(threads: Executor) -> None:
    """They read their writes within and across events, publish by return and by yield, and run in a thread."""
    seen: list[tuple[bool, bool]] = []

    @on(Paid)
    def doubled(event: Paid, context: Context) -> Iterator[Told]:
        seen.append((threading.current_thread() is threading.main_thread(), inside_handler()))
        yield Told("one")
        yield Told(f"two {context.get(SPENT)}")

    async with staged() as stage:
        await stage.publish_at_once(Paid("a", 1), Paid("b", 10), Paid("a", 2))
        counters = await stage.run(tally, doubled, stores=[SPENT], executor=threads)
        told = await stage.told()
        of_events = [tuple(told[at : at + 3]) for at in range(0, len(told), 3)]
        of_a = [("a=1", "one", "two 1"), ("a=3", "one", "two 3")]
        assert [each for each in of_events if each in of_a] == of_a
        assert sorted(of_events) == sorted([*of_a, ("b=10", "one", "two 10")])
        assert seen == [(False, True)] * 3
        assert (stage.stored(SPENT, "a"), counters.handled, counters.failures) == (3, 3, 0)


async def test_without_threads_they_run_in_place() -> None:
    """As a simulation wants it: the same results, in the event loop's thread."""
    async with staged() as stage:
        await stage.publish(Paid("a", 1), Paid("a", 2))
        await stage.run(tally, stores=[SPENT])
        assert await stage.told() == ["a=1", "a=3"]


async def test_outputs_have_the_ids_that_coroutines_give_them(threads: Executor) -> None:
    """Whether in a stretch or alone: ids come from handler, event and place."""
    found = []
    for executor in (threads, None):
        async with staged() as stage:
            await stage.append("orders", b"a", b'{"order":"a"}', ce_type=b"Paid", ce_id=b"e-1")
            await stage.append("orders", b"a", b'{"order":"a"}', ce_type=b"Paid", ce_id=b"e-2")
            await stage.run(tally, stores=[SPENT], executor=executor)
            found.append(await stage.told_ids())
    assert found[0] == found[1]


@pytest.mark.parametrize("policy", ["inline", "later", "never"])
@pytest.mark.parametrize("seed", range(3))
async def test_a_failure_in_a_stretch_keeps_every_keys_order(threads: Executor, policy: str, seed: int) -> None:
    """Whatever fails in the middle: each key's events are handled in order and once, and failed runs leave no trace."""
    chance = random.Random(seed)
    events = [Paid(chance.choice("abcde"), n) for n in range(120)]
    bad = {event.n: chance.randint(1, 2) for event in events if chance.random() < 0.15}
    retry = {
        "inline": Retry.on(ValueError).inline(2, AT_ONCE),
        "later": Retry.on(ValueError).later("1ms", "1ms"),
        "never": Retry.never(),
    }[policy]

    @on(Paid, retry=retry)
    def first(event: Paid, context: Context) -> Told:
        context.put(SPENT, (context.get(SPENT) or 0) + 1)
        return Told(f"first {event.n}")

    @on(Paid, retry=retry)
    def second(event: Paid, context: Context) -> Told:
        context.put(SPENT, (context.get(SPENT) or 0) + 100)
        if bad.get(event.n, 0) > 0:
            bad[event.n] -= 1
            raise ValueError("not now")
        return Told(f"second {event.n}")

    expected = {key: [event.n for event in events if event.order == key] for key in "abcde"}
    stopped = {key: next((i for i, n in enumerate(its) if n in bad), len(its)) for key, its in expected.items()}
    async with staged() as stage:
        await stage.publish_at_once(*events)
        async with running(stage, threads, first, second, stores=[SPENT]) as it:
            await stage.settled(it)
            await until(lambda: policy == "never" or not stage.rows("$parking"))
            await stage.settled(it)
        told = [each.split() for each in await stage.told()]
        for key, its in expected.items():
            mine = [(name, int(n)) for name, n in told if int(n) in its]
            # They share a store: the first one has run when the second one fails, and waits with it from then on.
            begun = its[: stopped[key] + 1] if policy == "never" else its
            assert [n for name, n in mine if name == "first"] == begun
            done = its[: stopped[key]] if policy == "never" else its
            assert [n for name, n in mine if name == "second"] == done
            assert stage.stored(SPENT, key) == len(begun) + 100 * len(done) or not its


async def test_a_wait_of_one_key_keeps_no_other_key_waiting(threads: Executor) -> None:
    """A key that waits for its next run leaves the stretch; the others of the batch go on meanwhile."""
    slowly = Retry.on(ValueError).inline(1, Backoff(first_seconds=30, longest_seconds=30, jitter="none"))

    @on(Paid, retry=slowly)
    def handle(event: Paid) -> Told:
        if event.order == "bad":
            raise ValueError("not now")
        return Told(f"{event.order}{event.n}")

    async with staged() as stage:
        await stage.publish_at_once(Paid("a", 1), Paid("bad", 1), Paid("b", 1), Paid("bad", 2), Paid("a", 2))
        it = stage.start(stage.plan(handle), executor=threads)
        await stage.publish(Paid("c", 1))

        async def others() -> bool:
            return len(await stage.told()) == 4

        await until(others)
        assert await stage.told() == ["a1", "b1", "a2", "c1"]
        assert it.in_flight == 2
        await it.crash()


async def test_slow_functions_run_side_by_side(threads: Executor) -> None:
    """When they wait there are as many threads as lanes, from the first batch on; a key still has one."""
    together = threading.Barrier(4, timeout=5)
    active: dict[str, int] = {}

    @on(Paid)
    def handle(event: Paid) -> Told:
        assert active.setdefault(event.order, 0) == 0
        active[event.order] = 1
        if event.n:
            together.wait()
        else:
            threading.Event().wait(0.003)
        active[event.order] = 0
        return Told(f"{event.order}{event.n}")

    async with staged() as stage:
        keys = ["a", "b", "c", "d"]
        spread = sorted({hash(key.encode()) % 4: key for key in map(str, range(200))}.items())
        keys = [key for _, key in spread]
        await stage.publish_at_once(*[Paid(key, n) for n in (0, 1, 2) for key in keys])
        await stage.run(handle, executor=threads, lanes=4)
        told = await stage.told()
        assert len(told) == 12
        for key in keys:
            assert [each for each in told if each[:-1] == key] == [f"{key}{n}" for n in (0, 1, 2)]


async def test_a_single_lane_is_one_order_for_everything(threads: Executor) -> None:
    """With ``lanes=1`` nothing runs beside a stretch, and a failure in it keeps everything behind it waiting."""
    order: list[str] = []
    running_now = [0]
    failed: set[int] = set()

    @on(Paid, retry=Retry.on(ValueError).inline(1, AT_ONCE))
    def handle(event: Paid, context: Context) -> None:
        running_now[0] += 1
        assert running_now[0] == 1
        order.append(f"{event.n}")
        context.put(TOP, len(context.scan(TOP, limit=100)), key=event.n)
        if event.n == 0:
            context.wake("ring", at=0)
        running_now[0] -= 1
        if event.n % 4 == 1 and event.n not in failed:
            failed.add(event.n)
            raise ValueError("not now")

    @on(timer="ring")
    async def ring(context: Context) -> None:
        assert running_now[0] == 0
        running_now[0] += 1
        await asyncio.sleep(0.001)
        order.append("ring")
        running_now[0] -= 1

    async with staged() as stage:
        await stage.publish_at_once(*[Paid(f"k{n % 7}", n) for n in range(24)])
        async with running(stage, threads, handle, ring, stores=[TOP], lanes=1) as it:
            await stage.settled(it)
            await until(lambda: "ring" in order)
        runs = [each for each in order if each != "ring"]
        assert runs == [str(n) for n in range(24) for _ in range(2 if n % 4 == 1 else 1)]
        assert [value[-1] for _, value in stage.rows("top")] == [int(key) for key, _ in stage.rows("top")]


async def test_plain_and_coroutine_handlers_share_keys(threads: Executor) -> None:
    """Where both want events of a key, its events keep their order, whichever way they are handled."""
    seen: list[int] = []

    @on(Paid)
    def plain(event: Paid) -> None:
        seen.append(event.n)

    @on(Shipped)
    async def slow(event: Shipped) -> None:
        await asyncio.sleep(0.001)
        seen.append(event.n)

    async with staged() as stage:
        for start in range(0, 40, 4):
            await stage.publish_at_once(*[(Shipped if n % 10 == 0 else Paid)("k", n) for n in range(start, start + 4)])
        await stage.run(plain, slow, executor=threads, lanes=8)
        assert seen == list(range(40))


async def test_keyless_events_go_to_threads_too(threads: Executor) -> None:
    """They need no lane of their own, and one that fails is alone."""

    @on(Keyless, retry=Retry.never())
    def handle(event: Keyless) -> Told:
        if event.n == 3:
            raise ValueError("no")
        return Told(str(event.n))

    async with staged() as stage:
        await stage.publish_at_once(*[Keyless(n) for n in range(8)])
        await stage.run(handle, executor=threads)
        assert sorted(await stage.told()) == [str(n) for n in range(8) if n != 3]
        assert await stage.history() == ["dead-lettered"]


@pytest.mark.parametrize(
    "raised", [StopIteration(1), asyncio.CancelledError(), SystemExit(3), ExceptionGroup("g", [ValueError()])]
)
@pytest.mark.parametrize("alone", [False, True])
async def test_no_exception_stops_a_thread(threads: Executor, raised: BaseException, alone: bool) -> None:  # noqa: FBT001
    """What a future could not carry is the handler's failure all the same, in a stretch and alone in its lane."""
    timeout = {"timeout_seconds": 5.0} if alone else {}

    @on(Paid, retry=Retry.never(), **timeout)
    def handle(event: Paid) -> Told:
        if event.n == 1:
            raise raised
        return Told(str(event.n))

    async with staged() as stage:
        await stage.publish_at_once(Paid("a", 0), Paid("b", 1), Paid("c", 2), Paid("b", 3))
        await stage.run(handle, executor=threads)
        assert sorted(await stage.told()) == ["0", "2"]
        assert await stage.history() == ["dead-lettered"]


async def test_a_thread_that_takes_too_long_keeps_its_lane(threads: Executor) -> None:
    """It cannot be stopped: its key waits until it has returned, and what it did counts for nothing."""
    order: list[str] = []

    @on(Paid, timeout_seconds=0.001, retry=Retry.never())
    def handle(event: Paid, context: Context) -> Told:
        order.append(f"{event.n} begins")
        context.put(SPENT, event.n)
        threading.Event().wait(0.01)
        order.append(f"{event.n} ends")
        return Told("late")

    async with staged() as stage:
        await stage.publish_at_once(Paid("a", 1), Paid("a", 2))
        await stage.run(handle, stores=[SPENT], executor=threads)
        assert order == ["1 begins", "1 ends"]
        assert (await stage.told(), stage.stored(SPENT, "a")) == ([], None)
        assert [each.failure.error_type for each in await stage.entries() if each] == ["HandlerTimeout"]


async def test_a_thread_of_a_lost_task_does_nothing(threads: Executor) -> None:
    """What it does when it wakes up belongs to nobody; the next owner handles the event again."""
    began, goes_on = threading.Event(), threading.Event()
    runs: list[str] = []

    @on(Paid)
    def handle(event: Paid, context: Context) -> Told:
        runs.append("begins")
        began.set()
        goes_on.wait(5)
        context.put(SPENT, (context.get(SPENT) or 0) + 1)
        runs.append("ends")
        return Told("told")

    async with staged() as stage:
        await stage.publish(Paid("a"))
        it = stage.start(stage.plan(handle, stores=[SPENT]), executor=threads)
        await until(began.is_set)
        await it.crash()
        goes_on.set()
        await stage.run(handle, stores=[SPENT], executor=threads)
        assert runs == ["begins", "begins", "ends"]
        assert (await stage.told(), stage.stored(SPENT, "a")) == (["told"], 1)


async def test_commits_go_on_while_a_stretch_runs(threads: Executor) -> None:
    """A thread returns about when a commit is due, so that what is done is not held back by what is not."""
    door = threading.Event()

    @on(Paid)
    def handle(event: Paid) -> Told:
        if event.n == 3:
            assert door.wait(5)
        else:
            threading.Event().wait(0.002)
        return Told(str(event.n))

    async with staged() as stage:
        await stage.publish_at_once(*[Paid("k", n) for n in range(5)])

        async def three_told() -> bool:
            return len(await stage.told()) == 3

        settings = Settings(commit_interval_ms=1, grace_seconds=QUICK.grace_seconds)
        async with running(stage, threads, handle, settings=settings) as it:
            await until(three_told)
            door.set()
            await stage.settled(it)
        assert await stage.told() == ["0", "1", "2", "3", "4"]


async def test_a_busy_single_lane_keeps_the_read_order(threads: Executor) -> None:
    """A batch that comes while a timer's handler waits is handled behind it, in the order it was read in."""
    order: list[str] = []
    door = asyncio.Event()

    @on(Paid)
    def handle(event: Paid, context: Context) -> None:
        order.append(f"{event.order}{event.n}")
        if event.n == 0:
            context.wake("ring", at=0)

    @on(timer="ring")
    async def ring(context: Context) -> None:
        order.append("ring")
        await door.wait()

    async with staged() as stage:
        await stage.publish(Paid("a", 0))
        async with running(stage, threads, handle, ring, lanes=1) as it:
            await until(lambda: order == ["a0", "ring"])
            await stage.publish_at_once(Paid("b", 1), Paid("a", 2), Paid("c", 3))
            await until(lambda: it.in_flight >= 3)
            door.set()
            await stage.settled(it)
        assert order == ["a0", "ring", "b1", "a2", "c3"]


class Counting(ThreadPoolExecutor):
    """Counts the hops."""

    hops = 0

    def submit(self, *arguments: Any, **options: Any) -> Any:
        """One more."""
        self.hops += 1
        return super().submit(*arguments, **options)


async def test_a_dead_letter_costs_the_other_keys_nothing() -> None:
    """While a key is parked its events wait one by one, and all others still go to a thread many at a time."""

    @on(Paid, retry=Retry.never())
    def handle(event: Paid) -> Told:
        if event.order == "bad":
            raise ValueError("no")
        return Told(f"{event.order}{event.n}")

    with Counting(2) as executor:
        async with staged() as stage:
            await stage.publish_at_once(Paid("bad", 0), *[Paid(f"k{n % 20}", n) for n in range(200)])
            await stage.run(handle, executor=executor)
            assert len(stage.rows("$parked")) == 1
            executor.hops = 0
            await stage.publish_at_once(*[Paid("bad" if n % 50 == 0 else f"k{n % 20}", n) for n in range(300)])
            await stage.run(handle, executor=executor)
            assert len(await stage.told()) == 200 + 294
            assert len(stage.rows("$parked")) == 7
            assert executor.hops < 40
