"""What is fetched once and kept in a folder of its own: environments of Python, and the programs that fetch."""

import subprocess
import sys
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[2] / ".registries"


class Missing(Exception):
    """What is tried against ours needs something that this machine does not have; the message says what to do."""


def environment(name: str, package: str, needed_by: str) -> Path:
    """The Python of an environment that has a package; it is made where it is missing, and shares nothing with ours.

    Raises :class:`Missing` where the package cannot be fetched.
    """
    folder = FOLDER / name
    python, ready = folder / "bin" / "python", folder / package
    if not ready.exists():
        FOLDER.mkdir(exist_ok=True)
        done([sys.executable, "-m", "venv", str(folder)], needed_by, "the module venv of Python")
        install = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", package]
        done(install, needed_by, f"{package}, which pip fetches")
        # Last, so that one that was interrupted is made again.
        ready.touch()
    return python


def done(command: list[str], needed_by: str, needed: str) -> None:
    """Run a program to its end; raises :class:`Missing` with what was needed where there is none, or it fails."""
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Missing(f"{needed_by} needs {needed}") from None
    if ended.returncode:
        raise Missing(f"{command[0]} failed, and {needed_by} needs {needed}:\n{ended.stdout}{ended.stderr}"[:2000])
