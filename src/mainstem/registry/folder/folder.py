"""A registry in a folder of files that people read, compare and commit."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final, TypeVar

from mainstem.clock import Clock
from mainstem.registry.contents import (
    DEFAULT,
    Changes,
    Contents,
    Limits,
    MemoryRows,
    Name,
    Operation,
    concerned,
    store_failed,
    too_late,
)
from mainstem.registry.folder.disk import Disk, Signature
from mainstem.registry.folder.reading import Read, rows_of
from mainstem.registry.folder.rendering import Rendering

A = TypeVar("A")

PATIENCE_SECONDS: Final = 10.0
_AGAIN_SECONDS: Final = 0.02


class FolderRegistry:
    """Access to a registry in a folder. Any process may read and write; they take turns.

    What was answered is on disk. A process that dies while it writes leaves the registry as it was before or after, in
    each subject; at most an id has been given out that nobody has. A folder that is not there is an empty registry,
    and is made with the first thing that is written.

    Every method raises ``DefinitionError`` for a folder that was damaged, with file and line, and RegistryError 50002
    where another process does not let it go.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        limits: Limits | None = None,
        *,
        disk: Disk | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._disk = disk or Disk(path)
        self._clock = clock
        self._limits = limits or Limits()
        self._tries = max(1, round(patience_seconds / _AGAIN_SECONDS))
        self._known: Read | None = None
        self._signature: Signature = {}

    async def view(self) -> Contents:
        """What was there when it was read last."""
        return await self.caught_up() if self._known is None else Contents(self._known.rows, self._limits)

    async def caught_up(self) -> Contents:
        """What is there now."""
        with _readable():
            if not self._disk.path.is_dir():
                return Contents(MemoryRows(), self._limits)
            async with self._locked(alone=False):
                return Contents((await self._read()).rows, self._limits)

    async def write(self, operation: Operation[A]) -> A:
        """Do it; returns once it is on disk."""
        with _readable():
            self._disk.path.mkdir(parents=True, exist_ok=True)
            async with self._locked(alone=True):
                known = await self._read()
                changes = Changes(known.rows)
                answer = operation.apply(Contents(changes, self._limits), self._clock.now_ms())
                if changes.changed:
                    await self._write(known, changes)
                return answer

    async def _write(self, known: Read, changes: Changes) -> None:
        # Until it is known what is on disk, nothing is.
        self._known = None
        names = {Name(DEFAULT, ""), *concerned(changes.changed)}
        before, after = Rendering(known.rows, known.folders), Rendering(changes, known.folders)
        old = before.files(names) if self._disk.is_begun() else {}
        signature = await asyncio.to_thread(self._disk.change, old, after.files(names), self._signature)
        changes.write_to(known.rows)
        self._known, self._signature = Read(known.rows, after.folders), signature

    async def _read(self) -> Read:
        signature = await asyncio.to_thread(self._disk.signature)
        if self._known is None or signature != self._signature:
            files = await asyncio.to_thread(self._disk.read)
            # An empty folder may become one.
            self._known = rows_of(files, str(self._disk.path)) if files else Read(MemoryRows(), {})
            self._signature = signature
        return self._known

    @asynccontextmanager
    async def _locked(self, *, alone: bool) -> AsyncIterator[None]:
        for _ in range(self._tries):
            with self._disk.locked(alone=alone) as ours:
                if ours:
                    yield
                    return
            await asyncio.sleep(_AGAIN_SECONDS)
        raise too_late(f"another process has been writing to {self._disk.path} all the time")


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise store_failed(str(error)) from error
