"""The page about the command line is complete, and its commands print what it says."""

import re
import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path

import click
import pytest

from tests.architecture.source import ROOT, modules
from tests.rooms.ops.conftest import Shell
from tests.rooms.ops.processes import Spawned
from tests.rooms.ops.test_program import EVERY

PAGE = ROOT / "docs" / "cli.md"
README = ROOT / "README.md"
MIGRATING = ROOT / "docs" / "migrating.md"
REPLAY = ROOT / "docs" / "replay.md"
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_command_is_documented() -> None:
    """``docs/cli.md`` has a section for each command and for nothing else, with every argument and option."""
    sections = {
        section.partition("\n")[0].strip("`").removeprefix("mainstem "): section
        for section in PAGE.read_text(encoding="utf-8").split("\n### ")[1:]
    }
    assert sorted(sections) == sorted(" ".join(path) for path in EVERY)
    missing = [
        f"{' '.join(path)}: {name}"
        for path, command in EVERY.items()
        for name in words_of(command)
        if name not in sections[" ".join(path)]
    ]
    assert missing == []


def words_of(command: click.Command) -> list[str]:
    """The arguments and options that a command's page must have."""
    context = click.Context(command)
    words: list[str] = []
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            words += [] if parameter.hidden else parameter.opts
        else:
            words.append(parameter.make_metavar(context).strip("[]."))
    return words


def test_every_command_that_is_recommended_exists() -> None:
    """What an error or a page tells a person to run can be run: ``mainstem groups reset`` is a command."""
    texts = {module.where: module.text for module in modules()}
    texts.update(
        {str(page): page.read_text(encoding="utf-8") for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]}
    )
    groups = {path[:-1] for path in EVERY if len(path) > 1}
    recommended = [
        (where, words[:3] if words[:2] in groups else words[:2])
        for where, text in texts.items()
        for said in re.findall(r"\bmainstem ([a-z-]+ [a-z-]+(?: [a-z-]+)?)", text)
        for words in [tuple(said.split())]
        if words[:1] in groups
    ]
    assert len(recommended) > 10
    assert [each for each in recommended if each[1] not in EVERY] == []


def session(text: str) -> list[tuple[str, str]]:
    """The commands that a page gives, and what it says that they print."""
    shown = "".join(body for language, options, body in FENCE.findall(text) if (language, options) == ("console", ""))
    return [
        (given.removeprefix("$ "), printed)
        for given, printed in re.findall(r"^(\$ [^\n]*)\n((?:(?!\$ )[^\n]*\n)*)", shown, re.MULTILINE)
    ]


def looks_like(printed: str, shown: str) -> bool:
    """Whether a page shows what was printed; its three dots stand for anything, and spaces at the end for nothing."""
    lines = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    pattern = ".*?".join(re.escape(part) for part in shown.strip().split("..."))
    return re.fullmatch(pattern, lines, re.DOTALL) is not None


@pytest.mark.parametrize(("page", "commands"), [(PAGE, 12), (README, 4), (MIGRATING, 8), (REPLAY, 8)])
def test_the_commands_of_the_page_print_what_it_says(
    page: Path, commands: int, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tour works, from the first command to the last, with a real process behind it."""
    monkeypatch.delenv("MAINSTEM_BROKER")
    monkeypatch.setattr(sys, "path", [*sys.path])
    sys.modules.pop("shop", None)  # of another page
    text = page.read_text(encoding="utf-8")
    Path("shop.py").write_text(next(body for language, _, body in FENCE.findall(text) if language == "python"))
    given = session(text)
    assert len(given) == commands
    with Spawned.nobody() as service:
        for line, shown in given:
            words = shlex.split(line)
            if words == ["kill", "%1"]:
                service.stop()
            elif words[-1] == "&":
                service.start(*words[1:-1])
                service.wait_for("group 'loyalty'")
            else:
                service.wait_until(partial(prints, shell, words[1:], shown))


def prints(shell: Shell, words: list[str], shown: str) -> bool:
    """Whether a command succeeds and prints what the page shows."""
    result = shell(*words)
    return result.exit_code == 0 and looks_like(result.stdout, shown)


def test_a_page_that_is_wrong_fails() -> None:
    """What is not printed does not match, and a page is read command by command."""
    assert looks_like("lock: free\n", "lock: ...\n")
    assert not looks_like("lock: free\nand more\n", "lock: free\n")
    assert session("```console\n$ one\na\n$ two\n```\n\n```console no-run\n$ three\n```\n") == [
        ("one", "a\n"),
        ("two", ""),
    ]


def test_the_program_is_installed(shell: Shell) -> None:
    """``mainstem`` is on the path of whoever has installed the library."""
    program = Path(sys.executable).with_name("mainstem")
    found = subprocess.run([program, "--version"], check=True, capture_output=True, text=True, cwd=shell.folder)
    assert found.stdout == shell("--version").stdout
