"""Letters that come back from a file, each once: the task remembers which ones it has, in the commit that takes them.

They come from the last one to the first, and each piece is put in front of what came before. So an event of the key
that joins in between waits behind all of them, and who was cut off goes on where the task says it stands.
"""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec.structs import replace

from mainstem.delivery.commands.inbox import Command
from mainstem.delivery.context import Effects
from mainstem.delivery.failures import Letter, Mark, Parking, Taken, place_alone, place_of


class Applied(NamedTuple):
    """What a command has done: about how many events it was, and whether they are to be handled now."""

    found: int
    text: str
    begins: bool = False
    refused: bool = False
    contents: bytes = b""


def said(command: Command, count: int, owed: tuple[str, ...] = ()) -> str:
    """What has been done, in text."""
    return f"{command.action}: {count} events" + (f", of {', '.join(owed)}" if len(owed) > 1 else "")


def refused(command: Command, why: str) -> Applied:
    """Nothing has been done, and why."""
    return Applied(0, f"{command.action}: refused: {why}", refused=True)


def restored(
    parking: Parking, parties: Mapping[str, frozenset[str]], command: Command, mark: Mark | None, effects: Effects
) -> tuple[Applied, Mark | None]:
    """Take what has not come back from this file yet; the mark as it is then."""
    sequence = command.handler, command.place
    taken = parking.restored.of(*sequence)
    end = command.number + len(command.letters)
    first, known = taken.letters.get(command.archive, (end, end))
    if refusal := _strange(command) or _gap(end, first, known):
        return refused(command, refusal), mark
    if command.number >= first:
        return Applied(0, said(command, 0)), mark
    letters = command.letters[: first - command.number]
    if refusal := _taken_up(command, mark, taken) or _cannot_wait(parking, parties, command, effects):
        return refused(command, refusal), mark
    mark = _put_in_front(parking, command, letters, mark, effects)
    parking.restored.put(effects, sequence, taken.after(command.archive, range(command.number, first)))
    return Applied(len(letters), said(command, len(letters))), mark


def _strange(command: Command) -> str:
    """Why the command cannot be understood, or nothing."""
    if not command.archive:
        return "the command that asks is older than the process: give it again with the newer one"
    if command.failure is None or any(command.place not in (place_of(it), place_alone(it)) for it in command.letters):
        return "the letters are of another key, or without their failure"
    return ""


def _gap(end: int, first: int, known: int) -> str:
    """Why these letters do not fit to those of the file that have come before, or nothing."""
    if end > known:
        return f"the sequence had {known} letters when it was restored from this file, and now it has more"
    return f"letters {end} to {first - 1} are missing in the file" if end < first else ""


def _taken_up(command: Command, mark: Mark | None, taken: Taken) -> str:
    """Why nothing can be put in front of what waits there, or nothing."""
    if mark is None or taken.unfinished == command.archive:
        return ""
    if taken.unfinished:
        return "the restore of another file was cut off there: repeat that one, or discard what waits there"
    return f"{mark.waiting} events of {command.handler} wait there already: redrive or discard them first"


def _cannot_wait(parking: Parking, parties: Mapping[str, frozenset[str]], command: Command, effects: Effects) -> str:
    """Why letters cannot wait there for those that have yet to handle them, or nothing."""
    handler, place = command.handler, command.place
    for each in sorted({each for letter in command.letters for each in letter.owed_by(handler)}):
        if each not in parties:
            return f"{each}, which has yet to handle some of it, is no handler of this group"
        found = parking.holding(each, parties[each], place, effects)
        if found is not None and found[0] != handler:
            return f"events wait there for {found[0]}, with which {each} waits: redrive or discard them first"
    return ""


def _put_in_front(
    parking: Parking, command: Command, letters: tuple[Letter, ...], mark: Mark | None, effects: Effects
) -> Mark:
    handler, place = command.handler, command.place
    assert command.failure is not None, "a command without it is refused"
    if mark is None:
        # There is room in front for the letters that are still to come.
        end = parking.letters.first_free(handler, place) + command.number + len(letters)
        mark = Mark(end, end, None, command.failure)
        owed = list[str]()
    else:
        owed = [*mark.owed_by(handler)]
    owes = tuple(dict.fromkeys([each for letter in letters for each in letter.owed_by(handler)] + owed))
    mark = replace(mark, first=mark.first - len(letters), failure=command.failure, owes=owes)
    for number, letter in enumerate(letters, mark.first):
        parking.letters.put(effects, (handler, place), letter, number)
    parking.write_mark(effects, handler, place, mark)
    return mark
