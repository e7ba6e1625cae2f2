"""Which schemas refer to which versions."""

from collections.abc import Iterator

from mainstem.registry.contents.tables.cells import Cells
from mainstem.registry.contents.tables.names import Name


class Links:
    """For each version the schemas that refer to it, by context and id."""

    def __init__(self, cells: Cells) -> None:
        self._cells = cells

    def refer(self, target: Name, version: int, user: tuple[str, int]) -> None:
        """Note that the schema with an id of a context refers to a version."""
        self._cells.put(True, "reference", *target, version, *user)

    def release(self, target: Name, version: int, user: tuple[str, int]) -> None:
        """It does not any more."""
        self._cells.put(None, "reference", *target, version, *user)

    def users(self, target: Name, version: int) -> Iterator[tuple[str, int]]:
        """The contexts and ids of the schemas that refer to a version."""
        for parts, _ in self._cells.scan(bool, "reference", *target, version, ""):
            yield parts[4], int(parts[5])
