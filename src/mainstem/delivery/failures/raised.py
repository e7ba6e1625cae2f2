"""Where an error was raised, as its author looks for it: the last line of his own, not of the libraries he calls."""

import os
import traceback
from pathlib import Path
from typing import Final

_OURS: Final = str(Path(__file__).parents[2]) + os.sep
_PYTHON: Final = str(Path(os.__file__).parent) + os.sep
_INSTALLED: Final = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


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
