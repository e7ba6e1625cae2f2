"""The thread of a member: it subscribes to the inbox, keeps the membership alive, and reads nothing.

What the group says is recorded here, and acted upon in the event loop. A task that is taken away is waited for,
bounded: the client completes a revocation when its callback returns, and the next owner is told only then.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Final

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as At

from mainstem.broker.kafka.calls import failure, translated
from mainstem.broker.kafka.options import Settings
from mainstem.clock import Clock
from mainstem.errors import BrokerError, NotAllowed
from mainstem.telemetry import log

POLL_SECONDS: Final = 0.02
LEAST_POLL_SECONDS: Final = 0.001
"""With 0 the time that a callback takes would count as time without a poll, and the member be expelled for it."""
SILENCE_SECONDS: Final = 1.5
_LOST: Final = frozenset({KafkaError.FENCED_INSTANCE_ID, KafkaError._MAX_POLL_EXCEEDED, KafkaError._FATAL})


class Life:
    """What a thread is told: how long the event loop may stand still, and how long a task may drain."""

    def __init__(self, clock: Clock, session_seconds: float, drain_seconds: float) -> None:
        self._clock = clock
        self._session_seconds = session_seconds
        self.drain_seconds = drain_seconds
        self._ticked = clock.monotonic()
        self._ticking: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Tick with the event loop from now on."""
        self._ticked = self._clock.monotonic()
        self._ticking = asyncio.get_running_loop().call_later(self._session_seconds / 4, self.begin)

    def end(self) -> None:
        """Tick no more."""
        if self._ticking is not None:
            self._ticking.cancel()

    def now(self) -> float:
        """The time that drains are measured with."""
        return self._clock.monotonic()

    def is_over(self) -> bool:
        """Whether the event loop has stood still for longer than the session timeout."""
        return self._clock.monotonic() - self._ticked > self._session_seconds


class MemberThread:
    """One consumer that is subscribed to an inbox, in a thread of its own.

    ``changed`` is called in the event loop whenever ``assigned``, ``member`` or ``lost`` differ from before.
    """

    def __init__(self, settings: Settings, inbox: str, life: Life, changed: Callable[[], None]) -> None:
        """The thread has not been started."""
        self._settings = settings
        self._inbox = inbox
        self._life = life
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._asked: deque[tuple[Sequence[At], Future[None]]] = deque()
        self._news = threading.Condition()
        """Guards what is owned and what is asked for."""
        self._owned: set[int] = set()
        self.assigned: frozenset[int] = frozenset()
        self.told = False
        """Whether the group has said what this member is to have, and be it nothing."""
        self.member = ""
        self.lost: str | None = None
        self.denied: BrokerError | None = None
        """Why joining again would be of no use."""
        self.silent = False
        """Do not poll: to the group it is as if the process had been stopped. For tests."""

    # -- in the event loop

    def start(self) -> None:
        """Join. Raises what the client says of its settings."""
        try:
            consumer = Consumer(self._settings)
        except KafkaException as raised:
            raise failure(raised, f"a member of {self._inbox}") from raised
        name = f"mainstem member of {self._inbox}"
        self._thread = threading.Thread(target=self._run, args=(consumer,), name=name, daemon=True)
        self._thread.start()

    def own(self, task: int) -> None:
        """The task is being taken over: it must be given back before the group may have it."""
        with self._news:
            self._owned.add(task)

    def release(self, task: int) -> None:
        """The task is drained."""
        with self._news:
            self._owned.discard(task)
            self._news.notify_all()

    def commit(self, positions: Sequence[At], seconds: float) -> None:
        """Move positions of the group in the name of this member. Blocks; from any thread but its own.

        Raises KafkaException; with ``UNKNOWN_MEMBER_ID`` when the member has gone.
        """
        done: Future[None] = Future()
        with self._news:
            if self._closing or self.lost is not None:
                raise _gone(self.lost or "it has left")
            self._asked.append((positions, done))
            self._news.notify_all()
        try:
            done.result(seconds)
        except TimeoutError as error:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT)) from error

    def close(self, seconds: float) -> bool:
        """Give everything back, leave, and wait for that, but not for longer; whether it is done. Blocks."""
        self._closing = True
        with self._news:
            self._owned.clear()
            self._news.notify_all()
        if self._thread is None:
            return True
        self._thread.join(seconds)
        return not self._thread.is_alive()

    # -- in the thread

    def _run(self, consumer: Consumer) -> None:
        try:
            consumer.subscribe([self._inbox], on_assign=self._assign, on_revoke=self._revoke, on_lost=self._drop)
            while not self._closing and self.lost is None:
                self._beat(consumer)
        except Exception as raised:  # noqa: BLE001 - whatever it is: without its thread it is a member no more
            self._lose(str(raised))
        finally:
            with self._news:
                self._closing = True
                left = [done for _, done in self._asked]
            for done in left:
                done.set_exception(_gone(self.lost or "it has left"))
            with suppress(KafkaException, RuntimeError):
                consumer.close()

    def _beat(self, consumer: Consumer) -> None:
        if self.silent:
            time.sleep(POLL_SECONDS)
            return
        if self._life.is_over():
            # Nobody is alive to the group and dead for work: others shall have the tasks.
            self._lose("the event loop stood still for longer than the session timeout")
            return
        # Nothing can wake a poll, so the waiting is done here.
        with self._news:
            self._news.wait_for(lambda: self._asked or self._closing, POLL_SECONDS)
        self._commit_what_is_asked(consumer)
        message = consumer.poll(LEAST_POLL_SECONDS)
        error = None if message is None else message.error()
        if error is not None and isinstance(denied := translated(error, f"a member of {self._inbox}"), NotAllowed):
            self.denied = denied
            self._lose(denied.why)
        elif error is not None and (error.fatal() or error.code() in _LOST):
            self._lose(f"{error.name()}: {error.str()}")
        if not self.member and (member := consumer.memberid()):
            self.member = member
            self._loop.call_soon_threadsafe(self._loop.call_later, SILENCE_SECONDS, self._nothing_so_far)
            self._tell()

    def _commit_what_is_asked(self, consumer: Consumer) -> None:
        with self._news:
            asked = list(self._asked)
            self._asked.clear()
        if not asked:
            return
        error: KafkaException | None = None
        try:
            # What several tasks ask for is one request.
            answers = consumer.commit(offsets=[at for positions, _ in asked for at in positions], asynchronous=False)
            refused = next((at.error for at in answers or () if at.error is not None), None)
            error = None if refused is None else KafkaException(refused)
        except KafkaException as raised:
            error = raised
        for _, done in asked:
            done.set_result(None) if error is None else done.set_exception(error)

    def _nothing_so_far(self) -> None:
        # In the event loop. With the newer protocol nobody says so to a member that is to have nothing.
        self.told = True
        self._changed()

    def _assign(self, consumer: Consumer, partitions: Sequence[At]) -> None:
        if partitions:
            # Assigned and paused: whoever owns the task reads its inbox elsewhere, from the committed position.
            ends = [At(each.topic, each.partition, OFFSET_END) for each in partitions]
            consumer.incremental_assign(ends)
            consumer.pause(ends)
        else:
            consumer.incremental_assign([])
        self.member = consumer.memberid() or self.member
        self.assigned |= {each.partition for each in partitions}
        self.told = True
        self._tell()

    def _revoke(self, consumer: Consumer, partitions: Sequence[At]) -> None:
        revoked = {each.partition for each in partitions}
        self.assigned -= revoked
        self._tell()
        self._wait_until_drained(consumer, revoked)
        with self._news:
            if not self._closing and revoked & self._owned:
                log.warning(
                    "%s: tasks %s are taken away although they have not been drained within %g s",
                    self._inbox,
                    sorted(revoked & self._owned),
                    self._life.drain_seconds,
                )
            self._owned -= revoked
        consumer.incremental_unassign(list(partitions))

    def _wait_until_drained(self, consumer: Consumer, revoked: set[int]) -> None:
        """What is drained commits its last positions through this very thread."""
        until = self._life.now() + self._life.drain_seconds
        while True:
            with self._news:
                self._news.wait_for(
                    lambda: self._asked or self._closing or not revoked & self._owned, until - self._life.now()
                )
                over = self._closing or not revoked & self._owned or self._life.now() >= until
            self._commit_what_is_asked(consumer)
            if over:
                return

    def _drop(self, consumer: Consumer, partitions: Sequence[At]) -> None:
        consumer.incremental_unassign(list(partitions))
        self._lose("its session has timed out")

    def _lose(self, why: str) -> None:
        self.lost = self.lost or why
        self.assigned = frozenset()
        self._tell()

    def _tell(self) -> None:
        with suppress(RuntimeError):  # the event loop has been closed meanwhile
            self._loop.call_soon_threadsafe(self._changed)


def _gone(why: str) -> KafkaException:
    return KafkaException(KafkaError(KafkaError.UNKNOWN_MEMBER_ID, why))
