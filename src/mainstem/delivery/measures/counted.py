"""What is counted, and how long commits take: in one place, for whoever looks at a task and for whoever measures.

It is told once for a commit or a batch.

What goes wrong is told when it does: it is rare, or a log line and a copy of the event cost far more.
"""

from collections import Counter as Sum
from collections.abc import Mapping
from typing import Final

from mainstem.delivery.ledger import Counters, Cut
from mainstem.telemetry import GROUP, HANDLER, TOPIC, Counter, Histogram, Label, operation

READ: Final = Counter("messaging.client.consumed.messages", "{message}", "Records that were read from a topic.")
SENT: Final = Counter("messaging.client.sent.messages", "{message}", "Records that were committed to a topic.")
OPERATION_DURATION: Final = Histogram("messaging.client.operation.duration", "s", "How long a commit took.")
HANDLED: Final = Counter("mainstem.events.handled", "{event}", "Events that were handled, and committed.")
SKIPPED: Final = Counter("mainstem.events.skipped", "{event}", "Events that no handler of the group wants.")
RETRIED: Final = Counter("mainstem.events.retried", "{run}", "Runs of a handler for an event that had failed before.")
PARKED: Final = Counter("mainstem.events.parked", "{event}", "Events that failed, and are tried again later.")
DEAD_LETTERED: Final = Counter("mainstem.events.dead_lettered", "{event}", "Events that became a dead letter.")
REDRIVEN: Final = Counter("mainstem.events.redriven", "{event}", "Parked events that somebody has redriven.")
DISCARDED: Final = Counter("mainstem.events.discarded", "{event}", "Events that a retry policy has discarded.")
DOUBLES: Final = Counter(
    "mainstem.events.doubles", "{event}", "Events that a handler had been given before, and was not given again."
)
PUT_ASIDE: Final = Counter(
    "mainstem.events.put_aside", "{event}", "Events that wait because their handler gives way to others."
)
TAKEOVERS: Final = Counter("mainstem.tasks.taken_over", "{task}", "Tasks that this process has taken over.")
LOSSES: Final = Counter(
    "mainstem.tasks.lost", "{task}", "Tasks that were lost: fenced, or a commit refused or unknown."
)


def _of_handler(group: str, handler: str) -> dict[str, Label]:
    """The labels of what happens to events in one handler."""
    return {GROUP: group, HANDLER: handler}


def count_sent(sent: Mapping[str, int]) -> None:
    """So many records are in the log now, by topic."""
    if not SENT.wanted:
        return
    for topic, count in sent.items():
        SENT.add(count, {**operation("send", "send"), TOPIC: topic})


class Counted:
    """Counts what one incarnation of a task does.

    ``counters`` are its own, and begin anew with it; what whoever measures is told goes on as long as the process.
    """

    def __init__(self, group: str) -> None:
        self.counters = Counters()
        self._name = group
        self._group: dict[str, Label] = {GROUP: group}
        self._skipped = 0

    def failed(self) -> None:
        """A run has failed, or an event cannot be given to its handler."""
        self.counters.failures += 1

    def retried(self, handler: str) -> None:
        """An event is given to a handler again."""
        RETRIED.add(1, _of_handler(self._name, handler))

    def parked(self, handler: str) -> None:
        """A key is parked, to be tried again later."""
        self.counters.parked += 1
        PARKED.add(1, _of_handler(self._name, handler))

    def dead_lettered(self, handler: str) -> None:
        """An event has become a dead letter."""
        self.counters.dead_lettered += 1
        DEAD_LETTERED.add(1, _of_handler(self._name, handler))

    def discarded(self, handler: str) -> None:
        """A retry policy has discarded an event."""
        self.counters.discarded += 1
        DISCARDED.add(1, _of_handler(self._name, handler))

    def doubled(self, handler: str) -> None:
        """An event was not given to a handler that had been given it before."""
        self.counters.doubles += 1
        DOUBLES.add(1, _of_handler(self._name, handler))

    def put_aside(self, handler: str) -> None:
        """An event waits because its handler gives way."""
        self.counters.put_aside += 1
        PUT_ASIDE.add(1, _of_handler(self._name, handler))

    def redriven(self, handler: str, count: int) -> None:
        """Somebody has redriven so many events."""
        self.counters.redriven += count
        REDRIVEN.add(count, _of_handler(self._name, handler))

    def read(self, topic: str, count: int) -> None:
        """A batch was read."""
        if not READ.wanted:
            return
        READ.add(count, {**operation("poll", "receive"), **self._group, TOPIC: topic})

    def committed(self, cut: Cut, seconds: float) -> None:
        """A commit is through; it took so long."""
        counters = self.counters
        counters.commits += 1
        counters.handled += cut.events
        counters.published += sum(map(len, cut.facts.values()))
        if not HANDLED.wanted:
            return
        OPERATION_DURATION.record(seconds, {**operation("commit", "settle"), **self._group})
        if cut.events:
            HANDLED.add(cut.events, self._group)
        skipped = sum(counters.skipped.values())
        if skipped > self._skipped:
            SKIPPED.add(skipped - self._skipped, self._group)
            self._skipped = skipped
        sent: Sum[str] = Sum()
        for at, records in cut.facts.items():
            sent[at.topic] += len(records)
        count_sent(sent)
