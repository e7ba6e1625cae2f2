"""What the processes of one machine share beside the file: wake-ups, and who is there.

There are two of them: a shared folder, and nobody else. The death of a process is known at once, because the kernel
releases the lock on its member file; its heartbeat is for processes that live and do not move.
"""

import fcntl
import os
import socket
from array import array
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, Protocol

from mainstem.clock import Clock

Heard = Callable[[frozenset[int] | None], None]
"""Called in the event loop with the numbers that were sent, or with None when some of them were lost."""

_SOCKET_PATH_BYTES_MAX = 100
# A queue of datagrams holds at least this many before one is lost, so a receiver that finds fewer has lost none.
_QUEUE_LENGTH_MIN = 10
_OUTGOING_MAX = 200


class Presence(NamedTuple):
    """Whether a member's process lives, and for how long it has not beaten its heart."""

    alive: bool
    silent_seconds: float


class Neighbours(Protocol):
    """The other processes at the same file."""

    process: str
    """The name under which others can wake this process."""

    poll_seconds: float | None
    """How often to look whether a wake-up was missed; None where none can be."""

    def open(self, loop: AbstractEventLoop, heard: Heard) -> None:
        """Listen."""
        ...

    def wake(self, processes: Iterable[str], numbers: Iterable[int]) -> list[str]:
        """Tell processes what has changed; returns those that are no more. For any thread."""
        ...

    def attend(self, member: str) -> None:
        """Be present under this name until :meth:`depart`, or until this process dies."""
        ...

    def beat(self, member: str) -> None:
        """Beat the heart of a member that is present."""
        ...

    def depart(self, member: str) -> None:
        """Be present no more."""
        ...

    def look(self, member: str) -> Presence:
        """Is a member there?"""
        ...

    def forget(self, member: str) -> None:
        """Remove what a member that is gone has left."""
        ...

    def close(self) -> None:
        """Stop listening, and depart."""
        ...


class Alone:
    """Nobody else: a database in memory. A member dies by departing."""

    poll_seconds: float | None = None

    def __init__(self, clock: Clock) -> None:
        """``clock`` times the heartbeats."""
        self.process = "alone"
        self._clock = clock
        self._beats: dict[str, float] = {}
        self._dead: dict[str, float] = {}

    def open(self, loop: AbstractEventLoop, heard: Heard) -> None:
        """There is nothing to hear."""

    def wake(self, processes: Iterable[str], numbers: Iterable[int]) -> list[str]:  # noqa: ARG002 - as Neighbours says
        """There is nobody to wake."""
        return []

    def attend(self, member: str) -> None:
        """Be present."""
        self._beats[member] = self._clock.monotonic()

    def beat(self, member: str) -> None:
        """Beat the heart of a member that is alive."""
        if member in self._beats:
            self._beats[member] = self._clock.monotonic()

    def depart(self, member: str) -> None:
        """Be present no more."""
        beat = self._beats.pop(member, None)
        if beat is not None:
            self._dead[member] = beat

    def look(self, member: str) -> Presence:
        """Is a member there?"""
        alive = member in self._beats
        beat = self._beats[member] if alive else self._dead.get(member)
        silent = float("inf") if beat is None else self._clock.monotonic() - beat
        return Presence(alive, silent)

    def forget(self, member: str) -> None:
        """Remove what a dead member has left."""
        self._dead.pop(member, None)

    def close(self) -> None:
        """Depart."""
        self._beats.clear()


class SharedFolder:
    """A folder beside the file, with a socket for each process and a locked file for each member."""

    poll_seconds: float | None = 0.25

    def __init__(self, database: Path, process: str, clock: Clock) -> None:
        """``process`` is a name that no other process has ever had."""
        self.process = process
        self._clock = clock
        self._folder = database.with_name(database.name + "-neighbours")
        self._sockets = _socket_folder(self._folder)
        self._boot = _boot_id()
        self._members: dict[str, int] = {}
        self._outgoing: dict[str, socket.socket] = {}
        self._incoming: socket.socket | None = None
        self._loop: AbstractEventLoop | None = None

    def open(self, loop: AbstractEventLoop, heard: Heard) -> None:
        """Bind this process's socket."""
        self._folder.mkdir(exist_ok=True)
        incoming = self._incoming = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        incoming.setblocking(False)
        self._bind(incoming)
        self._loop = loop
        loop.add_reader(incoming.fileno(), self._receive, incoming, heard)

    def wake(self, processes: Iterable[str], numbers: Iterable[int]) -> list[str]:
        """Send a datagram to each process but this one."""
        message = array("q", numbers).tobytes()
        if len(self._outgoing) >= _OUTGOING_MAX:
            # Many of them lead to processes that have ended since.
            self._close_outgoing()
        return [process for process in processes if process != self.process and not self._send(process, message)]

    def attend(self, member: str) -> None:
        """Lock a file of that name, and beat for the first time."""
        descriptor = os.open(self._member_path(member), os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        self._members[member] = descriptor
        self.beat(member)

    def beat(self, member: str) -> None:
        """Write the time into the member's file."""
        descriptor = self._members.get(member)
        if descriptor is not None:
            os.pwrite(descriptor, b"%s %-24.3f\n" % (self._boot, self._clock.monotonic()), 0)

    def depart(self, member: str) -> None:
        """Unlock the member's file; it stays, with its last heartbeat, until somebody forgets it."""
        descriptor = self._members.pop(member, None)
        if descriptor is not None:
            os.close(descriptor)

    def look(self, member: str) -> Presence:
        """Try the lock of the member's file, and read its last heartbeat."""
        try:
            descriptor = os.open(self._member_path(member), os.O_RDONLY)
        except FileNotFoundError:
            return Presence(alive=False, silent_seconds=float("inf"))
        try:
            silent = self._silent_seconds(os.pread(descriptor, 100, 0))
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return Presence(alive=True, silent_seconds=silent)
        finally:
            os.close(descriptor)
        return Presence(alive=False, silent_seconds=silent)

    def forget(self, member: str) -> None:
        """Remove the file of a member that is gone."""
        self._member_path(member).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the sockets and unlock the members."""
        if self._incoming is not None and self._loop is not None:
            self._loop.remove_reader(self._incoming.fileno())
            self._incoming.close()
            self._socket_path(self.process).unlink(missing_ok=True)
            self._incoming = None
            self._clear_away()
        self._close_outgoing()
        for member in list(self._members):
            self.depart(member)

    def _bind(self, incoming: socket.socket) -> None:
        while True:
            with suppress(FileExistsError):
                self._sockets.mkdir(mode=0o700)
            # Whoever was the last may just have taken the folder away.
            with suppress(FileNotFoundError), _held(self._sockets, fcntl.LOCK_SH):
                incoming.bind(str(self._socket_path(self.process)))
                return

    def _clear_away(self) -> None:
        """Remove the folder of the sockets when it is far from the file and nobody listens there any more."""
        if self._sockets == self._folder.resolve():
            return
        # It fails where somebody is coming, or has removed it first.
        with suppress(OSError), _held(self._sockets, fcntl.LOCK_EX | fcntl.LOCK_NB):
            for path in list(self._sockets.iterdir()):
                if _listened_to(path):
                    return
                path.unlink(missing_ok=True)
            self._sockets.rmdir()

    def _close_outgoing(self) -> None:
        for outgoing in self._outgoing.values():
            outgoing.close()
        self._outgoing.clear()

    def _send(self, process: str, message: bytes) -> bool:
        """False when nobody listens under that name any more."""
        # One socket for each receiver: what one of them does not read fills the buffer of its own socket only.
        outgoing = self._outgoing.get(process)
        try:
            if outgoing is None:
                outgoing = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                outgoing.setblocking(False)
                self._outgoing[process] = outgoing
                outgoing.connect(str(self._socket_path(process)))
            outgoing.send(message)
        except BlockingIOError:
            # Its queue is full, so it will wake, and see from the length of the queue that it must look everywhere.
            return True
        except (ConnectionError, FileNotFoundError):
            self._outgoing.pop(process, None)
            if outgoing is not None:
                outgoing.close()
            self._socket_path(process).unlink(missing_ok=True)
            return False
        return True

    def _receive(self, incoming: socket.socket, heard: Heard) -> None:
        numbers: set[int] = set()
        received = 0
        with suppress(BlockingIOError):
            while True:
                numbers.update(array("q", incoming.recv(65_536)))
                received += 1
        if received:
            heard(None if received >= _QUEUE_LENGTH_MIN else frozenset(numbers))

    def _silent_seconds(self, content: bytes) -> float:
        boot, _, beat = content.partition(b" ")
        if boot != self._boot or not beat.strip():
            return float("inf")
        return self._clock.monotonic() - float(beat)

    def _member_path(self, member: str) -> Path:
        return self._folder / f"{member}.member"

    def _socket_path(self, process: str) -> Path:
        return self._sockets / process


def _socket_folder(folder: Path) -> Path:
    """Where the sockets are: in the folder, unless their paths would be too long to bind."""
    resolved = folder.resolve()
    if len(os.fsencode(resolved)) + 40 <= _SOCKET_PATH_BYTES_MAX:
        return resolved
    return Path(f"/tmp/mainstem-{os.getuid()}-{blake2b(os.fsencode(resolved), digest_size=10).hexdigest()}")  # noqa: S108  # every process must find the same short path


@contextmanager
def _held(folder: Path, how: int) -> Iterator[None]:
    """Hold a folder while a socket is bound in it, or while those of the dead are removed: not both at once."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _listened_to(path: Path) -> bool:
    """Whether the process that has bound this socket lives."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(str(path))
        except (ConnectionError, FileNotFoundError):
            return False
        return True


def _boot_id() -> bytes:
    """Heartbeats are readings of the monotonic clock, and mean nothing after a restart of the machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
    except OSError:
        return b"-"
