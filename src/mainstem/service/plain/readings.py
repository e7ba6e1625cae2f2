"""How a plain consumer reads the types that it names."""

from collections.abc import Iterable, Sequence

from mainstem.delivery import Acquaintance
from mainstem.errors import DefinitionError
from mainstem.events import Declarable, Declaration, declaration_of
from mainstem.schemas.upcasting import Reading, reading_of
from mainstem.schemas.writers import Writers


class Readings:
    """How these types are read, with what ``writers`` know of the schemas that they were written with.

    Raises ``DefinitionError`` where a version has no way to the current one.
    """

    def __init__(self, declarations: Iterable[Declaration], writers: Writers | None) -> None:
        self._readings = {each: reading_of(each, writers) for each in declarations}
        named: dict[tuple[str, bytes | None], Reading] = {}
        for declaration, reading in self._readings.items():
            if reading.named is not None:
                names = [each.encode() for each in declaration.names] if declaration.envelope else [None]
                named.update(dict.fromkeys([(declaration.topic, name) for name in names], reading))
        self.acquaintance = Acquaintance(named, writers) if named else None
        """What has to be known before they can be read; None where that is nothing."""

    def of(self, declaration: Declaration) -> Reading:
        """How a type is read; one that the consumer has not named, with what stands in the record alone."""
        return self._readings.get(declaration) or reading_of(declaration)


def declared(reads: Sequence[Declarable], topics: Sequence[str]) -> list[Declaration]:
    """The types that a consumer of these topics names. Raises ``DefinitionError`` for what is not read there."""
    found = [declaration_of(each) for each in reads]
    for each in found:
        if each.topic not in topics:
            raise DefinitionError(
                f"a consumer of {', '.join(map(repr, topics))} does not read {each.label}",
                why="the type says its topic, and its records are looked for there",
                remedy=f"read that topic too: Consumer({each.topic!r}, ...); or declare the type by a Topic of yours",
            )
    return found
