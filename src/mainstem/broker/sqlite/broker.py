"""The embedded broker: one SQLite file that several processes share, or a memory for one."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct

from mainstem.broker import Admin, CopyProgress, Group, Log
from mainstem.broker.sqlite.admin import Catalogue, SqliteAdmin
from mainstem.broker.sqlite.group import SqliteGroup
from mainstem.broker.sqlite.log import SqliteLog
from mainstem.broker.sqlite.maintenance import Maintenance, RetentionAlarm, Upkeep
from mainstem.broker.sqlite.members import GROUPS_CHANGED
from mainstem.broker.sqlite.reader import Readers
from mainstem.clock import Clock, SystemClock
from mainstem.database import (
    Alone,
    Connection,
    Database,
    DatabaseOptions,
    Memory,
    Moved,
    Neighbours,
    Query,
    Restamp,
    SharedFolder,
    Step,
    TaskRows,
    Write,
    WriterOptions,
    integers,
    moved,
    stamp,
    store_names,
)
from mainstem.errors import DatabaseFailed, MainstemError
from mainstem.identifiers import Identifiers
from mainstem.telemetry import log

LONGEST_SECONDS: Final = 10 * 365 * 86_400
"""Ten years; what is to be longer is meant to be for ever, and that is said in another way."""


class SqliteOptions(Struct, frozen=True, kw_only=True):
    """What only the embedded broker has. What has a description can be said in its URL.

    ``alarm`` hears of retention that begins to wait for a live group, ``failed`` that the file has failed and the
    process must end. Both are called in the event loop. In memory, maintenance runs when it is asked for.

    The others are for simulation and crash tests. ``latency`` and ``at``: see
    :class:`~mainstem.database.WriterOptions`. ``vfs`` names another file layer of SQLite. ``memory`` is shared with
    other brokers in this event loop, which are found through ``neighbours``, as simulated processes share a file.
    """

    reserve_bytes: Annotated[
        int, Meta(ge=0, description="So many bytes of the disk are kept for commits and maintenance")
    ] = 64_000_000
    checkpoint_pages: Annotated[
        int, Meta(ge=1, description="The write-ahead log is written back when it has so many pages of 16 KiB")
    ] = 2_000
    maintenance_seconds: Annotated[
        float, Meta(gt=0, le=LONGEST_SECONDS, description="Retention and compaction run every so many seconds")
    ] = 60.0
    hold_seconds: Annotated[
        float, Meta(ge=0, le=LONGEST_SECONDS, description="Retention waits so long for a live group that stands still")
    ] = 86_400.0
    tombstone_seconds: Annotated[
        float, Meta(ge=0, le=LONGEST_SECONDS, description="Compaction keeps tombstones for so many seconds")
    ] = 86_400.0
    alarm: Callable[[RetentionAlarm], None] | None = None
    failed: Callable[[DatabaseFailed], None] | None = None
    latency: Callable[[], float] | None = None
    at: Callable[[str], None] | None = None
    vfs: str | None = None
    memory: Memory | None = None
    neighbours: Neighbours | None = None


class SqliteBroker:
    """A broker on one SQLite file, or with no path in memory: the same code, for one process, without an fsync."""

    log: Log
    group: Group
    admin: Admin

    def __init__(
        self,
        path: Path | str | None,
        *,
        clock: Clock | None = None,
        identifiers: Identifiers | None = None,
        options: SqliteOptions | None = None,
    ) -> None:
        """Nothing is opened yet."""
        clock = clock or SystemClock()
        self._options = options or SqliteOptions()
        self._identifiers = identifiers or Identifiers(clock)
        self._path = None if path is None else Path(path)
        self.name = "sqlite in memory" if path is None else f"sqlite file {self._path}"
        self.database = Database(
            self._path, clock, _database_options(self._options, clock), memory=self._options.memory
        )
        self._neighbours: Neighbours = self._options.neighbours or (
            Alone(clock) if self._path is None else SharedFolder(self._path, self._identifiers.new(), clock)
        )
        self._shared = self._path is not None or self._options.neighbours is not None
        self._catalogue = Catalogue()
        self._readers = Readers(self._listen)
        self.log = SqliteLog(self.database, self._catalogue, self._readers)
        self._group = SqliteGroup(self.database, self._catalogue, self._neighbours, self._identifiers, self._listen)
        self.group = self._group
        self.admin = SqliteAdmin(self.database, self._catalogue, self._identifiers, self._group.is_alive)
        upkeep = _upkeep(self._options, self._group)
        self._maintenance = Maintenance(self.database, self._catalogue, clock, upkeep)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._maintaining: asyncio.Task[None] | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._listening: frozenset[int] = frozenset()
        self._listen_soon = False
        self._data_version = 0

    async def open(self) -> None:
        """Open or create the file; raises what stands in the way."""
        self._loop = asyncio.get_running_loop()
        if self._path is None:
            self.database.open(self)
        else:
            try:
                await self.database.open_aside(self)
            except BaseException:
                self.database.close()
                raise
            self._maintaining = asyncio.create_task(self._maintain_at_times(), name="mainstem maintenance")
        self._neighbours.open(self._loop, self._hear)

    async def close(self) -> None:
        """Finish what was submitted, then close."""
        loop, self._loop = self._loop, None
        if loop is None:
            return
        if self._ticking is not None:
            self._ticking.cancel()
        if self._maintaining is not None:
            self._maintaining.cancel()
            await asyncio.gather(self._maintaining, return_exceptions=True)
        if self._listening:
            with suppress(MainstemError):  # a file that has failed must be closed all the same
                await self._listen_to(frozenset())
        if self._path is None:
            self.database.close()
        else:
            await asyncio.to_thread(self.database.close)
        self._neighbours.close()

    def rows(self, group: str, task: int) -> TaskRows:
        """The committed rows of the stores of one task."""
        return self.database.rows(group, task)

    async def snapshot(self, group: str, task: int) -> TaskRows:
        """The same: here everybody reads the file."""
        return self.database.rows(group, task)

    def copies(self) -> Sequence[CopyProgress]:
        """None: here everybody reads the file."""
        return ()

    def stores(self, group: str) -> list[str]:
        """The names of all stores that a group has ever written to, the runtime's own among them."""
        with self.database.reading() as connection:
            return store_names(connection, group)

    def moved(self) -> Moved | None:
        """Where the data of the file is, or is on its way to; None while it is here."""
        with self.database.reading() as connection:
            return moved(connection)

    async def stamp(self, stamped: Moved | None) -> None:
        """From now on refuse every commit, and say where the data is; or with None take commits again."""
        await self.database.writer.submit(Restamp(lambda write: stamp(write.connection, stamped)))

    async def maintain(self) -> None:
        """Apply retention and compaction now, to everything; waits for another process that is at it."""
        await self._maintenance.run()

    async def backup(self, target: Path) -> None:
        """Write one consistent snapshot to a new file while everybody goes on."""
        await asyncio.to_thread(self.database.backup, target)

    async def _maintain_at_times(self) -> None:
        while True:
            await asyncio.sleep(self._options.maintenance_seconds)
            try:
                await self._maintenance.run_if_due(self._options.maintenance_seconds)
            except MainstemError as error:
                log.warning("%s: maintenance failed, and is tried again later: %s", self.name, error)

    def silence(self, member: str, *, dead: bool = False) -> None:
        """Let a member of this process beat its heart no more; ``dead`` as if its process had ended."""
        self._group.silence(member, dead=dead)

    def committed(self, connection: Connection, touched: frozenset[int]) -> None:
        """Wake the processes that wait for what has changed. In the thread that writes."""
        loop = self._loop
        if not touched or loop is None or not self._shared:
            return
        processes = [process for (process,) in _LISTENERS.all(connection, integers(touched), self._neighbours.process)]
        if gone := self._neighbours.wake(processes, touched):
            call_soon = loop.call_soon_threadsafe if self._options.latency is None else loop.call_soon
            call_soon(self._bury, gone)

    def failed(self, error: DatabaseFailed) -> None:
        """The file has failed."""
        log.critical("%s", error)
        if self._options.failed is not None:
            self._options.failed(error)

    def heard(self, touched: frozenset[int]) -> None:
        """Tell the readers and members of this process what has changed."""
        self._hear(touched)

    def _hear(self, touched: frozenset[int] | None) -> None:
        if self._loop is None:
            # What was committed last is told after closing.
            return
        self._readers.notify(touched)
        if touched is None or GROUPS_CHANGED in touched:
            self._group.refresh()

    def _listen(self) -> None:
        """Readers or memberships have come or gone: tick while there are any, and let the other processes know."""
        if self._loop is None:
            return
        if self._ticking is None:
            self._tick()
        if self._shared and not self._listen_soon:
            self._listen_soon = True
            self._loop.call_soon(self._sync)

    def _sync(self) -> None:
        self._listen_soon = False
        wanted = self._wanted()
        if wanted != self._listening and self._loop is not None:
            self._listen_to(wanted).add_done_callback(_looked_at)

    def _wanted(self) -> frozenset[int]:
        return frozenset(self._readers.numbers() | ({GROUPS_CHANGED} if self._group.beat_seconds else set()))

    def _listen_to(self, wanted: frozenset[int]) -> "asyncio.Future[None]":
        more, less = wanted - self._listening, self._listening - wanted
        self._listening = wanted
        process = self._neighbours.process

        def listen(write: Write) -> None:
            _LISTEN.run_many(write.connection, [(number, process) for number in more])
            _UNLISTEN.run_many(write.connection, [(number, process) for number in less])

        return self.database.writer.submit(Step(listen))

    def _bury(self, gone: list[str]) -> None:
        """Strike out processes that ended without a word."""
        if self._loop is not None:
            bury = Step(lambda write: _BURY.run_many(write.connection, [(process,) for process in gone]))
            self.database.writer.submit(bury).add_done_callback(_looked_at)

    def _tick(self) -> None:
        """Beat the heart, and look whether a wake-up was missed."""
        due, self._ticking = self._ticking, None
        loop, beat_seconds, poll_seconds = self._loop, self._group.beat_seconds, self._neighbours.poll_seconds
        delays = [delay for delay in (beat_seconds, poll_seconds) if delay is not None]
        if loop is None or not delays or not self._wanted():
            return
        self._ticking = loop.call_later(min(delays), self._tick)
        if poll_seconds is not None:
            row = self.database.one(_DATA_VERSION)
            if row is not None and row[0] != self._data_version:
                self._data_version = row[0]
                self._hear(None)
        if beat_seconds is not None:
            # Who was late has stood still, perhaps with all the others: they get the time to beat their hearts.
            late = due is not None and loop.time() > due.when() + beat_seconds
            self._group.beat(look=not late)


def _looked_at(written: "asyncio.Future[None]") -> None:
    """If this failed, so does everything else, and somebody is told."""
    if not written.cancelled():
        written.exception()


def _database_options(options: SqliteOptions, clock: Clock) -> DatabaseOptions:
    return DatabaseOptions(
        reserve_bytes=options.reserve_bytes,
        checkpoint_pages=options.checkpoint_pages,
        vfs=options.vfs,
        writer=WriterOptions(clock=clock, latency=options.latency, at=options.at),
    )


def _upkeep(options: SqliteOptions, group: SqliteGroup) -> Upkeep:
    return Upkeep(
        group.is_live,
        options.alarm or _only_logged,
        round(options.hold_seconds * 1_000),
        round(options.tombstone_seconds * 1_000),
    )


def _only_logged(_alarm: RetentionAlarm) -> None:
    """The log has it already."""


_DATA_VERSION = Query[tuple[int]]("pragma data_version")
_LISTENERS = Query[tuple[str]](
    "select distinct process from listener where partition in (select value from carray(?)) and process <> ?"
)
_LISTEN = Query[tuple[()]]("insert or ignore into listener(partition, process) values(?, ?)")
_UNLISTEN = Query[tuple[()]]("delete from listener where partition = ? and process = ?")
_BURY = Query[tuple[()]]("delete from listener where process = ?")
