"""What has taken effect, as the log itself has it: a record in the very commit of each handler's run.

A book of the simulation's own could only say what was tried. So every run that succeeds adds a record to what it
publishes, in a topic of one partition. Whatever is lost, repeated or changes places, these records do so as well.
"""

from typing import Final

import msgspec
from msgspec import Struct

from mainstem.broker import Record, TopicPartition
from mainstem.delivery import Context

AUDIT: Final = TopicPartition("simulation.audit", 0)


class Audited(Struct, frozen=True, array_like=True):
    """A handler has taken effect for a record of the log, or for a timer that was due."""

    group: str
    handler: str
    topic: str
    partition: int
    offset: int
    key: bytes | None
    event_id: str


def audit(group: str, context: Context) -> None:
    """Add to what the run of a handler causes that it has taken effect."""
    audited = Audited(
        group,
        context.handler,
        context.topic,
        context.partition,
        context.offset,
        context.key,
        context.event_id,
    )
    record = Record(context.key, _ENCODER.encode(audited), context.timestamp_ms)
    # It is no event that a handler could declare, and it must share the fate of those.
    (context._effects or context._begin()).facts.append((AUDIT, record))  # noqa: SLF001 - said above


def audit_of(value: bytes | None) -> Audited:
    """What a record of the audit says."""
    return _DECODER.decode(value or b"")


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Audited)
