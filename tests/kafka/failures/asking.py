"""Asks a cluster again and again what groups have committed: ``python -m tests.kafka.failures.asking ADDRESS SECONDS``.

A process of its own, because what is looked for is whether it survives. It prints how many answers it has had, those
that came at all and those that did not.
"""

import asyncio
import sys
import time

from mainstem.broker import TopicPartition
from mainstem.broker.kafka.calls import Calls
from mainstem.broker.kafka.groups.committed import Committed
from mainstem.broker.kafka.options import ClientSettings, KafkaOptions
from mainstem.errors import BrokerAway

GROUPS = 9
"""So many that each of three nodes coordinates some."""


async def ask(address: str, seconds: float) -> tuple[int, int]:
    """How many answers there were, and how often there was none."""
    calls, until = Calls(GROUPS, 10.0), time.monotonic() + seconds
    committed = Committed(ClientSettings(address, KafkaOptions(answer_seconds=3.0)), calls)

    async def ask_of(group: str) -> tuple[int, int]:
        answers = away = 0
        while time.monotonic() < until:
            try:
                found = await committed.read(group, [TopicPartition("asked", 0)], stable=True)
            except BrokerAway:
                away += 1
            else:
                answers += not found[0].error
        return answers, away

    counts = await asyncio.gather(*(ask_of(f"asked-{number}") for number in range(GROUPS)))
    return sum(answers for answers, _ in counts), sum(away for _, away in counts)


if __name__ == "__main__":
    print(*asyncio.run(ask(sys.argv[1], float(sys.argv[2]))))
