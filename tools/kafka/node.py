"""One node: its folder, and the process that holds the lock in it."""

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path


class Node:
    """A broker and controller in one process.

    The process inherits the lock of its folder. So whether it lives is known for sure, and its id is believed only
    while it does: after an unclean end the id may belong to a stranger.
    """

    def __init__(self, folder: Path, number: int, java: Sequence[str]) -> None:
        """``java`` is the command up to the main class."""
        self.folder = folder
        self.number = number
        self.properties = folder / "server.properties"
        self.data = folder / "data"
        self._java = java
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def formatted(self) -> bool:
        """Whether the data folder has been made ready. The file is the last that formatting writes."""
        return (self.data / "meta.properties").exists()

    @property
    def pid(self) -> int:
        """The id of the process that was started last; to be believed while it is running."""
        return int((self.folder / "pid").read_text())

    @property
    def running(self) -> bool:
        """Whether the process lives, whoever started it."""
        try:
            with (self.folder / "lock").open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def format(self, cluster: str) -> subprocess.Popen[str]:
        """Begin to make the data folder ready."""
        shutil.rmtree(self.data, ignore_errors=True)
        command = [*self._java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self.properties)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def start(self) -> None:
        """Start the process; it goes on from what the data folder holds, on the same ports."""
        with (self.folder / "lock").open("wb") as lock, (self.folder / "log").open("ab") as log:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._process = subprocess.Popen(
                [*self._java, "kafka.Kafka", str(self.properties)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[lock.fileno()],
                start_new_session=True,
            )
            (self.folder / "pid").write_text(str(self._process.pid))

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it lives: SIGTERM ends it in good order, SIGKILL at once."""
        if self.running:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def gone(self, *, patience_seconds: float = 10.0) -> None:
        """Return when the process has ended; one that does not end in time is killed."""
        limit = time.monotonic() + patience_seconds
        while self.running:
            if time.monotonic() > limit:
                self.send(signal.SIGKILL)
            time.sleep(0.02)
        if self._process:
            self._process.wait()

    def kill(self) -> None:
        """End the process at once, as a power cut would, but for what the operating system still writes."""
        self.send(signal.SIGKILL)
        self.gone()

    def last_words(self) -> str:
        """The end of the log."""
        return (self.folder / "log").read_text(errors="replace")[-3000:]
