"""The disk below the file: is it a local one, and is there room left."""

import os
from pathlib import Path
from typing import Final

from mainstem.clock import Clock
from mainstem.errors import DiskFull, NetworkFileSystem

_MOUNTS: Final = Path("/proc/self/mountinfo")
_NETWORK: Final = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "coda", "gfs2", "glusterfs", "gpfs", "lustre", "nfs", "nfs4"}
    | {"ocfs2", "orangefs", "smb2", "smb3", "smbfs"}
)
_NETWORK_FUSE: Final = frozenset(
    {"ceph", "ceph-fuse", "cifs", "davfs2", "gcsfuse", "glusterfs", "goofys", "juicefs", "nfs", "rclone"}
    | {"s3fs", "seaweedfs", "smbnetfs", "sshfs"}
)
_LOOK_SECONDS: Final = 1.0


def require_local(path: Path, mounts: Path = _MOUNTS) -> None:
    """Refuse a network file system with :class:`~mainstem.errors.NetworkFileSystem`.

    ``mounts`` is a table in the form of Linux's ``mountinfo``; where there is none, nothing is known or refused.
    """
    try:
        table = mounts.read_text(errors="replace")
    except OSError:
        return
    kind = _file_system(path.resolve(), table)
    if kind in _NETWORK or (kind.startswith("fuse.") and kind.removeprefix("fuse.") in _NETWORK_FUSE):
        raise NetworkFileSystem(
            f"The database would lie on a network file system ({kind})",
            where=str(path),
            why="its locks and shared memory do not hold between machines: sooner or later the file is damaged",
            remedy="name a file on a local disk; to run on several machines, use Apache Kafka: MAINSTEM_BROKER=kafka://...",
        )


def _file_system(path: Path, table: str) -> str:
    """The type of the mount that holds ``path``: the deepest one, and of several at the same place, the last."""
    best, kind = -1, "unknown"
    for line in table.splitlines():
        mounted, separator, source = line.partition(" - ")
        fields = mounted.split()
        if not separator or len(fields) < 5:
            continue
        point = Path(fields[4].encode().decode("unicode_escape"))
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), source.split()[0]
    return kind


class Reserve:
    """Room on the disk that is kept for commits and maintenance."""

    def __init__(self, folder: Path, reserve_bytes: int, clock: Clock) -> None:
        """Keep ``reserve_bytes`` free on the disk of ``folder``, as far as publishing from outside goes."""
        self._folder = folder
        self._reserve_bytes = reserve_bytes
        self._clock = clock
        self._looked = -_LOOK_SECONDS
        self._free_bytes = 0

    def require(self) -> None:
        """Raise :class:`~mainstem.errors.DiskFull` when less than the reserve is free; looks once a second."""
        now = self._clock.monotonic()
        if now - self._looked >= _LOOK_SECONDS or self._free_bytes < self._reserve_bytes:
            status = os.statvfs(self._folder)
            self._free_bytes, self._looked = status.f_bavail * status.f_frsize, now
        if self._free_bytes < self._reserve_bytes:
            raise DiskFull(
                "The disk is nearly full: publishing from outside is refused, commits go on",
                where=str(self._folder),
                why=f"{self._free_bytes} bytes are free, and {self._reserve_bytes} are kept in reserve",
                remedy="free space, shorten the retention of topics, or lower the reserve",
            )
