"""Operations and questions, played one after the other on an empty registry, in memory and in a folder."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from mainstem.clock import ManualClock
from mainstem.registry.contents import Access, Contents, InMemory, Limits, Operation, RegistryError, Version
from mainstem.registry.folder import FolderRegistry
from mainstem.schemas.documents import Reference, Schema

Step: TypeAlias = Operation[object] | Callable[[Contents], object]


def record(name: str, *fields: str, references: Sequence[Reference] = ()) -> Schema:
    """An Avro record; ``text`` is a field, ``text?`` one with a default, ``other:Name`` one of a named type."""
    written = []
    for each in fields:
        field, _, kind = each.rstrip("?").partition(":")
        default = ',"default":""' if each.endswith("?") else ""
        written.append(f'{{"name":"{field}","type":"{kind or "string"}"{default}}}')
    return Schema(f'{{"type":"record","name":"{name}","fields":[{",".join(written)}]}}', references=tuple(references))


def refer(name: str, subject: str, version: int = 1) -> Reference:
    """A reference."""
    return Reference(name, subject, version)


def play(steps: Sequence[Step], limits: Limits | None = None) -> list[object]:
    """What each step says, in memory and in a folder: id and version, plain answers, or the number of an error."""
    clock = ManualClock()
    said = asyncio.run(_played(steps, InMemory(clock, limits=limits)))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "schemas"
        assert asyncio.run(_played(steps, FolderRegistry(path, clock, limits))) == said
    return said


async def _played(steps: Sequence[Step], registry: Access) -> list[object]:
    said: list[object] = []
    for step in steps:
        try:
            answer = step(await registry.view()) if callable(step) else await registry.write(step)
            said.append(plain(answer))
        except RegistryError as refused:
            said.append(refused.number)
    return said


def plain(answer: object) -> object:
    """An answer, as short as it can be."""
    if isinstance(answer, Version):
        return answer.id, answer.version
    if isinstance(answer, Iterator):
        return [plain(each) for each in answer]
    return answer
