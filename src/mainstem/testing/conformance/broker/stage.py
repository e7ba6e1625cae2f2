"""What rules are written with: a stage that sets up topics, readers and members, and clears them away."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import NamedTuple, Self, TypeVar

from msgspec import Struct

from mainstem.broker import Batch, Broker, Reader, Record, TopicPartition, TopicSpec
from mainstem.errors import MainstemError
from mainstem.testing.conformance.broker.harness import Capabilities, Harness

T = TypeVar("T")

STEP_SECONDS = 0.01


class Seen(NamedTuple):
    """A record as a reader gave it, with all its headers under ``own``."""

    at: TopicPartition
    offset: int
    record: Record


class Rule(Struct, frozen=True):
    """One sentence of the specification, and the play that shows whether it holds."""

    name: str
    text: str
    needs: tuple[str, ...]
    play: Callable[["Stage"], Awaitable[None]]

    def __str__(self) -> str:
        return self.name


def rule(*needs: str) -> Callable[[Callable[["Stage"], Awaitable[None]]], Rule]:
    """Make a rule of a function; ``needs`` names the flags of :class:`Capabilities` without which it is skipped."""
    unknown = set(needs) - set(Capabilities.__struct_fields__)
    if unknown:
        message = f"no such capability: {', '.join(sorted(unknown))}"
        raise ValueError(message)

    def made(play: Callable[[Stage], Awaitable[None]]) -> Rule:
        module = play.__module__.rpartition(".")[2]
        return Rule(f"{module}.{play.__name__}", " ".join((play.__doc__ or "").split()), needs, play)

    return made


class Stage:
    """What one rule plays on. Everything that it opens is closed with it."""

    def __init__(self, harness: Harness) -> None:
        """``broker`` is opened on entry."""
        self.harness = harness
        self.capabilities = harness.capabilities
        self.broker: Broker
        self._clients: list[Broker] = []
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.broker = await self.client()
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._open.aclose()

    def at_close(self, close: Callable[[], Awaitable[None]]) -> None:
        """Do this before what has been opened so far is closed."""
        self._open.push_async_callback(close)

    async def client(self) -> Broker:
        """A broker of its own where the backend takes several clients; otherwise the one there is."""
        if self._clients and not self.capabilities.several_clients:
            return self.broker
        broker = await self.harness.open()
        self._clients.append(broker)
        self._open.push_async_callback(self.close, broker)
        return broker

    async def close(self, broker: Broker) -> None:
        """Close a client, once."""
        if broker in self._clients:
            self._clients.remove(broker)
            await broker.close()

    async def restart(self) -> Broker:
        """Close everything, then open one client on what is left; it is the stage's broker from now on."""
        await self._open.aclose()
        self.broker = await self.client()
        return self.broker

    async def topic(
        self,
        label: str = "facts",
        partitions: int = 1,
        *,
        retention_ms: int | None = None,
        compact: bool = False,
        record_bytes_max: int = 1_000_000,
        retention_bytes: int | None = None,
    ) -> str:
        """Create a topic under a name that nothing else has."""
        name = self.harness.name(label)
        spec = TopicSpec(name, partitions, retention_ms, compact, record_bytes_max, retention_bytes)
        await self.broker.admin.create(spec)
        return name

    async def partition(self, label: str = "facts") -> TopicPartition:
        """The only partition of a new topic."""
        return TopicPartition(await self.topic(label), 0)

    def records(self, *values: str, key: bytes | None = b"k") -> list[Record]:
        """A record for each value, of now."""
        return [Record(key, value.encode(), self.harness.now_ms()) for value in values]

    async def reader(self, *partitions: TopicPartition, on: Broker | None = None) -> Reader:
        """A reader from the start of these partitions."""
        broker = on or self.broker
        starts = {at: (await broker.log.bounds(at))[0] for at in partitions}
        return self.reader_at(starts, on=broker)

    def reader_at(self, positions: Mapping[TopicPartition, int], on: Broker | None = None) -> Reader:
        """A reader from these offsets."""
        reader = (on or self.broker).log.reader(positions)
        self._open.callback(reader.close)
        return reader

    async def take(self, reader: Reader) -> Batch:
        """The next batch, waiting for it."""
        while (batch := reader.take()) is None:
            await patiently(reader)
        return inspected(batch)

    async def read(self, reader: Reader, count: int) -> list[Seen]:
        """The next ``count`` records, waiting for them; more are a failure."""
        seen: list[Seen] = []
        while len(seen) < count:
            seen += unrolled(await self.take(reader))
        assert len(seen) == count, f"{len(seen)} records came, of {count} that were appended"
        return seen

    async def content(self, at: TopicPartition, count: int, *, on: Broker | None = None) -> list[Seen]:
        """What a new reader finds in a partition, from its start."""
        return await self.read(await self.reader(at, on=on), count)

    async def drained(self, reader: Reader) -> list[Seen]:
        """What the reader gives before it finds nothing, having been given time to find it."""
        seen: list[Seen] = []
        for _ in range(10):
            while (batch := reader.take()) is not None:
                seen += unrolled(batch)
            await self.harness.advance(STEP_SECONDS)
        return seen

    async def refusal(self, reader: Reader, error: type[MainstemError]) -> None:
        """Read until ``error`` comes; a record that comes instead is a failure."""
        with refused(error):
            while True:
                batch = reader.take()
                assert batch is None, f"records at {batch.offsets} instead of {error.__name__}"
                await patiently(reader)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let time pass until the condition holds."""
        while not condition():
            await self.harness.advance(STEP_SECONDS)


async def patiently(reader: Reader) -> None:
    """Wait; a wait that always returns at once is to fail its own rule, and not to stop the event loop in this one."""
    await reader.wait()
    await asyncio.sleep(0)


def values(seen: Iterable[Seen]) -> list[str]:
    """The values of these records, as text."""
    return [(record.value or b"").decode() for _, _, record in seen]


def whole(record: Record) -> Record:
    """The record with all its headers under ``own``, so that it compares with one that was read."""
    return Record(record.key, record.value, record.timestamp_ms, own={**record.common, **record.own})


def inspected(batch: Batch) -> Batch:
    """The batch, if it is in order."""
    size = len(batch)
    offsets = list(batch.offsets)
    assert all(a < b for a, b in pairwise(offsets)), f"offsets do not rise: {offsets}"
    if offsets:
        assert batch.next_offset > offsets[-1], f"next_offset {batch.next_offset} is not beyond {offsets[-1]}"
    assert len(batch.keys) == len(batch.values) == len(batch.timestamps) == size, "columns of different lengths"
    names: Sequence[str] = batch.own.names()
    assert not set(names) & set(batch.common), "a header is both common and own"
    assert all(len(batch.own.column(name)) == size for name in names), "a header column of another length"
    return batch


def unrolled(batch: Batch) -> list[Seen]:
    """The records of a batch, if it is in order."""
    inspected(batch)
    at = TopicPartition(batch.topic, batch.partition)
    return [Seen(at, offset, whole(batch.record(index))) for index, offset in enumerate(batch.offsets)]


class Refusal:
    """Expects what happens inside to be refused, with an error that says what it refused."""

    def __init__(self, errors: tuple[type[MainstemError], ...]) -> None:
        """Any of ``errors`` will do."""
        self._errors = errors
        self.error: MainstemError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        names = " or ".join(each.__name__ for each in self._errors)
        assert error is not None, f"nothing was refused; expected {names}"
        if not isinstance(error, self._errors):
            return False
        assert error.what, "the error does not say what was refused"
        self.error = error
        return True


def refused(*errors: type[MainstemError]) -> Refusal:
    """What happens inside is refused with one of these errors."""
    return Refusal(errors)
