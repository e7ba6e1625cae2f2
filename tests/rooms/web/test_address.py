"""Where a server listens."""

import socket

import pytest

from mainstem.errors import DefinitionError
from mainstem.web import Address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":8080", Address("", 8080)),
        ("127.0.0.1:0", Address("127.0.0.1", 0)),
        ("[::1]:80", Address("::1", 80)),
        ("localhost:65535", Address("localhost", 65_535)),
    ],
)
def test_an_address_is_read_as_it_is_written(text: str, address: Address) -> None:
    """A host, or none, and a port; written again it is the same."""
    assert Address.parse(text) == address
    assert str(address) == text


@pytest.mark.parametrize("text", ["", "8080", "localhost", ":", ":x", ":-1", ":65536", "::1:80"])
def test_anything_else_is_refused(text: str) -> None:
    """Nobody has to guess what was meant."""
    with pytest.raises(DefinitionError, match="is no address"):
        Address.parse(text)


def test_workers_take_one_port_after_the_other() -> None:
    """The first has the port that was named; where any will do, any will do for each."""
    assert [Address("", 8080).of_worker(number).port for number in (1, 2, 3)] == [8080, 8081, 8082]
    assert Address("", 0).of_worker(3).port == 0


def test_without_a_host_every_address_is_listened_to() -> None:
    """Whoever probes may come by either protocol; on a machine without one of them, by the other."""
    with Address("", 0).listen() as opened:
        socket.create_connection(("127.0.0.1", opened.getsockname()[1]), timeout=5).close()


def test_a_port_that_is_taken_is_named() -> None:
    """The error says where, and why."""
    with Address("127.0.0.1", 0).listen() as opened:
        taken = Address("127.0.0.1", opened.getsockname()[1])
        with pytest.raises(DefinitionError) as refused:
            taken.listen()
    assert (refused.value.where, "in use" in refused.value.why) == (str(taken), True)


@pytest.mark.parametrize("host", ["", "127.0.0.1"])
def test_no_answer_waits_until_the_one_before_is_acknowledged(host: str) -> None:
    """Each connection sends at once: an answer in two writes would otherwise take 40 ms."""
    with (
        Address(host, 0).listen() as opened,
        socket.create_connection(("127.0.0.1", opened.getsockname()[1]), timeout=5),
        opened.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
