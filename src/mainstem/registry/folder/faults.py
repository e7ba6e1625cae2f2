"""What is wrong with a folder, by file and line: people edit it, and merge it."""

import json
import re
from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec

from mainstem.errors import DefinitionError

Path: TypeAlias = Sequence[str | int]
"""Members and positions from the root of a JSON document on."""

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading a document raises that is none, or another one."""

_STEPS: Final = re.compile(r"\.([^.\[\]`]+)|\[(\d+)\]")
_BYTE: Final = re.compile(r"\(byte (\d+)\)")
_CONFLICT: Final = re.compile(rb"^(<{7}|={7}|>{7})( |$)", re.MULTILINE)
_REMEDY: Final = "take the file from version control again; a change is made by mainstem schema register"
_MERGED: Final = (
    "take the files of one side, and register what the other has added once more: "
    "an id or a version that was given out on both sides can stand for one of them only"
)


class Document:
    """A JSON file of a folder, and where in it something is."""

    def __init__(self, where: str, data: bytes) -> None:
        self.where = where
        self.data = data

    def fault(self, what: str, path: Path = (), *, merged: bool = False) -> DefinitionError:
        """Something is wrong at a place in it; ``merged``: as it is when two have changed it at a time."""
        return self._fault(what, self._line(path), _MERGED if merged else _REMEDY)

    def unreadable(self, error: Exception) -> DefinitionError:
        """It is not what it should be: not JSON, or another document."""
        conflict = _CONFLICT.search(self.data)
        if conflict is not None:
            return self._fault("the file has a conflict that nobody has resolved", self._at(conflict.start()), _MERGED)
        said = str(error)
        if isinstance(error, msgspec.ValidationError):
            inside = said.rpartition("`$")[2] if "`$" in said else ""
            steps = [name or int(number) for name, number in _STEPS.findall(inside)]
            return self._fault(said, self._line(steps), _REMEDY)
        byte = _BYTE.search(said)
        return self._fault(said, self._at(int(byte[1]) if byte else self._unspeakable()), _REMEDY)

    def _unspeakable(self) -> int:
        """The first byte that is no UTF-8."""
        try:
            self.data.decode()
        except UnicodeDecodeError as error:
            return error.start
        return 0

    def _fault(self, what: str, line: int, remedy: str) -> DefinitionError:
        return DefinitionError(
            f"the folder of schemas is damaged: {what}",
            where=f"{self.where}:{line}",
            why="it was edited by hand, or merged, or a part of it is missing",
            remedy=remedy,
        )

    def _at(self, byte: int) -> int:
        return self.data[:byte].count(b"\n") + 1

    def _line(self, path: Path) -> int:
        try:
            text = self.data.decode()
            at = _value(text, 0)
            for step in path:
                found = _member(text, at, step)
                if found is None:
                    break
                at = found
        except (ValueError, RecursionError):
            return 1
        return text.count("\n", 0, at) + 1


_BLANK: Final = re.compile(r"[ \t\r\n]*")
_DECODER: Final = json.JSONDecoder()


def _value(text: str, at: int) -> int:
    """Where the next value begins."""
    found = _BLANK.match(text, at)
    return at if found is None else found.end()


def _member(text: str, at: int, step: str | int) -> int | None:
    """Where a member of an object, or an item of a list, begins in a text that is JSON; None where there is none."""
    is_object = text[at] == "{"
    at, count = _value(text, at + 1), 0
    while text[at] not in "}]":
        name: str | int = count
        if is_object:
            name, at = _DECODER.raw_decode(text, at)
            at = _value(text, _value(text, at) + 1)
        if name == step:
            return at
        _, at = _DECODER.raw_decode(text, at)
        at = _value(text, at)
        if text[at] == ",":
            at = _value(text, at + 1)
        count += 1
    return None
