"""Naming services and brokers, and what is said about a wrong name."""

import pytest

from mainstem.settings import FILE_NAME
from tests.rooms.ops.conftest import SHOP, Shell


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (f"{SHOP}:loyality", f"did you mean {SHOP}:loyalty?"),
        (f"{SHOP}:OrderPaid", f"its services are {SHOP}:loyalty, {SHOP}:changed"),
        (SHOP, f"{SHOP} names a module, and no service in it"),
        ("tests.rooms.ops.stop:loyalty", "there is no module 'tests.rooms.ops.stop'"),
        ("warehouze:stock", "did you mean warehouse?"),
        ("mainstem.errors:NotFound", "the module has no services"),
    ],
)
def test_a_wrong_name_is_answered_with_the_right_one(name: str, said: str, shell: Shell) -> None:
    """A service that is not found is refused with what the module has, or with the modules of the folder."""
    (shell.folder / "warehouse.py").touch()
    result = shell("topics", "apply", name)
    assert result.exit_code == 1
    assert said in result.stderr


def test_a_module_that_cannot_import_something_says_so(shell: Shell) -> None:
    """A missing import inside a service's module is the module's error, and not taken for a wrong name."""
    (shell.folder / "needy_module.py").write_text("import no_such_library\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        shell("topics", "plan", "needy_module:service")


def test_the_option_wins_over_the_environment_and_that_over_the_file(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker is that of --broker, else of MAINSTEM_BROKER, else of mainstem.toml, else with --dev one here."""

    def asked(*options: str) -> str:
        """The file that is missing."""
        return shell("topics", "list", *options).stderr.split("where: ")[1].split("\n")[0]

    (shell.folder / FILE_NAME).write_text('broker = "sqlite:///from-toml.db"\n')
    assert asked("--broker", "sqlite:///given.db") == f"{shell.folder}/given.db"
    assert asked("--dev") == f"{shell.folder}/shop.db"
    monkeypatch.delenv("MAINSTEM_BROKER")
    assert asked() == f"{shell.folder}/from-toml.db"
    (shell.folder / FILE_NAME).unlink()
    assert asked("--dev") == f"{shell.folder}/mainstem.db"
    result = shell("topics", "list")
    assert result.exit_code == 1
    assert "no broker is named" in result.stderr


def test_looking_creates_no_file(shell: Shell) -> None:
    """A misspelt broker is refused by whatever only reads, and leaves nothing behind."""
    for words in (("topics", "list"), ("tail", "orders"), ("groups", "list"), ("check",), ("backup", "copy.db")):
        assert shell(*words, "--broker", "sqlite:///misspelt.db").exit_code == 1
    assert list(shell.folder.iterdir()) == []


def test_settings_that_cannot_be_read_are_listed(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in the settings stops a command with all faults at once."""
    monkeypatch.setenv("MAINSTEM_COMMIT_EVENTS", "none")
    monkeypatch.setenv("MAINSTEM_BROKR", "sqlite:///shop.db")
    result = shell("topics", "list")
    assert result.exit_code == 1
    assert "2 faults in the settings" in result.stderr
    assert "did you mean broker?" in result.stderr
