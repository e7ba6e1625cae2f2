"""Calls that block: a few threads run them, and nobody waits for one that hangs."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final, Generic, TypeVar

from confluent_kafka import KafkaException

from mainstem.broker.kafka.calls.meanings import LOOK, failure
from mainstem.errors import BrokerAway, BrokerError, CommitUnknown

T = TypeVar("T")

COMMIT_SECONDS: Final = 3.0
"""A commit of a task is waited for so long, and the next one of the same task for longer, if that was too short."""
LONGER: Final = 5


class _Call(Generic[T]):
    """Something that blocks, and its outcome."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self.future: Future[T] = Future()
        self.given_up = False

    def __call__(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self._call()
        except BaseException as error:  # noqa: BLE001 - told to whoever waits
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class _Threads:
    """So many threads, beside those that were given up. Python waits for none of them when the process ends."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._asked: SimpleQueue[_Call[T] | None] = SimpleQueue()  # type: ignore[valid-type]  # each call has a type of its own
        self._guard = threading.Lock()
        self._made = 0
        self._busy = 0

    def submit(self, call: _Call[T]) -> None:
        with self._guard:
            self._busy += 1
            self._asked.put(call)
            self._man()

    def give_up(self, call: _Call[T]) -> None:
        """Let another thread take the place of the one that this call holds."""
        with self._guard:
            if call.future.running():
                call.given_up = True
                self._made -= 1
                self._busy -= 1
                self._man()

    def _man(self) -> None:
        if self._made < min(self._busy, self._most):
            self._made += 1
            threading.Thread(target=self._run, name="mainstem kafka", daemon=True).start()

    def _run(self) -> None:
        while (call := self._asked.get()) is not None:
            call()
            with self._guard:
                if call.given_up:
                    return
                self._busy -= 1
            del call  # what it holds is let go of before the next one comes

    def close(self) -> None:
        with suppress(Empty):
            while (call := self._asked.get_nowait()) is not None:
                call.future.cancel()
        for _ in range(self._made):
            self._asked.put(None)


class Calls:
    """Runs what blocks in a few threads, and awaits what answers with a future.

    A call of the client may never return: with a lost connection ``send_offsets_to_transaction`` did not, whatever
    time it was given. So nobody waits for longer than ``seconds``, and the thread is replaced: soon all would hang.
    """

    def __init__(self, threads: int, seconds: float, commit_seconds: float = COMMIT_SECONDS) -> None:
        """At most ``threads`` calls run at once, and each is waited for so long; a commit for less, as long as it can.

        A client goes on asking the coordinator of a group that has died, also when it is back, and the one who takes
        the task over anew asks who it is now. But where the cluster is slow, to take over once more mends nothing.
        """
        self._threads = _Threads(threads)
        self._commit_seconds = commit_seconds
        self._patience: dict[str, float] = {}
        self.seconds = seconds
        self.outages = 0
        """How often the cluster has not answered."""

    async def commit(self, call: Callable[[], T], where: str, late: type[BrokerError] = CommitUnknown) -> T:
        """Commit for a task, whose name is ``where``. Raises ``late`` where it is not through in time."""
        seconds = min(self._patience.get(where, self._commit_seconds), self.seconds)
        try:
            result = await self.run(call, where, late, seconds)
        except late:
            self._patience[where] = seconds * LONGER
            raise
        self._patience.pop(where, None)
        return result

    async def run(
        self, call: Callable[[], T], where: str, late: type[BrokerError] = BrokerAway, seconds: float | None = None
    ) -> T:
        """Call it in a thread. It runs to its end even when nobody waits any more, and then holds up nobody else.

        Raises ``late`` where it has not returned in time.
        """
        seconds = self.seconds if seconds is None else seconds
        asked = _Call(call)
        self._threads.submit(asked)
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await asyncio.wrap_future(asked.future)
        except KafkaException as raised:
            failed = failure(raised, where)
            self.outages += isinstance(failed, BrokerAway)
            raise failed from raised
        except TimeoutError:
            if not limit.expired():
                raise
            self._threads.give_up(asked)
            self.outages += 1
            why = f"a call of the client has not returned within {seconds:g} s, and is given up"
            raise late("The cluster does not answer", where=where, why=why, remedy=LOOK) from None
        except asyncio.CancelledError:
            self._threads.give_up(asked)
            raise

    def close(self) -> None:
        """Wait for nothing that runs."""
        self._threads.close()
