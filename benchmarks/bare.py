"""The bare loop: what one process can do at best, and the ceiling that Mainstem is measured against.

    python -m benchmarks.bare [--json] [--events N] [--batch N] [--partitions N] [--repetitions N]

It does the work that a durable log with typed handlers cannot avoid, and nothing else: no groups, no fencing, no lanes,
no retry, no isolation of a failing handler. It imports nothing from Mainstem: APSW, msgspec and asyncio, written out
as fast as honest code can be. ``benchmarks/README.md`` describes each loop.
"""

import argparse
import asyncio
import contextlib
import itertools
import os
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import apsw
import msgspec

from benchmarks.harness import Case, Measurement, Report, Stopwatch, interleaved, median_cpu_us, median_speed, scratch
from benchmarks.workload import Load, OrderPaid, mixed, orders

OFFSET_BITS = 40
PAGE_BYTES = 16_384
TRACE_PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
COMMON = {"ce_specversion": b"1.0", "ce_source": b"/shop", "ce_kind": b"integration"}
SELECT = "select id, batch from log where id >= ? and id < ? order by id limit ?"
PUT_STATE = "insert into state values (?, ?) on conflict do update set value = excluded.value"
PUT_POSITION = "insert into positions values (?, ?) on conflict do update set next_id = excluded.next_id"
TABLES = """
create table log (id integer primary key, batch blob not null);
create table positions (partition integer primary key, next_id integer not null);
create table state (key blob primary key, value blob not null) without rowid;
"""


class Columns(msgspec.Struct, array_like=True, gc=False):
    """A batch of one partition as it is stored. ``types`` holds one byte per record: its place in ``type_names``."""

    common: dict[str, bytes]
    type_names: list[str]
    types: bytes
    ids: list[bytes]
    keys: list[bytes]
    values: list[bytes]
    timestamps: list[int]
    trace_parents: list[bytes]


class Batch(msgspec.Struct, array_like=True, gc=False):
    """The same as it is read: a column that nobody has looked at stays bytes."""

    common: dict[str, bytes]
    type_names: list[str]
    types: bytes
    ids: msgspec.Raw
    keys: msgspec.Raw
    values: list[bytes]
    timestamps: msgspec.Raw
    trace_parents: msgspec.Raw


class Context(msgspec.Struct, gc=False):
    """What a handler gets beside the event: its place, from which its headers can be read."""

    batch: Batch
    index: int

    @property
    def event_id(self) -> str:
        """The event's id in hexadecimal digits."""
        return msgspec.msgpack.decode(self.batch.ids, type=list[bytes])[self.index].hex()


Handler = Callable[[OrderPaid, Context], Awaitable[None]]
Rows = Sequence[tuple[bytes, bytes]]
Changes = Callable[[], Rows]


@dataclass(slots=True)
class Partitions:
    """Partition by key as Kafka's default does it; a key is hashed once."""

    count: int
    known: dict[str, int] = field(default_factory=dict)

    def of(self, key: str) -> int:
        """The partition of a key."""
        partition = self.known.get(key)
        if partition is None:
            partition = self.known[key] = (murmur2(key.encode()) & 0x7FFFFFFF) % self.count
        return partition


def murmur2(data: bytes) -> int:
    """MurmurHash2, 32 bits, with the seed that Kafka's Java client takes."""
    mix, mask = 0x5BD1E995, 0xFFFFFFFF
    value = 0x9747B28C ^ len(data)
    whole = len(data) // 4 * 4
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little") * mix & mask
        value = (value * mix & mask) ^ ((word ^ word >> 24) * mix & mask)
    if tail := data[whole:]:
        value = (value ^ int.from_bytes(tail, "little")) * mix & mask
    value = (value ^ value >> 13) * mix & mask
    return value ^ value >> 15


@contextlib.contextmanager
def opened(path: Path) -> Generator[apsw.Connection, None, None]:
    """The file, durable: a commit returns when it is on disk. Commits carry the WAL over at every 16 MiB."""
    connection = apsw.Connection(str(path))
    try:
        connection.pragma("page_size", PAGE_BYTES)
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", "full")
        connection.wal_autocheckpoint(1024)
        if not connection.pragma("user_version"):
            connection.execute(TABLES)
            connection.pragma("user_version", 1)
        yield connection
    finally:
        connection.close()


# Publishing: encode, key, columns, durable append


class Writer:
    """Turns events into the rows of the log, one per batch and partition."""

    def __init__(self, connection: apsw.Connection, load: Load) -> None:
        self.connection = connection
        self.partitions = Partitions(load.partitions)
        self.ends = [partition << OFFSET_BITS for partition in range(load.partitions)]
        self.json = msgspec.json.Encoder()
        self.msgpack = msgspec.msgpack.Encoder()

    def append(self, events: Sequence[OrderPaid]) -> None:
        """Append in one durable transaction; the events of a key stay in order."""
        rows = [self.row(partition, share) for partition, share in self.shares(events)]
        execute = self.connection.execute
        execute("begin immediate")
        for row in rows:
            execute("insert into log values (?, ?)", row)
        execute("commit")

    def shares(self, events: Sequence[OrderPaid]) -> Iterator[tuple[int, Sequence[OrderPaid]]]:
        """The events by partition."""
        if self.partitions.count == 1:
            return iter([(0, events)])
        of, shares = self.partitions.of, defaultdict[int, list[OrderPaid]](list)
        for event in events:
            shares[of(event.customer_id)].append(event)
        return iter(shares.items())

    def row(self, partition: int, events: Sequence[OrderPaid]) -> tuple[int, bytes]:
        """The row of a batch: its id and its columns."""
        encode, count, now_ms = self.json.encode, len(events), time.time_ns() // 1_000_000
        kinds = list(map(type, events))
        places = {kind: place for place, kind in enumerate(dict.fromkeys(kinds))}
        # Ids as UUIDv7 has them: the millisecond, then ten random bytes.
        moment, chance = now_ms.to_bytes(6, "big"), os.urandom(10 * count)
        columns = Columns(
            COMMON,
            [kind.__name__ for kind in places],
            bytes(map(places.__getitem__, kinds)),
            [moment + chance[start : start + 10] for start in range(0, 10 * count, 10)],
            [event.customer_id.encode() for event in events],
            [encode(event) for event in events],
            [now_ms] * count,
            [TRACE_PARENT] * count,
        )
        first = self.ends[partition]
        self.ends[partition] = first + count
        return first, self.msgpack.encode(columns)


def publish(path: Path, load: Load, events: Sequence[OrderPaid] | None = None) -> Measurement:
    """Publish the load to a new file, batch by batch, each durable before the next begins."""
    stock = orders(load) if events is None else events
    batches = [stock[start : start + load.batch] for start in range(0, len(stock), load.batch)]
    with opened(path) as connection:
        writer = Writer(connection, load)
        with Stopwatch() as watch:
            for batch in itertools.islice(itertools.cycle(batches), load.events // load.batch):
                writer.append(batch)
    return watch.measured(load.events)


# Consuming: read, split, decode, await the handler, commit the offset


class Reader:
    """Reads the log from its beginning, gives the wanted events to a handler and commits after each batch."""

    def __init__(self, connection: apsw.Connection, load: Load) -> None:
        self.connection = connection
        self.load = load
        self.wanted = OrderPaid.__name__
        self.split = msgspec.msgpack.Decoder(Batch).decode
        self.decode = msgspec.json.Decoder(OrderPaid).decode
        self.passed_over = Counter[str]()

    async def run(self, handler: Handler, changes: Changes | None = None) -> int:
        """Read until the end; returns how many records were read. ``changes`` gives a commit its rows of state."""
        seen = 0
        ends = [(partition, partition + 1 << OFFSET_BITS) for partition in range(self.load.partitions)]
        next_ids = {partition: partition << OFFSET_BITS for partition, _ in ends}
        while ends:
            for partition, end in tuple(ends):
                # A published batch is spread over the partitions: read as many rows as make one batch again.
                query = (next_ids[partition], end, self.load.partitions)
                rows = cast("list[tuple[int, bytes]]", self.connection.execute(SELECT, query).fetchall())
                if not rows:
                    ends.remove((partition, end))
                    continue
                for first, data in rows:
                    batch = self.split(data)
                    await self.give(batch, handler)
                    seen += len(batch.values)
                    next_ids[partition] = first + len(batch.values)
                self.commit(partition, next_ids[partition], changes)
                await asyncio.sleep(0)
        return seen

    async def give(self, batch: Batch, handler: Handler) -> None:
        """Decode the wanted events and await the handler for each; count the others by type."""
        values: Iterable[bytes] = batch.values
        indexes: Iterable[int] = itertools.count()
        if batch.type_names != [self.wanted]:
            mask = bytearray(256)
            for place, name in enumerate(batch.type_names):
                if name == self.wanted:
                    mask[place] = 1
                else:
                    self.passed_over[name] += batch.types.count(place)
            chosen = batch.types.translate(mask)
            values, indexes = itertools.compress(values, chosen), itertools.compress(indexes, chosen)
        contexts = map(Context, itertools.repeat(batch), indexes)
        for event, context in zip(map(self.decode, values), contexts, strict=False):
            await handler(event, context)

    def commit(self, partition: int, next_id: int, changes: Changes | None) -> None:
        """One durable transaction: the state that changed, and the position."""
        rows = changes() if changes else ()
        execute = self.connection.execute
        execute("begin immediate")
        if rows:
            self.connection.executemany(PUT_STATE, rows)
        execute(PUT_POSITION, (partition, next_id))
        execute("commit")


class Counts:
    """A count per customer: all of them in memory, the changed ones written by each commit."""

    def __init__(self, connection: apsw.Connection) -> None:
        rows = cast("list[tuple[bytes, bytes]]", connection.execute("select key, value from state").fetchall())
        self.counts: dict[str, int] = {key.decode(): msgspec.json.decode(value, type=int) for key, value in rows}
        self.changed: set[str] = set()
        self.encode = msgspec.json.Encoder().encode

    async def handle(self, event: OrderPaid, _context: Context) -> None:
        """The handler."""
        key = event.customer_id
        self.counts[key] = self.counts.get(key, 0) + 1
        self.changed.add(key)

    def changes(self) -> Rows:
        """The keys changed since the last call, with their counts."""
        counts, encode = self.counts, self.encode
        rows = [(key.encode(), encode(counts[key])) for key in self.changed]
        self.changed.clear()
        return rows


async def nothing(_event: OrderPaid, _context: Context) -> None:
    """A handler that does nothing: what remains is the loop."""


def consume(path: Path, load: Load) -> Measurement:
    """Handle every event of a published file; the position is committed after each batch."""
    return read(path, load, lambda _connection: (nothing, None))


def keyed_count(path: Path, load: Load) -> Measurement:
    """The same with a count per key, whose changes are part of each commit; checks the counts afterwards."""

    def counting(connection: apsw.Connection) -> tuple[Handler, Changes]:
        counts = Counts(connection)
        return counts.handle, counts.changes

    measurement = read(path, load, counting)
    with opened(path) as connection:
        total = connection.execute("select sum(cast(cast(value as text) as integer)) from state").get
        assert total == load.events, f"{total} counted of {load.events}"
    return measurement


def one_in_ten(path: Path, load: Load) -> Measurement:
    """Handle the one event in ten that is wanted, in a file that ``mixed`` events were published to."""
    seen = 0

    async def handler(event: OrderPaid, _context: Context) -> None:
        nonlocal seen
        seen += event.order_id[-1] == "0"  # the only ones there are, as every tenth is wanted

    measurement = read(path, load, lambda _connection: (handler, None))
    assert seen == load.events // 10, f"{seen} handled of {load.events}"
    return measurement


def read(path: Path, load: Load, work: Callable[[apsw.Connection], tuple[Handler, Changes | None]]) -> Measurement:
    """Measure one reading of a whole file, from the beginning and without earlier state."""

    async def measured(connection: apsw.Connection) -> Measurement:
        handler, changes = work(connection)
        with Stopwatch() as watch:
            seen = await Reader(connection, load).run(handler, changes)
        assert seen == load.events, f"{seen} read of {load.events}"
        return watch.measured(seen)

    with opened(path) as connection:
        connection.execute("delete from positions; delete from state")
        return asyncio.run(measured(connection))


# The command line


def share_of_payload(path: Path, load: Load) -> float:
    """The size of the file as a multiple of the bytes of JSON in it."""
    with opened(path) as connection:
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    return path.stat().st_size / (load.events * load.value_bytes)


def measure(load: Load, repetitions: int, folder: Path) -> Report:
    """All loops in turns."""
    numbers = itertools.count()
    plain, mixture = folder / "plain.db", folder / "mixed.db"
    publish(plain, load)
    publish(mixture, load, mixed(load))

    def publish_anew() -> Measurement:
        path = folder / f"publish-{next(numbers)}.db"
        measurement = publish(path, load)
        path.unlink()
        return measurement

    cases: dict[str, Case] = {
        "publish": publish_anew,
        "consume": lambda: consume(plain, load),
        "keyed_count": lambda: keyed_count(plain, load),
        "one_in_ten": lambda: one_in_ten(mixture, load),
    }
    turns = interleaved(cases, repetitions)
    report = Report(f"bare loop: {load.events:,} events, batches of {load.batch}, {load.partitions} partition(s)")
    for name in cases:
        report.add(name, median_speed(turns[name]), "events/s")
    for name in cases:
        report.add(f"{name}_cpu", median_cpu_us(turns[name]), "µs/event")
    report.add("file_size", share_of_payload(plain, load), "of payload")
    return report


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="The bare loop, the ceiling that Mainstem is measured against.")
    parser.add_argument("--json", action="store_true", help="one JSON object (so does JSON=1)")
    parser.add_argument("--events", type=int, default=Load.events)
    parser.add_argument("--batch", type=int, default=Load.batch)
    parser.add_argument("--partitions", type=int, default=Load.partitions)
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    try:
        load = Load(options.events, options.batch, options.partitions)
    except ValueError as error:
        parser.error(str(error))
    with scratch("bare") as folder:
        measure(load, options.repetitions, folder).show(as_json=options.json or None)


if __name__ == "__main__":
    main()
