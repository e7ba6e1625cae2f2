"""A broker that does not answer: said once for a process, however many groups and tasks wait for it."""

from mainstem.errors import BrokerAway
from mainstem.telemetry import log


class Outage:
    """Who waits for the broker. The first one says so, and whoever is the last to be answered says that it is over."""

    def __init__(self) -> None:
        """It answers, as far as is known."""
        self._waiting: set[str] = set()
        self._since = 0.0

    def notice(self, who: str, error: BrokerAway, now: float) -> None:
        """Somebody was not answered, and is going to ask again."""
        if not self._waiting:
            self._since = now
            log.error("the broker does not answer, and what needs it waits until it does: %s: %s", who, error)
        else:
            log.debug("%s waits for the broker: %s", who, error)
        self._waiting.add(who)

    def over(self, who: str, now: float) -> None:
        """Somebody was answered, whether it had waited or not."""
        if who in self._waiting:
            self._waiting.discard(who)
            if not self._waiting:
                log.warning("the broker answers again, after %.0f s", now - self._since)

    def leave(self, who: str) -> None:
        """Somebody waits no more, and was not answered."""
        self._waiting.discard(who)
