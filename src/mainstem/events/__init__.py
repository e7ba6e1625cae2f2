"""What a fact is: event types, their keys and their envelope on the wire."""

from mainstem.events.attributes import (
    CE_CAUSATIONID,
    CE_CORRELATIONID,
    CE_EVENTVERSION,
    CE_ID,
    CE_TYPE,
    CONTENT_TYPE,
    TRACEPARENT,
    TRACESTATE,
)
from mainstem.events.declaration import Declaration, check_publication, check_subscription
from mainstem.events.envelope import Envelope, Origin, foreign_envelope, identity
from mainstem.events.fields import KEY_TYPES, field_names, key_types, meant_instead, unresolved_annotation, wire_names
from mainstem.events.headers import Attributes, common_headers, lineage, own_headers
from mainstem.events.keys import KeyFunction, key_function, murmur2, partition_for
from mainstem.events.kinds import DomainEvent, Event, IntegrationEvent, NotificationEvent
from mainstem.events.statements import (
    EventFormat,
    FieldNumber,
    Personal,
    Plain,
    SchemaId,
    Step,
    fallback,
    fallback_of,
    numbered,
    numbers_of,
    retired,
    retired_in,
)
from mainstem.events.structured import STRUCTURED_CONTENT, from_structured, is_structured, to_structured
from mainstem.events.topic import Declarable, Topic, declaration_of

__all__ = [
    "CE_CAUSATIONID",
    "CE_CORRELATIONID",
    "CE_EVENTVERSION",
    "CE_ID",
    "CE_TYPE",
    "CONTENT_TYPE",
    "KEY_TYPES",
    "STRUCTURED_CONTENT",
    "TRACEPARENT",
    "TRACESTATE",
    "Attributes",
    "Declarable",
    "Declaration",
    "DomainEvent",
    "Envelope",
    "Event",
    "EventFormat",
    "FieldNumber",
    "IntegrationEvent",
    "KeyFunction",
    "NotificationEvent",
    "Origin",
    "Personal",
    "Plain",
    "SchemaId",
    "Step",
    "Topic",
    "check_publication",
    "check_subscription",
    "common_headers",
    "declaration_of",
    "fallback",
    "fallback_of",
    "field_names",
    "foreign_envelope",
    "from_structured",
    "identity",
    "is_structured",
    "key_function",
    "key_types",
    "lineage",
    "meant_instead",
    "murmur2",
    "numbered",
    "numbers_of",
    "own_headers",
    "partition_for",
    "retired",
    "retired_in",
    "to_structured",
    "unresolved_annotation",
    "wire_names",
]
