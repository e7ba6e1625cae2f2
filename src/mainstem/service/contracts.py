"""Beside the catalogue: when a group was seen last, and whether what it has said that it reads counts no more.

One row for each group, in the catalogue's topic. It is written seldom: by the first of a group's processes that finds
it old, and by whoever retires a group's contracts.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import msgspec
from msgspec import Struct

from mainstem.broker import Broker, Record, TopicPartition, read_all
from mainstem.clock import Clock
from mainstem.service.plans import CATALOGUE
from mainstem.telemetry import log

SEEN_SECONDS: Final = 3_600
"""So often a group that runs says that it does."""
STALE_MS: Final = 14 * 86_400_000
"""Whoever has not been seen for so long may be gone."""

_AT: Final = TopicPartition(CATALOGUE, 0)
_ENDING: Final = b"//contract"


class ContractRetirement(Struct, frozen=True):
    """Who has retired the contracts of a group, when and why."""

    at_ms: int
    by: str
    reason: str


class Standing(Struct, frozen=True):
    """How the contracts of a group stand. ``seen_ms`` is 0 where it has not run for long enough to say so again."""

    group: str
    seen_ms: int = 0
    retired: ContractRetirement | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Standing).decode


async def read_standings(broker: Broker) -> Mapping[str, Standing]:
    """By group, those of whom more is known than that they were started."""
    found: dict[str, Standing] = {}
    async for batch in read_all(broker, CATALOGUE):
        for key, value in zip(batch.keys, batch.values, strict=True):
            if key is None or not key.endswith(_ENDING):
                continue
            group = key.removesuffix(_ENDING).decode()
            found.pop(group, None)
            if value is not None:
                with suppress(msgspec.DecodeError):  # as another version of the library has written it
                    found[group] = _decode(value)
    return found


async def retire_contracts(broker: Broker, groups: Sequence[str], retirement: ContractRetirement) -> None:
    """Let the contracts of groups count no more, until they are started again."""
    known = await read_standings(broker)
    standings = [Standing(each, known.get(each, Standing(each)).seen_ms, retirement) for each in groups]
    await broker.log.append(_AT, [_row(each, retirement.at_ms) for each in standings])


def forgotten(group: str, at_ms: int) -> Record:
    """What takes a group's row away."""
    return Record(_key(group), None, at_ms)


async def come_back(broker: Broker, groups: Sequence[str], at_ms: int) -> None:
    """Let the contracts of groups count again that were retired, and say so in the log: somebody has started them."""
    known = await read_standings(broker)
    back = {each: known[each].retired for each in groups if each in known and known[each].retired is not None}
    for group, retired in back.items():
        assert retired is not None
        log.warning("the contracts of %r count again: %s had retired them (%s)", group, retired.by, retired.reason)
    if back:
        await broker.log.append(_AT, [_row(Standing(each, at_ms), at_ms) for each in back])


async def say_seen(broker: Broker, groups: Sequence[str], clock: Clock, *, every_seconds: float) -> None:
    """Write down that groups run, where nobody else of them has done so lately."""
    now, known = clock.now_ms(), await read_standings(broker)
    due = [each for each in groups if now - known.get(each, Standing(each)).seen_ms >= every_seconds * 500]
    await come_back(broker, due, now)
    if due:
        await broker.log.append(_AT, [_row(Standing(each, now), now) for each in due])


@asynccontextmanager
async def seen_now_and_then(
    broker: Broker, groups: Sequence[str], clock: Clock, every_seconds: float | None = SEEN_SECONDS
) -> AsyncIterator[None]:
    """Inside the block, groups say from time to time that they run; with None nobody does."""
    if every_seconds is None or not groups:
        yield
        return
    saying = asyncio.create_task(_again_and_again(broker, groups, clock, every_seconds))
    try:
        yield
    finally:
        saying.cancel()
        await asyncio.gather(saying, return_exceptions=True)


async def _again_and_again(broker: Broker, groups: Sequence[str], clock: Clock, every_seconds: float) -> None:
    while True:
        await asyncio.sleep(every_seconds)
        try:
            await say_seen(broker, groups, clock, every_seconds=every_seconds)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who work will find out
            log.warning("the catalogue does not hear that this process still runs: %s", error)


def _row(standing: Standing, at_ms: int) -> Record:
    return Record(_key(standing.group), _encode(standing), at_ms)


def _key(group: str) -> bytes:
    return group.encode() + _ENDING
