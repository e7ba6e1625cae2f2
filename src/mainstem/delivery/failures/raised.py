"""Where an error was raised: as a trace, and as its author looks for it, in his own code and not in a library's."""

import os
import traceback
from pathlib import Path
from types import CodeType, TracebackType
from typing import Final

_OURS: Final = str(Path(__file__).parents[2]) + os.sep
_PYTHON: Final = str(Path(os.__file__).parent) + os.sep
_INSTALLED: Final = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")

_PLACES_MOST: Final = 200
_written: dict[tuple[tuple[CodeType, int], ...], str] = {}
"""Where errors were raised, as text: reading and marking the lines takes longer than all else about a failure."""


def trace_of(error: BaseException) -> str:
    """The trace of an error, as Python prints it."""
    trace = error.__traceback__
    if trace is None or error.__cause__ or error.__context__ or isinstance(error, BaseExceptionGroup):
        return "".join(traceback.format_exception(error))
    return "".join(("Traceback (most recent call last):\n", _lines(trace), *traceback.format_exception_only(error)))


def _lines(trace: TracebackType) -> str:
    at: TracebackType | None = trace
    places: list[tuple[CodeType, int]] = []
    while at is not None:
        places.append((at.tb_frame.f_code, at.tb_lasti))
        at = at.tb_next
    key = tuple(places)
    text = _written.get(key)
    if text is None:
        if len(_written) >= _PLACES_MOST:
            _written.clear()
        text = _written[key] = "".join(traceback.format_tb(trace))
    return text


def raised_at(error: BaseException) -> str:
    """File and line where an error was raised; the whole trace stands in the dead letter.

    The last line that belongs neither to Mainstem nor to an installed or a standard library; else the last one outside
    Mainstem; else the last one.
    """
    places = _places(error)
    for choice in (_is_authors, _is_not_ours):
        for filename, line in reversed(places):
            if choice(filename):
                return f"{filename}:{line}"
    return "{}:{}".format(*places[-1]) if places else "an unknown place"


def _places(error: BaseException) -> list[tuple[str, int]]:
    """Files and lines, outermost first; those of what caused the error come before its own."""
    chain = [error]
    while (cause := chain[-1].__cause__) is not None and cause not in chain:
        chain.append(cause)
    return [
        (frame.f_code.co_filename, line)
        for each in reversed(chain)
        for frame, line in traceback.walk_tb(each.__traceback__)
    ]


def _is_not_ours(filename: str) -> bool:
    return not filename.startswith((_OURS, "<frozen "))


def _is_authors(filename: str) -> bool:
    installed = any(part in filename for part in _INSTALLED) or filename.startswith(_PYTHON)
    return _is_not_ours(filename) and not installed
