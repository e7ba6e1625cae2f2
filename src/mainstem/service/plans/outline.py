"""What services declare, as one who describes them wants it: without a broker, and without anything running."""

from collections.abc import Sequence

from msgspec import Struct

from mainstem.broker import TopicSpec
from mainstem.delivery import declared_outputs
from mainstem.events import Declaration
from mainstem.service.definition import Definition
from mainstem.service.plans.drafting import Existing, draft, inputs_of


class Handled(Struct, frozen=True):
    """A handler: what it is given, what it publishes, and what its function says about itself."""

    group: str
    handler: str
    about: str
    inputs: tuple[Declaration, ...]
    outputs: tuple[Declaration, ...]


class Outline(Struct, frozen=True):
    """A service: everything that it may publish, its handlers in the order of their groups, and the topics of both."""

    service: Definition
    publishes: tuple[Declaration, ...]
    handlers: tuple[Handled, ...]
    topics: dict[str, TopicSpec]


def outlines_of(services: Sequence[Definition], existing: Existing | None = None) -> list[Outline]:
    """What services declare. Raises the first fault in their declarations."""
    drafted = draft(services, existing or Existing())
    if drafted.faults:
        raise drafted.faults[0]
    return [
        Outline(
            service,
            drafted.outputs[service.name],
            tuple(_handlers(service)),
            {
                each.topic: drafted.topics[each.topic]
                for each in (*drafted.inputs[service.name], *drafted.outputs[service.name])
            },
        )
        for service in services
    ]


def _handlers(service: Definition) -> list[Handled]:
    return [
        Handled(
            group.name,
            each.name,
            (each.function.__doc__ or "").strip(),
            tuple(inputs_of([each])),
            declared_outputs(each),
        )
        for group in service.groups
        for each in group.registered
    ]
