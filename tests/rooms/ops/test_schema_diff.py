"""``mainstem schema diff``: two schemas, wherever they stand."""

import json
import subprocess
import sys

import pytest

from tests.rooms.ops.conftest import Shell
from tests.rooms.ops.test_schema import HERE
from tests.rooms.ops.test_schema_history import FOLDER, git, repository

__all__ = ["repository"]

AGAINST = ("--registry", FOLDER)


@pytest.fixture
def grown(repository: Shell) -> Shell:
    """A repository whose folder has a second version that is not committed."""
    assert repository("schema", "register", f"{HERE}:grown", *AGAINST).exit_code == 0
    return repository


def test_versions_of_a_subject_are_compared_both_ways(grown: Shell) -> None:
    """By lines, and by who can read whom."""
    [found] = grown.json("schema", "diff", "Shop.Paid@1", "Shop.Paid", *AGAINST)
    assert (found["first"], found["second"]) == ("version 1", "version 2")
    assert '+    "currency": {' in found["changes"]
    assert [found[each]["outcome"] for each in ("backward", "forward")] == ["compatible", "compatible"]
    [same] = grown.json("schema", "diff", "Shop.Paid@2", "Shop.Paid", *AGAINST)
    assert same["changes"] == []


def test_a_difference_says_where_and_why_and_gives_an_example(grown: Shell) -> None:
    """In each direction, with both values, and the code 3."""
    said = grown("schema", "diff", "Shop.Paid@1", f"{HERE}:broken", *AGAINST, "--json")
    assert said.exit_code == 3
    [found] = json.loads(said.stdout)
    [missing] = [each for each in found["backward"]["differences"] if each["reader"] == "amount"]
    assert (missing["rule"], missing["path"]) == ("required-added", "/required")
    assert missing["writer"] == ["order", "payer"]
    assert "amount" not in missing["counterexample"]
    assert {each["reader"] for each in found["forward"]["differences"]} == {"payer"}
    told = grown("schema", "diff", "Shop.Paid@1", f"{HERE}:broken", *AGAINST).stdout
    assert "forward, the first reads what the second writes: incompatible" in told
    assert "for example {" in told


def test_everything_is_compared_with_everything(grown: Shell) -> None:
    """A service, a folder, the registry, and a revision; what is on one side only is told, and breaks nobody."""
    git("rm", "-rq", "--cached", "schemas/subjects/Told")
    git("commit", "-qm", "less")
    said = grown("schema", "diff", "git:main:schemas", f"{HERE}:till", *AGAINST, "--json")
    assert said.exit_code == 0
    found = {each["subject"]: each for each in json.loads(said.stdout)}
    assert found.keys() == {"Shop.Paid", "Told", ":.till:Counted"}
    assert (found["Told"]["first"], "backward" in found["Told"]) == (None, False)
    assert found["Shop.Paid"]["changes"] == []
    later = {each["subject"]: each for each in grown.json("schema", "diff", "git:main", "registry", *AGAINST)}
    assert later["Shop.Paid"]["second"] == "registry version 2"
    strict = grown("schema", "diff", "git:main", FOLDER, "--policy", "STRICT", *AGAINST)
    assert strict.exit_code == 3
    assert "Told: only in folder:schemas" in strict.stdout


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("Shop.Paid@7", "Shop.Paid", "there is no version 7 of the subject 'Shop.Paid'"),
        ("Shop.Paid@new", "Shop.Paid", "'new' is no version"),
        ("Nobody", "Shop.Paid", "there is no version latest of the subject 'Nobody'"),
        ("Told", f"{HERE}:grown", "there is no subject 'Told'"),
        ("git:main:schemas.lock", "registry", "a lock file does not say what a schema looks like"),
    ],
)
def test_what_is_not_there_is_told(grown: Shell, first: str, second: str, said: str) -> None:
    """With the code 1."""
    found = grown("schema", "diff", first, second, *AGAINST)
    assert (found.exit_code, said in found.stderr) == (1, True), found.stderr


def test_the_command_is_there(grown: Shell) -> None:
    """As it is typed."""
    command = [sys.executable, "-m", "mainstem.ops", "schema", "diff", "git:main:schemas", FOLDER]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert '+    "currency": {' in ended.stdout
