"""Publishing later from outside a handler: a command in the inbox of a group of the service, which keeps what waits.

The command is durable like an event, and so is what it orders; nobody need run the group at that moment.
"""

import re
from collections.abc import Callable, Generator
from datetime import datetime
from typing import Final, Generic, TypeVar

from mainstem.broker import Broker, Record, TopicPartition, inbox_of
from mainstem.calendar import Duration, seconds
from mainstem.delivery import Command, Order, Questions, checked_name, due_ms, encode_command, waiting_fact
from mainstem.errors import DefinitionError, RecordTooLarge, UnknownTopic
from mainstem.events import partition_for
from mainstem.identifiers import derive
from mainstem.service.definition import Safekeeping
from mainstem.service.publishing import Acknowledgement, Publisher
from mainstem.state import Owner

T = TypeVar("T")

WAIT: Final = "10s"
COMMAND_BYTES_MAX: Final = 990_000
"""An inbox takes records of a million bytes."""
_UNNAMED: Final = re.compile(r"(\d+)/[0-9a-f-]{36}")
_CALL: Final = "service.later.publish(event)"


class Reply(Generic[T]):
    """The answer to something that was asked of a service. Await it, or in a thread call :meth:`result`.

    It is on its way already; whoever gives up waiting does not take it back.
    """

    __slots__ = ("_acknowledgement", "_value")

    def __init__(self, acknowledgement: Acknowledgement, value: Callable[[], T]) -> None:
        self._acknowledgement = acknowledgement
        self._value = value

    def __await__(self) -> Generator[object, None, T]:
        yield from self._acknowledgement.__await__()
        return self._value()

    def result(self, timeout_seconds: float | None = None) -> T:
        """Wait in a thread that runs no event loop. Raises what has gone wrong, and ``TimeoutError``."""
        self._acknowledgement.result(timeout_seconds)
        return self._value()


class Later:
    """What one service publishes later, for any thread."""

    def __init__(self, publisher: Publisher, broker: Broker, safekeeping: Safekeeping | None) -> None:
        self._publisher = publisher
        self._broker = broker
        self._safekeeping = safekeeping

    def publish(
        self, event: object, *, after: Duration | None = None, at: int | datetime | None = None, name: str | None = None
    ) -> Reply[str]:
        """Publish an event when it is time: ``after`` so much, or ``at`` a wall-clock time.

        It is encoded at once, and durable once the answer is there; the service need not run then. The answer is its
        handle for :meth:`cancel`: ``name``, or else one that is made. What waits under a name is replaced by a later
        call with it, by whichever process; so a call whose outcome is unknown may be repeated while the event waits.
        Repeated after that, it is published again; with ``at`` under the same id, by which a reader's ``Deduplicate``
        knows it. A name is one of the service, and says where it waits: those without a name that are due
        at the same time keep the order of their events' keys. ``at`` is milliseconds since 1970 (UTC), or an aware
        ``datetime``.

        Raises :class:`~mainstem.errors.EventRefused` as ``service.publish`` does, and
        :class:`~mainstem.errors.DefinitionError` where no group of the service could keep it.
        """
        publisher, place = self._publisher, f"service {self._publisher.service}"
        publisher.check_usable((event,), "service.later.publish", "call context.publish_later(event, ...)")
        kept, now = self._kept_by(), self._publisher.clock.now_ms()
        due = due_ms((_CALL, place), after, at, now, 0)
        if name is not None and _UNNAMED.fullmatch(checked_name(name, place)):
            raise DefinitionError(
                f"what is published later cannot be called {name!r}",
                where=place,
                why="it looks like a handle of something that has no name",
                remedy="give it another name, or none",
            )
        event_id = (
            self._publisher.identifiers.new() if name is None else derive("later", publisher.service, name, str(due))
        )
        fact = publisher.fact(event, event_id, due)
        task = partition_for(name.encode() if name else fact[1].key or event_id.encode(), kept.tasks)
        handle = f"{task}/{event_id}" if name is None else name
        place_bytes = Owner(handle, outside=True).row
        command = encode_command(
            Command(event_id, "publish-later", "", place_bytes, at_ms=due, value=waiting_fact(fact))
        )
        if len(command) > COMMAND_BYTES_MAX:
            raise _too_large(len(command), place)
        record = Record(handle.encode(), command, now)
        at_inbox = TopicPartition(inbox_of(kept.group), task)
        return Reply(publisher.begin(lambda: self._send(at_inbox, record)), lambda: handle)

    def cancel(self, handle: str, *, wait: Duration = WAIT) -> Reply[bool]:
        """Let an event not be published that :meth:`publish` has put off, in whichever process.

        The answer comes from the task that would keep it now: False when it has been published, or never was to be, or
        was put off when another group of the service came first, and still waits there. Raises
        :class:`~mainstem.errors.NotAnswered` where nobody answers within ``wait``; the event is taken back all the
        same, unless it is due before the group is run again.
        """
        self._publisher.check_usable((), "service.later.cancel", "use context.publish_later and context.cancel_later")
        kept, found = self._kept_by(), [False]
        unnamed = _UNNAMED.fullmatch(handle)
        task = int(unnamed[1]) if unnamed else partition_for(handle.encode(), kept.tasks)
        if task >= kept.tasks:
            return Reply(self._publisher.begin(_nothing), lambda: False)
        command = Command(self._publisher.identifiers.new(), "cancel", "", Owner(handle, outside=True).row)
        questions = Questions(self._broker, kept.group, self._publisher.clock, seconds(wait))

        async def ask() -> None:
            answers = await questions.ask([Order(task, command)])
            found[0] = bool(answers[command.id].answer.found)

        return Reply(self._publisher.begin(ask), lambda: found[0])

    async def _send(self, at: TopicPartition, record: Record) -> None:
        try:
            await self._broker.log.append(at, [record])
        except UnknownTopic as error:
            raise UnknownTopic(
                f"there is no {at.topic!r} yet in which an event could wait to be published",
                where=self._broker.name,
                why="the group that would keep it has never been started on this broker",
                remedy="start the service with its handlers once",
            ) from error

    def _kept_by(self) -> Safekeeping:
        if self._safekeeping is None:
            raise DefinitionError(
                "nobody could keep an event that is to be published later",
                where=f"service {self._publisher.service}",
                why="it waits in the store of a group, and the service has no handlers, or is delivered at least once",
                remedy="give the service a handler, which may be one for something else, with exactly-once delivery",
            )
        return self._safekeeping


async def _nothing() -> None:
    """There is no such task."""


def _too_large(size_bytes: int, place: str) -> RecordTooLarge:
    return RecordTooLarge(
        f"an event to be published later takes {size_bytes} bytes in the inbox",
        where=place,
        why=f"a command takes {COMMAND_BYTES_MAX} bytes at most, and as text an event is a third larger",
        remedy="publish where the content is, or publish it from a handler with context.publish_later",
    )
