"""What services need of a cluster is planned and applied: topics, those of the runtime, and sessions of groups."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from mainstem.broker import GroupSpec
from mainstem.broker.kafka import KafkaBroker
from tests.rooms.ops.conftest import Shell

SERVICE = """
from mainstem import IntegrationEvent, Service

class Sold(IntegrationEvent, topic="{name}-sold", key="shop"):
    shop: str

class Told(IntegrationEvent, topic="{name}-told", key="shop"):
    shop: str

desk = Service("{name}")
desk.topic("{name}-sold", partitions=2, retention="7d", record_bytes_max=3_000_000)

@desk.on(Sold)
async def tell(sold: Sold) -> Told:
    return Told(sold.shop)
"""


class Desk:
    """A service of its own, and the command line on a cluster."""

    def __init__(self, kafka: str, admin: AdminClient, folder: Path, name: str) -> None:
        self.name = name
        self.admin = admin
        module = name.replace("-", "_")
        (folder / f"{module}.py").write_text(SERVICE.format(name=name))
        self.service = f"{module}:desk"
        self._url = f"kafka://{kafka}?state_folder={folder}/state"
        self._folder = folder

    def __call__(self, *words: str, options: str = "", code: int = 0) -> dict[str, dict[str, Any]]:
        """Give a command; its steps by name, without the name's beginning."""
        shell = Shell(self._folder, "")
        result = shell("topics", *words, "--json", "--broker", self._url + options)
        assert result.exit_code == code, result.output
        steps = msgspec.json.decode(result.stdout)
        return {f"{step['kind']} {step['name'].removeprefix(self.name)}": step for step in steps}

    def said(self, command: str, options: str) -> str:
        """What a person reads of a command about the service."""
        shell = Shell(self._folder, "")
        return shell("topics", command, self.service, "--broker", self._url + options).stdout

    def plan(self, *words: str, options: str = "", code: int = 0) -> dict[str, dict[str, Any]]:
        """What is not as it should be."""
        steps = self("plan", self.service, *words, options=options, code=code)
        return {name: step for name, step in steps.items() if step["action"] != "keep"}

    def set(self, name: str, **settings: str) -> None:
        """Alter a topic, as somebody else would."""
        entries = [
            ConfigEntry(key.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
            for key, value in settings.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, self.name + name, incremental_configs=entries)
        self.admin.incremental_alter_configs([resource])[resource].result()

    def get(self, name: str, kind: ResourceType = ResourceType.TOPIC) -> dict[str, str]:
        """The settings of a topic, or of a group."""
        resource = ConfigResource(kind, self.name + name)
        found = self.admin.describe_configs([resource])[resource].result()
        return {key: entry.value or "" for key, entry in found.items()}


@pytest.fixture
def desk(
    kafka: str,
    kafka_admin: AdminClient,
    unique: Callable[[str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    """A service that nobody has applied or run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return Desk(kafka, kafka_admin, tmp_path, unique("desk"))


def test_what_a_service_needs_is_created(desk: Desk) -> None:
    """Declared topics and those of the runtime, as large as a dead letter with its history; then nothing is left."""
    planned = desk.plan("--check", code=3)
    own = {f"topic {each}" for each in ("-sold", "-told", ".inbox", ".changelog", ".dead-letters", ".answers")}
    assert own <= planned.keys() <= {*own, "topic mainstem.groups", "topic mainstem.catalogue"}
    assert {step["action"] for step in planned.values()} == {"create"}
    assert desk.plan().keys() == planned.keys(), "a plan changes nothing"
    desk("apply", desk.service)
    assert desk.plan("--check") == {}
    changelog, letters = desk.get(".changelog"), desk.get(".dead-letters")
    assert (changelog["cleanup.policy"], letters["cleanup.policy"]) == ("compact", "compact")
    assert int(changelog["max.message.bytes"]) > 4_000_000
    assert int(letters["max.message.bytes"]) > 18_000_000
    assert (desk.get("-sold")["retention.ms"], desk.get("-told")["retention.ms"]) == ("604800000", "-1")


def test_drift_is_shown_and_mended(desk: Desk) -> None:
    """Retention, size, policy and the copies that must have a record: shown as they are, then as declared again."""
    desk("apply", desk.service)
    desk.set("-sold", retention_ms="1000", max_message_bytes="50000")
    desk.set(".changelog", cleanup_policy="delete")
    desk.set(".inbox", max_message_bytes="9000000")
    desk.set("-told", retention_ms="1000")
    differs = {name: step["differs"] for name, step in desk.plan("--check", options="&min_insync=1", code=3).items()}
    assert differs == {
        "topic -sold": {"retention_ms": [1_000, 604_800_000], "record_bytes_max": [1_412, 3_000_000]},
        "topic .changelog": {"compact": [False, True]},
    }, "a limit of the runtime may be larger, and what nobody describes stays as it is"
    desk.set(".changelog", min_insync_replicas="2")
    assert desk.plan(options="&min_insync=1")["topic .changelog"]["differs"]["min_insync"] == [2, 1]
    desk("apply", desk.service, options="&min_insync=1")
    assert desk.plan("--check", options="&min_insync=1") == {}
    assert (desk.get("-sold")["retention.ms"], desk.get(".changelog")["cleanup.policy"]) == ("604800000", "compact")


def test_other_copies_are_a_thing_to_do_by_hand(desk: Desk) -> None:
    """The client cannot move partitions: it is said how, everything else is applied, and the code tells."""
    desk("apply", desk.service)
    desk.set("-sold", retention_ms="1000")
    steps = desk("apply", desk.service, options="&replication=3", code=3)
    assert (steps["topic -sold"]["action"], steps["topic -told"]["action"]) == ("alter", "by-hand")
    assert steps["topic -told"]["differs"] == {"replication": [1, 3]}
    assert f"0 changes; {len(steps)} to be made by hand" in desk.said("plan", "&replication=3")
    assert "kafka-reassign-partitions.sh" in steps["topic -told"]["remedy"]
    assert desk.get("-sold")["retention.ms"] == "604800000"


def test_partitions_are_never_changed(desk: Desk) -> None:
    """Neither those that are declared, nor those of the runtime: it is refused, and nothing else is done."""
    desk("apply", desk.service)
    module = Path(f"{desk.service.partition(':')[0]}.py")
    module.with_name(f"more_{module.name}").write_text(module.read_text().replace("partitions=2", "partitions=4"))
    desk.set("-sold", retention_ms="1000")
    for command in ("plan", "apply"):
        steps = desk(command, f"more_{desk.service}", code=1)
        assert {name for name, step in steps.items() if step["action"] == "refuse"} == {
            "topic -sold",
            "topic .inbox",
            "topic .changelog",
            "topic .dead-letters",
        }
        assert steps["topic -sold"]["differs"]["partitions"] == [2, 4]
        assert "decides where each key lives" in steps["topic -sold"]["why"]
        assert "a topic of another name" in steps["topic -sold"]["remedy"]
    assert desk.get("-sold")["retention.ms"] == "1000"


def test_the_session_of_a_group_is_kept_on_the_broker(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the newer protocol it is planned, applied and compared; with the classic one members bring their own."""
    monkeypatch.setenv("MAINSTEM_SESSION_TIMEOUT_SECONDS", "7")
    desk("apply", desk.service)
    assert desk.plan() == {}
    newer = "&group_protocol=consumer"
    [(name, step)] = desk.plan(options=newer).items()
    assert (name, step["differs"]["session_timeout_ms"]) == ("group ", [45_000, 7_000])
    desk("apply", desk.service, options=newer)
    assert desk.plan("--check", options=newer) == {}
    assert desk.get("", ResourceType.GROUP)["consumer.session.timeout.ms"] == "7000"
    assert desk.get("", ResourceType.GROUP)["consumer.assignment.interval.ms"] == "0"


def test_nothing_is_deleted_that_was_not_named(desk: Desk) -> None:
    """A topic that nobody declares stays; a name given to --delete takes it away, unless somebody needs it."""
    desk("apply", desk.service)
    module = Path(f"{desk.service.partition(':')[0]}.py")
    module.with_name(f"less_{module.name}").write_text(module.read_text().replace("-told", "-said"))
    less = f"less_{desk.service}"
    assert "topic -told" not in desk("apply", less)
    assert desk("apply", less, "--delete", f"{desk.name}.changelog", code=1)["topic .changelog"]["action"] == "refuse"
    assert desk("apply", less, "--delete", f"{desk.name}-told")["topic -told"]["action"] == "delete"
    assert desk("apply", less, "--delete", f"{desk.name}-told")["topic -told"]["action"] == "keep"
    assert desk.name + "-told" not in desk.admin.list_topics(timeout=10).topics


async def test_what_a_group_has_lost_is_not_made_anew(desk: Desk, kafka: str) -> None:
    """With an empty changelog a group that has run would go on from its positions without its memory."""
    await asyncio.to_thread(desk, "apply", desk.service)
    broker = KafkaBroker(kafka)
    await broker.open()
    group = GroupSpec(desk.name, desk.name, 2, {f"{desk.name}-sold": 2})
    await (await broker.group.join(group, pinned=frozenset({0, 1}))).leave()
    await broker.admin.delete(f"{desk.name}.changelog")
    await broker.close()
    steps = await asyncio.to_thread(desk, "apply", desk.service, code=1)
    assert steps["topic .changelog"]["action"] == "refuse"
    assert "without its memory" in steps["topic .changelog"]["why"]
    assert "mainstem groups delete" in steps["topic .changelog"]["remedy"]
