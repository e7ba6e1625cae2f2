"""``mainstem schema check --against``: what was registered before, at a revision, in a folder, in a lock file."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rooms.ops.conftest import Shell
from tests.rooms.ops.test_schema import HERE

FOLDER = "folder:schemas"


def git(*arguments: str) -> str:
    """Ask git, in the current folder."""
    who = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    return subprocess.run(["git", *who, *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A repository in which the schemas of a service have been registered and committed."""
    monkeypatch.delenv("MAINSTEM_BROKER")
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)
    git("init", "-q", "-b", "main")
    assert shell("schema", "register", f"{HERE}:till", "--registry", FOLDER).exit_code == 0
    git("add", "-A")
    git("commit", "-qm", "first")
    return shell


def outcomes(shell: Shell, *arguments: str) -> tuple[int, dict[str, str]]:
    """The code, and what is said of each subject."""
    said = shell("schema", "check", *arguments, "--json")
    return said.exit_code, {each["subject"]: each["outcome"] for each in json.loads(said.stdout)}


@pytest.mark.parametrize(
    ("service", "place", "outcome", "code"),
    [
        ("till", "git:main:schemas", "unchanged", 0),
        ("grown", "git:main:schemas", "may follow", 0),
        ("broken", "git:HEAD:./schemas/", "breaks", 3),
        ("till", "git:main", "unchanged", 0),
        ("grown", "git:main", "unknown", 3),
        ("grown", "schemas", "may follow", 0),
        ("broken", "folder:schemas", "breaks", 3),
        ("till", "schemas.lock", "unchanged", 0),
    ],
)
def test_classes_are_compared_with_what_was(
    repository: Shell, service: str, place: str, outcome: str, code: int
) -> None:
    """A folder has the texts; a lock file says whether something is as it was, and no more. Nothing is checked out."""
    before = git("status", "--porcelain")
    found, said = outcomes(repository, f"{HERE}:{service}", "--against", place)
    assert (found, said["Shop.Paid"]) == (code, outcome)
    assert git("status", "--porcelain") == before


def test_what_was_can_be_listed_and_shown(repository: Shell) -> None:
    """As any registry that is read; nobody can write into the past."""
    assert repository("schema", "register", f"{HERE}:grown", "--registry", FOLDER).exit_code == 0
    then = ("--registry", "git:main:schemas")
    assert [each["version"] for each in repository.json("schema", "list", *then)] == [1, 1]
    [shown] = repository.json("schema", "show", "Shop.Paid", *then)
    assert "currency" not in shown["schema"]
    assert outcomes(repository, f"{HERE}:grown", *then)[1]["Shop.Paid"] == "may follow"
    refused = repository("schema", "register", f"{HERE}:grown", *then)
    assert (refused.exit_code, "names no registry" in refused.stderr) == (1, True)


def test_a_registry_that_is_a_folder_is_meant_at_a_revision_too(repository: Shell) -> None:
    """So that only the revision need be named."""
    found = outcomes(repository, f"{HERE}:grown", "--against", "git:main", "--registry", FOLDER)
    assert (found[0], found[1]["Shop.Paid"]) == (0, "may follow")


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("git:nowhere", "there is no revision 'nowhere'"),
        ("git:main:nothing", "there was nothing by the name nothing at main"),
        ("git:--all", "names no revision"),
        ("git:", "names no revision"),
        ("git:main:other.txt", "the lock file of schemas cannot be read"),
        ("git:main:things", "this is no registry"),
        ("nothing", "there is no lock file, and no folder of schemas"),
    ],
)
def test_what_cannot_be_looked_at_is_told(repository: Shell, place: str, said: str) -> None:
    """With the code 1, so that nobody takes it for a verdict."""
    Path("other.txt").write_text("nothing")
    Path("things").mkdir()
    Path("things/one").write_text("nothing")
    git("add", "other.txt", "things")
    git("commit", "-qm", "others")
    found = repository("schema", "check", f"{HERE}:till", "--against", place)
    assert (found.exit_code, said in found.stderr) == (1, True), found.stderr


def test_outside_a_repository_there_are_no_revisions(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """And without a place there is nothing to compare with."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(shell.folder.parent))
    outside = shell("schema", "check", f"{HERE}:till", "--against", "git:main")
    assert (outside.exit_code, "lies in no repository" in outside.stderr) == (1, True)
    assert shell("schema", "check").exit_code == 2


def edit(path: str, edited: Callable[[str], str]) -> None:
    """Edit a file by hand."""
    file = Path(path)
    text = edited(file.read_text())
    assert text != file.read_text()
    file.write_text(text)


def test_a_folder_only_grows(repository: Shell) -> None:
    """What came later is compared once more, by the levels that held before; what was there stays what it is."""
    against = ("--against", "git:main", "--registry", FOLDER)
    assert outcomes(repository, *against) == (
        0,
        {"Shop.Paid": "unchanged", "Told": "unchanged", ":.till:Counted": "unchanged"},
    )
    assert repository("schema", "register", f"{HERE}:grown", "--registry", FOLDER).exit_code == 0
    assert outcomes(repository, *against)[1]["Shop.Paid"] == "may follow"
    git("add", "-A")
    git("commit", "-qm", "second")
    edit("schemas/subjects/Shop.Paid/subject.json", lambda text: text.replace("FULL_TRANSITIVE", "NONE"))
    assert repository("schema", "register", f"{HERE}:broken", "--registry", FOLDER).exit_code == 0
    code, said = outcomes(repository, *against)
    assert (code, said["Shop.Paid"]) == (3, "breaks")
    told = repository("schema", "check", *against).stdout
    assert "version 3: Schema being registered is incompatible" in told
    git("checkout", "-q", "HEAD~1", "--", "schemas")
    Path("schemas/subjects/Shop.Paid/3.json").unlink()
    told = repository("schema", "check", "--against", "git:HEAD", "--registry", FOLDER).stdout
    assert "version 2 is gone" in told
    assert "the id 3 is gone" in told


def test_a_lock_file_only_grows(repository: Shell) -> None:
    """A version that is another now, or is not there any more, was not registered by who has read the file."""
    assert repository("schema", "register", f"{HERE}:grown", "--registry", FOLDER).exit_code == 0
    code, said = outcomes(repository, "--against", "git:main")
    assert (code, said) == (0, {"Shop.Paid": "may follow", "Told": "unchanged", ":.till:Counted": "unchanged"})
    edit("schemas.lock", lambda text: text.replace('"id": 1', '"id": 9', 1))
    assert outcomes(repository, "--against", "git:main")[0] == 3
    mixed = repository("schema", "check", "--against", "git:main:schemas")
    assert (mixed.exit_code, "cannot be compared with a folder" in mixed.stderr) == (1, True)


def test_the_command_says_it_by_its_code(repository: Shell) -> None:
    """As a step of a pipeline sees it."""
    edit("schemas.lock", lambda text: text.replace('"version": 1', '"version": 2', 1))
    command = [sys.executable, "-m", "mainstem.ops", "schema", "check", "--against", "git:main", "--json"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 3, ended.stderr
    [broken] = [each for each in json.loads(ended.stdout) if each["outcome"] == "breaks"]
    assert broken["problems"] == ["version 1 is gone"]
