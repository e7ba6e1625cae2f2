"""The work of a command about what happens later."""

from msgspec import Struct

from mainstem.delivery.commands import Command, answered
from mainstem.delivery.context import no_effects
from mainstem.delivery.desk import Desk
from mainstem.delivery.lanes import Intake
from mainstem.delivery.works.firings import fire


class LaterWork(Struct, eq=False):
    """A command about what happens later, in the lane of what it is about."""

    key: bytes | None
    desk: Desk
    intake: Intake
    index: int
    command: Command

    async def run(self) -> None:
        """Carry the command out, and answer it; the command is completed in the same commit."""
        desk, command = self.desk, self.command
        effects, now = no_effects(), desk.clock.now_ms()
        applied, firing = desk.later.apply(command, effects, now)
        # Whoever publishes something later is through when that stands in the inbox, and asks no more.
        if command.action != "publish-later" or applied.refused:
            effects.facts.extend(answered(desk.group, desk.task, command.id, applied, now))
        desk.ledger.settle(self.intake, self.index, effects)
        if firing is not None:
            await fire(desk, firing)
