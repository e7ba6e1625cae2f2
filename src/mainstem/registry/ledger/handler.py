"""The one handler of a registry: a request, and what the registry has, become changed rows and an answer.

Everything that it knows is in the stores of its task. So whoever takes the task over goes on from the last commit,
and one whose commit is refused has kept nothing.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from mainstem.delivery import Context, Store
from mainstem.registry.contents import Changes, Contents, Limits, RegistryError, store_failed
from mainstem.registry.ledger.events import ANSWER, AnyOperation, Outcome, RegistryRequest, RegistryRow

PAGE_ROWS: Final = 500
REMEMBERED_MS: Final = 3_600_000
"""For how long the answer to a request is kept for who asks for it again."""
MESSAGE_CHARACTERS: Final = 20_000
"""An answer has to fit into a record, whatever it is about."""
_FORGOTTEN_AT_ONCE: Final = 2
_BEHIND_ALL: Final = b"\xff"
"""No key has this byte: they are UTF-8."""


class Memory(NamedTuple):
    """The stores of the handler, each with ``scope="partition"``."""

    rows: Store[bytes]
    answers: Store[bytes]
    """Answers by request."""
    ages: Store[str]
    """Requests by the time of their answer."""


class StoredRows:
    """The rows of a registry in a store of its task."""

    def __init__(self, context: Context, store: Store[bytes]) -> None:
        self._context = context
        self._store = store

    def get(self, key: bytes) -> bytes | None:
        """The value of a key."""
        return self._context.get(self._store, key=key)

    def put(self, key: bytes, value: bytes) -> None:
        """Write a row."""
        self._context.put(self._store, value, key=key)

    def delete(self, key: bytes) -> None:
        """Remove a row."""
        self._context.delete(self._store, key=key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The rows whose keys begin with ``prefix``, in order, page by page."""
        start = prefix
        while page := self._context.scan(self._store, start, prefix + _BEHIND_ALL, limit=PAGE_ROWS):
            yield from page
            start = page[-1][0] + b"\x00"


def carry_out(request: RegistryRequest, context: Context, memory: Memory, limits: Limits) -> list[RegistryRow]:
    """Do what is asked for, once; the rows that have changed, and as the last one the answer."""
    known = context.get(memory.answers, key=request.request)
    if known is not None:
        return [RegistryRow(ANSWER, known)]
    rows = StoredRows(context, memory.rows)
    changes = Changes(rows)
    outcome = _outcome(request, Contents(changes, limits), context)
    if outcome.number:
        changes = Changes(rows)
    changes.write_to(rows)
    answer = msgspec.msgpack.encode(outcome)
    _remember(request.request, answer, context, memory)
    changed = [RegistryRow(key.decode(), value) for key, value in changes.changed.items()]
    return [*changed, RegistryRow(ANSWER, answer)]


def _outcome(request: RegistryRequest, contents: Contents, context: Context) -> Outcome:
    operation: AnyOperation = request.operation
    try:
        answer = operation.apply(contents, context.timestamp_ms)
    except RegistryError as refused:
        return Outcome(request.request, number=refused.number, message=refused.message[:MESSAGE_CHARACTERS])
    except Exception:
        # A text that a rule cannot cope with must not keep everybody else's requests from being carried out.
        context.log.exception("a request to the registry has failed: %s", type(operation).__name__)
        failed = store_failed()
        return Outcome(request.request, number=failed.number, message=failed.message)
    return Outcome(request.request, msgspec.msgpack.encode(answer))


def _remember(request: str, answer: bytes, context: Context, memory: Memory) -> None:
    """Keep an answer, and forget old ones."""
    context.put(memory.answers, answer, key=request)
    context.put(memory.ages, request, key=f"{context.timestamp_ms:015d}/{request}")
    until = f"{max(context.timestamp_ms - REMEMBERED_MS, 0):015d}"
    for age, old in context.scan(memory.ages, b"", until, limit=_FORGOTTEN_AT_ONCE):
        context.delete(memory.ages, key=age)
        context.delete(memory.answers, key=old)
