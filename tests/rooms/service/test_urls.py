"""From a URL to a broker: its file, and its options."""

from pathlib import Path

import pytest
from msgspec.structs import fields

from mainstem import Service
from mainstem.broker.sqlite import SqliteBroker, SqliteOptions
from mainstem.clock import SystemClock
from mainstem.errors import StartRefused
from mainstem.identifiers import Identifiers
from mainstem.service import connect, file_of, in_full
from mainstem.service.brokers import options_of
from mainstem.settings import Settings
from tests.architecture.source import ROOT
from tests.rooms.service.events import OrderPaid

SETTABLE = {
    "reserve_bytes": "0",
    "checkpoint_pages": "100",
    "maintenance_seconds": "0.5",
    "hold_seconds": "3600",
    "tombstone_seconds": "60",
}


def test_every_option_of_the_embedded_broker_can_be_said_in_its_url() -> None:
    """What is said arrives, what is left out has its default, and what is for tests cannot be said."""
    clock = SystemClock()
    query = "&".join(f"{name}={text}" for name, text in SETTABLE.items())
    broker = connect(f"sqlite:///shop.db?{query}", clock, Identifiers(clock))
    assert isinstance(broker, SqliteBroker)
    assert broker.name == "sqlite file shop.db"
    assert broker._options == SqliteOptions(
        reserve_bytes=0, checkpoint_pages=100, maintenance_seconds=0.5, hold_seconds=3600, tombstone_seconds=60
    )
    assert options_of("sqlite:///shop.db", SqliteOptions) == {}
    assert options_of("sqlite:///shop.db?", SqliteOptions) == {}
    for name in {each.name for each in fields(SqliteOptions)} - SETTABLE.keys():
        with pytest.raises(StartRefused):
            options_of(f"sqlite:///shop.db?{name}=1", SqliteOptions)


def test_all_faults_in_options_are_listed_at_once() -> None:
    """Names that do not exist, with what may have been meant; values that do not fit; what is said twice."""
    url = "sqlite:///shop.db?reserve_byte=5&hold_seconds=-1&checkpoint_pages=many&tombstone_seconds=inf"
    with pytest.raises(StartRefused, match="6 faults in the options") as refused:
        options_of(f"{url}&reserve_bytes=1&reserve_bytes=2&colour=blue", SqliteOptions)
    said = str(refused.value)
    assert "there is no option reserve_byte [definition]" in said
    assert "did you mean reserve_bytes?" in said
    assert "the options are reserve_bytes, checkpoint_pages" in said
    assert "reserve_bytes is given twice" in said
    assert "leave it out for 86400.0: retention waits so long for a live group" in said
    for name in ("hold_seconds=-1", "checkpoint_pages=many", "tombstone_seconds=inf"):
        assert name in said


async def test_faults_in_options_stand_beside_all_others(tmp_path: Path) -> None:
    """A start is refused with the faults of the URL and those of the service in one list; no file is made."""
    shop = Service("shop", publishes=(OrderPaid,))

    @shop.on(OrderPaid)
    async def handle(order: OrderPaid) -> None:
        """Nothing to do."""

    settings = Settings(broker=f"sqlite:///{tmp_path}/shop.db?reserve=5&hold_seconds=x")
    with pytest.raises(StartRefused) as refused:
        async with shop.running(settings=settings, dev=True):
            pass
    assert [each.what for each in refused.value.faults][:2] == ["there is no option reserve", "hold_seconds=x"]
    assert not (tmp_path / "shop.db").exists()


def test_options_stay_with_the_url_and_not_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a URL is used, its file and its options are the same."""
    monkeypatch.chdir(tmp_path)
    assert file_of("sqlite:///shop.db?hold_seconds=1") == Path("shop.db")
    assert in_full("sqlite:///shop.db?hold_seconds=1") == f"sqlite:///{tmp_path}/shop.db?hold_seconds=1"
    assert in_full("sqlite:///:memory:?hold_seconds=1") == "sqlite:///:memory:?hold_seconds=1"
    assert file_of("sqlite:///:memory:?hold_seconds=1") is None


def test_every_option_is_documented() -> None:
    """``docs/settings.md`` has the name, the default and the meaning of each option."""
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    for each in fields(SqliteOptions):
        for meta in getattr(each.type, "__metadata__", ()):
            assert f"| `{each.name}` | `{each.default:.0f}` | {meta.description} |" in page
            assert each.name in SETTABLE
