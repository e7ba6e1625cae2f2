"""Loops of other people's libraries: a program in an environment of its own, that is asked for one at a time.

Imports the standard library alone, as the harness does.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks.harness import ROOT, Case, Measurement, interleaved

Against = Mapping[str, Sequence[str]]
"""By the name of a case of ours those of theirs that do the same."""


class Peers:
    """The program ``<name>_peers/<program>``; its environment below ``build`` is made where it is missing.

    It reads lines of a case's name and a count, and answers each with seconds and seconds of CPU time.
    """

    def __init__(self, name: str, program: str, packages: Sequence[str]) -> None:
        folder = ROOT / "build" / f"venv-{name}"
        python, ready = folder / "bin" / "python", folder / "-".join(packages).replace("==", "-")
        if not ready.exists():
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            install: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*install, *packages], check=True)
            ready.touch()
        self._process = subprocess.Popen(
            [python, Path(__file__).parent / f"{name}_peers" / program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def run(self, name: str, count: int) -> Measurement:
        """One run of a loop of theirs."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{name} {count}\n")
        stdin.flush()
        seconds, cpu_seconds = map(float, stdout.readline().split())
        return Measurement(count, seconds, cpu_seconds)

    def close(self) -> None:
        """End the program."""
        self._process.communicate()


def measured(
    what: str,
    count: int,
    ours: Mapping[str, Callable[[int], Measurement]],
    against: Against,
    peers: Callable[[], Peers],
) -> dict[str, list[Measurement]]:
    """Run all in turns, as the command line says; ``what`` is measured, ``count`` times in a run unless it says so."""
    parser = argparse.ArgumentParser(description=f"{what}: CPU time")
    parser.add_argument("--count", type=int, default=count, help="how many in a run")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--alone", action="store_true", help="without the peers")
    options = parser.parse_args()
    cases: dict[str, Case] = {name: partial(run, options.count) for name, run in ours.items()}
    theirs = None if options.alone else peers()
    if theirs is None:
        return interleaved(cases, options.repetitions)
    for name in (peer for names in against.values() for peer in names):
        cases[name] = partial(theirs.run, name, options.count)
    try:
        return interleaved(cases, options.repetitions)
    finally:
        theirs.close()
