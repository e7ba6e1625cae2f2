"""What the doctor finds: each with its place, and what to do next."""

from typing import Literal, TypeAlias

from msgspec import Struct

Check: TypeAlias = Literal[
    "lock",
    "drift",
    "lost-position",
    "stuck-task",
    "not-running",
    "no-standby",
    "foreign-partitioner",
    "unhandled-type",
    "dead-letters",
    "parked",
    "gives-way",
    "hot-key",
    "paused",
    "open-breaker",
]


class Finding(Struct, frozen=True):
    """Something that a person should look at. What is ``serious`` keeps events from being handled, or handled right."""

    check: Check
    serious: bool
    where: str
    what: str
    remedy: str
