"""Services as an AsyncAPI 3.1 document: channels are topics, operations are handlers, messages are event types.

https://www.asyncapi.com/docs/reference/specification/v3.1.0
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from mainstem.broker import TopicSpec
from mainstem.events import FORMAT_CONTENT, STRUCTURED_CONTENT, Declaration, SubjectStrategy
from mainstem.ops.asyncapi.payloads import Json, Payloads, key_schema
from mainstem.schemas import own_words
from mainstem.service import Outline

VERSION: Final = "3.1.0"

_LOOKUP: Final[Mapping[SubjectStrategy, str]] = {
    "record": "RecordNameStrategy",
    "topic": "TopicNameStrategy",
    "topic-record": "TopicRecordNameStrategy",
}
"""What other clients call these."""

_ID: Final = re.compile(r"[^A-Za-z0-9._-]")


def document_of(outlines: Sequence[Outline], title: str, version: str) -> Json:
    """One document for one service or for a system of several; ``version`` is that of what is described."""
    payloads = Payloads()
    messages: dict[str, Json] = {}
    channels: dict[str, Json] = {}
    operations: dict[str, Json] = {}
    for outline in outlines:
        for declaration, spec in _routes(outline):
            messages[message_id(declaration)] = _message(declaration, payloads)
            _add_message(channels, declaration, spec)
        operations |= _operations(outline)
    return {
        "asyncapi": VERSION,
        "info": {"title": title, "version": version, "tags": [{"name": each.service.name} for each in outlines]},
        "defaultContentType": "application/json",
        "channels": dict(sorted(channels.items())),
        "operations": operations,
        "components": {"messages": dict(sorted(messages.items())), "schemas": payloads.schemas()},
    }


def message_id(declaration: Declaration) -> str:
    """How a type is called within a document: each major version is a message of its own."""
    suffix = f".v{declaration.version}" if declaration.version > 1 else ""
    return _id(declaration.wire_name + suffix)


def _id(text: str) -> str:
    return _ID.sub("_", text)


def _routes(outline: Outline) -> Iterable[tuple[Declaration, TopicSpec]]:
    wanted = [each for handled in outline.handlers for each in (*handled.inputs, *handled.outputs)]
    return ((each, outline.topics[each.topic]) for each in dict.fromkeys((*outline.publishes, *wanted)))


def _add_message(channels: dict[str, Json], declaration: Declaration, spec: TopicSpec) -> None:
    channel = channels.setdefault(_id(spec.name), _channel(spec))
    messages = channel["messages"]
    assert isinstance(messages, dict), "it was made here"
    messages[message_id(declaration)] = {"$ref": f"#/components/messages/{message_id(declaration)}"}


def _channel(spec: TopicSpec) -> Json:
    # In Kafka's words -1 is for ever.
    configuration: Json = {
        "cleanup.policy": ["compact" if spec.compact else "delete"],
        "retention.ms": -1 if spec.retention_ms is None else spec.retention_ms,
    }
    if spec.retention_bytes is not None:
        configuration["retention.bytes"] = spec.retention_bytes
    kafka = {"topic": spec.name, "partitions": spec.partitions, "topicConfiguration": configuration}
    return {"address": spec.name, "messages": {}, "bindings": {"kafka": kafka}}


def _kafka(declaration: Declaration) -> Json:
    """The key of a message, and where its records say which schema they have."""
    found: Json = {} if not declaration.key else {"key": key_schema(declaration)}
    if declaration.schema_id is not None:
        found["schemaLookupStrategy"] = _LOOKUP[declaration.subject]
        found["schemaIdLocation"] = "header" if declaration.schema_id == "header" else "payload"
        if declaration.schema_id == "prefix":
            found["schemaIdPayloadEncoding"] = "4"
    return found


def _message(declaration: Declaration, payloads: Payloads) -> Json:
    content = STRUCTURED_CONTENT if declaration.envelope == "structured" else FORMAT_CONTENT[declaration.format]
    message: Json = {
        "name": declaration.wire_name,
        "title": declaration.wire_name.rpartition(".")[2],
        "contentType": content.decode(),
        "payload": payloads.reference(declaration, message_id(declaration)),
        "bindings": {"kafka": _kafka(declaration)},
        "x-mainstem-version": declaration.version,
    }
    about = own_words(declaration.type)
    if about:
        message["summary"] = about.splitlines()[0]
        message["description"] = about
    if declaration.envelope == "cloudevents":
        message["headers"] = _headers(declaration)
        message["correlationId"] = {"location": "$message.header#/ce_correlationid"}
    if declaration.kind is not None:
        message["x-mainstem-kind"] = declaration.kind
        message["tags"] = [{"name": declaration.kind}]
    if declaration.service is not None:
        message["x-mainstem-owner"] = declaration.service
    return message


def _headers(declaration: Declaration) -> Json:
    """What is always there; what else is, says the CloudEvents specification."""
    fixed: Mapping[str, object] = {
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_id": {"type": "string", "description": "unique within its source; the same after a retry"},
        "ce_source": {"type": "string", "format": "uri-reference"},
        "ce_type": {"type": "string", "enum": list(declaration.names)},
    }
    return {"type": "object", "required": list(fixed), "properties": dict(fixed)}


def _operations(outline: Outline) -> dict[str, Json]:
    """A receive for each handler and topic it reads, a send for each that it, or its service, publishes to."""
    name = outline.service.name
    found: dict[str, Json] = {}
    told: set[Declaration] = set()
    for each in outline.handlers:
        told.update(each.outputs)
        place = f"{name}.{each.handler}"
        tags = [{"name": name}] if each.group == name else [{"name": name}, {"name": each.group}]
        for action, declarations in (("receive", each.inputs), ("send", each.outputs)):
            found |= _by_topic(place, action, declarations, {"tags": tags, **_words(each.about)})
    outside = [each for each in outline.publishes if each not in told]
    return found | _by_topic(name, "send", outside, {"tags": [{"name": name}]})


def _by_topic(place: str, action: str, declarations: Iterable[Declaration], beside: Json) -> dict[str, Json]:
    topics: dict[str, list[Declaration]] = {}
    for declaration in declarations:
        topics.setdefault(declaration.topic, []).append(declaration)
    return {
        _id(f"{place}.{action}.{topic}"): {
            "action": action,
            "channel": {"$ref": f"#/channels/{_id(topic)}"},
            "messages": [{"$ref": f"#/channels/{_id(topic)}/messages/{message_id(each)}"} for each in wanted],
            **beside,
        }
        for topic, wanted in topics.items()
    }


def _words(about: str) -> Json:
    return {} if not about else {"summary": about.splitlines()[0], "description": about}
