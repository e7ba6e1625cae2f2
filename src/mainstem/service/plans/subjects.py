"""Types that would share a subject: what is registered there is one type, and the other could not follow it."""

from collections.abc import Iterable, Iterator

from mainstem.errors import DefinitionError, MainstemError
from mainstem.events import Declaration


def shared_subjects(service: str, outputs: Iterable[Declaration]) -> Iterator[MainstemError]:
    """A fault for each topic that is to name the subject of a type, and has several types of a service."""
    outputs = tuple(outputs)
    for declaration in outputs:
        if declaration.subject != "topic":
            continue
        others = {each.wire_name for each in outputs if each.topic == declaration.topic} - {declaration.wire_name}
        if others:
            yield DefinitionError(
                f"the topic {declaration.topic!r} cannot name the subject of {declaration.wire_name}",
                where=f"service {service!r}",
                why=f"it has other types too: {', '.join(sorted(others))}",
                remedy='write subject="topic-record", or leave subject= out',
            )
