"""The client: one request, one reply; of every way in which a server can be out of reach, one error.

It goes to the servers of one list, which answer alike: to the one that answered last, and from one that does not
answer on to the next.
"""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self
from urllib.parse import unquote, urlsplit

import httpx2
from msgspec import Struct

from mainstem.errors import DefinitionError, ServerAway

TIMEOUT_SECONDS: Final = 5.0
"""How long a server may take to accept a connection, to begin its answer, and then to end it."""

ANSWER_BYTES: Final = 64 * 1024 * 1024
"""More than this is not read: what answers without end is no server of ours."""

__all__ = ["Client", "Credentials", "Reply"]


class Reply(Struct, frozen=True):
    """What a server has answered."""

    status: int
    body: bytes
    server: str


class Credentials(Struct, frozen=True, kw_only=True):
    """How a client proves who it is, and whom it trusts.

    ``token`` is sent as a bearer token. ``ca_file`` has the authorities that may vouch for a server, instead of those
    of the system; ``certificate_file`` and ``key_file`` are the client's own. User and password stand in the URL.
    """

    token: str | None = None
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None

    def context(self) -> ssl.SSLContext:
        """What TLS needs of this."""
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.certificate_file is not None:
            context.load_cert_chain(self.certificate_file, self.key_file)
        return context


class Client:
    """A client of servers that answer alike, each named by a URL; use it as ``async with``."""

    def __init__(
        self,
        urls: Sequence[str],
        credentials: Credentials | None = None,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        answer_bytes: int = ANSWER_BYTES,
    ) -> None:
        """Raises ``DefinitionError`` for what is no http URL, and for certificates that cannot be read."""
        credentials = credentials or Credentials()
        self._servers = [_Server(url) for url in urls]
        headers = {} if credentials.token is None else {"authorization": f"Bearer {credentials.token}"}
        try:
            context = credentials.context()
        except (OSError, ssl.SSLError) as error:
            raise DefinitionError("a certificate cannot be read", why=str(error), remedy="correct its path") from error
        self._answer_seconds, self._answer_bytes = 3 * timeout_seconds, answer_bytes
        # The environment of the process is not ours to read: who wants a proxy names it as the server.
        self._http = httpx2.AsyncClient(verify=context, timeout=timeout_seconds, headers=headers, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send a request to the first server that answers. ``path`` begins with a slash, and is escaped already.

        Raises ``ServerAway`` when none answers, or each says that it cannot just now (502, 503, 504).
        """
        said: list[str] = []
        for server in list(self._servers):
            try:
                request = self._http.build_request(method, server.base + path, content=body, headers=headers)
                # The library bounds each piece of an answer alone: one that comes in drops would never end.
                async with asyncio.timeout(self._answer_seconds):
                    reply = await self._reply(request, server)
            except (httpx2.HTTPError, TimeoutError, _TooMuch) as error:
                said.append(f"{server.name}: {str(error) or type(error).__name__}")
            else:
                if reply.status not in _NOT_NOW:
                    self._prefer(server)
                    return reply
                said.append(f"{server.name}: status {reply.status}")
        raise ServerAway(
            f"{', '.join(each.name for each in self._servers)} cannot be asked",
            where=f"{method} {path}",
            why="; ".join(said),
            remedy="name it with http://: it does not speak TLS"
            if any(_NO_TLS in each for each in said)
            else "see that it runs and can be reached from here; it may answer later",
        )

    async def _reply(self, request: httpx2.Request, server: "_Server") -> Reply:
        answer = await self._http.send(request, auth=server.credentials, stream=True)
        try:
            found = bytearray()
            async for piece in answer.aiter_bytes():
                found += piece
                if len(found) > self._answer_bytes:
                    raise _TooMuch(f"more than {self._answer_bytes} bytes")
        finally:
            await answer.aclose()
        return Reply(answer.status_code, bytes(found), server.name)

    def _prefer(self, server: "_Server") -> None:
        if self._servers[0] is not server:
            self._servers.remove(server)
            self._servers.insert(0, server)


_NOT_NOW: Final = frozenset({502, 503, 504})
_NO_TLS: Final = "WRONG_VERSION_NUMBER"  # how OpenSSL calls an answer that is none of TLS


class _TooMuch(Exception):
    """An answer that has no end in sight."""


class _Server:
    __slots__ = ("base", "credentials", "name")

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1 or parts.query or parts.fragment:
            raise DefinitionError(
                f"{_without_password(url)!r} is no address of a server",
                remedy="write http://host:port or https://user:password@host:port/path",
            )
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self.name = f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")
        self.base = self.name + parts.path.rstrip("/")
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        self.credentials = (user, password) if parts.username is not None else None


def _without_password(url: str) -> str:
    before, at, after = url.rpartition("@")
    return f"{before.partition('://')[0]}://...@{after}" if at else url
