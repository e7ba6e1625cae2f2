"""A connection of the server: what a client may send before it has said what it wants, and for how long.

uvicorn bounds neither. Without a bound, a client that sends one header for ever takes all memory, and one that sends
nothing keeps its connection for ever. Of requests that come before the answer to the first, it reads more with each
answer that it gives, however many wait.
"""

import asyncio
import ssl
from typing import Final, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

HEAD_BYTES: Final = 64 * 1024
"""So many bytes of a request line and headers are read."""

HEAD_SECONDS: Final = 20.0
"""A request that has begun says within so many seconds what it wants; so does a new connection."""

_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Connection(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._head_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the class above
        """Begin to count."""
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count no more."""
        self._arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has come, unless it is too much."""
        self._head_bytes += len(data)
        super().data_received(data)
        # In pieces as they come in, so that one piece may go beyond by its own size.
        if self._deadline is not None and self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._head_bytes = 0
        self._expect()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """It has said what it wants."""
        self._arrived()
        self.scope["extensions"] = {"tls": {"client_cert_name": common_name(self.transport)}}
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Answer the next request; what comes behind those that wait is not read before they are answered."""
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()

    def _expect(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self.timeout_keep_alive_handler)

    def _arrived(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def common_name(transport: asyncio.BaseTransport) -> str | None:
    """The common name in the certificate that the other end has shown, and that was found good."""
    secured = cast("ssl.SSLObject | None", transport.get_extra_info("ssl_object"))
    shown = secured.getpeercert() if secured is not None else None
    parts = cast("tuple[tuple[tuple[str, str], ...], ...]", (shown or {}).get("subject", ()))
    return next((value for part in parts for name, value in part if name == "commonName"), None)
