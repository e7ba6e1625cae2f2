"""The program itself: what it lists, what it says when something is refused, and what a start costs."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from mainstem.ops.program import COMMANDS, mainstem
from tests.architecture.source import ROOT
from tests.rooms.ops.conftest import SHOP, Shell

LISTINGS = [
    ("topics", "list"),
    ("topics", "plan"),
    ("groups", "list"),
    ("groups", "show"),
    ("services",),
    ("dead-letters", "list"),
    ("dead-letters", "show"),
    ("breakers", "list"),
    ("tail",),
    ("check",),
]


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command of the program, with the words that call it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


EVERY = dict(commands(mainstem))


def test_the_version_is_told(shell: Shell) -> None:
    """``--version`` prints name and version, and nothing else."""
    assert shell("--version").stdout == "mainstem 0.1.0\n"


def test_help_lists_every_command_as_it_describes_itself(shell: Shell) -> None:
    """The list that is printed without loading the commands says what the commands say of themselves."""
    text = " ".join(shell("--help").stdout.split())
    for name, place in COMMANDS.items():
        command = mainstem.get_command(click.Context(mainstem), name)
        assert command is not None
        assert f"{name} {place.summary}" in text
        assert " ".join((command.help or "").partition("\n\n")[0].split()) == place.summary


def test_help_loads_no_runtime() -> None:
    """Whoever asks for help, or for another command, does not wait for the runtime and the tables."""
    program = (
        "import sys\nsys.argv = ['mainstem', '--help']\nfrom mainstem.ops import main\n"
        "try: main()\nexcept SystemExit: print(*[each for each in ('mainstem.service', 'apsw', 'rich') "
        "if each in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert found.stdout.splitlines()[-1] == ""


def test_an_unknown_command_is_a_usage_error(shell: Shell) -> None:
    """What cannot be read ends with code 2, and says where help is."""
    result = shell("frobnicate")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "No such command 'frobnicate'" in result.stderr


def test_a_refusal_says_what_why_and_what_next(shell: Shell) -> None:
    """An error of ours ends with code 1, in words, on standard error alone."""
    result = shell("topics", "list", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: the broker's file is not there [not-found]\n  where: ")
    assert "  next: " in result.stderr


def test_an_unexpected_error_shows_where_it_came_from(shell: Shell) -> None:
    """What nobody has foreseen is not hidden: its traceback is shown."""
    (shell.folder / "broken_module.py").write_text(
        "from mainstem import Service\nbroken = Service('broken')\n@broken.on_startup\ndef divide() -> None: 1 / 0\n"
    )
    with pytest.raises(ZeroDivisionError):
        shell("run", "broken_module:broken", "--dev")


def test_the_catalogue_of_an_unreadable_command_is_refused(shell: Shell) -> None:
    """A value that an option cannot take is a usage error too."""
    assert shell("dead-letters", "list", "--older-than", "soon").exit_code == 2
    assert shell("run", f"{SHOP}:loyalty", "--workers", "0").exit_code == 2


def test_progress_is_drawn_for_a_terminal_only(shell: Shell) -> None:
    """What takes long shows how far it is where somebody looks, and a pipe gets the result alone."""
    shell("topics", "apply", f"{SHOP}:loyalty")
    typed = b'{"customer_id": "c-1", "amount_cents": 5}\n' * 2_000
    words = [sys.executable, "-m", "mainstem.ops", "publish", f"{SHOP}:loyalty", "OrderPaid", "-"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
    reader, terminal = pty.openpty()
    subprocess.run(words, input=typed, stdout=terminal, stderr=terminal, check=True, env=environ)
    os.close(terminal)
    drawn = os.read(reader, 65_536)
    os.close(reader)
    assert b"\x1b[" in drawn
    assert b"publish" in drawn
    piped = subprocess.run(words, input=typed, capture_output=True, check=True, env=environ)
    assert (piped.stdout, piped.stderr) == (b"published 2000 OrderPaid events to orders\n", b"")


@pytest.mark.parametrize("path", LISTINGS, ids=" ".join)
def test_every_listing_can_be_read_by_a_program(path: tuple[str, ...]) -> None:
    """Whatever prints a table has ``--json``."""
    assert "--json" in [option for parameter in EVERY[path].params for option in parameter.opts]
