"""The event loop in virtual time, and the processes on it."""

import asyncio
import inspect

import pytest

from mainstem.errors import DefinitionError
from mainstem.testing import SimulationLoop, SimulationStuck, run_simulation, simulated
from mainstem.testing.simulation.process import Process


def test_time_costs_nothing() -> None:
    """A sleep of a year is over at once, and the clock says that a year has passed."""

    async def sleeper() -> float:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(365 * 86_400)
        assert isinstance(loop, SimulationLoop)
        assert loop.clock.monotonic() == loop.time()
        return loop.time()

    assert run_simulation(sleeper) == pytest.approx(365 * 86_400)


def test_many_small_sleeps_add_up_after_a_long_time() -> None:
    """Even when a float can hardly tell the moments apart, timers fire in turn, and time goes on."""

    async def sleeper() -> float:
        await asyncio.sleep(3e8)
        for _ in range(1_000):
            await asyncio.sleep(0.01)
        return asyncio.get_running_loop().time()

    assert run_simulation(sleeper) == pytest.approx(3e8 + 10, abs=0.1)


def test_callbacks_keep_their_order() -> None:
    """What is called soon is called in the order in which it was asked for, and timers by their time."""
    seen: list[str] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(2, seen.append, "2 s")
        loop.call_later(1, seen.append, "1 s")
        for name in ("a", "b", "c"):
            loop.call_soon(seen.append, name)
        await asyncio.sleep(3)

    run_simulation(scenario)
    assert seen == ["a", "b", "c", "1 s", "2 s"]


def test_a_deadlock_is_an_error_that_says_where() -> None:
    """When nobody can go on and no timer is set, the error names the tasks and the lines at which they wait."""

    async def waits_for_nothing() -> None:
        await asyncio.Event().wait()

    with pytest.raises(SimulationStuck, match=r"test_loop\.py:\d+ in .*waits_for_nothing"):
        run_simulation(waits_for_nothing)


def test_turning_without_waiting_is_an_error() -> None:
    """A loop that looks again and again while time stands still is found."""

    async def turns() -> None:
        loop, again = asyncio.get_running_loop(), asyncio.Event()

        def turn() -> None:
            loop.call_soon(turn)

        turn()
        await again.wait()

    with pytest.raises(SimulationStuck, match="turns of the event loop"):
        run_simulation(turns)


def test_a_real_socket_is_refused() -> None:
    """Nobody connects to anything from within virtual time."""

    async def connects() -> None:
        await asyncio.open_connection("127.0.0.1", 9)

    with pytest.raises(SimulationStuck, match="reaches out of the simulation"):
        run_simulation(connects)


def test_a_name_is_not_looked_up() -> None:
    """The network is refused before any packet leaves."""

    async def asks() -> None:
        await asyncio.get_running_loop().getaddrinfo("mainstem.invalid", 80)

    with pytest.raises(SimulationStuck, match=r"mainstem\.invalid"):
        run_simulation(asks)


def test_threads_are_played_in_place() -> None:
    """What would go to a thread runs at once; its result and its error arrive as they would."""

    async def scenario() -> int:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        return await asyncio.to_thread(lambda: 7)

    assert run_simulation(scenario) == 7


def test_a_simulated_test_takes_arguments() -> None:
    """The decorated function passes on what a test runner gives it."""

    @simulated
    async def add(one: int, two: int) -> int:
        await asyncio.sleep(1)
        return one + two

    assert not inspect.iscoroutinefunction(add)
    assert add(1, two=2) == 3


def test_a_process_that_has_ended_runs_nothing() -> None:
    """Neither its tasks nor its callbacks, and no ``finally``, until the simulation is over."""
    seen: list[str] = []

    async def life() -> None:
        try:
            while True:
                await asyncio.sleep(1)
                seen.append("alive")
        finally:
            seen.append("finally")

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulationLoop)
        process = Process("p")
        task = loop.create_task(life(), context=process.context())
        await asyncio.sleep(2.5)
        process.end()
        await asyncio.sleep(100)
        assert seen == ["alive", "alive"]
        assert loop.tasks_of(process) == [task]
        task.cancel()
        process.unwind(loop)
        await asyncio.wait([task])

    run_simulation(scenario)
    assert seen == ["alive", "alive", "finally"]


def test_a_process_that_stood_still_goes_on_where_it_was() -> None:
    """What it has missed runs late, in order; its neighbour has not waited for it."""
    seen: list[tuple[str, float]] = []

    async def life(name: str) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(3):
            await asyncio.sleep(1)
            seen.append((name, loop.time()))

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        still, other = Process("still"), Process("other")
        tasks = [
            loop.create_task(life("still"), context=still.context()),
            loop.create_task(life("other"), context=other.context()),
        ]
        await asyncio.sleep(1.5)
        still.stalled = True
        await asyncio.sleep(8.5)
        still.go_on(loop)
        await asyncio.wait(tasks)

    run_simulation(scenario)
    assert [time for name, time in seen if name == "still"] == pytest.approx([1, 10, 11])
    assert [time for name, time in seen if name == "other"] == pytest.approx([1, 2, 3])


def test_what_is_cancelled_while_a_process_stands_still_never_runs() -> None:
    """Its turn had come and was held back; as in asyncio, a handle that is cancelled is never called."""
    seen: list[str] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulationLoop)
        process = Process("shop")
        context = process.context()
        process.stalled = True
        soon = loop.call_soon(seen.append, "soon", context=context)
        later = loop.call_later(1, seen.append, "later", context=context)
        loop.call_later(1, seen.append, "kept", context=context)
        last = loop.call_later(1, seen.append, "last", context=context)
        await asyncio.sleep(2)
        soon.cancel()
        later.cancel()
        process.go_on(loop)
        last.cancel()
        await asyncio.sleep(1)

    run_simulation(scenario)
    assert seen == ["kept"]


def test_only_coroutines_are_simulated() -> None:
    """What is an ordinary function is refused where it is decorated, and not when it has already run."""
    with pytest.raises(DefinitionError, match="no coroutine function"):

        @simulated  # type: ignore[arg-type]
        def ordinary() -> None:
            raise AssertionError
