"""Nothing lost, nothing applied twice, everything in order, whatever goes wrong: over many seeds."""

import pytest

from mainstem.testing import search
from mainstem.testing.search import Scenario
from tests.simulation import accounts, bells, parties, shop

SCENARIOS = [
    pytest.param(accounts.scenario, id="stores, timers, checkpoints, parked keys"),
    pytest.param(bells.scenario, id="firings that set, cancel and checkpoint"),
    pytest.param(shop.scenario, id="services, groups, batches, plain functions"),
    pytest.param(parties.scenario, id="parties, and who waives the order"),
]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_everything_adds_up(scenario: Scenario) -> None:
    """Some seeds of crashes at every step, lost owners, lost answers, failing handlers and slow processes."""
    search(scenario, 60)


@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_everything_adds_up_for_a_long_time(scenario: Scenario) -> None:
    """The same with two thousand seeds more, on two cores."""
    search(scenario, range(60, 2_060), processes=2)
