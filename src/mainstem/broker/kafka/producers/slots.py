"""Producers for transactions outside any task. All of it blocks."""

from collections import deque
from contextlib import suppress
from itertools import count

from mainstem.broker.kafka.options import ClientSettings
from mainstem.broker.kafka.producers.producer import Shipment, TransactionalProducer


class Slots:
    """Producers for transactions outside any task: each id serves one transaction at a time.

    The id of one that can do no more is the next to be used: whatever was left open under it would hold up readers.
    """

    def __init__(self, settings: ClientSettings, process: str) -> None:
        """None is made before it is needed."""
        self._settings = settings
        self._process = process
        self._free: list[TransactionalProducer] = []
        self._numbers = count(1)
        self._left: deque[str] = deque()

    def send(self, shipment: Shipment) -> dict[int, int]:
        """Commit it through a producer that nobody uses."""
        producer = self._take()
        try:
            firsts = producer.send(shipment)
        except BaseException:
            # Also one that was only refused: the client may refuse the next transaction as well, which is another's.
            self._left.append(producer.name)
            producer.close()
            raise
        self._free.append(producer)
        return firsts

    def _take(self) -> TransactionalProducer:
        # Each step is one call, for threads of several transactions take at the same time.
        name = None
        with suppress(IndexError):
            name = self._left.popleft()
        if name is None:
            with suppress(IndexError):
                return self._free.pop()
        name = name or f"mainstem.{self._process}.{next(self._numbers)}"
        try:
            return TransactionalProducer(self._settings, name)
        except BaseException:
            self._left.append(name)
            raise

    def close(self) -> None:
        """Let all of them go."""
        while self._free:
            self._free.pop().close()
