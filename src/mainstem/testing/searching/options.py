"""What whoever runs tests wants of every search, without a change in the tests; pytest's options set it."""

from dataclasses import dataclass
from typing import Final


@dataclass(slots=True)
class Options:
    """None leaves it to the test."""

    seed: int | None = None
    """Only this one."""
    seeds: int | None = None
    """So many."""
    processes: int | None = None
    again: str = ""
    """The command that runs the present test."""


OPTIONS: Final = Options()
