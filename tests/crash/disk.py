"""The disks that a process of the crash tests can be given.

Those that are neither sound nor watched hold back what was not synced, in the memory of the process. So SIGKILL is a
power loss to its database, and the database must not be shared meanwhile.
"""

import random
from collections.abc import Callable
from pathlib import Path

import apsw

from tests.crash.vfs import Disk, UnreliableVFS, WatchedVFS


class Choice:
    """A disk, and the file layer through which SQLite uses it; none for the one of the operating system."""

    def __init__(self, kind: str, folder: Path, chance: random.Random, written: Callable[[str], None]) -> None:
        """``sound``; ``watched``, which calls ``written`` with the path after each write; ``power-loss``; ``full`` has
        no room while there is a file ``full`` in ``folder``; ``failing-sync`` cannot sync the write-ahead log
        while there is a file ``sync-fails``.
        """
        self._chance = chance
        self._disk = Disk()
        if kind == "full":
            self._disk.full_for = lambda _path: (folder / "full").exists()
        if kind == "failing-sync":
            self._disk.sync_fails = lambda path: path.endswith("-wal") and (folder / "sync-fails").exists()
        self.vfs = None if kind == "sound" else kind
        self._layer: apsw.VFS | None = None
        if kind == "watched":
            self._layer = WatchedVFS(kind, written)
        elif kind != "sound":
            self._layer = UnreliableVFS(kind, self._disk)

    def lose_power(self) -> None:
        """Lose about half of the writes that were not synced, at random."""
        self._disk.cut_power(self._chance)
