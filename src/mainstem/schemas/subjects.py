"""Under which name a type stands in a registry."""

from typing import Literal, TypeAlias

from mainstem.events import Declaration

SubjectStrategy: TypeAlias = Literal["record", "topic", "topic-record"]
"""The type alone, whatever its topics; the topic, where it holds one type; or both."""


def subject_of(declaration: Declaration, strategy: SubjectStrategy = "record") -> str:
    """The subject of a type's payload. Each major version from the second on has one of its own: ``shop.paid.v2``.

    ``topic`` and ``topic-record`` are what other clients of a registry call TopicNameStrategy and
    TopicRecordNameStrategy.
    """
    suffix = f".v{declaration.version}" if declaration.version > 1 else ""
    if strategy == "topic":
        return f"{declaration.topic}-value"
    record = declaration.wire_name + suffix
    return f"{declaration.topic}-{record}" if strategy == "topic-record" else record
