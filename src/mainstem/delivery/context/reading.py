"""From a record of a batch to what is known about its event, apart from the payload."""

from collections.abc import Mapping
from typing import Final

from mainstem.broker import Batch, HeaderRows, Headers, TopicPartition
from mainstem.errors import DecodingFailed
from mainstem.events import (
    CE_CAUSATIONID,
    CE_CORRELATIONID,
    CE_ID,
    CE_TYPE,
    CONTENT_TYPE,
    TRACEPARENT,
    TRACESTATE,
    Declaration,
    Envelope,
    Origin,
    foreign_envelope,
    from_structured,
    identity,
    is_structured,
    lineage,
)


def event_id_of(batch: Batch, index: int) -> str:
    """The id of an event; for one without envelope it is derived from topic, partition and offset."""
    return identity(batch.header(CE_ID, index), batch.topic, batch.partition, batch.offsets[index])


def envelope_of(batch: Batch, index: int, bare: Declaration | None = None) -> Envelope:
    """The envelope of a record; ``bare`` is how its topic is declared where its records carry none."""
    origin = Origin(batch.topic, batch.partition, batch.offsets[index], batch.timestamps[index], batch.keys[index])
    if bare is not None:
        return foreign_envelope(bare, batch.headers(index), origin)
    return Envelope(batch.common, batch.own_headers(index), origin)


_CAUSES: Final = (CE_ID, CE_CORRELATIONID, TRACEPARENT, TRACESTATE)


def inherited_from(batch: Batch, index: int) -> Headers:
    """What everything that an event causes inherits, as bytes from header to header."""
    ids, correlations, parents, states = batch.several(_CAUSES)
    cause = (ids and ids[index]) or event_id_of(batch, index).encode()
    correlation = (correlations and correlations[index]) or cause
    parent = None if parents is None else parents[index]
    if parent is None:
        return {CE_CORRELATIONID: correlation, CE_CAUSATIONID: cause}
    return lineage(correlation, cause, parent, None if states is None else states[index])


def in_binary_mode(batch: Batch) -> Batch:
    """The same records, with events in structured mode as if they had come in binary mode.

    A document that breaks the rules stays as it is, and has no type.
    """
    name = CONTENT_TYPE
    kinds: set[bytes | None] = {batch.common[name]} if name in batch.common else set()
    if not kinds and name in batch.own.names():
        kinds = set(batch.own.column(name))
    if not any(kind and is_structured({name: kind}) for kind in kinds):
        return batch
    pairs = [_unfolded(batch.headers(index), value) for index, value in enumerate(batch.values)]
    columns = (batch.keys, [value for _, value in pairs], batch.timestamps)
    own = HeaderRows([headers for headers, _ in pairs])
    at = TopicPartition(batch.topic, batch.partition)
    return Batch(at, batch.offsets, columns, common={}, own=own, next_offset=batch.next_offset)


def _unfolded(headers: dict[str, bytes], value: bytes | None) -> tuple[Mapping[str, bytes], bytes | None]:
    if value is None or not is_structured(headers):
        return headers, value
    try:
        return from_structured(headers, value)
    except DecodingFailed:
        return {name: each for name, each in headers.items() if name != CE_TYPE}, value
