"""A service as it is written down."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mainstem import Service
from mainstem.broker import TopicSpec
from mainstem.errors import DefinitionError, EventRefused
from tests.rooms.service.events import Bank, OrderPaid


def test_a_definition_opens_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Declaring a whole service leaves no file behind, and needs neither an event loop nor settings."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mainstem.toml").write_text("not = [settings")
    service = Service("shop", lanes=8, tasks=4, start="latest", grace="5s", publishes=(OrderPaid,))
    service.store("spent", int)
    service.provide(Bank, Bank)
    service.topic("orders", partitions=12)
    service.group("mailer", lanes=200)
    assert [path.name for path in tmp_path.iterdir()] == ["mainstem.toml"]
    assert service.grace_seconds == 5


def test_a_group_is_named_after_its_service() -> None:
    """Groups of two services may have the same name."""
    group = Service("billing").group("mailer", lanes=200, tasks=2, start="latest")
    assert (group.name, group.lanes, group.tasks, group.start) == ("billing.mailer", 200, 2, "latest")


def test_a_topic_is_declared_with_its_retention() -> None:
    """Partitions, retention, compaction and the largest record are what the topic will be created with."""
    service = Service("shop")
    service.topic("orders", partitions=12, retention="7d")
    service.topic("prices", compact=True, record_bytes_max=5_000_000)
    assert list(service.topics.values()) == [
        TopicSpec("orders", 12, 7 * 86_400_000),
        TopicSpec("prices", 8, compact=True, record_bytes_max=5_000_000),
    ]


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: Service(""),
        lambda: Service("two words"),
        lambda: Service("shop", lanes=0),
        lambda: Service("shop", lanes="4"),  # type: ignore[arg-type]
        lambda: Service("shop", lanes=None),  # type: ignore[arg-type]
        lambda: Service("shop", tasks=True, standbys="1"),  # type: ignore[arg-type]
        lambda: Service("shop", standbys=-1),
        lambda: Service("shop", definition="2"),  # type: ignore[arg-type]
        lambda: Service(7),  # type: ignore[arg-type]
        lambda: Service("shop", definition=-1),
        lambda: Service("shop", tasks=0),
        lambda: Service("shop", start="now"),  # type: ignore[arg-type]
        lambda: Service("shop", grace="-1s"),
        lambda: Service("shop", publishes=(Bank,)),
        lambda: Service("shop", publishes=OrderPaid),  # type: ignore[arg-type]
        lambda: Service("shop").provide("Bank", Bank),  # type: ignore[arg-type]
        lambda: Service("shop").provide(Bank, None),  # type: ignore[arg-type]
        lambda: Service("shop").topic(OrderPaid),  # type: ignore[arg-type]
        lambda: Service("shop").store("spent", int, scope="task"),  # type: ignore[arg-type]
        lambda: Service("shop").store("spent", object),
        lambda: Service("shop").store("spent", 0),  # type: ignore[arg-type]
        lambda: Service("shop").topic("orders", partitions=0),
        lambda: Service("shop").topic("orders", record_bytes_max=0),
        lambda: Service("shop").group("a b"),
    ],
)
def test_a_definition_that_cannot_work_is_refused(mistake: Callable[[], object]) -> None:
    """Numbers, names and types are looked at when they are written down."""
    with pytest.raises(DefinitionError):
        mistake()


@pytest.mark.parametrize(
    ("misspelt", "words"),
    [
        (lambda: Service("shop", lane=4), r"Service\(\.\.\.\) has no option 'lane'"),  # type: ignore[call-arg]
        (lambda: Service("shop").group("mailer", lane=4), r"group\(\.\.\.\) has no option 'lane'"),  # type: ignore[call-arg]
    ],
)
def test_an_option_that_is_misspelt_is_told_in_the_name_of_what_was_called(
    misspelt: Callable[[], object], words: str
) -> None:
    """Not in the name of a class that nobody has written, and with what may have been meant."""
    with pytest.raises(DefinitionError, match=words) as refused:
        misspelt()
    assert refused.value.remedy == "did you mean lanes?"


def test_nothing_is_declared_twice() -> None:
    """A topic, a group and a provided type have one declaration in a service."""
    service = Service("shop")
    service.topic("orders")
    service.group("mailer")
    service.provide(Bank, Bank)
    for again in (
        lambda: service.topic("orders"),
        lambda: service.group("mailer"),
        lambda: service.provide(Bank, Bank),
    ):
        with pytest.raises(DefinitionError):
            again()


def test_a_service_that_does_not_run_publishes_nothing() -> None:
    """The error says how to publish."""
    with pytest.raises(EventRefused, match="not running") as refused:
        Service("shop", publishes=(OrderPaid,)).publish(OrderPaid("c-1"))
    assert "consume=False" in refused.value.remedy
