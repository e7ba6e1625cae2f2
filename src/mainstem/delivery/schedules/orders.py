"""What is ordered from outside about what happens later: events to be published, and taken back."""

from msgspec import Struct

from mainstem.delivery.commands import Applied, Command
from mainstem.delivery.context import Effects, Stamps, due_fact
from mainstem.schemas import DECODER_ERRORS
from mainstem.state import Scheduled, TaskState, schedules


class Orders(Struct, frozen=True):
    """Carries out commands in one task. Changes go into the effects of the command."""

    state: TaskState
    stamps: Stamps | None
    """None where nothing is remembered."""

    def lane(self, command: Command) -> bytes | None:
        """The lane in which a command is carried out. Raises ``ValueError`` where it names nothing."""
        return schedules.read_owner(command.place).lane

    def apply(self, command: Command, effects: Effects) -> Applied:
        """Do what a command says, as things are now."""
        if command.action == "publish-later":
            return self._publish(command, effects)
        found = schedules.cancel(self.state.get, effects.write, schedules.read_owner(command.place))
        return Applied(int(found), "cancel: done" if found else "cancel: nothing of this handle waits")

    def _publish(self, command: Command, effects: Effects) -> Applied:
        if self.stamps is None:
            return Applied(
                0, "publish-later: refused: the group is delivered at least once, and remembers nothing", refused=True
            )
        scheduled = Scheduled(command.at_ms or 0, schedules.read_owner(command.place), command.value)
        try:
            # Found when it is due, it would stop the task.
            due_fact(scheduled)
        except DECODER_ERRORS as error:
            return Applied(0, f"publish-later: refused: {error}", refused=True)
        schedules.put(effects.over(self.state.get), effects.write, scheduled, self.stamps.next())
        effects.wake_at(scheduled.due_ms)
        return Applied(1, "publish-later: it waits")
