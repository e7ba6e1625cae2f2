"""A process of its own at a broker's file; what it does stands in its arguments, and it reports line by line."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from mainstem.broker import Change, GroupSpec, Record, TopicPartition
from mainstem.broker.sqlite import SqliteBroker, SqliteOptions
from mainstem.errors import MainstemError

AT = TopicPartition("orders", 0)
INBOX = TopicPartition("count.inbox", 0)
SPEC = GroupSpec("count", "count", 1, {"orders": 1}, session_timeout_seconds=1.0)


def say(*words: object) -> None:
    """Tell the test."""
    print(*words, flush=True)


async def publish(path: Path) -> None:
    """Publish until killed; tell each acknowledged value."""
    broker = SqliteBroker(path)
    await broker.open()
    number = 0
    while True:
        value = f"{os.getpid()}-{number}"
        await broker.log.append(AT, [Record(b"k", value.encode(), 1)])
        say(value)
        number += 1


async def die(path: Path) -> None:
    """Publish, and be killed at the named point of the commit."""
    point = sys.argv[3]

    def at(reached: str) -> None:
        if reached == point:
            os.kill(os.getpid(), signal.SIGKILL)

    broker = SqliteBroker(path)
    await broker.open()
    await broker.log.append(AT, [Record(b"k", b"acknowledged", 1)])
    await broker.close()
    broker = SqliteBroker(path, options=SqliteOptions(at=at))
    await broker.open()
    await broker.log.append(AT, [Record(b"k", b"dying", 1)])


async def count(path: Path) -> None:
    """Count every record in a store, one commit for each batch, until killed."""
    broker = SqliteBroker(path)
    await broker.open()
    membership = await broker.group.join(SPEC)
    while True:
        say("assigned", *await membership.assignment())
        if not await membership.confirm(0):
            continue
        ownership = await membership.take_over(0)
        say("owner", ownership.epoch)
        rows = broker.rows("count", 0)
        total = int(rows.get("total", b"all") or b"0")
        position = ownership.positions.get(AT, 0)
        reader = broker.log.reader({AT: position})
        try:
            while True:
                if (batch := reader.take()) is None:
                    await reader.wait()
                    continue
                total += len(batch)
                transaction = ownership.transaction()
                transaction.changes([Change("total", b"all", b"%d" % total)])
                transaction.positions({AT: batch.next_offset, INBOX: 0})
                await transaction.commit()
                say("counted", total)
        except MainstemError as error:
            say("lost", error.code)


async def block(path: Path) -> None:
    """Join, take over, and block the event loop; then try to commit."""
    broker = SqliteBroker(path)
    await broker.open()
    membership = await broker.group.join(SPEC)
    await membership.assignment()
    ownership = await membership.take_over(0)
    say("owner", ownership.epoch)
    sys.stdin.readline()
    transaction = ownership.transaction()
    transaction.positions({AT: 0, INBOX: 0})
    try:
        await transaction.commit()
        say("committed")
    except MainstemError as error:
        say("refused", error.code)


async def listen(path: Path) -> None:
    """Tell each record, and how many milliseconds after it was published."""
    broker = SqliteBroker(path)
    await broker.open()
    reader = broker.log.reader({AT: (await broker.log.bounds(AT))[1]})
    say("listening")
    while True:
        if (batch := reader.take()) is None:
            await reader.wait()
            continue
        for value in batch.values:
            published_ns = int(value or b"0")
            say(f"{(time.monotonic_ns() - published_ns) / 1e6:.3f}")


ROLES: dict[str, Callable[[Path], Awaitable[None]]] = {
    "publish": publish,
    "die": die,
    "count": count,
    "block": block,
    "listen": listen,
}

if __name__ == "__main__":
    asyncio.run(ROLES[sys.argv[1]](Path(sys.argv[2])))  # type: ignore[arg-type]
