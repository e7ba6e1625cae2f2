"""What is counted, and how long commits take: told once for a commit or a batch.

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
TAKEOVERS: Final = Counter("mainstem.tasks.taken_over", "{task}", "Tasks that this process has taken over.")
LOSSES: Final = Counter(
    "mainstem.tasks.lost", "{task}", "Tasks that were lost: fenced, or a commit refused or unknown."
)


def of_handler(group: str, handler: str) -> dict[str, Label]:
    """The labels of what happens to events in one handler."""
    return {GROUP: group, HANDLER: handler}


def count_sent(sent: Mapping[str, int]) -> None:
    """So many records are in the log now, by topic."""
    if not SENT.wanted:
        return
    for topic, count in sent.items():
        SENT.add(count, {**operation("send", "send"), TOPIC: topic})


class Counted:
    """What one incarnation of a task has told already: its counters begin anew with it, and those told do not."""

    def __init__(self, group: str) -> None:
        self._group: dict[str, Label] = {GROUP: group}
        self._skipped = 0

    def read(self, topic: str, count: int) -> None:
        """A batch was read."""
        if not READ.wanted:
            return
        READ.add(count, {**operation("poll", "receive"), **self._group, TOPIC: topic})

    def committed(self, cut: Cut, counters: Counters, seconds: float) -> None:
        """A commit is through; it took so long."""
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
