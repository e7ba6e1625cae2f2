"""Kills workers and producers that have a cluster between them."""

from collections.abc import Callable

from tests.crash.crew import Member
from tests.crash.killer import Killer
from tests.kafka.failures.probes import APPLIED, COMMITTED, OPENED, SENT

OF_WORKERS = 0.85
"""So many kills are of workers; the others are of producers."""


class KafkaKiller(Killer):
    """The same, without looking at a file, and without making commits unknown: on a cluster they become so."""

    points = (OPENED, "begun", SENT, COMMITTED, APPLIED)

    def choose(self, fits: Callable[[Member], bool] = lambda _: True) -> Member:
        """Somebody who is up."""
        kind = "worker" if self._random.random() < OF_WORKERS else "producer"
        return super().choose(lambda member: member.name.startswith(kind) and fits(member))

    def inspect(self) -> None:
        """The log is the broker's business."""

    def actions(self, victim: Member) -> dict[Callable[[Member], None], int]:
        """Kills only, and stalls; a producer has no task, and no commit that it could be held in."""
        actions: dict[Callable[[Member], None], int] = {self._kill_blind: 8, self._kill_everybody: 1}
        if victim.name.startswith("worker"):
            actions |= {
                self._stall: 2,
                self._drain: 2,
                self._kill_racing: 8,
                self._kill_held: 12,
                self._kill_leaving: 4,
                self._kill_arriving: 4,
            }
        return actions
