"""Workers that die, stand still, are cut off, or do not hear how a commit ended: the effect is still exactly once."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from mainstem.errors import DefinitionError
from mainstem.testing import (
    POINTS,
    Fault,
    World,
    assign_twice,
    crash,
    fail,
    jump,
    lose_answer,
    lose_ownership,
    outage,
    rebalance,
    refuse_commit,
    reorder,
    simulate,
    simulated,
    slow,
    stall,
)
from tests.rooms.testing.billing import Bank, OrderPlaced, PatientBank, PaymentTaken, billing, charged, take_payment

ORDERS = [OrderPlaced(f"o-{number}", "c-9", 100 + number) for number in range(3)]


async def run_with(*faults: Fault, workers: int = 2, seed: int | None = None) -> tuple[World, PatientBank]:
    """Place a few orders among these faults; each is paid for exactly once."""
    bank = PatientBank()
    async with simulate(billing, replace={Bank: bank}, workers=workers, faults=faults, seed=seed) as world:
        await world.publish(*ORDERS)
        await world.advance("1h")
        payments = world.published(PaymentTaken)
        assert sorted(payment.order_id for payment in payments) == ["o-0", "o-1", "o-2"]
        assert len({fact.id for fact in payments.facts}) == 3
        assert world.values(charged) == {order.order_id.encode(): order.amount_cents for order in ORDERS}
        return world, bank


def steps(world: World, what: str) -> list[str]:
    """What the trace says of one kind of step."""
    return [step.about for step in world.trace.steps if step.what == what]


@pytest.mark.parametrize("point", POINTS)
@simulated
async def test_a_worker_may_die_at_any_step(point: str) -> None:
    """It ends there, another life begins, and every order is paid for once."""
    world, _ = await run_with(crash(point, times=2))
    assert len(steps(world, "crash")) == 2
    assert all(point in each for each in steps(world, "crash"))
    assert len(steps(world, "start")) == 4


@simulated
async def test_a_worker_may_die_inside_a_handler() -> None:
    """It never comes back to the call it was in; the call is made again, with the same key."""
    world, bank = await run_with(crash(Bank.charge), workers=1)
    assert steps(world, "crash") == ["worker 0 at Bank.charge"]
    assert len(set(bank.keys)) == 3
    assert sum("take_payment" in each for each in steps(world, "handler begins")) > 3


@simulated
async def test_a_worker_that_does_not_return_is_replaced() -> None:
    """The others take its tasks over after the session timeout, or sooner."""
    world, _ = await run_with(crash(take_payment, restart_after=None))
    assert len(steps(world, "start")) == 2


@pytest.mark.parametrize("stand_still", [False, True])
@simulated
async def test_another_worker_takes_over_while_the_old_one_is_there(*, stand_still: bool) -> None:
    """The old owner runs on, or goes on later where it was; what it commits then is refused."""
    world, bank = await run_with(lose_ownership("handler.end", worker=0, stand_still=stand_still))
    assert len(steps(world, "stall" if stand_still else "cut off")) == 1
    assert len(steps(world, "go on")) == 1
    assert len(set(bank.keys)) == 3


@simulated
async def test_a_commit_in_the_hands_of_a_worker_that_stood_still_is_fenced() -> None:
    """It stands still with a transaction that is not written yet; when it goes on, the file refuses it."""
    world, _ = await run_with(lose_ownership("commit.commit", worker=0, stand_still=True))
    failed = [step for step in world.trace.steps if step.what == "commit failed"]
    assert failed
    assert all("Another owner has taken the task over" in step.about and step.process == "worker 0" for step in failed)


@pytest.mark.parametrize(
    "fault", [refuse_commit, lambda: lose_answer(happened=True), lambda: lose_answer(happened=False)]
)
@simulated
async def test_a_commit_may_end_badly(fault: Callable[[], Fault]) -> None:
    """Refused, or nobody knows: the task is taken over again, and goes on from what is in the file."""
    world, _ = await run_with(fault())
    assert len(steps(world, "commit failed")) == 1


@simulated
async def test_a_worker_may_be_restarted() -> None:
    """It drains and starts again, as in a rolling deployment, also in the middle of a commit."""
    world, _ = await run_with(rebalance("commit.append"))
    assert len(steps(world, "stop")) == 1
    assert len(steps(world, "start")) == 3


@simulated
async def test_a_task_may_be_assigned_twice() -> None:
    """Another worker hears that it has the tasks as well, takes them over, and both go on as the group says."""
    world, _ = await run_with(assign_twice("handler.begin"))
    assert len(steps(world, "assigned twice")) == 1
    rumoured = [each for each in steps(world, "is assigned") if each == "billing: [0, 1, 2, 3, 4, 5, 6, 7]"]
    assert rumoured


@simulated
async def test_the_broker_may_be_away() -> None:
    """Commits wait, publishes wait, nothing is read; afterwards everything goes on."""
    world, _ = await run_with(outage("handler.end", by="30s"))
    (away,) = [step.seconds for step in world.trace.steps if step.what == "broker away"]
    (back,) = [step.seconds for step in world.trace.steps if step.what == "broker back"]
    assert round(back - away) == 30
    done = [step.seconds for step in world.trace.steps if step.what in ("has committed", "published")]
    assert not [each for each in done if away + 1 < each < back]


@pytest.mark.parametrize("back", [False, True])
@simulated
async def test_the_clock_may_jump(*, back: bool) -> None:
    """All see another time from then on."""
    world, _ = await run_with(jump("10m", "handler.begin", back=back))
    assert steps(world, "clock jumps") == ["-600 s" if back else "+600 s"]


@simulated
async def test_a_partition_may_be_read_late() -> None:
    """What the others hold is handled first; in a partition the order stays what it is."""
    async with simulate(billing, replace={Bank: PatientBank()}, faults=[reorder(by="5s", times=1)]) as world:
        for order in ORDERS:
            await world.publish(order)
            await world.advance("1s")
        await world.settle()
        first = next(step for step in world.trace.steps if step.what == "handler begins")
        late = next(step for step in world.trace.steps if step.what == "goes wrong")
        assert "is read 5 s late" in late.about
        assert first.places != late.places
        assert len(world.published(PaymentTaken)) == 3


@simulated
async def test_a_short_pause_loses_nothing() -> None:
    """A worker that stands still for less than the session timeout keeps its tasks."""
    world, bank = await run_with(stall("commit.append", by="3s", times=3))
    assert len(steps(world, "stall")) == 3
    assert len(bank.keys) == 3
    assert steps(world, "commit failed") == []


@simulated
async def test_the_test_itself_lets_workers_die() -> None:
    """``world.crash`` and ``world.lose_ownership`` do at once what faults do at their points."""
    async with simulate(billing, replace={Bank: PatientBank()}, workers=2) as world:
        await world.publish(*ORDERS)
        await world.advance("1s")
        world.crash(0)
        world.lose_ownership(1)
        await world.settle()
        assert len(world.published(PaymentTaken)) == 3
        assert steps(world, "crash") == ["worker 0 at the test"]


@simulated
async def test_a_rolling_restart_loses_nothing() -> None:
    """A worker that is stopped drains: it finishes what it has begun, and nothing is begun twice."""
    bank = PatientBank()
    async with simulate(billing, replace={Bank: bank}, workers=2) as world:
        await world.publish(*ORDERS)
        await world.advance("1s")
        for worker in (0, 1):
            await world.restart(worker)
        await world.advance("10s")
        assert len(bank.keys) == len(world.published(PaymentTaken)) == 3
        assert steps(world, "start") == ["worker 0", "worker 1"] * 2


@simulated
async def test_a_worker_that_dies_while_it_drains_starts_once() -> None:
    """The one life that follows is the one that the crash asks for."""
    async with simulate(billing, replace={Bank: PatientBank()}, faults=[crash("handler.end")]) as world:
        await world.publish(*ORDERS)
        await world.advance("1s")
        await world.restart()
        await world.settle()
        assert len(steps(world, "start")) == 2
        assert len(world.published(PaymentTaken)) == 3


@simulated
async def test_an_unknown_point_is_refused() -> None:
    """A fault at a point that does not exist would never happen."""
    with pytest.raises(DefinitionError, match=r"commit\.apend") as refused:
        async with simulate(billing, replace={Bank: PatientBank()}, faults=[crash("commit.apend")]):
            pass
    assert refused.value.remedy == "did you mean 'commit.append'?"


@pytest.mark.parametrize("make", [lambda: fail("send", OSError), lambda: slow("send", "1s")])  # type: ignore[arg-type]
def test_a_function_is_not_called_by_a_name(make: Callable[[], Fault]) -> None:
    """A handler that is to fail is passed itself; that is said where its name was written."""
    with pytest.raises(DefinitionError, match=r"\('send', \.\.\.\) names no function") as refused:
        make()
    assert refused.value.remedy.startswith("pass the function itself: ")
    assert refused.value.remedy.endswith("(send, ...)")


# -- the same again

MISCHIEF = (crash(probability=0.01, times=3), lose_ownership(probability=0.01), stall(by="2s", probability=0.02))


@simulated
async def told(seed: int) -> str:
    """The trace of a run among faults that the seed decides on."""
    world, _ = await run_with(*MISCHIEF, workers=3, seed=seed)
    return str(world.trace)


def test_the_same_seed_gives_the_same_trace() -> None:
    """Step by step, with the same times; and another seed gives another one."""
    traces = [told(seed) for seed in range(8)]
    assert [told(seed) for seed in range(8)] == traces
    assert len(set(traces)) == 8


def test_the_same_seed_gives_the_same_trace_in_another_process() -> None:
    """Nothing in it depends on the order of sets, on addresses or on what ran before."""
    program = "from tests.rooms.testing.test_faults import told; print(told(5))"
    runs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": path()},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1] == told(5) + "\n"


def path() -> str:
    """Where this process finds its modules."""
    return ":".join(each or "." for each in sys.path)
