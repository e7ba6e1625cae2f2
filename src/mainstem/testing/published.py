"""What was published, read back from the log."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Generic, NamedTuple, TypeVar

E = TypeVar("E")


class Fact(NamedTuple, Generic[E]):
    """An event as it stands in the log."""

    event: E
    id: str
    key: bytes | None
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    headers: Mapping[str, bytes]


class Published(Generic[E]):
    """The events of one type that are in the log, by partition and offset. It is a copy: ask again for later ones."""

    def __init__(self, name: str, facts: Iterable[Fact[E]]) -> None:
        self._name = name
        self.facts = tuple(facts)
        """The events with their ids, keys, places and headers."""

    def one(self) -> E:
        """The only one there is. Raises ``AssertionError`` when there is none, or more."""
        if len(self.facts) != 1:
            raise AssertionError(f"one {self._name} was expected, and there are {self!r}")
        return self.facts[0].event

    def all(self) -> list[E]:
        """All of them."""
        return [fact.event for fact in self.facts]

    def where(self, condition: Callable[[E], bool]) -> "Published[E]":
        """Those for which the condition holds."""
        return Published(self._name, (fact for fact in self.facts if condition(fact.event)))

    def __len__(self) -> int:
        return len(self.facts)

    def __iter__(self) -> Iterator[E]:
        return iter(self.all())

    def __repr__(self) -> str:
        return f"{len(self.facts)} {self._name}: {self.all()!r}"
