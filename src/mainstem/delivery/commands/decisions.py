"""What somebody has decided about a parked sequence, applied by the task that has it, and told in the audit topic."""

from typing import NamedTuple

from msgspec import Struct

from mainstem.delivery.commands.inbox import Command
from mainstem.delivery.context import Effects
from mainstem.delivery.failures import Audit, Checkpoints, Decided, Mark, Parking


class Applied(NamedTuple):
    """What a command has done: about how many events it was, and whether they are to be handled now."""

    found: int
    text: str
    begins: bool = False


class Decisions(Struct, frozen=True):
    """Applies commands to the sequences of one task. Changes go into the effects of the command."""

    parking: Parking
    checkpoints: Checkpoints
    audit: Audit

    def apply(self, command: Command, effects: Effects, now_ms: int) -> Applied:
        """Do what a command says, as the sequence is now; where nothing is parked nothing is done."""
        mark = self.parking.mark(command.handler, command.place)
        if mark is None:
            return Applied(0, f"{command.action}: nothing is parked there")
        if command.action == "redrive":
            return self._redrive(command, mark, effects, now_ms)
        return self._discard(command, mark, effects, now_ms)

    def _redrive(self, command: Command, mark: Mark, effects: Effects, now_ms: int) -> Applied:
        handler, place = command.handler, command.place
        # Later is a durable timer, the one that a retry has.
        at_ms = now_ms if command.at_ms is None else max(now_ms, command.at_ms)
        fresh = mark.again(at_ms)
        self.parking.write_mark(effects, handler, place, fresh)
        letter = self.parking.first(handler, place, mark)
        decided = Decided(command.reason, command.by)
        effects.facts.append(self.audit.tell("redriven", (handler, place), fresh, letter, now_ms, decided))
        return Applied(mark.waiting, _said(command, mark), at_ms == now_ms)

    def _discard(self, command: Command, mark: Mark, effects: Effects, now_ms: int) -> Applied:
        handler, place = command.handler, command.place
        letter = self.parking.first(handler, place, mark)
        decided = Decided(command.reason, command.by)
        effects.facts.append(self.audit.tell("discarded", (handler, place), mark, letter, now_ms, decided))
        self.parking.drop(effects, handler, place, mark, now_ms)
        self.checkpoints.forget(handler, letter.batch(), effects)
        effects.facts.append(self.audit.worked_off((handler, place), now_ms))
        return Applied(mark.waiting, _said(command, mark))


def _said(command: Command, mark: Mark) -> str:
    return f"{command.action}: {mark.waiting} events"
