"""Nothing lost, nothing applied twice, everything in order, whatever goes wrong: over many seeds."""

import pytest

from mainstem.testing import Simulation, search
from tests.simulation import accounts, bells, parties, shop

SIMULATIONS = [
    pytest.param(accounts.simulation, id="stores, timers, checkpoints, parked keys, redrive"),
    pytest.param(bells.simulation, id="firings that set, cancel and checkpoint"),
    pytest.param(shop.simulation, id="services, groups, batches, pauses, plain functions"),
    pytest.param(parties.simulation, id="parties, and who waives the order"),
]


@pytest.mark.parametrize("simulation", SIMULATIONS)
def test_everything_adds_up(simulation: Simulation) -> None:
    """Some seeds of everything that usually goes wrong, and of failing handlers."""
    search(simulation, 60)


@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("simulation", SIMULATIONS)
def test_everything_adds_up_for_a_long_time(simulation: Simulation) -> None:
    """The same with many thousand seeds more, on two cores."""
    search(simulation, range(60, 10_060), processes=2)
