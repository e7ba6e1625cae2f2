"""What is decided from outside about what happens later: events to be published and taken back, schedules to be run."""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from mainstem.delivery.commands import Applied, Command
from mainstem.delivery.context import Effects, Stamps, due_fact
from mainstem.delivery.schedules.calendar import CRON, Calendar
from mainstem.delivery.schedules.recurring import begin_run, set_next, standing_of, write_standing
from mainstem.identifiers import derive
from mainstem.schemas import DECODER_ERRORS
from mainstem.state import Firing, Scheduled, TaskState, schedules, timers
from mainstem.telemetry import log

ABOUT_EVENTS = ("publish-later", "cancel")


class LaterDecisions(Struct, frozen=True):
    """Carries out commands in one task. Changes go into the effects of the command.

    ``stamps`` None: nothing is remembered. ``schedules`` are those that the task owns, by handler.
    """

    state: TaskState
    stamps: Stamps | None
    schedules: Mapping[str, Calendar]

    def lane(self, command: Command) -> bytes | None:
        """The lane in which a command is carried out. Raises ``ValueError`` where it names nothing."""
        if command.action in ABOUT_EVENTS:
            return schedules.read_owner(command.place).lane
        return (CRON + command.handler).encode()

    def apply(self, command: Command, effects: Effects, now_ms: int) -> tuple[Applied, Firing | None]:
        """Do what a command says, as things are now; a run that begins is given back, to be handled then."""
        if command.action == "publish-later":
            return self._publish(command, effects), None
        if command.action == "cancel":
            found = schedules.cancel(self.state.get, effects.write, schedules.read_owner(command.place))
            return Applied(int(found), f"cancel: {'done' if found else 'nothing of this handle waits'}"), None
        calendar = self.schedules.get(command.handler)
        if calendar is None:
            return Applied(0, f"{command.action}: there is no schedule of this name"), None
        log.info("%s of the schedule %s, by %s: %s", command.action, command.handler, command.by, command.reason)
        if command.action == "run":
            event_id = derive("run", command.id)
            firing = begin_run(effects, effects.over(self.state.get), calendar, now_ms, now_ms, event_id)
            return Applied(1, "run: it has begun"), firing
        return self._pause(command, calendar, effects, now_ms), None

    def _publish(self, command: Command, effects: Effects) -> Applied:
        if self.stamps is None:
            why = "the group is delivered at least once, and remembers nothing"
            return Applied(0, f"publish-later: refused: {why}", refused=True)
        scheduled = Scheduled(command.at_ms or 0, schedules.read_owner(command.place), command.value)
        try:
            # Found when it is due, it would stop the task.
            due_fact(scheduled)
        except DECODER_ERRORS as error:
            return Applied(0, f"publish-later: refused: {error}", refused=True)
        schedules.put(effects.over(self.state.get), effects.write, scheduled, self.stamps.next())
        effects.wake_at(scheduled.due_ms)
        return Applied(1, "publish-later: it waits")

    def _pause(self, command: Command, calendar: Calendar, effects: Effects, now_ms: int) -> Applied:
        """Set no next run any more; or the next one from now on, whatever would have been due meanwhile."""
        read, pauses = effects.over(self.state.get), command.action == "pause"
        standing = standing_of(read, calendar.handler)
        assert standing is not None, "each schedule has a row from the start on"
        if pauses == (standing.paused_ms is not None):
            return Applied(1, f"{command.action}: it was so already")
        paused_ms, by, reason = (now_ms, command.by, command.reason) if pauses else (None, "", "")
        told = msgspec.structs.replace(standing, paused_ms=paused_ms, paused_by=by, reason=reason)
        write_standing(effects, calendar.handler, told)
        if pauses:
            timers.cancel(read, effects.write, calendar.timer, None)
        else:
            set_next(effects, read, calendar, calendar.recurring.cron.next_after(now_ms))
        return Applied(1, f"{command.action}: done")
