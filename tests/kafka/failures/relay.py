"""A relay between clients and a broker, which loses what it is told to lose.

Of what passes it understands the size of each message, and of a request which verb it is and which answer will be its
own: both begin with four bytes of length; a request goes on with verb, version and a number, an answer with the number.
"""

import asyncio
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Final, Literal

HOST: Final = "127.0.0.1"


class Verb(IntEnum):
    """Requests, by their numbers in Kafka's protocol."""

    PRODUCE = 0
    FETCH = 1
    ADD_PARTITIONS = 24
    ADD_OFFSETS = 25
    END_TRANSACTION = 26


class _Connection:
    """What of one connection still passes."""

    def __init__(self) -> None:
        self.deaf = False
        self.mute = False
        self.unwanted: set[bytes] = set()
        """The numbers of answers that are to be lost."""


class Relay:
    """Passes everything on until it is told to lose something, and then that connection stands and is dead.

    Where a request was lost nothing passes any more; where an answer was, requests do, and no answer.
    """

    def __init__(self) -> None:
        self.port = 0
        """Where clients are to go; the broker has to advertise it."""
        self.lost = threading.Event()
        """Something has been lost."""
        self._broker = 0
        self._losing: tuple[Verb, str] | None = None
        self._once = False
        self._open: set[StreamWriter] = set()
        self._loop = asyncio.new_event_loop()

    @property
    def settings(self) -> dict[str, str]:
        """What the broker has to be told, so that clients come here."""
        return {"advertised.listeners": f"PLAINTEXT://{HOST}:{self.port}"}

    @property
    def address(self) -> str:
        """Where clients begin."""
        return f"{HOST}:{self.port}"

    def to(self, address: str) -> None:
        """Where the broker is."""
        self._broker = int(address.rpartition(":")[2])

    def lose(self, verb: Verb, what: Literal["request", "answer"], *, once: bool) -> None:
        """Lose requests of this kind, or their answers: the next one, or all from now on."""
        self.lost.clear()
        self._losing, self._once = (verb, what), once

    def mend(self) -> None:
        """Lose nothing any more, and cut every connection, the dead ones above all."""
        self._losing = None
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        connection = _Connection()
        self._open.add(writer)
        try:
            there, onwards = await asyncio.open_connection(HOST, self._broker)
            self._open.add(onwards)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._requests(connection, reader, onwards))
                    group.create_task(self._answers(connection, there, writer))
            finally:
                self._open.discard(onwards)
                onwards.transport.abort()
        except* (OSError, EOFError):
            pass
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _requests(self, connection: _Connection, source: StreamReader, target: StreamWriter) -> None:
        async for message in _messages(source):
            if self._losing is not None and int.from_bytes(message[4:6]) == self._losing[0]:
                if self._losing[1] == "request":
                    connection.deaf = connection.mute = True
                    self.lost.set()
                else:
                    connection.unwanted.add(message[8:12])
                if self._once:
                    self._losing = None
            if not connection.deaf:
                target.write(message)
                await target.drain()

    async def _answers(self, connection: _Connection, source: StreamReader, target: StreamWriter) -> None:
        async for message in _messages(source):
            if message[4:8] in connection.unwanted:
                connection.mute = True
                self.lost.set()
            if not connection.mute:
                target.write(message)
                await target.drain()

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Listen, in a thread."""
        listening = threading.Event()
        ending = asyncio.Event()

        async def serve() -> None:
            server = await asyncio.start_server(self._serve, HOST, 0)
            self.port = server.sockets[0].getsockname()[1]
            listening.set()
            await ending.wait()
            # Closed at once, the server would never end a connection that it has just taken: take none any more.
            self._loop.remove_reader(server.sockets[0].fileno())
            while others := asyncio.all_tasks() - {asyncio.current_task()}:
                self._cut()
                await asyncio.wait(others, timeout=0.05)
            server.close()
            await asyncio.sleep(0)  # what was cut is closed a turn later

        thread = threading.Thread(target=self._loop.run_until_complete, args=(serve(),), name="relay")
        thread.start()
        listening.wait()
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(ending.set)
            thread.join()
            self._loop.close()


async def _messages(source: StreamReader) -> AsyncIterator[bytes]:
    while True:
        size = await source.readexactly(4)
        yield size + await source.readexactly(int.from_bytes(size))
