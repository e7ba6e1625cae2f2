"""What a decorator has written down of a handler."""

from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

from mainstem.delivery.failures import Retry
from mainstem.delivery.gates import Deduplicate, Limit, check_deduplicate
from mainstem.delivery.guards import Declared
from mainstem.delivery.processor import KeyOrder, Predicate, written_at
from mainstem.delivery.schedules import Recurring
from mainstem.errors import DefinitionError
from mainstem.events import Declarable

Function: TypeAlias = Callable[..., object]


class Registration(Struct, frozen=True, kw_only=True):
    """What a decorator has written down. Nothing has been looked up yet."""

    function: Function
    name: str
    types: tuple[Declarable, ...] = ()
    timer: str | None = None
    schedule: Recurring | None = None
    retry: Retry = Retry()
    timeout_seconds: float | None = None
    where: Predicate | None = None
    deduplicate: Deduplicate | None = None
    limit: Limit | None = None
    gives_way_ms: int | None = None
    breaker: Declared = None
    publishes: tuple[Declarable, ...] = ()
    latest: tuple[Declarable, ...] = ()
    was: tuple[str, ...] = ()
    order: KeyOrder = "key"
    stores: frozenset[str] | None = None

    def __post_init__(self) -> None:
        """Refuse what no type checker has seen, and what would only fail at the first failure."""
        given: object = self.retry
        if not isinstance(given, Retry):
            raise DefinitionError(
                f"retry={given!r} of handler {self.name!r} is not a retry policy",
                where=self.place,
                remedy='write retry=Retry.on(TimeoutError).inline(3).later("10s", "1m"), or Retry.never()',
            )
        self.retry.check()
        check_deduplicate(self.deduplicate, self.name, self.place)

    @property
    def place(self) -> str:
        """Where the function stands, for errors."""
        return written_at(self.function)
