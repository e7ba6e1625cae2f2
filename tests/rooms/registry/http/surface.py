"""A registry without a socket: requests as values, to the same surface that a server hands them to."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from mainstem.clock import ManualClock
from mainstem.errors import BrokerAway
from mainstem.registry.contents import Contents, InMemory, Operation
from mainstem.registry.http import Account, Accounts, Api, Deed, Exposure, Grant, Options, Password
from mainstem.web import Address, Answer, Asked, BodyRefused

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
LIMIT_BYTES = 4 * 1024 * 1024


class Away(InMemory):
    """A registry whose broker does not answer."""

    async def view(self) -> Contents:
        """Never."""
        raise BrokerAway("the broker does not answer")


class Broken(InMemory):
    """A registry with a bug."""

    async def view(self) -> Contents:
        """Never."""
        raise ValueError("a bug")

    async def write(self, operation: Operation[Any]) -> Any:  # noqa: ARG002 - nothing is done
        """Never."""
        return await self.view()


class Slow(InMemory):
    """A registry that takes its time."""

    async def view(self) -> Contents:
        """Wait for what does not come."""
        await asyncio.Event().wait()
        raise AssertionError

    async def write(self, operation: Operation[Any]) -> Any:  # noqa: ARG002 - nothing is done
        """Never."""
        return await self.view()


READER = Account(
    "reader", (Grant("", frozenset(("read",))),), str(Password.hashed("secret", b"salt of the reader", 10))
)


def registry(kind: str, deeds: list[Deed] | None = None) -> Api:
    """A registry of a kind that the table names."""
    clock = ManualClock()
    access = {"away": Away, "broken": Broken, "slow": Slow}.get(kind, InMemory)(clock)
    guarded = Exposure(Address("127.0.0.1", 0), accounts=Accounts((READER,)))
    options = Options(40901 if kind == "later" else 409, 0.05 if kind == "slow" else 30)
    kept = [] if deeds is None else deeds
    return Api(access, clock, guarded if kind == "guarded" else None, options, kept.append)


def asked(
    line: str, body: bytes = b"", headers: Mapping[str, str] | None = None, client: str = "127.0.0.1", **more: Any
) -> Asked:
    """A request, from its method and its path."""
    method, _, target = line.partition(" ")
    path, _, query = target.partition("?")

    async def read() -> bytes:
        if len(body) > LIMIT_BYTES:
            raise BodyRefused(413, "too large")
        return body

    kinds = {"content-type": MEDIA_TYPE} if body else {}
    return Asked(method, path, query, {**kinds, **(headers or {})}, client, read, **more)


async def ask(api: Api, line: str, body: object = None, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
    """The status and the body of an answer, read as JSON."""
    answer: Answer = await api.answer(asked(line, b"" if body is None else json.dumps(body).encode(), headers))
    return answer.status, json.loads(answer.body) if answer.body else None


def basic(name: str, password: str) -> dict[str, str]:
    """How a name and a password are sent."""
    return {"authorization": "Basic " + b64encode(f"{name}:{password}".encode()).decode()}
