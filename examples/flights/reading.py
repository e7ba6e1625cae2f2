"""What is there, read from outside: a topic, what services remember, and the letterbox. Nothing is written."""

import json
from collections import Counter
from typing import NamedTuple, TypeVar

from examples.flights.surroundings import LETTERBOX
from mainstem import Store
from mainstem.service import Backend

V = TypeVar("V")


async def remembered(broker: Backend, group: str, store: Store[V]) -> dict[str, V]:
    """All values of a store by key, out of all tasks of the group."""
    found: dict[str, V] = {}
    described = await broker.admin.groups([group])
    for task in range(described[group].tasks if group in described else 0):
        found.update((key.decode(), value) for key, value in store.values(await broker.snapshot(group, task), now_ms=0))
    return found


class Letters(NamedTuple):
    """What was delivered: how often by idempotency key, and how long after the replay, in milliseconds."""

    keys: Counter[str]
    took_ms: Counter[int]


def letters() -> Letters:
    """Everything in the letterbox."""
    found = Letters(Counter(), Counter())
    with LETTERBOX.open(encoding="utf-8") as lines:
        for line in lines:
            letter = json.loads(line)
            found.keys[letter["idempotency_key"]] += 1
            found.took_ms[letter["delivered_ms"] - letter["replayed_ms"]] += 1
    return found


def percentile(latencies: Counter[int], part: float) -> int:
    """The latency that this part of them does not exceed; 0 where there are none."""
    left = latencies.total() * part
    for milliseconds, count in sorted(latencies.items()):
        left -= count
        if left <= 0:
            return milliseconds
    return 0
