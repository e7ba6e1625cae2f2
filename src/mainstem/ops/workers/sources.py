"""Source files, and whether they have changed: modification times, looked at now and then."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

POLL_SECONDS: Final = 0.3
_NOT_OURS: Final = frozenset({"__pycache__", "node_modules", "site-packages"})


class Sources:
    """The Python files below a folder; hidden folders and virtual environments are left out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def here(cls) -> "Sources":
        """Those below the current folder."""
        return cls(Path.cwd())

    async def changed(self) -> list[Path]:
        """Wait until files have changed, come or gone; returns them."""
        before = self._times()
        while True:
            await asyncio.sleep(POLL_SECONDS)
            now = self._times()
            if now != before:
                return sorted(path for path in {*before, *now} if before.get(path) != now.get(path))

    def _times(self) -> dict[Path, int]:
        times = {}
        for path in self._files():
            try:
                times[path] = path.stat().st_mtime_ns
            except FileNotFoundError:
                continue
        return times

    def _files(self) -> Iterator[Path]:
        for folder, folders, files in os.walk(self._folder):
            if "pyvenv.cfg" in files:
                folders.clear()
                continue
            folders[:] = [each for each in folders if not each.startswith(".") and each not in _NOT_OURS]
            yield from (Path(folder, each) for each in files if each.endswith(".py"))
