"""A registry that is a service: reads from what this process has folded, writes through the log."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar, cast

import msgspec
from msgspec import Struct

from mainstem.broker import Log
from mainstem.errors import BrokerAway, BrokerError, CommitUnknown, DatabaseError, RecordTooLarge
from mainstem.identifiers import Identifiers
from mainstem.registry.contents import (
    Contents,
    Limits,
    Operation,
    Register,
    RegistryError,
    store_failed,
    too_large,
    too_late,
)
from mainstem.registry.ledger.events import AnyOperation, Outcome, RegistryRequest
from mainstem.registry.ledger.view import View

A = TypeVar("A")

_AGAIN_SECONDS: Final = 0.2
_COMPARED_AT_ONCE: Final = 2


class Patience(Struct, frozen=True):
    """How long a write waits for its answer, and after how long it is published once more; it has the same one then."""

    answer_seconds: float = 30.0
    again_seconds: float = 5.0


class Ledger:
    """Access to a registry through its log. Any process may read and write; the owner of the task carries out."""

    def __init__(
        self,
        log: Log,
        publish: Callable[[RegistryRequest], Awaitable[None]],
        identifiers: Identifiers,
        limits: Limits,
        patience: Patience | None = None,
    ) -> None:
        """``publish`` makes a request durable; it is called again with the same one where that is not known."""
        self._view = View(log)
        self._publish = publish
        self._identifiers = identifiers
        self._limits = limits
        self._patience = patience or Patience()
        self._comparing = asyncio.Semaphore(_COMPARED_AT_ONCE)

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Inside the block it can be asked."""
        async with self._view.following():
            yield

    async def view(self) -> Contents:
        """What has been read here; others may have written more. Raises RegistryError 50001 where nothing is read."""
        try:
            self._view.check()
        except (BrokerError, DatabaseError) as error:
            raise store_failed(str(error)) from error
        return Contents(self._view.rows, self._limits)

    async def caught_up(self) -> Contents:
        """What the log has now. Raises RegistryError 50001 where the broker does not answer, 50002 in time."""
        try:
            async with asyncio.timeout(self._patience.answer_seconds):
                await self._view.catch_up()
        except TimeoutError:
            raise too_late("The log was not read to its end in time") from None
        except (BrokerError, DatabaseError) as error:
            raise store_failed(str(error)) from error
        return Contents(self._view.rows, self._limits)

    async def write(self, operation: Operation[A]) -> A:
        """Have it carried out; returns once it is durable, and can be seen here.

        Raises RegistryError: when it is refused nothing has changed. With 50001 and 50002 it may still be carried out.
        """
        try:
            async with asyncio.timeout(self._patience.answer_seconds):
                asked = cast("AnyOperation", operation)
                if isinstance(asked, Register):
                    asked = await self._compared(asked)
                request = RegistryRequest(self._identifiers.new(), asked)
                with self._view.expecting(request.request) as expected:
                    while not expected.done():
                        await self._publish_surely(request)
                        # Who reads late may find that compaction has left a later answer in the place of its own.
                        await asyncio.wait([expected], timeout=self._patience.again_seconds)
                    outcome = expected.result()
        except TimeoutError:
            raise too_late("The registry did not answer in time; what was asked for may still be done") from None
        except RecordTooLarge as error:
            raise too_large(f"The request is too large: {error.what}") from error
        except (BrokerError, DatabaseError) as error:
            raise store_failed(str(error)) from error
        return _answer(outcome, operation)

    async def _compared(self, operation: Register) -> Register:
        """Compare here with the many versions of a subject: who carries out would hold up everybody else meanwhile."""
        if not operation.has_many(await self.view()):
            return operation
        async with self._comparing:
            return await asyncio.to_thread(operation.comparing(await self.caught_up()))

    async def _publish_surely(self, request: RegistryRequest) -> None:
        """Publish it until that is known to have happened: asked twice, it is carried out once."""
        while True:
            try:
                await self._publish(request)
                return
            except (BrokerAway, CommitUnknown):
                await asyncio.sleep(_AGAIN_SECONDS)


def _answer(outcome: Outcome, operation: Operation[A]) -> A:
    if outcome.number:
        raise RegistryError(outcome.number, outcome.message)
    return cast("A", msgspec.msgpack.decode(outcome.answer, type=operation.answer))
