"""Nothing lost, nothing applied twice, everything in order, whatever goes wrong: over many seeds."""

import pytest

from mainstem.testing import search
from tests.simulation.accounts import scenario


def test_everything_adds_up() -> None:
    """A hundred seeds of crashes, lost owners, lost answers, retries, parked keys, timers and checkpoints."""
    search(scenario, 100)


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_everything_adds_up_for_a_long_time() -> None:
    """The same with twenty thousand seeds, on two cores."""
    search(scenario, range(100, 20_100), processes=2)
