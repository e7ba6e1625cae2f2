"""The work of a command about the breakers of a handler."""

from msgspec import Struct

from mainstem.delivery.commands import Applied, Command, answered
from mainstem.delivery.context import no_effects
from mainstem.delivery.desk import Desk
from mainstem.delivery.failures import key_of
from mainstem.delivery.lanes import Intake
from mainstem.telemetry import log


class CloseWork(Struct, eq=False):
    """A command to close breakers, in any lane: whoever waits for one keeps that of his key."""

    key: bytes | None
    desk: Desk
    intake: Intake
    index: int
    command: Command

    async def run(self) -> None:
        """Close them, and answer; what they let go on, the answer and the command enter the books together."""
        desk, command = self.desk, self.command
        effects = no_effects()
        log.info("close of the breakers of %s, by %s: %s", command.handler, command.by, command.reason)
        closed = desk.breakers.close(command.handler, key_of(command.place))
        said = "the handler has none" if closed is None else f"{closed} closed" if closed else "none is open"
        applied = Applied(closed or 0, f"close: {said}")
        effects.facts.extend(answered(desk.group, desk.task, command.id, applied, desk.clock.now_ms()))
        desk.ledger.settle(self.intake, self.index, effects)
