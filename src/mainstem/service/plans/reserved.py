"""Topics that the runtime has for itself, and no service has for its events: whoever reads them takes them for its own.

A name is reserved on every broker, also on one that has no such topic, so that a service can move.
"""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Final

from mainstem.broker import GROUPS_TOPIC, changelog_of, inbox_of
from mainstem.delivery import answers_topic, audit_topic
from mainstem.errors import DefinitionError, MainstemError
from mainstem.events import Declaration
from mainstem.service.definition import Definition

CATALOGUE: Final = "mainstem.catalogue"
"""The topic in which every group says at start what it publishes, wants and remembers."""

_OF_ALL: Final = {
    CATALOGUE: "groups say there what they publish, want and remember",
    GROUPS_TOPIC: "what groups were made for is recorded there",
}
_OF_A_GROUP: Final = {
    inbox_of(""): "commands to the group {!r} arrive there: it would take events for commands, and pass them over",
    audit_topic(""): "the group {!r} tells there what it has parked and given up",
    answers_topic(""): "the group {!r} answers commands there",
    changelog_of(""): "the stores of the group {!r} are kept there",
}


def reserved(
    service: Definition, inputs: Iterable[Declaration], outputs: Iterable[Declaration], inboxes: AbstractSet[str]
) -> Iterator[MainstemError]:
    """A fault for each topic that a service wants for its events and cannot have. ``inboxes`` nobody reads at all."""
    wanted = dict.fromkeys(service.topics, "service.topic(...)")
    # Records as they are may be read by anybody: somebody listens to the dead letters of another group.
    read = (each for each in inputs if each.envelope is not None or each.topic in inboxes)
    wanted.update((each.topic, each.type.__name__) for each in (*read, *outputs))
    for topic, whose in sorted(wanted.items()):
        if purpose := _purpose_of(topic):
            yield DefinitionError(
                f"{whose} names the topic {topic!r}, which Mainstem has for itself",
                where=f"service {service.name!r}",
                why=purpose,
                remedy="choose another name for events; what stands there already is read with "
                f'Topic("{topic}", ..., envelope=None), but no group reads its own inbox',
            )


def _purpose_of(topic: str) -> str:
    """What a topic of this name is for in every runtime; nothing where it may be anybody's."""
    for end, purpose in _OF_A_GROUP.items():
        if topic.endswith(end):
            return purpose.format(topic.removesuffix(end))
    return _OF_ALL.get(topic, "")
