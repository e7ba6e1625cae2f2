"""Where a server listens: a host, or every address of the machine, and a port."""

import socket
from contextlib import suppress
from typing import NamedTuple, Self

from mainstem.errors import DefinitionError, MainstemError

PORTS_END = 65_536


class Address(NamedTuple):
    """A host and a port. Without a host it is every address of the machine; port 0 is a free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``:8080``, ``127.0.0.1:8080`` or ``[::1]:8080``. Raises ``DefinitionError``."""
        host, colon, port = text.rpartition(":")
        if not colon or not port.isdecimal() or int(port) >= PORTS_END or (":" in host and not host.startswith("[")):
            raise _unread(text)
        return cls(host.removeprefix("[").removesuffix("]"), int(port))

    def of_worker(self, number: int) -> Self:
        """Where worker ``number``, counted from 1, listens: each on a port of its own, from this one on."""
        return self._replace(port=self.port + number - 1 if self.port else 0)

    def listen(self) -> socket.socket:
        """Open it, for connections. Raises ``DefinitionError`` where that cannot be."""
        try:
            opened = self._opened()
        except (OSError, OverflowError) as error:
            raise _unopened(self, error) from error
        # Connections inherit it. The event loop sets it only where the socket names its protocol, and these do not;
        # without it the second write of an answer waits until the first is acknowledged, which takes 40 ms.
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return opened

    def _opened(self) -> socket.socket:
        where: tuple[str, int] = (self.host, self.port)
        if self.host:
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            return socket.create_server(where, family=family)
        if socket.has_dualstack_ipv6():
            # A kernel may know the protocol, and have it switched off.
            with suppress(OSError):
                return socket.create_server(where, family=socket.AF_INET6, dualstack_ipv6=True)
        return socket.create_server(where)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _unread(text: str) -> MainstemError:
    return DefinitionError(
        f"{text!r} is no address to listen at", remedy="write :8080, 127.0.0.1:8080 or [::1]:8080; port 0 is a free one"
    )


def _unopened(address: Address, error: Exception) -> MainstemError:
    return DefinitionError(
        "the HTTP server cannot listen",
        where=str(address),
        why=str(error),
        remedy="name a free port of an address that this machine has",
    )
