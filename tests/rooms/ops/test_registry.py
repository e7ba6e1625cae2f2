"""``mainstem registry``: the schema registry on a file, over HTTP; and what its accounts show."""

import json
import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from mainstem.registry.http import Password, Token
from tests.rooms.ops.conftest import Shell
from tests.rooms.ops.processes import Spawned

AT = re.compile(r"answers at (127\.0\.0\.1:\d+)")


def ask(address: str, path: str, body: object = None) -> object:
    """What it answers; of an error the code."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{address}{path}", data, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)["error_code"]


def address_of(process: Spawned) -> str:
    """Where it says that it answers."""
    process.wait_for("answers at")
    return str(AT.findall(process.said())[-1])


@pytest.fixture
def spawned(shell: Shell) -> Spawned:
    """A process that is still to be started."""
    return Spawned.nobody()


def test_it_serves_and_comes_back(spawned: Spawned) -> None:
    """It makes its file and topics itself; what was registered is there when it is started again."""
    arguments = ("registry", "serve", "--broker", "sqlite:///registry.db", "--http", "127.0.0.1:0")
    with spawned:
        spawned.start(*arguments)
        at = address_of(spawned)
        assert ask(at, "/subjects/a/versions", {"schema": '"string"'}) == {"id": 1}
        assert spawned.stop() == 0
        spawned.start(*arguments)
        spawned.wait_for("answers at", 2)
        at = address_of(spawned)
        assert ask(at, "/subjects") == ["a"]
        assert ask(at, "/subjects/a/versions", {"schema": '"nothing"'}) == 42201
        assert spawned.stop() == 0


def test_it_does_not_listen_to_others_without_accounts(shell: Shell) -> None:
    """It refuses to start, says all that is missing, and makes no file."""
    result = shell("registry", "serve", "--broker", "sqlite:///registry.db", "--http", "0.0.0.0:8081")
    assert result.exit_code == 1
    assert "--accounts" in result.stderr
    assert "--tls-certificate" in result.stderr
    assert not Path("registry.db").exists()


@pytest.mark.parametrize("arguments", [("--tls-key", "key.pem"), ("--tls-authority", "key.pem")])
def test_tls_needs_a_certificate_and_its_key(shell: Shell, arguments: tuple[str, str]) -> None:
    """One without the other is refused, and is not taken for no TLS."""
    Path("key.pem").touch()
    result = shell("registry", "serve", "--broker", "sqlite:///registry.db", *arguments)
    assert result.exit_code == 1
    assert "TLS needs a certificate and its key" in result.stderr


def test_a_proxy_is_a_network(shell: Shell) -> None:
    """What is none is refused where it was typed."""
    assert shell("registry", "serve", "--proxy", "everybody").exit_code == 2


def test_a_password_is_hashed(shell: Shell) -> None:
    """What is printed fits that password only, and is another each time."""
    first, second = (shell("registry", "password", "--password", "secret").stdout.strip() for _ in range(2))
    assert first != second
    assert Password.parse(first).fits("secret")
    assert not Password.parse(second).fits("guess")


def test_a_password_comes_through_a_pipe(shell: Shell) -> None:
    """Its first line, whatever ends it; nothing is none, and no confirmation is waited for."""
    for typed in ("secret", "secret\n", "secret\r\nmore\n"):
        assert Password.parse(shell("registry", "password", typed=typed).stdout.strip()).fits("secret")
    refused = shell("registry", "password", typed="\n")
    assert (refused.exit_code, "the password is empty" in refused.stderr) == (2, True)


def test_a_token_is_made(shell: Shell) -> None:
    """A long one that nobody else has, and what it is known by."""
    made, hashed = (line.split()[1] for line in shell("registry", "token").stdout.splitlines())
    assert len(made) >= 43
    assert Token.hashed(made) == Token.parse(hashed)
    assert made not in shell("registry", "token").stdout
