"""What spans and measurements are labelled with.

Names follow OpenTelemetry's semantic conventions for messaging, as of :data:`SCHEMA`; what these do not know begins
with ``mainstem``.
"""

from collections.abc import Mapping
from typing import Final, TypeAlias

Label: TypeAlias = str | int | float | bool
Labels: TypeAlias = Mapping[str, Label]

SCHEMA: Final = "https://opentelemetry.io/schemas/1.44.0"
SYSTEM: Final = "messaging.system"
OPERATION: Final = "messaging.operation.name"
OPERATION_TYPE: Final = "messaging.operation.type"
GROUP: Final = "messaging.consumer.group.name"
TOPIC: Final = "messaging.destination.name"
PARTITION: Final = "messaging.destination.partition.id"
MESSAGE_ID: Final = "messaging.message.id"
BATCH_COUNT: Final = "messaging.batch.message_count"
ERROR_TYPE: Final = "error.type"
HANDLER: Final = "mainstem.handler"
OFFSET: Final = "mainstem.offset"
ATTEMPT: Final = "mainstem.attempt"


def operation(name: str, kind: str) -> dict[str, Label]:
    """The labels of one of our operations; ``kind`` is its type in the conventions."""
    return {SYSTEM: "mainstem", OPERATION: name, OPERATION_TYPE: kind}
