"""The search: bugs that people write are found, made small and told; and what is sound is left in peace."""

import logging
import re

import pytest

from mainstem.errors import DefinitionError
from mainstem.testing import USUAL, SeedFailed, Simulation, World, fail, reorder, scenario, search
from mainstem.testing.searching import OPTIONS
from mainstem.testing.searching.plays import play
from mainstem.testing.stage import Script
from tests.rooms.testing import bugs
from tests.rooms.testing.bugs import Bank, Ordered, careful, every_order_is_charged_once, forgetful


def failure_of(simulation: Simulation, seeds: int = 200) -> SeedFailed:
    """What a search finds."""
    with pytest.raises(SeedFailed) as failed:
        search(simulation, seeds)
    return failed.value


def test_a_call_that_is_made_twice_is_found() -> None:
    """A crash between a call and the commit is enough, with one event; the story says so."""
    failed = failure_of(bugs.outside)
    assert failed.by == "every_order_is_charged_once"
    assert "expected: Every order is charged once." in failed.story
    assert "1 event of 6" in failed.story
    assert re.search(r", (no faults|1 fault) of ", failed.story)
    assert failed.story.count("calls Bank.charge(") == 2


def test_what_is_sound_holds() -> None:
    """With a key that the bank knows, nothing is found."""
    assert search(bugs.with_key, 60) == 60


def test_state_in_a_global_is_found() -> None:
    """What is remembered outside of the commit survives a run that has left no trace, and nobody is greeted."""
    failed = failure_of(bugs.in_a_global)
    assert failed.by == "customers_are_greeted_once"
    assert "1 event of 3, 1 fault of " in failed.story


def test_an_order_across_keys_is_found() -> None:
    """Two events on two partitions, of which one is read late, are enough."""
    failed = failure_of(bugs.across_keys)
    assert failed.by == "orders_are_entered_in_order"
    assert "2 events of 6, 1 fault of " in failed.story


def test_an_order_across_keys_needs_a_reader_that_is_late() -> None:
    """Where nothing is read late, and nobody dies, the same bug does not show."""
    calm = Simulation(
        bugs.numbering,
        scenario=bugs.one_order_after_the_other,
        invariants=[bugs.orders_are_entered_in_order],
        faults=[reorder(times=0)],
        replace={bugs.Ledger: bugs.Ledger},
    )
    assert search(calm, 20) == 20


def test_a_seed_is_enough() -> None:
    """The same seed fails again, in the same way; and so does its script, which is all that was decided by chance."""
    seed = failure_of(bugs.outside).seed
    first, second = play(bugs.outside, seed), play(bugs.outside, seed)
    assert first.script == second.script
    assert str(first.failure) == str(second.failure)
    traces: list[str] = []
    for script in (None, first.script):
        play(bugs.outside, seed, script, lambda world: traces.append(str(world.trace)))
    assert traces[0] == traces[1]


def test_what_is_left_out_is_not_done() -> None:
    """A script without the first three events, and without faults."""
    counts: list[int] = []
    script = Script(incidents=(), left_out=frozenset({0, 1, 2}), calm=True)
    ending = play(bugs.with_key, 1, script, lambda world: counts.append(len(world.published(Ordered))))
    assert (ending.failure, counts, ending.deeds) == (None, [3], 6)


async def counts_itself(world: World) -> None:
    """Expects what it has published, and not what is in the log."""
    await bugs.orders_come_in(world)
    await world.settle()
    assert len(world.stand_in(Bank).charged) == 6


def test_a_scenario_that_counts_itself_keeps_its_events() -> None:
    """Leaving an event out would make it fail for no other reason, so nothing is left out."""
    failed = failure_of(
        Simulation(forgetful, scenario=counts_itself, invariants=(), faults=USUAL, replace={Bank: Bank})
    )
    assert failed.by == "the scenario"
    assert "6 events of 6" in failed.story


def test_a_scenario_is_a_test() -> None:
    """The decorator makes a plain function of it, under its name, that fails with the story."""

    @scenario(forgetful, invariants=[every_order_is_charged_once], replace={Bank: Bank}, seeds=200)
    async def test_orders(world: World) -> None:
        """What is done."""
        await bugs.orders_come_in(world)

    assert (test_orders.__name__, test_orders.__doc__) == ("test_orders", "What is done.")
    with pytest.raises(SeedFailed, match="every_order_is_charged_once does not hold"):
        test_orders()


def test_the_faults_of_a_dependency_are_drawn() -> None:
    """What is added to the usual faults happens in about half of the seeds."""
    asked = Simulation(
        careful, scenario=bugs.orders_come_in, faults=[fail(Bank.charge, TimeoutError)], replace={Bank: Bank}
    )
    drawn = [asked.draw(seed)[0] for seed in range(1, 101)]
    assert 30 < sum(bool(each) for each in drawn) < 70
    assert asked.draw(0)[0] == ()


def test_seeds_may_be_chosen_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """What pytest was told goes before what the test says."""
    monkeypatch.setattr(OPTIONS, "seeds", 3)
    assert search(bugs.with_key, 50) == 3
    monkeypatch.setattr(OPTIONS, "seed", 17)
    assert search(bugs.with_key, 50) == 1


@pytest.mark.parametrize("times", [1, 2, 4])
def test_what_does_not_fail_again_is_not_made_small(times: int) -> None:
    """Nor is the story told of a run that has gone well: something else than the seed decides."""
    runs: list[World] = []

    async def fails_at_first(world: World) -> None:
        await bugs.orders_come_in(world)
        runs.append(world)
        assert len(runs) > times

    failed = failure_of(Simulation(careful, scenario=fails_at_first, invariants=(), replace={Bank: Bank}))
    assert (failed.seed, failed.by) == (0, "the scenario")
    assert "found: AssertionError" in failed.story
    assert "It did not fail again: not the seed alone decides" in failed.story
    assert "smallest" not in failed.story
    assert "calls Bank.charge(" not in failed.story


def test_what_fails_in_another_process_alone_is_told() -> None:
    """It is not lost because it holds in the process of whoever has asked."""
    with pytest.raises(SeedFailed, match="It did not fail again") as failed:
        search(bugs.elsewhere, 4, processes=2)
    assert (failed.value.seed, failed.value.by) == (0, "the scenario")


def test_several_processes_find_the_same_seed() -> None:
    """They share the seeds; the first that fails is told by the one who has asked."""
    seed = failure_of(bugs.outside).seed
    with pytest.raises(SeedFailed, match=f"seed {seed}:"):
        search(bugs.outside, range(seed, seed + 4), processes=2)


def test_a_simulation_without_a_name_is_searched_in_one_process() -> None:
    """Others could not find it."""
    nameless = Simulation(careful, scenario=bugs.orders_come_in, replace={Bank: Bank})
    with pytest.raises(DefinitionError, match="has no name in"):
        search(nameless, 10, processes=2)


def test_every_run_has_stand_ins_of_its_own() -> None:
    """An object would carry what one run has left in it into the next."""
    with pytest.raises(DefinitionError, match="every run needs one of its own"):
        Simulation(careful, scenario=bugs.orders_come_in, replace={Bank: Bank()})  # type: ignore[dict-item]


def test_a_search_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    """What the runtime has to say of thousands of faults is not said; afterwards it is again."""
    search(bugs.with_key, range(1, 8))
    assert caplog.records == []
    logging.getLogger("mainstem").warning("heard")
    assert [each.message for each in caplog.records] == ["heard"]
