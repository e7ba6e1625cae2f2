"""The files of a folder on disk: read as a whole, changed one after the other, by one process at a time."""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias

from mainstem.registry.folder.places import INDEX, SUBJECT

Signature: TypeAlias = Mapping[str, tuple[int, int, int]]
"""Inode, size and time of every file, by its path: others when something was written."""

_PARTIAL: Final = ".partial"


class Disk:
    """A folder. ``at`` hears each step of a change, for tests that stop there."""

    def __init__(self, path: Path, at: Callable[[str], None] = lambda _: None) -> None:
        self.path = path
        self._at = at
        self._swept = False

    def signature(self) -> Signature:
        """Which files there are now, and which they are."""
        return {path: _mark(entry.stat()) for path, entry in self._files()}

    def is_begun(self) -> bool:
        """Whether there is anything in it."""
        return (self.path / INDEX).exists() or next(self._files(), None) is not None

    def read(self) -> dict[str, bytes]:
        """All files, by their path in the folder; nothing where there is none."""
        return {path: Path(entry.path).read_bytes() for path, entry in self._files()}

    @contextmanager
    def locked(self, *, alone: bool) -> Iterator[bool]:
        """Whether the folder is ours for the length of the block: with others that read, or ``alone``.

        The lock is one of the system, on the folder itself: it ends with the process, and leaves no file.
        """
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            try:
                fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)

    def change(self, before: Mapping[str, bytes], after: Mapping[str, bytes], known: Signature) -> Signature:
        """Write what differs, in an order in which the folder is a registry after every step; all is on disk then.

        Ids come first, for they are taken even when nothing has them; then texts, at which nobody looks before their
        subject names them; then subjects, and with each of these its change is made. What goes, goes in the other
        order. Returns what of the files is ``known`` now.
        """
        if not self._swept:
            self._sweep()
        marks = dict(known)
        for path in sorted((each for each in after if before.get(each) != after[each]), key=_order):
            marks[path] = self._write(path, after[path])
        for path in sorted(before.keys() - after.keys(), key=_order, reverse=True):
            self._remove(path)
            marks.pop(path, None)
        return marks

    def _files(self, below: str = "") -> Iterator[tuple[str, "os.DirEntry[str]"]]:
        with os.scandir(self.path / below) as entries:
            for entry in entries:
                path = f"{below}/{entry.name}" if below else entry.name
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    yield from self._files(path)
                else:
                    yield path, entry

    def _write(self, path: str, data: bytes) -> tuple[int, int, int]:
        """Replace a file as a whole: nobody reads half of it, whatever happens."""
        file = self.path / path
        self._make(file.parent)
        partial = file.with_name(f".{file.name}{_PARTIAL}")
        self._at(f"write {path}")
        with partial.open("wb") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        self._at(f"replace {path}")
        partial.replace(file)
        _sync(file.parent)
        return _mark(file.stat())

    def _remove(self, path: str) -> None:
        file = self.path / path
        self._at(f"remove {path}")
        file.unlink(missing_ok=True)
        _sync(file.parent)
        for folder in file.relative_to(self.path).parents[:-1]:
            try:
                (self.path / folder).rmdir()
            except OSError:
                return  # Something else is in it.
            _sync((self.path / folder).parent)

    def _make(self, folder: Path) -> None:
        if not folder.is_dir():
            self._make(folder.parent)
            folder.mkdir(exist_ok=True)
            _sync(folder.parent)

    def _sweep(self) -> None:
        """Take away what somebody has left who died while writing."""
        for left in self.path.rglob(f".*{_PARTIAL}"):
            left.unlink(missing_ok=True)
        self._swept = True


def _mark(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _order(path: str) -> tuple[int, int, str]:
    file = path.rpartition("/")[2]
    return (0 if file == INDEX else 2 if file == SUBJECT else 1), path.count("/"), path


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
