"""What can be said in a URL of Kafka, and what its page says about it."""

import logging
from pathlib import Path
from typing import Annotated, get_args, get_origin

import msgspec
import pytest
from msgspec.structs import fields

from mainstem.broker import GroupSpec
from mainstem.broker.kafka import KafkaBroker, KafkaOptions
from mainstem.broker.kafka.options import ClientSettings
from mainstem.clock import SystemClock
from mainstem.errors import StartRefused
from mainstem.identifiers import Identifiers
from mainstem.service.brokers import connect
from tests.architecture.source import ROOT

PAGE = ROOT / "docs" / "kafka.md"


def connected(url: str) -> object:
    """The broker behind a URL, not opened."""
    clock = SystemClock()
    return connect(url, clock, Identifiers(clock))


def test_every_option_stands_on_the_page() -> None:
    """The table of options has each of them, with its default and its meaning."""
    lines = PAGE.read_text().splitlines()
    said = [each for each in fields(KafkaOptions) if get_origin(each.type) is Annotated]
    assert said
    for option in said:
        meaning = next(each.description for each in get_args(option.type) if isinstance(each, msgspec.Meta))
        (line,) = [line for line in lines if line.startswith(f"| `{option.name}` |")]
        assert line.endswith(f"| {meaning} |"), line
        default = option.default
        shown = "the cluster's" if default is None else f"{default:g}" if isinstance(default, float) else default
        assert f"| `{shown}` |" in line


def test_all_faults_of_a_url_are_listed_at_once(tmp_path: Path) -> None:
    """Options that do not exist and values that do not fit; a name with a dot is the client's own."""
    with pytest.raises(StartRefused) as refused:
        connected(f"kafka://nowhere:1?linger=5&commit_threads=none&client.id=shop&state_folder={tmp_path}")
    assert len(refused.value.faults) == 2
    assert "linger_ms" in str(refused.value)


def test_settings_of_the_client_reach_every_client(tmp_path: Path) -> None:
    """They pass through as they are."""
    broker = connected(f"kafka://nowhere:1?client.id=shop&linger_ms=7&state_folder={tmp_path}")
    assert isinstance(broker, KafkaBroker)
    settings = broker.settings
    each = (settings.admin(), settings.reader(), settings.producer(1_000), settings.transactional("t"))
    assert {one["client.id"] for one in each} == {"shop"}
    assert settings.producer(1_000)["linger.ms"] == 7


def test_a_cluster_knows_whose_clients_they_are() -> None:
    """Its logs and consoles call them by our name unless a user has chosen another one."""
    settings = ClientSettings("nowhere:1", KafkaOptions())
    each = (
        settings.admin(),
        settings.reader(),
        settings.member(GroupSpec("shop", "shop", 1, {}), None),
        settings.transactional("t"),
    )
    assert {one["client.id"] for one in each} == {"mainstem"}


def test_what_all_clients_say_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A process has dozens, and each notices that a broker is gone; who says it matters less than what it is."""
    logger = ClientSettings("nowhere:1", KafkaOptions()).admin()["logger"]
    assert isinstance(logger, logging.Logger)
    said = "FAIL [rdkafka#%s] [thrd:x]: %s: Connect to ipv4#192.0.2.7:1 failed: %s (after %d ms in state CONNECT)"
    logger.error(said, "consumer-3", "192.0.2.7:1/bootstrap", "Connection refused", 0)
    logger.error(said, "consumer-9", "GroupCoordinator: 192.0.2.7:1", "Connection refused", 1)
    logger.error(said, "producer-5", "192.0.2.7:1/1", "Connection refused", 2)
    logger.error(said, "producer-5", "192.0.2.7:1/1", "No route to host", 2)
    assert [line.partition(" failed: ")[2].partition(" (")[0] for line in caplog.messages] == [
        "Connection refused",
        "No route to host",
    ]
