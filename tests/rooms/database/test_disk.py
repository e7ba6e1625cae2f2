"""The disk below the file: local, and with room left."""

from pathlib import Path

import pytest

from mainstem.clock import ManualClock
from mainstem.database.disk import Reserve, require_local
from mainstem.errors import DiskFull, NetworkFileSystem

MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:27 / /srv rw shared:1 - nfs4 server:/export rw,vers=4.2
31 22 0:28 / /home/my\\040files rw - cifs //server/files rw
32 22 0:29 / /mnt/c rw - 9p drvfs rw
33 22 0:30 / /srv/fast rw - xfs /dev/vdb rw
34 22 0:31 / /cloud rw - fuse.sshfs user@host: rw
35 22 0:32 / /stick rw - fuse.exfat /dev/sdc rw
36 22 0:33 / /twice rw - nfs server:/old rw
37 22 0:34 / /twice rw - tmpfs tmpfs rw
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    """A table of mounts."""
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTS)
    return table


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/srv/app", "nfs4"), ("/home/my files/x", "cifs"), ("/mnt/c/x", "9p"), ("/cloud", "fuse.sshfs")],
)
def test_a_network_file_system_is_refused(path: str, kind: str, mounts: Path) -> None:
    """Where locks do not hold, the file is refused; the error names the file system and the way out."""
    with pytest.raises(NetworkFileSystem) as refused:
        require_local(Path(path), mounts)
    assert kind in str(refused.value)
    assert "kafka" in refused.value.remedy


@pytest.mark.parametrize("path", ["/", "/home", "/srv/fast/app", "/srvx", "/stick", "/twice/x", "/mnt"])
def test_a_local_file_system_is_accepted(path: str, mounts: Path) -> None:
    """The deepest mount counts, and of several at one place the last."""
    require_local(Path(path), mounts)


def test_where_there_is_no_table_nothing_is_refused(tmp_path: Path) -> None:
    """On a system without a table of mounts nothing is known."""
    require_local(Path("/srv/app"), tmp_path / "none")


def test_the_reserve_is_kept(tmp_path: Path) -> None:
    """Below the reserve it is refused; with room enough, it is not."""
    Reserve(tmp_path, 1, ManualClock()).require()
    with pytest.raises(DiskFull, match="commits go on"):
        Reserve(tmp_path, 1 << 60, ManualClock()).require()


def test_the_disk_is_looked_at_once_a_second(tmp_path: Path) -> None:
    """Room that was there a moment ago is believed in; after a second it is looked at again."""
    clock = ManualClock()
    folder = tmp_path / "folder"
    folder.mkdir()
    reserve = Reserve(folder, 1, clock)
    reserve.require()
    folder.rmdir()
    reserve.require()
    clock.advance(1.0)
    with pytest.raises(FileNotFoundError):
        reserve.require()
