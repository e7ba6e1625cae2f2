"""A suite that nothing fails proves nothing: each planted defect is found by the rule that forbids it."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from mainstem.broker import Broker
from mainstem.errors import BrokerError
from mainstem.testing.conformance.broker import RULES, Harness, Rule, WithGaps, check
from mainstem.testing.conformance.broker.layer import Layer, LayeredHarness
from mainstem.testing.conformance.broker.stage import Stage, rule
from tests.conformance import defects
from tests.conformance.harnesses import InMemory, OnDisk

BY_NAME = {each.name: each for each in RULES}

PLANTED: list[tuple[type[Layer], str]] = [
    (defects.StandingTopicIds, "topics.a_recreated_topic_has_another_id"),
    (defects.Rash, "topics.what_is_needed_is_prepared"),
    (defects.Reordered, "records.records_come_back_in_order"),
    (defects.NoTombstones, "records.an_empty_value_is_no_tombstone"),
    (defects.SharedHeaders, "records.headers_come_back_with_their_record"),
    (defects.LateTimestamps, "records.an_offset_is_found_by_its_timestamp"),
    (defects.Doubling, "records.concurrent_producers_lose_and_double_nothing"),
    (defects.Spinning, "readers.a_wait_with_nothing_to_take_does_not_spin"),
    (defects.Starving, "readers.a_busy_partition_starves_no_other"),
    (defects.DeafPauses, "readers.a_paused_partition_is_left_out"),
    (defects.FactsAtOnce, "transactions.an_open_transaction_is_not_seen"),
    (defects.FactsAtOnce, "transactions.an_aborted_transaction_leaves_nothing"),
    (defects.FactsFirst, "transactions.a_refused_task_commit_leaves_nothing"),
    (defects.Swallowing, "transactions.every_input_must_be_named"),
    (defects.Shuffling, "membership.a_leaving_member_hands_its_tasks_over"),
    (defects.AlwaysConfirmed, "membership.the_group_confirms_an_assignment"),
    (defects.Hasty, "ownership.a_hand_over_takes_as_long_as_the_group_allows"),
    (defects.Unfenced, "ownership.taking_over_fences_the_older_owner"),
    (defects.Unfenced, "ownership.an_expelled_owner_is_fenced"),
    (defects.Unfenced, "ownership.a_member_fences_its_own_past"),
    (defects.UnfencedWithoutFacts, "ownership.an_owner_that_only_changes_a_store_is_fenced"),
    (defects.UnfencedWithoutEffects, "ownership.an_owner_that_changes_nothing_is_fenced"),
    (defects.ForgottenPositions, "ownership.positions_outlive_their_owner"),
    (defects.OutlivedPositions, "topics.positions_go_with_their_topic"),
    (defects.ForgottenPositions, "histories.records_are_counted_once_whatever_happens_to_members"),
    (defects.Usurping, "ownership.an_owner_that_only_changes_a_store_is_fenced"),
    (defects.Usurping, "histories.records_are_counted_once_whatever_happens_to_members"),
    (defects.StandingEpochs, "ownership.epochs_rise"),
    (defects.CarelessReset, "ownership.positions_are_reset_without_members_only"),
]

# What these broke is that something happens at all.
PLANTED_SILENCE: list[tuple[type[Layer], str]] = [
    (defects.Losing, "records.concurrent_producers_lose_and_double_nothing"),
    (defects.Losing, "histories.random_histories_agree_with_a_model"),
    (defects.EverybodyHasAll, "membership.members_share_all_tasks"),
    (defects.LostWakeUps, "readers.no_wake_up_is_lost"),
    (defects.OneWakeUp, "readers.every_waiting_reader_wakes"),
    (defects.SilentReset, "readers.an_offset_beyond_the_end_is_refused"),
    (defects.SilentReset, "upkeep.an_offset_that_retention_has_passed_is_refused"),
    (defects.NeverExpelled, "membership.an_expelled_member_is_told"),
    (defects.SilentToSpares, "membership.a_spare_member_takes_over"),
    (defects.Clinging, "membership.a_declined_task_goes_round"),
]

PLANTED_IN_GAPS: list[tuple[type[Layer], str]] = [
    (defects.CountedOffsets, "readers.next_offset_is_where_reading_goes_on"),
    (defects.SkippingGaps, "readers.gaps_are_passed"),
]


def impatient(harness: InMemory) -> InMemory:
    """The same harness, giving up soon: what it waits for in vain is not to be waited for long."""
    harness.capabilities = replace(harness.capabilities, patience_seconds=0.3)
    return harness


def broken(rule_name: str, harness: Harness) -> str:
    """The rule fails: by an assertion, and not by a mistake of its own. Returns what it says."""
    with pytest.raises(AssertionError) as failure:
        check(BY_NAME[rule_name], harness)
    return str(failure.value)


def named(each: object) -> str:
    """How a parameter stands in the name of a test."""
    return getattr(each, "__name__", str(each))


@pytest.mark.parametrize(("defect", "rule_name"), PLANTED, ids=named)
def test_a_defect_is_found(defect: type[Layer], rule_name: str) -> None:
    """A broker with the defect fails the rule, by what it shows and not by keeping it waiting."""
    assert "not within" not in broken(rule_name, LayeredHarness(InMemory(), defect()))


@pytest.mark.parametrize(("defect", "rule_name"), PLANTED_SILENCE, ids=named)
def test_what_never_happens_is_found(defect: type[Layer], rule_name: str) -> None:
    """A broker that keeps a rule waiting fails it after the patience of the harness."""
    assert "not within" in broken(rule_name, LayeredHarness(impatient(InMemory()), defect()))


@pytest.mark.parametrize(("defect", "rule_name"), PLANTED_IN_GAPS, ids=named)
def test_a_defect_in_gaps_is_found(defect: type[Layer], rule_name: str) -> None:
    """A broker that mistakes gaps in its offsets fails the rule on a log with gaps."""
    broken(rule_name, LayeredHarness(WithGaps(impatient(InMemory())), defect()))


@pytest.mark.parametrize("rule_name", sorted({name for _, name in PLANTED + PLANTED_SILENCE + PLANTED_IN_GAPS}))
def test_a_layer_without_a_defect_passes(rule_name: str) -> None:
    """It is the defect that fails the rule, not the layer that carries it."""
    check(BY_NAME[rule_name], LayeredHarness(WithGaps(InMemory()), Layer()))


class Neglected(InMemory):
    """Upkeep is promised and never done."""

    async def maintained(self) -> None:
        pass


@pytest.mark.parametrize(
    "rule_name",
    ["upkeep.old_records_leave", "upkeep.what_is_too_much_leaves", "upkeep.compaction_keeps_the_last_of_each_key"],
)
def test_upkeep_that_never_happens_is_found(rule_name: str) -> None:
    """Where nothing is ever taken away, the rules of upkeep fail."""
    broken(rule_name, Neglected())


class Forgetful(OnDisk):
    """Every client begins with a file of its own."""

    async def open(self) -> Broker:
        assert self._path is not None
        self._path = self._path.with_name(f"another-{self._path.name}")
        return await super().open()


@pytest.mark.parametrize(
    "rule_name",
    ["topics.topics_and_records_survive_a_restart", "topics.a_topic_is_there_for_every_client"],
)
def test_clients_that_share_nothing_are_found(rule_name: str, tmp_path: Path) -> None:
    """What is claimed to be durable and shared has to be both."""
    with pytest.raises((AssertionError, KeyError, BrokerError)):
        check(BY_NAME[rule_name], Forgetful(tmp_path))


def test_what_is_not_claimed_is_skipped_with_a_reason() -> None:
    """A rule that needs more than the backend claims is skipped, and the skip names flag and rule."""
    with pytest.raises(pytest.skip.Exception, match=r"does not claim durable: .*every client has gone"):
        check(BY_NAME["topics.topics_and_records_survive_a_restart"], InMemory())


def play(body: Callable[[Stage], Awaitable[None]]) -> Rule:
    """A rule of this test's own."""
    return rule()(body)


def test_a_rule_that_waits_for_ever_fails() -> None:
    """What does not happen within the patience of the harness is a failure that quotes the rule."""

    async def nothing_comes(stage: Stage) -> None:
        """Something comes."""
        await stage.take(await stage.reader(await stage.partition()))

    with pytest.raises(AssertionError, match="Something comes"):
        check(play(nothing_comes), impatient(InMemory()))


def test_more_records_than_were_appended_are_a_failure() -> None:
    """Reading compares what has come with what was asked for, also when too much has come."""

    async def too_many(stage: Stage) -> None:
        """One record."""
        at = await stage.partition()
        await stage.broker.log.append(at, stage.records("a", "b"))
        await stage.content(at, 1)

    with pytest.raises(AssertionError, match="2 records came, of 1"):
        check(play(too_many), InMemory())


def test_a_rule_names_capabilities_that_exist() -> None:
    """A rule that needs a flag which nobody can claim would never be played."""
    with pytest.raises(ValueError, match="telepathy"):
        rule("telepathy")


def test_every_rule_is_a_sentence() -> None:
    """The texts of the rules read as the specification, and no two rules have one name."""
    assert len(BY_NAME) == len(RULES)
    assert [each.name for each in RULES if not each.text.endswith(".") or len(each.text) < 30] == []
