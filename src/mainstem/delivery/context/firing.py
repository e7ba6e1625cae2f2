"""What waits for its time, as bytes: what a timer is given along for its firing, and a record to be published later."""

from datetime import datetime

import msgspec

from mainstem.broker import Batch, Headers, Record, TopicPartition, single
from mainstem.calendar import Duration, milliseconds
from mainstem.clock import Clock
from mainstem.delivery.context.effects import Fact
from mainstem.delivery.context.refusals import one_time, wall_clock_ms
from mainstem.events import CE_CAUSATIONID, CE_CORRELATIONID, CE_ID, lineage
from mainstem.state import Firing, Scheduled

TIMER_TOPIC = "$timer"
"""The topic a due timer is said to come from; what follows the colon is the timer's name."""

_STAMPS_OF_A_MILLISECOND = 20  # bits: a million

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[bytes, bytes, bytes]).decode


def firing_tag(event_id: str, inherited: Headers) -> bytes:
    """What a timer keeps for its firing: the id it will have, and where it comes from."""
    # Not the place in a trace: a firing fourteen days later is no part of it any more.
    return _encode((event_id.encode(), inherited[CE_CORRELATIONID], inherited[CE_CAUSATIONID]))


def schedule_tag(event_id: str) -> bytes:
    """What the run of a schedule keeps: the id it has. It comes from nowhere."""
    return _encode((event_id.encode(), b"", b""))


def firing_batch(task: int, firing: Firing) -> Batch:
    """The record that a firing is handled as; it is copied when the firing parks."""
    timer = firing.timer
    event_id, correlation, causation = _decode(firing.tag)
    record = Record(
        timer.key, None, timer.due_ms, own={CE_ID: event_id, **lineage(correlation or None, causation or None)}
    )
    return single(TopicPartition(f"{TIMER_TOPIC}:{timer.name}", task), timer.due_ms, record)


_encode_fact = msgspec.msgpack.Encoder().encode
_decode_fact = msgspec.msgpack.Decoder(tuple[str, int, bytes | None, bytes | None, dict[str, bytes]]).decode


def waiting_fact(fact: Fact) -> bytes:
    """A record that is to be published later, and where."""
    at, record = fact
    return _encode_fact((at.topic, at.partition, record.key, record.value, {**record.common, **record.own}))


def due_fact(scheduled: Scheduled) -> Fact:
    """The record of a publication that is due; its timestamp is when it was."""
    topic, partition, key, value, headers = _decode_fact(scheduled.payload)
    return TopicPartition(topic, partition), Record(key, value, scheduled.due_ms, headers)


def later_lineage(inherited: Headers) -> Headers:
    """What an event that is published later inherits: as of a firing, not the place in a trace."""
    return lineage(inherited[CE_CORRELATIONID], inherited[CE_CAUSATIONID])


def due_ms(who: tuple[str, str], after: Duration | None, at: int | datetime | None, now_ms: int, cause_ms: int) -> int:
    """When something is due that ``who``, a call and its place, wants ``after`` a while or ``at`` a time."""
    if (after is None) == (at is None):
        raise one_time(*who)
    due = now_ms + milliseconds(after or 0) if at is None else wall_clock_ms(at, now_ms, who[1])
    # Nothing happens before its cause; but an event whose producer's clock is ahead keeps nobody waiting.
    return max(due, min(cause_ms, now_ms))


class Stamps:
    """Growing numbers for what a task's handlers schedule."""

    __slots__ = ("_clock", "_last")

    def __init__(self, clock: Clock) -> None:
        """Those of the next owner are greater, as far as its clock is not behind."""
        self._clock = clock
        self._last = 0

    def next(self) -> int:
        """One that is greater than all before."""
        self._last = max(self._last + 1, self._clock.now_ms() << _STAMPS_OF_A_MILLISECOND)
        return self._last
