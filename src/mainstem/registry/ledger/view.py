"""What a process knows of a registry: the rows of the log, folded as far as it has read."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final

import msgspec

from mainstem.broker import Batch, Log, TopicPartition
from mainstem.errors import BrokerAway, BrokerError, DatabaseError
from mainstem.events import declaration_of
from mainstem.registry.contents import MemoryRows
from mainstem.registry.ledger.events import ANSWER, ROWS, Outcome, RegistryRow
from mainstem.schemas import codec_for
from mainstem.telemetry import log

AT: Final = TopicPartition(ROWS, 0)
_YIELD_RECORDS: Final = 2_000
_AGAIN_SECONDS: Final = 0.5


class View:
    """Rows in memory that follow the log. The changes of a request are seen all at once, when its answer is."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._decode = codec_for(declaration_of(RegistryRow)).decode
        self._changed: list[tuple[bytes, bytes | None]] = []
        self._offset = 0
        self._passing: list[tuple[int, asyncio.Future[None]]] = []
        self._expected: dict[str, asyncio.Future[Outcome]] = {}
        self._over: BaseException | None = None
        self.rows = MemoryRows()

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Inside the block the log is read; it begins when everything has been read that is there."""
        reading = asyncio.create_task(self._follow(), name="view of the schema registry")
        try:
            await self.catch_up()
            yield
        finally:
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading

    async def catch_up(self) -> None:
        """Return when everything has been read that had been written when this was called.

        Raises what stands in the way, also what has ended the reading.
        """
        _, end = await self._log.bounds(AT)
        self.check()
        if self._offset < end:
            passed = asyncio.get_running_loop().create_future()
            self._passing.append((end, passed))
            await passed

    @contextmanager
    def expecting(self, request: str) -> "Iterator[asyncio.Future[Outcome]]":
        """Inside the block the answer to a request is waited for; when it comes, its changes can be seen."""
        self.check()
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._expected[request] = outcome
        try:
            yield outcome
        finally:
            del self._expected[request]
            outcome.cancel()

    def check(self) -> None:
        """Raise what has ended the reading, if something has: what stands in the rows is older and older then."""
        if self._over is not None:
            raise self._over

    async def _follow(self) -> None:
        try:
            self._offset, _ = await self._log.bounds(AT)
            while True:
                with suppress(BrokerAway):
                    await self._read_on()
                await asyncio.sleep(_AGAIN_SECONDS)
        except Exception as error:  # noqa: BLE001 - told to whoever asks, from now on
            log.error("the log of the schema registry is not read any more: %s", error)
            self._end(error)
        except BaseException as error:
            self._end(error)
            raise

    async def _read_on(self) -> None:
        reader = self._log.reader({AT: self._offset})
        try:
            while True:
                batch = reader.take()
                if batch is None:
                    await reader.wait()
                else:
                    await self._fold(batch)
        finally:
            reader.close()

    async def _fold(self, batch: Batch) -> None:
        for number, value in enumerate(batch.values):
            if number and number % _YIELD_RECORDS == 0:
                await asyncio.sleep(0)
            if value is not None:
                row = self._decode(value)
                assert isinstance(row, RegistryRow), "the topic holds nothing else"
                self._take(row)
        self._offset = batch.next_offset
        for end, passed in self._passing:
            if end <= self._offset and not passed.done():
                passed.set_result(None)
        self._passing = [each for each in self._passing if not each[1].done()]

    def _take(self, row: RegistryRow) -> None:
        if row.row != ANSWER:
            self._changed.append((row.row.encode(), row.value))
            return
        for key, value in self._changed:
            if value is None:
                self.rows.delete(key)
            else:
                self.rows.put(key, value)
        self._changed.clear()
        outcome = msgspec.msgpack.decode(row.value or b"", type=Outcome)
        expected = self._expected.get(outcome.request)
        if expected is not None and not expected.done():
            expected.set_result(outcome)

    def _end(self, error: BaseException) -> None:
        """Nothing is read any more: whoever waits is told."""
        if isinstance(error, Exception) and not isinstance(error, BrokerError | DatabaseError):
            error = BrokerError("The log of the schema registry cannot be read", why=str(error))
        self._over = error
        waiters: list[asyncio.Future[None] | asyncio.Future[Outcome]] = [passed for _, passed in self._passing]
        for waiting in (*waiters, *self._expected.values()):
            if waiting.done():
                continue
            if isinstance(error, Exception):
                waiting.set_exception(error)
            else:
                waiting.cancel()
