"""Settings."""

from pathlib import Path

import pytest

from mainstem.errors import StartRefused
from mainstem.settings import Settings


def test_nothing_set_means_the_defaults(tmp_path: Path) -> None:
    """No file and no variables: an embedded broker is chosen later, and the rest has sensible values."""
    assert Settings.load({}, tmp_path) == Settings()
    assert Settings().broker is None


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """A setting of the file holds until a variable says otherwise; an empty variable says nothing."""
    (tmp_path / "mainstem.toml").write_text('broker = "sqlite:a.db"\ncommit_events = 10\ngrace_seconds = 5\n')
    environ = {"MAINSTEM_COMMIT_EVENTS": "20", "MAINSTEM_GRACE_SECONDS": "", "HOME": "/"}
    settings = Settings.load(environ, tmp_path)
    assert (settings.broker, settings.commit_events, settings.grace_seconds) == ("sqlite:a.db", 20, 5)


def test_all_faults_are_listed_at_once(tmp_path: Path) -> None:
    """Misspelt names and values that do not fit, of the file and the environment, come in one error."""
    (tmp_path / "mainstem.toml").write_text('comit_events = 10\nbuffer_bytes = "many"\n')
    environ = {"MAINSTEM_BROKER": "not a url", "MAINSTEM_COMMIT_INTERVAL_MS": "0"}
    with pytest.raises(StartRefused) as refused:
        Settings.load(environ, tmp_path)
    text = str(refused.value)
    assert len(refused.value.faults) == 4
    assert "did you mean commit_events?" in text
    assert "MAINSTEM_BROKER" in text
    assert str(tmp_path / "mainstem.toml") in text


def test_a_misspelt_variable_is_spelt_as_it_is_set(tmp_path: Path) -> None:
    """What is to be written is what can be written there."""
    with pytest.raises(StartRefused, match=r"did you mean MAINSTEM_BROKER\?"):
        Settings.load({"MAINSTEM_BROKR": "a:b"}, tmp_path)


def test_a_file_that_is_not_toml_is_a_fault(tmp_path: Path) -> None:
    """The error names the file and the place in it."""
    (tmp_path / "mainstem.toml").write_text("broker = 'a:b'\ncommit_events = ?")
    with pytest.raises(StartRefused, match="line 2"):
        Settings.load({}, tmp_path)


def test_variables_that_kubernetes_makes_are_not_ours(tmp_path: Path) -> None:
    """A Service called mainstem-console puts variables with our prefix into every pod beside it."""
    environ = {
        "MAINSTEM_PORT": "tcp://10.0.0.1:80",
        "MAINSTEM_CONSOLE_SERVICE_HOST": "10.0.0.1",
        "MAINSTEM_CONSOLE_SERVICE_PORT_HTTP": "80",
        "MAINSTEM_CONSOLE_PORT_80_TCP_ADDR": "10.0.0.1",
        "MAINSTEM_DEMO_DATA": "/data",
        "MAINSTEM_TEST_KAFKA": "127.0.0.1:9092",
    }
    assert Settings.load(environ, tmp_path) == Settings()
