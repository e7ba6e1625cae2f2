"""Breakers of handlers: while what they need is away nothing is run, nothing counts as a try, and nothing is lost."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from msgspec.structs import replace

from mainstem.delivery import Breaker, KillSwitch, Processor, Retry, faults_of
from mainstem.delivery.guards import breakers
from mainstem.errors import DefinitionError
from mainstem.events import IntegrationEvent
from mainstem.resilience import BreakerRule, CallsWindow
from tests.rooms.delivery.stage import Paid, Running, Stage, Told, on, staged, until

RULE = BreakerRule(window=CallsWindow(4), minimum_calls=4, open_ms=20, probes=2)
WIDE = Breaker(RULE, counts=(ConnectionError,))
KEYED = Breaker(RULE, by="n", counts=(ConnectionError,))
NEVER = Retry.never()
OPEN = "the breaker of call is open"


class Dependency:
    """Something that is away until it is back, and remembers who asked."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.back = False
        self.away: set[int] = set()
        self.error: Callable[[], Exception] = ConnectionError
        self.under_way = self.most = 0

    def ask(self, event: Paid) -> None:
        """Answer, or fail."""
        self.calls.append(f"{event.order}{event.n}")
        if not self.back or event.n in self.away:
            raise self.error()

    def handler(self, breaker: Breaker | KillSwitch | None, retry: Retry = NEVER, **options: object) -> Processor:
        """A handler that needs it."""

        @on(Paid, name="call", retry=retry, breaker=breaker, **options)
        async def call(event: Paid) -> Told:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            try:
                await asyncio.sleep(0)
                self.ask(event)
            finally:
                self.under_way -= 1
            return Told(f"{event.order}{event.n}")

        return call


def paused(running: Running) -> list[str]:
    """Why the tasks stand still."""
    return [reason for task in running.runner.tasks.values() for reason in task.paused]


async def at_rest(stage: Stage, running: Running) -> None:
    """Return when nothing is open, and nothing waits for its next try."""
    tasks = running.runner.tasks.values()
    await until(lambda: not any(each.open_breakers for each in tasks) and not stage.rows("$held"))
    await until(lambda: not stage.rows("$due"))
    await stage.settled(running)


# -- for all events of a handler


async def test_while_it_is_open_inputs_stand_still_and_nothing_is_tried() -> None:
    """Of a policy that never retries, only those are dead letters that failed before it opened."""
    needed = Dependency()
    async with staged() as stage:
        await stage.publish(*[Paid(f"k{n}") for n in range(20)])
        async with stage.running(needed.handler(WIDE), lanes=8) as running:
            await until(lambda: paused(running) == [OPEN] and len(needed.calls) >= 12)
            assert await stage.told() == []
            needed.back = True
            await at_rest(stage, running)
            assert paused(running) == []
        told = await stage.told()
        assert ((await stage.history()).count("dead-lettered"), len(told), len(set(told))) == (3, 17, 17)
        notices = await stage.notices()
        assert notices[:2] == ["open: call", f"paused: {OPEN}"]
        assert notices.count("open: call") == notices.count("not open: call") == 1
        assert notices[-1].startswith("not ")


@pytest.mark.parametrize("breaker", [WIDE, KillSwitch(failures=4, probe="10ms", longest="10ms")])
@pytest.mark.parametrize("lanes", [1, 8])
async def test_a_pause_is_told_once_however_many_probes_fail(
    breaker: Breaker | KillSwitch, lanes: int, caplog: pytest.LogCaptureFixture
) -> None:
    """It begins when the breaker opens, and ends when it closes: between two probes nothing goes on."""
    needed = Dependency()
    async with staged() as stage:
        await stage.publish(*[Paid(f"k{n}") for n in range(6)])
        async with stage.running(needed.handler(breaker), lanes=lanes) as running:
            await until(lambda: len(needed.calls) >= 16)
            assert paused(running) == [OPEN]
            needed.back = True
            await at_rest(stage, running)
        told = await stage.notices()
        assert (told.count(f"paused: {OPEN}"), told.count(f"not paused: {OPEN}")) == (1, 1)
        said = [record.getMessage() for record in caplog.records]
        assert sum("its inputs stand still" in each for each in said) == 1
        assert len(await stage.told()) == 3


async def test_when_nobody_is_left_to_try_the_next_event_does() -> None:
    """A probe that is discarded has told nothing; inputs are read again, or nobody would ever close the breaker."""
    needed = Dependency()
    async with staged() as stage:
        await stage.publish(*[Paid(f"k{n}") for n in range(4)])
        async with stage.running(needed.handler(WIDE, Retry.on(ValueError).discard("wrong")), lanes=8) as running:
            await until(lambda: paused(running) == [OPEN])
            needed.error = ValueError
            await until(lambda: paused(running) == [])
            needed.back = True
            await stage.publish(*[Paid(f"l{n}") for n in range(4)])
            await at_rest(stage, running)
        assert sorted(await stage.told())[-4:] == ["l00", "l10", "l20", "l30"]


async def test_half_open_it_probes_as_many_as_it_says() -> None:
    """However many wait, two are under way at once, and both have to succeed before the others follow."""
    needed = Dependency()
    async with staged() as stage:
        await stage.publish(*[Paid(f"k{n}") for n in range(4)])
        async with stage.running(needed.handler(WIDE, Retry.on(OSError).inline(1_000)), lanes=8) as running:
            await until(lambda: bool(paused(running)))
            needed.most = 0
            await stage.publish(*[Paid(f"l{n}") for n in range(30)])
            before = len(needed.calls)
            await until(lambda: len(needed.calls) > before + 10)
            assert needed.most <= 2
            assert not any(each.startswith("l") for each in needed.calls)
            needed.back = True
            await at_rest(stage, running)
        assert len(set(await stage.told())) == 34
        assert await stage.history() == []


async def test_a_breaker_stays_open_for_the_next_owner() -> None:
    """Who takes the task over runs nothing but probes, and what was parked meanwhile follows when it closes."""
    needed = Dependency()
    slow = Breaker(BreakerRule(window=CallsWindow(4), minimum_calls=4, open_ms=60_000, probes=1))
    async with staged() as stage:
        await stage.publish(*[Paid(f"k{n}") for n in range(12)])
        async with stage.running(needed.handler(slow), lanes=4) as running:
            await until(lambda: paused(running) == [OPEN])
            await until(lambda: bool(stage.rows("$breakers")))
        needed.back = True
        before = len(needed.calls)
        async with stage.running(needed.handler(slow), lanes=4) as running:
            await until(lambda: paused(running) == [OPEN])
            assert len(needed.calls) == before
            stage.clock.ahead_ms += 60_000
            await running.stop()
        async with stage.running(needed.handler(slow), lanes=4) as running:
            await at_rest(stage, running)
        assert len(await stage.told()) == 9
        assert (await stage.notices()).count("open: call") == 1


async def test_what_its_rule_does_not_count_opens_nothing() -> None:
    """Other exceptions are answers, and ignored ones tell nothing; both go the way of their policy."""
    needed = Dependency()
    needed.error = ValueError
    ignoring = Breaker(RULE, ignores=(ValueError,))
    for breaker in (WIDE, ignoring):
        async with staged() as stage:
            await stage.publish(*[Paid(f"k{n}") for n in range(10)])
            counters = await stage.run(needed.handler(breaker))
            assert (counters.dead_lettered, await stage.notices()) == (10, [])


# -- for the events with one key


async def test_events_of_an_open_key_park_and_the_others_flow() -> None:
    """Those of provider 1 wait in order, with no try counted, until it is back; provider 2 goes on."""
    needed = Dependency()
    needed.back, needed.away = True, {1}
    keyed = Breaker(replace(RULE, open_ms=150, longest_open_ms=150), by="n")
    async with staged() as stage:
        await stage.publish(*[Paid(f"k{n % 12}", 1) for n in range(36)], *[Paid(f"m{n}", 2) for n in range(6)])
        async with stage.running(needed.handler(keyed), lanes=4) as running:
            await stage.settled(running)
            assert sorted(await stage.told()) == [f"m{n}2" for n in range(6)]
            assert paused(running) == []
            assert list(next(iter(running.runner.tasks.values())).open_breakers) == ["call for 1"]
            entries = [each for each in await stage.entries() if each is not None and each.status == "parked"]
            assert {each.failure.failures for each in entries if "waits until" in each.failure.error} == {0}
            needed.away = set()
            await at_rest(stage, running)
        # Each key's three events, in one sequence, but of those that died before it opened.
        assert (await stage.history()).count("dead-lettered") == 3
        assert len(await stage.told()) == 6 + 9 * 3
        assert await stage.notices() == ["open: call for 1", "not open: call for 1"]


async def test_parked_sequences_are_probed_one_after_the_other() -> None:
    """An event that always fails holds no breaker open: another one is the next probe, and it is a dead letter."""
    needed = Dependency()
    poison = Dependency()
    poison.back = True
    one = Breaker(BreakerRule(window=CallsWindow(4), minimum_calls=4, open_ms=20, probes=1), by="n")

    @on(Paid, name="call", retry=NEVER, breaker=one)
    async def call(event: Paid) -> Told:
        needed.ask(event)
        if event.order == "poison":
            raise ConnectionError
        return Told(event.order)

    async with staged() as stage:
        await stage.publish(*[Paid(f"k{n}", 1) for n in range(4)], Paid("poison", 1), Paid("z", 1))
        async with stage.running(call, lanes=1) as running:
            await until(lambda: needed.calls.count("poison1") >= 2)
            needed.back = True
            await at_rest(stage, running)
        assert sorted(await stage.told()) == ["k3", "z"]
        assert (await stage.history()).count("dead-lettered") == 4


async def test_a_breaker_that_nobody_declares_any_more_lets_all_go_on() -> None:
    """What was parked by it is tried at the next start."""
    needed = Dependency()
    forever = Breaker(BreakerRule(window=CallsWindow(4), minimum_calls=4, open_ms=3_600_000), by="n")
    async with staged() as stage:
        await stage.publish(*[Paid(f"k{n}", 1) for n in range(10)])
        await stage.run(needed.handler(forever))
        needed.back = True
        async with stage.running(needed.handler(None)) as running:
            await at_rest(stage, running)
        assert len(await stage.told()) == 7
        assert (await stage.notices())[-1] == "not open: call for 1"
        assert stage.rows("$breakers") == []


async def test_a_field_of_another_type_is_its_events_own_fault() -> None:
    """The event is a dead letter, and its task goes on."""
    needed = Dependency()
    needed.back = True

    async with staged() as stage:
        handler = needed.handler(KEYED)
        await stage.append("orders", b"k", b'{"order":"k","n":1}', ce_id=b"1", ce_type=b"Paid")
        counters = await stage.run(handler)
        assert counters.dead_lettered == 0


async def test_a_breaker_is_not_forgotten_while_a_run_has_its_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many values come while it runs; when it fails, that opens the breaker that the next event asks."""
    monkeypatch.setattr(breakers, "GATES_MOST", 2)
    go, calls = asyncio.Event(), []
    rule = BreakerRule(window=CallsWindow(1), minimum_calls=1, open_ms=3_600_000, longest_open_ms=3_600_000)

    @on(Paid, name="call", retry=NEVER, breaker=Breaker(rule, by="n"))
    async def call(event: Paid) -> None:
        calls.append(event.order)
        if event.order == "first":
            await go.wait()
            raise ConnectionError

    async with staged() as stage:
        await stage.publish(Paid("first", 1), *[Paid(f"k{n}", n) for n in range(2, 9)])
        async with stage.running(call, lanes=4) as running:
            await until(lambda: len(calls) == 8)
            go.set()
            await until(lambda: any(task.open_breakers for task in running.runner.tasks.values()))
            await stage.publish(Paid("second", 1), Paid("last", 9))
            await until(lambda: "last" in calls)
            await until(lambda: bool(stage.rows("$held")))
            assert "second" not in calls
            assert calls.count("first") == 1


# -- the kill switch


async def test_the_kill_switch_probes_one_at_a_time() -> None:
    """When nothing but failures came, over different keys, one event is tried now and then until one succeeds."""
    needed = Dependency()
    needed.error = TypeError
    switch = KillSwitch(failures=5, probe="10ms", longest="20ms")
    async with staged() as stage:
        await stage.publish(*[Paid(f"k{n}") for n in range(40)])
        async with stage.running(needed.handler(switch), lanes=4) as running:
            await until(lambda: paused(running) == [OPEN])
            needed.most = 0
            before = len(needed.calls)
            await until(lambda: len(needed.calls) > before + 5)
            assert needed.most == 1
            needed.back = True
            await at_rest(stage, running)
        assert (await stage.history()).count("dead-lettered") == 4
        assert len(await stage.told()) == 36


@pytest.mark.parametrize("good", [3, 1_000])
async def test_successes_between_keep_it_closed(good: int) -> None:
    """Of thirty events every third succeeds: nothing opens; without them it does."""
    switch = KillSwitch(failures=5, probe="1h", longest="1h")

    @on(Paid, name="call", retry=NEVER, breaker=switch)
    async def call(event: Paid) -> None:
        if (event.n + 1) % good:
            raise ValueError

    async with staged() as stage:
        await stage.publish(*[Paid(f"k{n}", n) for n in range(30)])
        async with stage.running(call, lanes=1) as running:
            if good == 3:
                await stage.settled(running)
                assert await stage.notices() == []
            else:
                await until(lambda: paused(running) == [OPEN])


async def test_one_key_alone_and_what_was_foreseen_open_nothing() -> None:
    """A policy that names the exception and parks or discards has been written for it."""
    needed = Dependency()
    switch = KillSwitch(failures=5)
    for policy in (Retry.on(ConnectionError).discard("gone"), Retry.on(ConnectionError).later("1h")):
        async with staged() as stage:
            await stage.publish(*[Paid(f"k{n}") for n in range(30)])
            async with stage.running(needed.handler(switch, policy)) as running:
                await stage.settled(running)
            assert await stage.notices() == []


async def test_plain_functions_have_one_too() -> None:
    """Their threads stop where it opens, and what they had not begun waits."""
    back = asyncio.Event()
    calls: list[str] = []

    @on(Paid, name="call", retry=NEVER, breaker=KillSwitch(failures=5, probe="10ms", longest="10ms"))
    def call(event: Paid) -> Told:
        calls.append(event.order)
        if not back.is_set():
            raise ValueError
        return Told(event.order)

    async with staged() as stage:
        with ThreadPoolExecutor(4) as executor:
            await stage.publish_at_once(*[Paid(f"k{n}") for n in range(100)])
            async with stage.running(call, lanes=4, executor=executor) as running:
                await until(lambda: paused(running) == [OPEN])
                back.set()
                await at_rest(stage, running)
        told = await stage.told()
        dead = (await stage.history()).count("dead-lettered")
        assert len(set(told)) == len(told)
        # Some may have failed in the thread before it opened, and be heard of when it has closed again.
        assert 4 <= dead < 20
        assert len(told) + dead == 100


async def test_without_a_memory_it_holds_for_as_long_as_the_task() -> None:
    """At least once, an event that fails as a probe is passed over, and the others wait all the same."""
    needed = Dependency()
    switch = KillSwitch(failures=5, probe="20ms", longest="20ms")
    async with staged() as stage:
        await stage.publish(*[Paid(f"k{n}") for n in range(30)])
        async with stage.running(needed.handler(switch), delivery="at_least_once") as running:
            await until(lambda: paused(running) == [OPEN])
            needed.back = True
            await stage.settled(running)
        assert len(await stage.told()) >= 20
        assert stage.rows("$breakers") == []


async def test_batches_are_counted_call_by_call() -> None:
    """A batch that fails as a whole is taken apart, and its events wait one by one when the switch opens."""
    needed = Dependency()

    @on(Paid, name="call", retry=NEVER, breaker=KillSwitch(failures=3, probe="10ms", longest="10ms"))
    async def call(events: list[Paid]) -> list[Told]:
        for event in events:
            needed.ask(event)
        return [Told(event.order) for event in events]

    async with staged() as stage:
        await stage.publish_at_once(*[Paid(f"k{n}") for n in range(20)])
        async with stage.running(call, lanes=1) as running:
            await until(lambda: paused(running) == [OPEN])
            needed.back = True
            await at_rest(stage, running)
        dead = (await stage.history()).count("dead-lettered")
        assert dead <= 3
        assert len(await stage.told()) == 20 - dead


# -- what is refused


class Sent(IntegrationEvent, topic="orders", key="order"):
    order: str
    cents: float = 0


@pytest.mark.parametrize(
    ("breaker", "said"),
    [
        (RULE, "is no breaker"),
        (Breaker(RULE, by="nothing"), "cannot tell its events apart by 'nothing'"),
        (Breaker(RULE, by="cents"), "cannot tell its events apart by 'cents'"),
        (Breaker(RULE, by=()), "cannot tell its events apart"),
    ],
)
def test_a_breaker_that_says_nothing_is_refused(breaker: object, said: str) -> None:
    """A bare rule, a field that is not there, one of a type that makes no key, and none at all."""

    async def call(event: Sent) -> None: ...

    with pytest.raises(DefinitionError, match=said):
        on(Sent, breaker=breaker)(call)


def test_values_that_are_wrong_in_themselves_are_refused() -> None:
    """What counts has to be exceptions, and a switch has to be able to open and to close."""
    for given in ({"counts": (int,)}, {"rule": 0.5}):
        with pytest.raises(DefinitionError, match="is no breaker"):
            Breaker(**given)
    for switch in ({"failures": 0}, {"probe": "0s"}, {"probe": "1h"}):
        with pytest.raises(DefinitionError, match="could never open"):
            KillSwitch(**switch)


async def test_keys_need_a_memory_and_single_events() -> None:
    """At least once nothing can be parked, and a batch holds events of many keys."""

    async def call(events: list[Paid]) -> None: ...

    with pytest.raises(DefinitionError, match="cannot tell its events apart"):
        on(Paid, breaker=KEYED)(call)
    async with staged() as stage:
        plan = stage.plan(Dependency().handler(KEYED), delivery="at_least_once")
        assert [error.what for error in faults_of(plan) if "a breaker that parks" in error.what]
