"""Breakers, whatever goes wrong: nothing is lost, order holds, no more is tried than they say; each guard is needed."""

import pytest

from mainstem.delivery.guards.breakers import Breakers
from mainstem.delivery.guards.held import HeldSequences
from mainstem.resilience import BreakerRule, BreakerState, Permit
from mainstem.testing.simulation import run_simulation
from tests.simulation.outages import scenario


def found() -> str:
    """What the first seed that fails says. Fails when none does."""
    for seed in range(60):
        try:
            run_simulation(scenario, seed=seed)
        except Exception as error:  # noqa: BLE001 - whatever is found
            return f"{type(error).__name__}: {error}"
    pytest.fail("nothing was found")


@pytest.mark.parametrize("seed", range(25))
def test_outages_cost_nothing(seed: int) -> None:
    """Providers are away for a while, and a bug is there for a while, with crashes and lost tasks beside."""
    run_simulation(scenario, seed=seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(25, 525))
def test_outages_cost_nothing_for_a_long_time(seed: int) -> None:
    """The same with five hundred seeds more."""
    run_simulation(scenario, seed=seed)


def test_without_breakers_events_die(monkeypatch: pytest.MonkeyPatch) -> None:
    """An outage that is longer than a policy ends in dead letters."""
    monkeypatch.setattr(Breakers, "gate", lambda _self, _handler, _event: None)
    monkeypatch.setattr(Breakers, "kill_switch", lambda _self, _handler: None)
    assert found()


def test_half_open_is_not_open_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """When each probe is let through, all that waits runs into the wall at once."""
    admit = BreakerRule.admit

    def generous(self: BreakerRule, state: BreakerState | None, now_ms: int) -> object:
        after, admission = admit(self, state, now_ms)
        return (after, admission if after.phase == "open" else Permit(after.generation, now_ms))

    monkeypatch.setattr(BreakerRule, "admit", generous)
    assert "at once" in found()


def test_what_waits_for_a_breaker_is_found_when_it_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the index nothing is tried again before an hour has passed."""
    monkeypatch.setattr(HeldSequences, "free", lambda *_: None)
    assert "an hour" in found()
