"""The firing of a timer as a record: what its timer is given along when it is set, and what becomes of that."""

import msgspec

from mainstem.broker import Batch, Headers, Record, TopicPartition, single
from mainstem.events import CE_CAUSATIONID, CE_CORRELATIONID, CE_ID, lineage
from mainstem.state import Firing

TIMER_TOPIC = "$timer"
"""The topic a due timer is said to come from; what follows the colon is the timer's name."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[bytes, bytes, bytes]).decode


def firing_tag(event_id: str, inherited: Headers) -> bytes:
    """What a timer keeps for its firing: the id it will have, and where it comes from."""
    # Not the place in a trace: a firing fourteen days later is no part of it any more.
    return _encode((event_id.encode(), inherited[CE_CORRELATIONID], inherited[CE_CAUSATIONID]))


def firing_batch(task: int, firing: Firing) -> Batch:
    """The record that a firing is handled as; it is copied when the firing parks."""
    timer = firing.timer
    event_id, correlation, causation = _decode(firing.tag)
    record = Record(timer.key, None, timer.due_ms, own={CE_ID: event_id, **lineage(correlation, causation)})
    return single(TopicPartition(f"{TIMER_TOPIC}:{timer.name}", task), timer.due_ms, record)
