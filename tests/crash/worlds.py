"""Places in which the library refuses to run, or where time runs otherwise: made by replacing what it looks at."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import apsw

import mainstem.database.database as database_module
import mainstem.delivery.works.alarm as alarm_module
import tests.crash.services as services_module
from mainstem.database.disk import require_local


def network_file_system(folder: Path) -> None:
    """The table of mounts says that the file would lie on NFS."""
    mounts = folder / "mounts"
    mounts.write_text(
        "22 1 0:21 / / rw,relatime - ext4 /dev/root rw\n"
        f"99 22 0:55 / {folder} rw,relatime shared:7 - nfs4 server:/export rw,vers=4.2\n"
    )
    vars(database_module)["require_local"] = partial(require_local, mounts=mounts)


def old_sqlite(_folder: Path) -> None:
    """SQLite is older than its mend."""
    vars(apsw)["sqlite_lib_version"] = lambda: "3.51.2"


def watchful(_folder: Path) -> None:
    """Whoever sleeps until a timer is due looks at the wall clock twice a second."""
    vars(alarm_module)["LONGEST_SLEEP_SECONDS"] = 0.5


def late_timers(_folder: Path) -> None:
    """Timers are due so late that a process can be stopped before they fire."""
    vars(services_module)["QUIET_MS"] = 9_000


WORLDS: Final[dict[str, Callable[[Path], None]]] = {
    world.__name__: world for world in (network_file_system, old_sqlite, watchful, late_timers)
}
