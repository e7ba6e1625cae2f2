"""Naming services and brokers, and what is said about a wrong name."""

import sys

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
        (f"{SHOP}:loyalty,{SHOP}:importer", f"write {SHOP}:loyalty {SHOP}:importer"),
        ("./warehouze.py:stock", "did you mean warehouse?"),
        ("warehouse.py", "warehouse.py names a module, and no service in it"),
        ("../warehouse.py:stock", "../warehouse.py is not below the current folder"),
        (":stock", "'' is not the name of a module"),
        (".warehouse:stock", "'.warehouse' is not the name of a module"),
    ],
)
def test_a_wrong_name_is_answered_with_the_right_one(name: str, said: str, shell: Shell) -> None:
    """A service that is not found is refused with what the module has, or with the modules of the folder."""
    (shell.folder / "warehouse.py").touch()
    result = shell("topics", "apply", name)
    assert result.exit_code == 1
    assert said in result.stderr


@pytest.mark.parametrize("name", ["./depot/stock.py:stock", "depot/stock.py:stock", "depot.stock:stock"])
def test_a_service_may_be_named_by_its_file(name: str, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path of a file below the current folder names the same module as an import does."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    (shell.folder / "depot").mkdir()
    (shell.folder / "depot" / "stock.py").write_text("from mainstem import Service\nstock = Service('stock')\n")
    try:
        assert shell("topics", "plan", name).exit_code == 0
    finally:
        for module in ("depot", "depot.stock"):
            sys.modules.pop(module, None)


def test_a_module_that_cannot_import_something_says_so(shell: Shell) -> None:
    """A missing import inside a service's module is the module's error, and not taken for a wrong name."""
    (shell.folder / "needy_module.py").write_text("import no_such_library\n")
    result = shell("topics", "plan", "needy_module:service")
    assert result.exit_code == 1
    assert "'needy_module' cannot be imported: ModuleNotFoundError: No module named 'no_such_library'" in result.stderr


@pytest.mark.parametrize("mistake", ["1 / 0", "def service(:"])
def test_a_module_with_a_mistake_shows_its_own_lines(mistake: str, shell: Shell) -> None:
    """The traceback begins in the module, so that the mistake is not searched for among lines of the library."""
    (shell.folder / "mistaken_module.py").write_text(f"{mistake}\n")
    result = shell("topics", "plan", "mistaken_module:service")
    assert result.exit_code == 1
    assert "'mistaken_module' cannot be imported: " in result.stderr
    assert 'mistaken_module.py", line 1' in result.stderr
    assert result.stderr.count('  File "') == 1


def test_a_mistake_in_a_declaration_is_told_once(shell: Shell) -> None:
    """With its line, and without a traceback through the library."""
    (shell.folder / "undeclared_module.py").write_text(
        "from mainstem import Service\nservice = Service('s')\nservice.store('x', int, scope='task')\n"
    )
    said = shell("topics", "plan", "undeclared_module:service").stderr
    assert said.count("has scope='task'") == 1
    assert "undeclared_module.py:3" in said
    assert "Traceback" not in said


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


def test_what_is_refused_creates_no_file(shell: Shell) -> None:
    """An event, a topic or a start that is refused leaves nothing behind, also where --dev would have made a file."""
    wrong = '{"customer_id": 4}'
    for words in (
        ("publish", f"{SHOP}:loyalty", "OrderPaid", wrong, "--dev"),
        ("topics", "apply", f"{SHOP}:listener"),
        ("run", f"{SHOP}:listener", "--dev"),
        ("run", f"{SHOP}:loyalty"),
    ):
        assert shell(*words).exit_code == 1
    assert list(shell.folder.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(shell: Shell) -> None:
    """A path whose folder is missing is told apart from a file that is still to be made."""
    assert "its folder is not there either" in shell("topics", "list", "--broker", "sqlite:///no/shop.db").stderr


def test_settings_that_cannot_be_read_are_listed(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in the settings stops a command with all faults at once."""
    monkeypatch.setenv("MAINSTEM_COMMIT_EVENTS", "none")
    monkeypatch.setenv("MAINSTEM_BROKR", "sqlite:///shop.db")
    result = shell("topics", "list")
    assert result.exit_code == 1
    assert "2 faults in the settings" in result.stderr
    assert "did you mean MAINSTEM_BROKER?" in result.stderr


@pytest.mark.parametrize("url", ["kafka://here:1?sasl.password=hunter2", "Kafka://here:1?sasl.password=hunter2"])
def test_no_refusal_shows_what_stands_behind_the_addresses(
    url: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be a password: a broker that has no file, and one that is misspelt, are named without it."""
    monkeypatch.setenv("MAINSTEM_BROKER", url)
    result = shell("check")
    assert result.exit_code == 1
    assert "//here:1" in result.stderr
    assert "hunter2" not in result.output
