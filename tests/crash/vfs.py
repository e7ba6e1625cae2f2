"""A file layer of SQLite that holds back what has not been synced, and can lose it, fill up, or fail.

It stands between SQLite and the real files: what SQLite writes goes into a page cache of our own, and from there into
the real file when SQLite syncs. So the real files are, at every moment, what a power loss would leave at the worst.
Within one process only.
"""

# ruff: noqa: N802 - SQLite names the methods
import random
import threading
from collections.abc import Callable

import apsw


class Disk:
    """The disk below: what is cached, what is durable, and what goes wrong."""

    def __init__(self) -> None:
        """Nothing goes wrong."""
        self.lock = threading.RLock()
        self.files: dict[str, CachedContent] = {}
        self.powered = True
        self.free_bytes: int | None = None
        self.full_for: Callable[[str], bool] = lambda _path: False
        self.sync_fails: Callable[[str], bool] = lambda _path: False
        self.syncs = 0

    def take(self, path: str, size: int) -> None:
        """Use up space, or refuse."""
        if self.full_for(path) or (self.free_bytes is not None and size > self.free_bytes):
            raise apsw.FullError("the disk is full")
        if self.free_bytes is not None:
            self.free_bytes -= size

    def cut_power(self, keep: random.Random | None = None) -> None:
        """Lose everything that has not been synced; with ``keep``, some of the writes made it all the same."""
        with self.lock:
            self.powered = False
            for content in self.files.values():
                content.lose(keep)


class CachedContent:
    """A file: its content as SQLite sees it, and the writes since the last sync."""

    def __init__(self, real: "RealFile") -> None:
        self.real = real
        self.cached = bytearray(real.read_all())
        self.unsynced: list[tuple[int, bytes] | int] = []

    def write(self, data: bytes, offset: int) -> None:
        if len(self.cached) < offset:
            self.cached.extend(bytes(offset - len(self.cached)))
        self.cached[offset : offset + len(data)] = data
        self.unsynced.append((offset, data))

    def truncate(self, size: int) -> None:
        del self.cached[size:]
        self.unsynced.append(size)

    def sync(self) -> None:
        self._apply(self.unsynced)
        self.unsynced = []

    def lose(self, keep: random.Random | None) -> None:
        if keep is not None:
            self._apply([change for change in self.unsynced if keep.random() < 0.5])
        self.unsynced = []

    def _apply(self, changes: list[tuple[int, bytes] | int]) -> None:
        for change in changes:
            if isinstance(change, int):
                self.real.truncate(change)
            else:
                self.real.write(*change)


class RealFile:
    """The file below, through the methods of SQLite's own layer."""

    def __init__(self, file: "CachedFile") -> None:
        self._file = file

    def read_all(self) -> bytes:
        size = super(CachedFile, self._file).xFileSize()
        return super(CachedFile, self._file).xRead(size, 0) if size else b""

    def write(self, offset: int, data: bytes) -> None:
        super(CachedFile, self._file).xWrite(data, offset)

    def truncate(self, size: int) -> None:
        super(CachedFile, self._file).xTruncate(size)


class CachedFile(apsw.VFSFile):
    """One open file. All handles of the same path share their content, as they do in an operating system."""

    def __init__(self, disk: Disk, path: str, name: apsw.URIFilename | str | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._disk = disk
        self._path = path
        with disk.lock:
            if path not in disk.files:
                disk.files[path] = CachedContent(RealFile(self))
            self._content = disk.files[path]

    def xRead(self, amount: int, offset: int) -> bytes:
        """Read from the cache."""
        with self._disk.lock:
            return bytes(self._content.cached[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        """Write into the cache; a full disk refuses what would make the file longer."""
        with self._disk.lock:
            self._require_power()
            more = max(0, offset + len(data) - len(self._content.cached))
            self._disk.take(self._path, more)
            self._content.write(bytes(data), offset)

    def xTruncate(self, size: int) -> None:
        """Cut the content off."""
        with self._disk.lock:
            self._require_power()
            self._content.truncate(size)

    def xSync(self, flags: int) -> None:  # noqa: ARG002
        """Make what was written durable."""
        with self._disk.lock:
            self._require_power()
            self._disk.syncs += 1
            if self._disk.sync_fails(self._path):
                raise apsw.IOError("the sync failed")
            self._content.sync()

    def xFileSize(self) -> int:
        """The size of the cached content."""
        with self._disk.lock:
            return len(self._content.cached)

    def _require_power(self) -> None:
        if not self._disk.powered:
            raise apsw.IOError("the power is off")


class UnreliableVFS(apsw.VFS):
    """Open files of SQLite through a :class:`Disk`; the name goes into ``vfs=``."""

    def __init__(self, name: str, disk: Disk) -> None:
        super().__init__(name, base="")
        self._disk = disk

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]) -> apsw.VFSFile:
        """Open a file; temporary ones are none of our business."""
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path is None:
            return apsw.VFSFile("", name, flags)
        return CachedFile(self._disk, path, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: FBT001
        """Delete a file, and forget what was cached of it."""
        with self._disk.lock:
            if not self._disk.powered:
                raise apsw.IOError("the power is off")
            self._disk.files.pop(filename, None)
        super().xDelete(filename, syncdir)

    def xAccess(self, path: str, flags: int) -> bool:
        """Whether a file is there: one that has only been cached is as well."""
        with self._disk.lock:
            content = self._disk.files.get(path)
        return bool(super().xAccess(path, flags)) and (content is None or bool(content.cached) or flags != 0)


class WatchedFile(apsw.VFSFile):
    """One open file of the operating system, which says when it has been written to."""

    def __init__(
        self, path: str, name: apsw.URIFilename | str, flags: list[int], written: Callable[[str], None]
    ) -> None:
        super().__init__("", name, flags)
        self._path = path
        self._written = written

    def xWrite(self, data: bytes, offset: int) -> None:
        """Write, and say so."""
        super().xWrite(data, offset)
        self._written(self._path)


class WatchedVFS(apsw.VFS):
    """The files of the operating system, with somebody who hears of each write; several processes may share them."""

    def __init__(self, name: str, written: Callable[[str], None]) -> None:
        super().__init__(name, base="")
        self._written = written

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]) -> apsw.VFSFile:
        """Open a file; temporary ones are none of our business."""
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path is None or name is None:
            return apsw.VFSFile("", name, flags)
        return WatchedFile(path, name, flags, self._written)
