"""Who is asking: by name and password, by token or by certificate, before anything of a request is done.

A password that was right once is known again by a fast hash, for the slow one would bound every client to ten requests
a second. Only so many are hashed at a time, and only so many wait: guessing must not take the processors of others.
"""

import asyncio
import hashlib
import hmac
from base64 import b64decode
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

from mainstem.registry.http.refusal import Refused
from mainstem.registry.http.security.accounts import EVERYBODY, Account, Accounts
from mainstem.registry.http.security.exposure import Exposure, is_loopback
from mainstem.registry.http.security.hashes import NOBODY, Token
from mainstem.web import Asked

HASHED_AT_A_TIME: Final = 2
WAITING_MOST: Final = 32
CHALLENGE: Final = {"www-authenticate": 'Basic realm="schema registry", charset="UTF-8"'}


class Gate:
    """Lets requests in, and says who each is from."""

    def __init__(self, exposure: Exposure) -> None:
        self._exposure = exposure
        self._hashing = asyncio.Semaphore(HASHED_AT_A_TIME)
        self._waiting = 0
        self._accounts: Accounts | None = None
        self._known: dict[bytes, Account] = {}

    async def account(self, asked: Asked) -> Account:
        """Who asks. Raises :class:`Refused` for who is not known, and for what a browser sends for another site."""
        self._look_at_the_way(asked)
        accounts = self._current()
        if accounts is None:
            return EVERYBODY
        found = await self._shown(asked, accounts)
        if found is None:
            raise Refused(401, "the registry does not know who asks", CHALLENGE)
        return found

    def client(self, asked: Asked) -> str:
        """The address that the request comes from, as the proxy says where there is one."""
        said = asked.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
        return said[:100] if said and self._by_proxy(asked) else asked.client

    def _look_at_the_way(self, asked: Asked) -> None:
        proxied = bool(self._exposure.proxies)
        if proxied and not asked.encrypted and not self._by_proxy(asked) and not is_loopback(asked.client):
            raise Refused(403, "this registry is asked through its proxy, or with TLS")
        origin, host = asked.headers.get("origin"), asked.headers.get("host", "")
        here = origin is None or origin.partition("://")[2] == host
        # A page may have had its own name point here: then only the name tells, and what it reads has no Origin at all.
        renamed = self._exposure.accounts is None and not proxied and host and not is_loopback(_without_port(host))
        if not here or renamed:
            raise Refused(403, "the registry takes no requests from the pages of another site")

    def _current(self) -> Accounts | None:
        kept = self._exposure.accounts
        accounts = None if kept is None else kept.current()
        if accounts is not self._accounts:
            self._accounts = accounts
            self._known.clear()
        return accounts

    def _by_proxy(self, asked: Asked) -> bool:
        return any(_lies_in(asked.client, each) for each in self._exposure.proxies)

    async def _shown(self, asked: Asked, accounts: Accounts) -> Account | None:
        scheme, _, rest = asked.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return _by_token(rest.strip(), accounts)
        if scheme.lower() == "basic":
            return await self._by_password(rest.strip(), accounts)
        if scheme:
            return None
        if asked.common_name is not None and (found := accounts.certificates.get(asked.common_name)):
            return found
        return accounts.anonymous

    async def _by_password(self, credentials: str, accounts: Accounts) -> Account | None:
        try:
            name, colon, password = b64decode(credentials, validate=True).decode().partition(":")
        except ValueError:
            return None
        if not colon:
            return None
        known = hashlib.blake2b(credentials.encode()).digest()
        if known in self._known:
            return self._known[known]
        account, stored = accounts.passwords.get(name, (None, NOBODY))
        if self._waiting >= WAITING_MOST:
            raise Refused(429, "too many passwords are being looked at", {"retry-after": "1"})
        self._waiting += 1
        try:
            async with self._hashing:
                fits = await asyncio.to_thread(stored.fits, password)
        finally:
            self._waiting -= 1
        if not fits or account is None:
            return None
        # They may have changed meanwhile; what was right before is right no more then.
        if accounts is self._accounts:
            self._known[known] = account
        return account


def _by_token(token: str, accounts: Accounts) -> Account | None:
    shown = Token.hashed(token)
    found = [account for kept, account in accounts.tokens.items() if hmac.compare_digest(kept.digest, shown.digest)]
    return found[0] if found else None


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdecimal() else host).removeprefix("[").removesuffix("]")


def _lies_in(client: str, network: IPv4Network | IPv6Network) -> bool:
    try:
        address = ip_address(client)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address) in network
