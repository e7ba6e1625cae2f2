"""An event with sets, in each format: run as a program, it prints what they become, in a process of its own."""

from decimal import Decimal
from enum import Enum
from typing import Annotated
from uuid import UUID

from mainstem.events import IntegrationEvent, declaration_of
from mainstem.schemas import FieldNumber, codec_for, numbered


@numbered(RED=1, BLUE=2)
class Colour(Enum):
    """Its members have no order."""

    RED = "red"
    BLUE = "blue"


class Tagged(IntegrationEvent):
    """What has sets."""

    key: Annotated[str, FieldNumber(1)]
    names: Annotated[set[str], FieldNumber(2)]
    ids: Annotated[frozenset[UUID], FieldNumber(3)]
    prices: Annotated[set[Decimal], FieldNumber(4)]
    colours: Annotated[frozenset[Colour], FieldNumber(5)] = frozenset()


class TaggedJson(Tagged, topic="tags", key="key"):
    """The same in JSON."""


class TaggedAvro(Tagged, topic="tags", key="key", format="avro"):
    """The same in Avro."""


class TaggedProtobuf(Tagged, topic="tags", key="key", format="protobuf"):
    """The same in Protobuf."""


KINDS: tuple[type[Tagged], ...] = (TaggedJson, TaggedAvro, TaggedProtobuf)


def event_of(kind: type[Tagged], *colours: Colour) -> Tagged:
    """One event."""
    names, numbers = {"late", "diverted", "cancelled", "early"}, range(4)
    return kind(
        "k", names, frozenset(map(UUID, map("{:032x}".format, numbers))), set(map(Decimal, numbers)), frozenset(colours)
    )


if __name__ == "__main__":
    for kind in KINDS:
        print(codec_for(declaration_of(kind)).encode(event_of(kind)).hex())
