"""Topics as they are and as services declare them, and the catalogue."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from mainstem import Service
from mainstem.broker import TopicDescription, TopicSpec
from mainstem.broker.sqlite.admin import SqliteAdmin
from mainstem.clock import SystemClock
from mainstem.errors import StartRefused
from mainstem.identifiers import Identifiers
from mainstem.service import connected, running
from tests.rooms.ops.conftest import SHOP, Shell
from tests.rooms.ops.shop import importer, loyalty

LOYALTY = f"{SHOP}:loyalty"


def create(shell: Shell, *specs: TopicSpec) -> None:
    """Create topics, as somebody else would."""

    async def make() -> None:
        clock = SystemClock()
        async with connected(shell.broker, clock, Identifiers(clock)) as broker:
            for spec in specs:
                await broker.admin.create(spec)

    asyncio.run(make())


def actions(steps: list[dict[str, Any]]) -> dict[str, str]:
    """What is planned for each topic."""
    return {str(step["name"]): str(step["action"]) for step in steps}


def test_a_plan_changes_nothing_and_applying_it_leaves_nothing_to_do(shell: Shell) -> None:
    """What is planned is what is applied; a second plan finds everything as declared."""
    create(shell, TopicSpec("other"))
    planned = shell.json("topics", "plan", LOYALTY)
    assert set(actions(planned).values()) == {"create"}
    assert [topic["name"] for topic in shell.json("topics", "list")] == ["other"]
    assert shell.json("topics", "apply", LOYALTY) == planned
    assert set(actions(shell.json("topics", "plan", LOYALTY)).values()) == {"keep"}
    found = {topic["name"]: topic for topic in shell.json("topics", "list")}
    assert found.keys() == {"other", *actions(planned)}
    assert (found["gold"]["partitions"], found["gold"]["retention_ms"]) == (1, 7 * 86_400_000)
    assert (found["gold"]["offsets"], found["other"]["offsets"]) == (0, 0)
    assert "offsets" in shell("topics", "list").stdout.splitlines()[0]


def test_of_other_topics_of_a_cluster_nothing_is_asked(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """There can be thousands, and describing them all took a minute for each command."""
    create(shell, TopicSpec("other"))
    describe = SqliteAdmin.topics
    asked: set[str] = set()

    async def topics(self: SqliteAdmin, names: Iterable[str] | None = None) -> Mapping[str, TopicDescription]:
        assert names is not None, "all topics are described"
        wanted = set(names)
        asked.update(wanted)
        return await describe(self, wanted)

    monkeypatch.setattr(SqliteAdmin, "topics", topics)
    shell.json("topics", "plan", LOYALTY)
    shell.json("topics", "apply", LOYALTY, "--delete", "gone")
    shell.json("publish", LOYALTY, "OrderPaid", '{"customer_id": "ada", "amount_cents": 1}', "--dev")
    assert {"gold", "gone", "orders"} <= asked
    assert "other" not in asked


def test_a_plan_needs_no_file_and_makes_none(shell: Shell) -> None:
    """Before the first apply everything is to be created, which is said, and the folder stays empty."""
    planned = shell.json("topics", "plan", LOYALTY)
    assert set(actions(planned).values()) == {"create"}
    assert "shop.db is not there yet; mainstem topics apply creates it" in shell("topics", "plan", LOYALTY).stdout
    assert list(shell.folder.iterdir()) == []
    assert shell.json("topics", "apply", LOYALTY) == planned


def test_what_is_applied_is_enough_for_production(shell: Shell) -> None:
    """A service refuses to start without --dev until its topics are applied, and starts then."""
    create(shell, TopicSpec("other"))

    async def start() -> None:
        async with running(loyalty, broker=shell.broker):
            pass

    with pytest.raises(StartRefused, match="mainstem topics apply"):
        asyncio.run(start())
    shell("topics", "apply", LOYALTY)
    asyncio.run(start())


def test_drift_is_shown_and_altered(shell: Shell) -> None:
    """Another retention is shown as it is and as it should be, and applying alters that topic alone."""
    shell("topics", "apply", LOYALTY)
    create(shell, TopicSpec("kept", 3))
    alter(shell, TopicSpec("gold", 1, retention_ms=60_000))
    steps = {step["name"]: step for step in shell.json("topics", "plan", LOYALTY)}
    assert [name for name, step in steps.items() if step["action"] != "keep"] == ["gold"]
    assert steps["gold"]["differs"] == {"retention_ms": [60_000, 7 * 86_400_000]}
    assert "alter       gold  retention_ms 60000 -> 604800000" in shell("topics", "plan", LOYALTY).stdout
    shell.json("topics", "apply", LOYALTY)
    assert set(actions(shell.json("topics", "plan", LOYALTY)).values()) == {"keep"}


def alter(shell: Shell, spec: TopicSpec) -> None:
    """Change a topic, as somebody else would."""

    async def change() -> None:
        clock = SystemClock()
        async with connected(shell.broker, clock, Identifiers(clock)) as broker:
            await broker.admin.alter(spec)

    asyncio.run(change())


def test_another_number_of_partitions_is_refused_and_nothing_is_done(shell: Shell) -> None:
    """A topic that cannot become what is declared is shown as refused, and stops everything else."""
    create(shell, TopicSpec("orders", 3))
    for words in ("plan", "apply"):
        result = shell("topics", words, LOYALTY)
        assert result.exit_code == 1
        assert "refuse      orders  partitions 3 -> 2" in result.stdout
        assert "create      gold" in result.stdout
        assert "the number of partitions never changes" in result.stderr
    assert [topic["name"] for topic in shell.json("topics", "list")] == ["orders"]


def test_what_the_runtime_needs_is_planned_as_well(shell: Shell) -> None:
    """The inbox, the dead letters and the answers of a group, and the catalogue: also of a group that never ran."""
    steps = {step["name"]: step for step in shell.json("topics", "apply", LOYALTY)}
    assert {"loyalty.inbox", "loyalty.dead-letters", "loyalty.answers", "mainstem.catalogue"} <= steps.keys()
    alter(shell, TopicSpec("loyalty.dead-letters", 2, compact=True, record_bytes_max=1_000_000))
    alter(shell, TopicSpec("loyalty.answers", 1, retention_ms=86_400_000, record_bytes_max=2_000_000))
    alter(shell, TopicSpec("loyalty.inbox", 2, retention_ms=1))
    steps = {step["name"]: step for step in shell.json("topics", "apply", LOYALTY)}
    assert {name: step["differs"] for name, step in steps.items() if step["action"] != "keep"} == {
        "loyalty.dead-letters": {"record_bytes_max": [1_000_000, 16_000_000]},
        "loyalty.inbox": {"retention_ms": [1, None]},
    }
    assert set(actions(shell.json("topics", "plan", LOYALTY)).values()) == {"keep"}


def test_a_larger_input_asks_for_larger_dead_letters(shell: Shell) -> None:
    """A dead letter tells its key several times, and a key may be as large as a record."""
    wide = {step["name"]: step["wanted"] for step in shell.json("topics", "plan", f"{SHOP}:wide")}
    assert wide["wide"]["record_bytes_max"] == 5_000_000
    assert wide["wide-reader.dead-letters"]["record_bytes_max"] == 30_000_000


def test_a_check_ends_with_a_code_of_its_own(shell: Shell) -> None:
    """Continuous integration sees the difference between nothing to do, something to do, and what cannot be."""
    assert shell("topics", "plan", LOYALTY).exit_code == 0
    assert shell("topics", "plan", LOYALTY, "--check").exit_code == 3
    shell.json("topics", "apply", LOYALTY)
    assert shell("topics", "plan", LOYALTY, "--check", "--json").exit_code == 0


def test_a_topic_is_deleted_when_it_is_named(shell: Shell) -> None:
    """What nobody needs goes, once; what a service or a group needs stays, and nothing else is done either."""
    create(shell, TopicSpec("other"), TopicSpec("kept"))
    named = ("--delete", "other")
    assert actions(shell.json("topics", "plan", LOYALTY, *named))["other"] == "delete"
    assert "deleted     other" in shell("topics", "apply", LOYALTY, *named).stdout
    assert actions(shell.json("topics", "apply", LOYALTY, *named))["other"] == "keep"
    assert "kept" in {topic["name"] for topic in shell.json("topics", "list")}

    async def start() -> None:
        async with shell.running(importer):
            pass

    asyncio.run(start())
    for needed in ("loyalty.inbox", "erp", "importer.inbox", "importer.dead-letters"):
        result = shell("topics", "apply", LOYALTY, "--delete", needed)
        assert result.exit_code == 1
        assert needed in result.stderr
        assert "needs the topic" in result.stderr
    assert {"loyalty.inbox", "erp", "importer.inbox"} <= {topic["name"] for topic in shell.json("topics", "list")}


def test_several_services_are_planned_together(shell: Shell) -> None:
    """Topics that services share stand in a plan once; services of a broken declaration are refused."""
    both = actions(shell.json("topics", "apply", LOYALTY, f"{SHOP}:importer"))
    assert {"orders", "erp", "importer.dead-letters", "loyalty.dead-letters"} <= both.keys()
    result = shell("topics", "plan", f"{SHOP}:listener")
    assert result.exit_code == 1
    assert "may not publish Counted" in result.stderr


def test_the_catalogue_says_who_does_what(shell: Shell) -> None:
    """A group that has been started is listed with what it publishes, takes, remembers and waits for."""
    create(shell, TopicSpec("other"))
    assert shell.json("services") == []

    async def start(*services: Service) -> None:
        async with shell.running(*services):
            pass

    asyncio.run(start(loyalty))
    [entry] = shell.json("services")
    assert (entry["service"], entry["group"]) == ("loyalty", "loyalty")
    text = shell("services").stdout
    assert "publishes OrderPaid v1 on orders, Shop.GoldReached v1 on gold" in text
    assert "tally takes OrderPaid v1 on orders -> Shop.GoldReached" in text
    assert "remind takes the timer remind" in text
    assert "remembers spent v1 by key" in text
