"""Every path at one place: a route that hands each request on as it came, and sends what comes back."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Message, Receive, Scope, Send

from mainstem.telemetry import log
from mainstem.web.exchange import Answer, Answering, Asked, BodyLimits, BodyRefused

LINGERED_SECONDS: Final = 2.0
LINGERED_BYTES: Final = 64 * 1024 * 1024
"""So long, and of so much, a body that is too large is taken all the same when its answer has been sent."""
_TOO_LARGE: Final = 413
_FAILED: Final = Answer(500, b'{"message":"the server has failed; its log says why"}')


def everything(answering: Answering, limits: BodyLimits | None = None) -> BaseRoute:
    """A route for every path and every method. What ``answering`` raises is logged, and answered with 500."""
    return _Everything(answering, limits or BodyLimits())


class _Everything(BaseRoute):
    def __init__(self, answering: Answering, limits: BodyLimits) -> None:
        self._answering = answering
        self._limits = limits

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whatever it is."""
        return (Match.FULL if scope["type"] == "http" else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand it on, and send what comes back."""
        request = Request(scope, receive)
        asked = _asked(request, self._limits)
        try:
            answer = await self._answering(asked)
        except Exception:  # noqa: BLE001 - a bug in one answer must not end the connection without one
            log.exception("%s %s has failed", asked.method, asked.path)
            answer = _FAILED
        await _response(answer)(scope, receive, _lingering(request, send) if answer.status == _TOO_LARGE else send)


def _asked(request: Request, limits: BodyLimits) -> Asked:
    async def read() -> bytes:
        return await _read(request, limits)

    scope = request.scope
    return Asked(
        method=request.method,
        path=scope["raw_path"].decode("ascii"),
        query=scope["query_string"].decode("ascii", "replace"),
        headers=_headers(request),
        client=request.client.host if request.client else "",
        read=read,
        encrypted=scope["scheme"] == "https",
        common_name=scope.get("extensions", {}).get("tls", {}).get("client_cert_name"),
    )


def _headers(request: Request) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


async def _read(request: Request, limits: BodyLimits) -> bytes:
    said = request.headers.get("content-length", "0")
    if said.isdecimal() and int(said) > limits.body_bytes:
        raise BodyRefused(_TOO_LARGE, f"a body of {said} bytes is more than {limits.body_bytes}")
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for piece in request.stream():
                body += piece
                if len(body) > limits.body_bytes:
                    raise BodyRefused(_TOO_LARGE, f"a body is at most {limits.body_bytes} bytes")
    except TimeoutError:
        raise BodyRefused(408, f"the body has not come within {limits.body_seconds:g} seconds") from None
    except ClientDisconnect:
        raise BodyRefused(400, "the body ends before its end") from None
    return bytes(body)


def _lingering(request: Request, send: Send) -> Send:
    """Take what is still coming behind the answer: a client whose sending is cut off does not read it."""

    async def lingering(message: Message) -> None:
        if message["type"] != "http.response.body":
            await send(message)
            return
        await send({**message, "more_body": True})
        left = LINGERED_BYTES
        with suppress(TimeoutError, ClientDisconnect):
            async with asyncio.timeout(LINGERED_SECONDS):
                async for piece in request.stream():
                    left -= len(piece)
                    if left < 0:
                        break
        await send({"type": "http.response.body"})

    return lingering


def _response(answer: Answer) -> Response:
    # A body that nobody has read is left on the connection: uvicorn reads over it, or closes.
    return Response(answer.body, answer.status, dict(answer.headers), answer.media_type)
