"""A group before it runs: what it reads, and every fault that can be found before the first event."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from mainstem.broker import TopicPartition
from mainstem.delivery import Cron, Outputs, Plan, Processor, Recurring, Retry, Store, faults_of, tasks_for
from mainstem.events import IntegrationEvent, Topic, declaration_of
from mainstem.settings import Settings


class Paid(IntegrationEvent, topic="orders", key="order", was=("Settled",)):
    """Keyed."""

    order: str


class Shipped(IntegrationEvent, topic="parcels", key="order"):
    """Keyed, on another topic."""

    order: str


class Said(IntegrationEvent, topic="talk"):
    """Without a key."""


class SecondPaid(IntegrationEvent, topic="orders", key="order", name="Settled"):
    """Has the old name of another type."""

    order: str


@dataclass
class Foreign:
    """An event of somebody else."""

    order: str


@dataclass
class Other:
    """Another one."""

    order: str


BARE = Topic("foreign", Foreign, envelope=None)
OTHER_BARE = Topic("foreign", Other, envelope=None)
WRAPPED = Topic("foreign", Other)


def handler(name: str, *types: Any, **options: Any) -> Processor:
    """A processor that does nothing."""
    inputs = tuple(declaration_of(each) for each in types)
    return Processor(name=name, call=lambda *_: None, inputs=inputs, **options)


def plan(*processors: Processor, partitions: dict[str, int] | None = None, **options: Any) -> Plan:
    """A group of these."""
    counts = partitions or {each.topic: 4 for processor in processors for each in processor.inputs}
    given: dict[str, Any] = {"service": "shop", "group": "shop", "outputs": Outputs([], {}, "/shop"), **options}
    return Plan(processors=processors, partitions=counts, **given)


KEYED = {"spent": Store("spent", int)}
FREE = {"top": Store("top", int, scope="partition")}


@pytest.mark.parametrize(
    "right",
    [
        plan(handler("a", Paid), handler("b", Paid), handler("c", Shipped)),
        plan(handler("a", Paid, Shipped), partitions={"orders": 3, "parcels": 12}),
        plan(handler("a", Paid, Shipped), partitions={"orders": 12, "parcels": 12}, stores=KEYED, tasks=5),
        plan(handler("a", Paid, Said), partitions={"orders": 3, "talk": 12}, stores=KEYED),
        plan(handler("a", Paid, Shipped), partitions={"orders": 3, "parcels": 12}, stores=FREE, lanes=1),
        plan(handler("a", Paid, batch=True), lanes=1),
        plan(handler("a", timer="x"), handler("b", timer="y")),
        plan(handler("a", BARE), handler("b", BARE)),
        plan(handler("a", Paid, retry=Retry.on(OSError).inline(1)), handler("b", Paid), delivery="at_least_once"),
        plan(),
        plan(
            handler("a", Paid),
            handler("b", Shipped, stores=frozenset()),
            partitions={"orders": 3, "parcels": 12},
            stores=KEYED,
        ),
    ],
)
def test_what_works_has_no_faults(right: Plan) -> None:
    """Different counts without shared stores, several handlers of a type, batches in a single lane: all fine."""
    assert faults_of(right) == []


def test_a_schedule_waits_with_nobody() -> None:
    """Its runs have no key; whoever uses a store would wait behind all of it otherwise, and for one another."""
    hourly = Recurring(Cron("0 * * * *", "UTC"), "skip")
    made = plan(handler("a", Paid), handler("b", Paid), handler("s", timer="$cron:s", schedule=hourly), stores=KEYED)
    assert {name: sorted(party) for name, party in made.parties().items()} == {
        "a": ["a", "b"],
        "b": ["a", "b"],
        "s": ["s"],
    }


@pytest.mark.parametrize(
    ("wrong", "what", "remedy"),
    [
        (plan(handler("a", Paid), handler("a", Shipped)), "two handlers of 'shop' are called 'a'", 'name="..."'),
        (plan(handler("a", Paid), handler("b", Shipped, was=("a",))), "two handlers of 'shop' are called 'a'", "name="),
        (plan(handler("a", timer="x"), handler("b", timer="x")), "two handlers for the timer 'x': 'a' and 'b'", "one"),
        (plan(handler("a", Paid, batch=True), lanes=2), "the batch handler 'a' needs lanes=1", "lanes=1"),
        (plan(handler("a", Paid), stores=FREE), "the store 'top' has scope=\"partition\"", "lanes=1"),
        (
            plan(handler("a", Paid), handler("b", Shipped), partitions={"orders": 3, "parcels": 12}, stores=KEYED),
            "different partition counts: {'orders': 3, 'parcels': 12}",
            "a group of its own",
        ),
        (
            plan(handler("a", Paid, BARE), partitions={"orders": 3, "foreign": 12}, stores=KEYED),
            "different partition counts",
            "a group of its own",
        ),
        (plan(handler("a", Paid, SecondPaid)), "Settled on 'orders' would be two types: Paid and SecondPaid", "same"),
        (plan(handler("a", BARE), handler("b", OTHER_BARE)), "the records on 'foreign' would be two types", "same"),
        (
            plan(handler("a", BARE), handler("b", WRAPPED)),
            "'foreign' is declared with and without an envelope",
            "alike",
        ),
        (
            plan(handler("a", Paid), handler("b", timer="x"), stores=KEYED, delivery="at_least_once"),
            "is delivered at least once, and has the store 'spent', the timer 'x'",
            'delivery="exactly_once"',
        ),
        (
            plan(handler("a", Paid, retry=Retry.on(OSError).inline(1).later("1m")), delivery="at_least_once"),
            "handler 'a' of 'shop' is to be tried again later",
            "leave out later(...)",
        ),
    ],
)
def test_each_fault_is_found(wrong: Plan, what: str, remedy: str) -> None:
    """It says what is wrong and what to do, and nothing else is found."""
    [fault] = faults_of(wrong)
    assert what in str(fault)
    assert remedy in fault.remedy


def test_all_faults_are_found_at_once() -> None:
    """A plan with four mistakes has four faults, so that all can be mended before the next start."""
    wrong = plan(
        handler("a", Paid, batch=True),
        handler("a", Shipped),
        partitions={"orders": 3, "parcels": 12},
        stores={**KEYED, **FREE},
        lanes=8,
    )
    assert len(faults_of(wrong)) == 4
    assert len(faults_of(replace(wrong, lanes=1))) == 2


def test_the_number_of_tasks() -> None:
    """As many as the largest input has partitions; of more than 32, the largest divisor up to 32; at least one."""
    counts = [[], [1], [3, 12, 8], [32], [33], [37], [48], [64], [100], [36, 7]]
    assert [tasks_for(each) for each in counts] == [1, 1, 12, 32, 11, 1, 24, 32, 25, 18]


def test_every_partition_has_one_task() -> None:
    """Task n reads partition n of the inbox and every p with p mod tasks = n: each exactly once, the inbox first."""
    group = plan(handler("a", Paid, Shipped), partitions={"orders": 12, "parcels": 5}, tasks=5)
    read = [at for task in range(5) for at in group.inputs_of(task)]
    assert len(read) == len(set(read)) == 12 + 5 + 5
    for task in range(5):
        inbox, *others = group.inputs_of(task)
        assert inbox == TopicPartition("shop.inbox", task)
        assert all(at.partition % 5 == task for at in others)


def test_routes_know_old_names() -> None:
    """Events under a name that the type had before go to the same handlers, in order of registration."""
    routes = plan(handler("a", Paid), handler("b", Shipped), handler("c", Paid)).routes()
    assert {at: [each.name for each in route.processors] for at, route in routes.items()} == {
        ("orders", "Paid"): ["a", "c"],
        ("orders", "Settled"): ["a", "c"],
        ("parcels", "Shipped"): ["b"],
    }
    assert set(plan(handler("a", BARE)).routes()) == {("foreign", None)}


def test_what_a_group_is_joined_with() -> None:
    """Names of its topics, the counts that the first join records, and how long its owners may drain."""
    group = plan(handler("a", Paid), handler("t", timer="x"), partitions={"orders": 6}, tasks=6)
    spec = group.spec(Settings(session_timeout_seconds=7.5, grace_seconds=90))
    assert (spec.name, spec.service, spec.tasks, dict(spec.inputs)) == ("shop", "shop", 6, {"orders": 6})
    assert (spec.session_timeout_seconds, spec.inbox) == (7.5, group.inbox)
    assert (spec.grace_seconds, spec.hand_over_seconds) == (90, 97.5)
    assert (group.audit, list(group.timers())) == ("shop.dead-letters", ["x"])
