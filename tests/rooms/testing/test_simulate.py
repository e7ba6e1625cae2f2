"""Services in a simulated world: what a user's test does and sees."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from mainstem import Context, IntegrationEvent, Service, Timer
from mainstem.errors import DefinitionError, NotFound, StartRefused
from mainstem.testing import Published, SimulationStuck, duplicate, fail, run_simulation, simulate, simulated, slow
from tests.rooms.testing.billing import (
    Bank,
    Greeted,
    OrderPlaced,
    PatientBank,
    PaymentTaken,
    Reminded,
    billing,
    charged,
    greet,
    greeter,
    take_payment,
)

ORDER = OrderPlaced("o-1", "c-9", 4200)
FORTNIGHT_MS = 14 * 86_400_000


@simulated
async def test_a_slow_bank_is_retried() -> None:
    """The example of the documentation: two time-outs, a retry, one payment."""
    bank = PatientBank()
    async with simulate(billing, replace={Bank: bank}, faults=[fail(Bank.charge, TimeoutError, times=2)]) as world:
        await world.publish(ORDER)
        await world.settle()
        assert world.published(PaymentTaken).one().order_id == "o-1"
        assert world.value(charged, "o-1") == 4200
        assert world.value(charged, "o-2", 0) == 0
        assert world.values(charged) == {b"o-1": 4200}
        assert len(bank.keys) == 1


@simulated
async def test_a_timer_fires_when_it_is_due() -> None:
    """Fourteen days are lived through at once, and the timer is due to the millisecond."""
    async with simulate(billing, replace={Bank: PatientBank()}) as world:
        await world.publish(ORDER)
        await world.advance("10s")
        set_ms = world.published(PaymentTaken).facts[0].timestamp_ms
        assert len(world.published(Reminded)) == 0
        await world.settle()
        late_ms = world.published(Reminded).one().at_ms - set_ms - FORTNIGHT_MS
        assert 2_000 <= late_ms < 2_100  # the charge took two seconds, and then the timer was set
        assert world.clock.monotonic() < 600


@simulated
async def test_time_passes_as_far_as_it_is_told_to() -> None:
    """``advance`` stops at its time, whether much or nothing happens in between."""
    async with simulate(billing, replace={Bank: PatientBank()}) as world:
        began_ms = world.clock.now_ms()
        await world.advance("3h")
        assert world.clock.now_ms() - began_ms == pytest.approx(3 * 3_600_000, abs=20)
        await world.publish(ORDER)
        await world.advance("13d")
        assert len(world.published(Reminded)) == 0
        await world.advance("2d")
        assert len(world.published(Reminded)) == 1
        assert world.clock.now_ms() - began_ms == pytest.approx(15 * 86_400_000 + 3 * 3_600_000, abs=100)


@simulated
async def test_services_meet_through_events() -> None:
    """Several services run in one world, on one log; several workers share their tasks."""
    async with simulate(billing, greeter, replace={Bank: PatientBank()}, workers=3) as world:
        for number in range(5):
            await world.publish(OrderPlaced(f"o-{number}", "c-9", 100))
        await world.settle()
        assert {payment.order_id for payment in world.published(PaymentTaken)} == {f"o-{n}" for n in range(5)}
        assert len(world.published(Greeted)) == 5


@simulated
async def test_plain_functions_run_in_place() -> None:
    """There are no threads, and so no chance in their order."""
    async with simulate(greeter) as world:
        await world.publish(PaymentTaken("o-1", "r"))
        await world.settle()
        assert world.published(Greeted).one().thread == threading.current_thread().name


@simulated
async def test_a_service_publishes_from_outside_its_handlers() -> None:
    """``service.publish`` works as long as the world is there."""
    shop = Service("shop", publishes=(OrderPlaced,))
    async with simulate(shop, billing, replace={Bank: PatientBank()}) as world:
        await shop.publish(ORDER)
        await world.settle()
        assert world.published(OrderPlaced).one() == ORDER
        assert len(world.published(PaymentTaken)) == 1


@simulated
async def test_dead_letters_are_seen_and_redriven() -> None:
    """What a handler gives up is listed with its key and error, and can be tried again or dropped."""
    async with simulate(greeter, faults=[fail(greet, ValueError("no manners"), times=2)]) as world:
        await world.publish(PaymentTaken("o-1", "r"), PaymentTaken("o-2", "r"))
        await world.settle()
        letters = {letter.key or "": letter for letter in world.dead_letters()}
        assert sorted(letters) == ["o-1", "o-2"]
        assert letters["o-1"].handler == "greet"
        assert letters["o-1"].group == "greeter"
        assert letters["o-1"].error == "ValueError: no manners"
        await world.redrive(letters["o-1"])
        await world.discard(letters["o-2"])
        await world.settle()
        assert world.dead_letters() == []
        assert len(world.published(Greeted)) == 1


@simulated
async def test_a_call_fails_before_or_after_its_work() -> None:
    """With ``after=True`` the bank has charged when the error comes; the key stays the same for the second try."""
    bank = PatientBank()
    async with simulate(billing, replace={Bank: bank}, faults=[fail(Bank.charge, TimeoutError, after=True)]) as world:
        await world.publish(ORDER)
        await world.settle()
        assert len(bank.keys) == 2
        assert len(set(bank.keys)) == 1
        assert len(world.published(PaymentTaken)) == 1


@simulated
async def test_slow_functions_take_virtual_time() -> None:
    """A handler, plain or not, and what it calls take as much longer as they are told to."""
    faults = [slow(take_payment, by="1m"), slow(Bank.charge, by="30s"), slow(greet, by="1d", times=1)]
    async with simulate(billing, greeter, replace={Bank: PatientBank()}, faults=faults) as world:
        began_ms = world.clock.now_ms()
        await world.publish(ORDER)
        await world.advance("2d")
        greeted = world.published(Greeted).facts[0]
        assert greeted.offset == 0
        ended = next(step for step in world.trace.steps if step.what == "handler ends" and "take_payment" in step.about)
        assert ended.seconds == pytest.approx(92, abs=1)
        assert world.clock.now_ms() - began_ms >= 2 * 86_400_000


@simulated
async def test_functions_are_as_before_when_it_is_over() -> None:
    """What goes wrong in a world is put back when it ends, also after a failure."""
    before = (vars(Bank)["charge"], vars(PatientBank)["charge"])

    async def failing_test() -> None:
        async with simulate(billing, replace={Bank: PatientBank()}, faults=[fail(Bank.charge, TimeoutError)]):
            assert vars(Bank)["charge"] is not before[0]
            message = "the test fails"
            raise RuntimeError(message)

    with pytest.raises(RuntimeError, match="the test fails"):
        await failing_test()
    assert (vars(Bank)["charge"], vars(PatientBank)["charge"]) == before


@simulated
async def test_a_producer_may_publish_twice() -> None:
    """A repeated append leaves two records with one id."""
    async with simulate(billing, replace={Bank: PatientBank()}, faults=[duplicate()]) as world:
        await world.publish(ORDER)
        facts = world.published(OrderPlaced).facts
        assert [fact.event for fact in facts] == [ORDER, ORDER]
        assert len({fact.id for fact in facts}) == 1
        assert [fact.offset for fact in facts] == [0, 1]


# -- what never settles


class Poked(IntegrationEvent, topic="pokes", key="name"):
    name: str


def poked(handler: Callable[..., object]) -> Service:
    """A service with one handler."""
    service = Service("poked")
    service.on(Poked, name="handle_poke")(handler)
    return service


@simulated
async def test_the_next_run_of_a_schedule_is_not_waited_for() -> None:
    """Behind each there is another; a timer that is set beside it is waited for, and what it does with its runs."""
    service, runs, woken = Service("nightly"), list[int](), list[int]()

    @service.schedule("0 * * * *")
    async def tick(context: Context) -> None:
        runs.append(context.now_ms)

    @service.on(Poked)
    async def set_out(_event: Poked, context: Context) -> None:
        context.wake("come_home", after="150m")

    @service.on_timer("come_home")
    async def come_home(_timer: Timer, context: Context) -> None:
        woken.append(context.now_ms)

    async with simulate(service) as world:
        await world.settle()
        assert runs == []
        await world.advance("2h")
        assert len(runs) == 2
        await world.publish(Poked("a"))
        await world.settle()
        assert (len(woken), len(runs)) == (1, 4)


@simulated
async def test_a_handler_that_waits_for_ever_is_named() -> None:
    """``settle`` says which handler waits, for which record, and at which line."""

    async def wait_for_nobody(_event: Poked) -> None:
        await asyncio.Event().wait()

    async with simulate(poked(wait_for_nobody)) as world:
        await world.publish(Poked("a"))
        with pytest.raises(SimulationStuck, match=r"handle_poke for pokes\[\d\] offset 0.*test_simulate\.py:\d+"):
            await world.settle()


@pytest.mark.parametrize("swallowed", [False, True])
def test_a_handler_that_reaches_for_the_network_is_named(*, swallowed: bool) -> None:
    """Waiting on a real socket is an error of the test, also when the handler hides it."""

    async def fetch(_event: Poked) -> None:
        try:
            await asyncio.open_connection("127.0.0.1", 9)
        except SimulationStuck:
            if not swallowed:
                raise

    async def scenario() -> None:
        async with simulate(poked(fetch)) as world:
            await world.publish(Poked("a"))
            await world.settle()

    with pytest.raises(SimulationStuck, match=r"reaches out of the simulation[\s\S]*handle_poke for pokes"):
        run_simulation(scenario)


@simulated
async def test_a_timer_that_sets_itself_again_never_settles() -> None:
    """Beyond the horizon ``settle`` gives up, and says what is left."""
    service = Service("clockwork")

    @service.on(Poked)
    async def wind(_event: Poked, context: Context) -> None:
        context.wake("tick", after="1h")

    @service.on_timer("tick")
    async def tick(context: Context) -> None:
        context.wake("tick", after="1h")

    async with simulate(service) as world:
        await world.publish(Poked("a"))
        with pytest.raises(SimulationStuck, match="a timer is due"):
            await world.settle(horizon="1d")
        ticks = [step for step in world.trace.steps if step.what == "handler ends" and "tick" in step.about]
        assert len(ticks) == 23


# -- mistakes


def test_an_ordinary_loop_is_refused() -> None:
    """In a loop of real time the error says what to put above the test."""

    async def scenario() -> None:
        async with simulate(greeter):
            pass

    with pytest.raises(DefinitionError, match="@simulated"):
        asyncio.run(scenario())


@simulated
async def test_a_mistake_in_the_service_is_raised() -> None:
    """What stops a start stops the test."""

    async def wants(_event: Poked, bank: Bank) -> None:
        await bank.charge("c", 1, "k")

    with pytest.raises(StartRefused, match="wants a Bank"):
        async with simulate(poked(wants)):
            pass


@simulated
async def test_what_nobody_provides_cannot_be_replaced() -> None:
    """A misspelt replacement would be ignored in silence."""
    with pytest.raises(DefinitionError, match="none of the services provides one"):
        async with simulate(greeter, replace={Bank: PatientBank()}):
            pass


@simulated
async def test_an_unknown_function_cannot_fail() -> None:
    """A fault that could never happen is refused."""

    def local() -> None: ...

    with pytest.raises(DefinitionError, match="local"):
        async with simulate(greeter, faults=[fail(local, ValueError)]):
            pass


@simulated
async def test_an_event_that_nobody_reads_has_no_topic() -> None:
    """Publishing into the void is an error of the test."""
    async with simulate(greeter) as world:
        with pytest.raises(NotFound, match="'pokes'"):
            await world.publish(Poked("a"))


def test_published_events_are_asked_for() -> None:
    """``one`` says what there is instead; ``where`` narrows; the rest is as for a list."""
    empty: Published[Poked] = Published("Poked", [])
    with pytest.raises(AssertionError, match="0 Poked"):
        empty.one()
    assert len(empty) == 0
    assert empty.all() == list(empty.where(lambda event: event.name == "a")) == []
