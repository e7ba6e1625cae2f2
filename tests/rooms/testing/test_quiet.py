"""A simulation that goes well says nothing of errors: what it has cancelled itself is nobody's mistake."""

import asyncio

import pytest

from mainstem import IntegrationEvent, Retry, Service
from mainstem.errors import MainstemError
from mainstem.testing import crash, run_simulation, simulate
from tests.rooms.testing.billing import Bank, OrderPlaced, PatientBank, PaymentTaken, billing


@pytest.mark.parametrize("seed", range(6))
def test_workers_that_die_in_their_commits_leave_no_errors_in_the_log(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    """What was cancelled before the worker died is not called back when its remains are swept up."""

    async def scenario() -> None:
        faults = [crash("commit.append", times=3)]
        async with simulate(billing, replace={Bank: PatientBank()}, workers=2, faults=faults) as world:
            await world.publish(*(OrderPlaced(f"o-{number}", "c-9", 100) for number in range(8)))
            await world.settle()
            assert len(world.published(PaymentTaken)) == 8

    run_simulation(scenario, seed=seed)
    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == []
    assert "was cancelled" not in caplog.text


def test_a_handler_that_the_simulation_sweeps_up_has_not_failed(caplog: pytest.LogCaptureFixture) -> None:
    """Neither where the worker crashed around it nor where it was stuck."""

    class Asked(IntegrationEvent, topic="questions", key="name"):
        name: str

    waiting = Service("waiting")

    @waiting.on(Asked, retry=Retry.never())
    async def wait(event: Asked) -> None:
        await asyncio.Event().wait()

    async def scenario(*, crashed: bool) -> None:
        async with simulate(waiting) as world:
            await world.publish(Asked("a"), Asked("b"))
            await world.advance("1s")
            if crashed:
                world.crash(0, restart_after=None)
            else:
                await world.settle()

    run_simulation(lambda: scenario(crashed=True))
    with pytest.raises(MainstemError, match="waits for what never comes"):
        run_simulation(lambda: scenario(crashed=False))
    assert caplog.messages == [each for each in caplog.messages if "failed (" not in each]
    assert "cancelled" not in caplog.text
