"""What somebody has decided about a parked sequence, applied by the task that has it, and told in the audit topic."""

from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from mainstem.delivery.commands.contents import encode_page, letter_at, page_of, parts_of
from mainstem.delivery.commands.inbox import Answer, Command, answer
from mainstem.delivery.commands.restoring import Applied, refused, restored, said
from mainstem.delivery.context import Effects, Fact
from mainstem.delivery.failures import (
    Audit,
    Checkpoints,
    Decided,
    Edit,
    Letter,
    Mark,
    Parking,
    Status,
)

EDITED_BYTES_MAX = 900_000
"""A letter keeps its first value beside the new one, in a row that has room for a record and for so much more."""


class Decisions(Struct, frozen=True):
    """Applies commands to the sequences of one task. Changes go into the effects of the command.

    ``parties`` are the handlers of the task, each with those that wait together with it. ``opened`` decodes a letter as
    its handler would be given it, and raises what goes wrong.
    """

    parking: Parking
    parties: Mapping[str, frozenset[str]]
    checkpoints: Checkpoints
    audit: Audit
    opened: Callable[[Letter], object]

    def apply(self, command: Command, effects: Effects, now_ms: int) -> Applied:
        """Do what a command says, as the sequence is now; where nothing is parked nothing is done."""
        mark = self.parking.mark(command.handler, command.place)
        if command.action == "restore":
            return self._restore(command, mark, effects)
        if mark is None:
            self._keep_here(command, effects)
            return Applied(0, f"{command.action}: nothing is parked there")
        if command.action == "read":
            page = page_of(self.parking, (command.handler, command.place), mark, command.number)
            return Applied(mark.waiting, said(command, mark.waiting), contents=encode_page(page))
        if command.action == "edit":
            return self._edit(command, mark, effects, now_ms)
        if command.action == "redrive":
            return self._redrive(command, mark, effects, now_ms)
        return self._discard(command, mark, effects, now_ms)

    def edited(self, command: Command) -> Letter | None:
        """The letter that an edit is about, with the new value; None when it is not there."""
        mark = self.parking.mark(command.handler, command.place)
        if mark is None:
            return None
        letter = letter_at(self.parking, (command.handler, command.place), mark, command.number)
        return letter and letter.edited(command.value, Edit(0, command.by, command.reason))

    def _redrive(self, command: Command, mark: Mark, effects: Effects, now_ms: int) -> Applied:
        handler, place = command.handler, command.place
        if self.parking.restored.of(handler, place).unfinished:
            why = "letters that go before them are missing: repeat the restore that was cut off, or discard these"
            return refused(command, f"{mark.waiting} events wait there, and {why}")
        # Later is a durable timer, the one that a retry has.
        at_ms = now_ms if command.at_ms is None else max(now_ms, command.at_ms)
        fresh = mark.again(at_ms)
        self.parking.write_mark(effects, handler, place, fresh)
        letter = self.parking.first(handler, place, mark)
        effects.facts.append(self.audit.tell("redriven", (handler, place), fresh, letter, now_ms, _decided(command)))
        return Applied(mark.waiting, said(command, mark.waiting), at_ms == now_ms)

    def _discard(self, command: Command, mark: Mark, effects: Effects, now_ms: int) -> Applied:
        handler, place = command.handler, command.place
        letter = self.parking.first(handler, place, mark)
        if command.origin and (command.origin, command.number) != (letter.origin, mark.waiting):
            self._keep_here(command, effects)
            return refused(command, f"{mark.waiting} events wait there now, from {letter.origin} on")
        effects.facts.append(self.audit.tell("discarded", (handler, place), mark, letter, now_ms, _decided(command)))
        self.parking.drop(effects, handler, place, mark, now_ms)
        for each in letter.owed_by(handler):
            self.checkpoints.forget(each, letter.batch(), effects)
        effects.facts.append(self.audit.worked_off((handler, place), now_ms))
        return Applied(mark.waiting, said(command, mark.waiting, mark.owed_by(handler)))

    def _edit(self, command: Command, mark: Mark, effects: Effects, now_ms: int) -> Applied:
        handler, place = command.handler, command.place
        letter = letter_at(self.parking, (handler, place), mark, command.number)
        if letter is None or (letter.origin, len(letter.edits)) != (command.origin, command.edits):
            return refused(command, "the letter has changed since it was read, or is not there any more")
        new = letter.edited(command.value, Edit(now_ms, command.by, command.reason))
        if max(len(new.original or b""), len(command.value)) > EDITED_BYTES_MAX:
            return refused(command, f"an edit keeps the original, and neither may have over {EDITED_BYTES_MAX} bytes")
        try:
            self.opened(new)
        except Exception as error:  # noqa: BLE001 - a decoder of the user's may raise anything
            return refused(command, f"the handler could not be given it: {error}")
        self.parking.letters.put_again(effects, (handler, place), new, mark.first + command.number)
        effects.facts.append(self.audit.tell("edited", (handler, place), mark, new, now_ms, _decided(command)))
        if command.number == 0:
            self._tell_standing(command, mark, new, effects)
        return Applied(1, said(command, 1))

    def _restore(self, command: Command, mark: Mark | None, effects: Effects) -> Applied:
        applied, mark = restored(self.parking, self.parties, command, mark, effects)
        if applied.found and mark is not None:
            first = command.letters[0]
            self._tell_standing(command, mark, first, effects)
        return applied

    def _keep_here(self, command: Command, effects: Effects) -> None:
        """What a file was to be the archive of is not given up: it does not come back from there."""
        if command.archive:
            sequence = command.handler, command.place
            taken = self.parking.restored.of(*sequence)
            letters = {**taken.letters, command.archive: (0, command.number)}
            self.parking.restored.put(effects, sequence, replace(taken, letters=letters))

    def _tell_standing(self, command: Command, mark: Mark, letter: Letter, effects: Effects) -> None:
        """The sequence stands as before, since it stopped; its first letter is this one."""
        status: Status = "dead-lettered" if mark.next_ms is None else "parked"
        sequence, since_ms = (command.handler, command.place), mark.failure.last_ms
        effects.facts.append(self.audit.tell(status, sequence, mark, letter, since_ms, _decided(command)))


def answered(group: str, task: int, command_id: str, applied: Applied, at_ms: int) -> Iterator[Fact]:
    """The records of the answer to a command."""
    parts = parts_of(applied.contents)
    for number, part in enumerate(parts):
        given = Answer(command_id, task, applied.found, applied.text, applied.refused, number, len(parts), part)
        yield answer(group, given, at_ms)


def _decided(command: Command) -> Decided:
    return Decided(command.reason, command.by)
