"""Where a registry may listen: at home as it is, anywhere else with accounts and encryption, or not at all."""

from ipaddress import IPv4Network, IPv6Network, ip_address

from msgspec import Struct

from mainstem.errors import DefinitionError, MainstemError, StartRefused
from mainstem.registry.http.security.accounts import Accounts
from mainstem.registry.http.security.file import AccountsFile
from mainstem.web import Address, Tls


class Exposure(Struct, frozen=True):
    """Where it listens, how the way there is encrypted, and who is let in.

    ``proxies`` are the networks of those that end TLS in front of it; it believes what they say of their clients.
    """

    address: Address = Address("127.0.0.1", 8081)
    tls: Tls | None = None
    accounts: Accounts | AccountsFile | None = None
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()

    def check(self) -> None:
        """Look whether it may start so. Raises ``StartRefused`` with all that is missing."""
        if is_loopback(self.address.host):
            return
        faults: list[MainstemError] = []
        if self.accounts is None:
            faults.append(
                DefinitionError(
                    "a registry that others can reach needs accounts",
                    where=str(self.address),
                    why="anybody there could change and delete schemas",
                    remedy="name a file with --accounts, or listen at 127.0.0.1",
                )
            )
        if self.tls is None and not self.proxies:
            faults.append(
                DefinitionError(
                    "a registry that others can reach needs TLS, or a proxy that brings it",
                    where=str(self.address),
                    why="passwords and tokens would travel in clear text",
                    remedy="name --tls-certificate and --tls-key, or the network of the proxy with --proxy",
                )
            )
        if faults:
            raise StartRefused("the registry does not listen there", tuple(faults))


def is_loopback(host: str) -> bool:
    """Whether this address is reached from the same machine only. No host at all is every address."""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
