"""The work that lets go of what has been seen for long enough."""

from collections.abc import Callable

from msgspec import Struct

from mainstem.delivery.gates.doubles import Doubles
from mainstem.delivery.ledger import Ledger
from mainstem.state import Timer, timers


class ForgetWork(Struct, eq=False):
    """Rows of a window that is over, as many as one commit takes."""

    key: bytes | None
    doubles: Doubles
    ledger: Ledger
    timer: Timer
    done: Callable[[Timer], None]

    async def run(self) -> None:
        """Delete some, and wait until that is committed."""
        ledger, timer = self.ledger, self.timer
        try:
            if timers.is_due(ledger.state.get, timer):
                ledger.absorb(self.doubles.forget(timer))
                await ledger.committed()
        finally:
            self.done(timer)
