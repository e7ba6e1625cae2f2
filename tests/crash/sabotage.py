"""Switches a guard off in the process that asks for it, to show that the checker would notice its absence."""

from collections.abc import Callable
from typing import Any, Final

import mainstem.broker.sqlite.transaction as transaction_module
import mainstem.database.database as database_module
import mainstem.delivery.tasks.task as task_module
from mainstem.database import Connection, TaskRows, Writer
from mainstem.database.connection import connect
from mainstem.delivery.context import Incarnation
from mainstem.delivery.lanes import Progress
from mainstem.state import TaskState


def owner_epoch() -> None:
    """Whoever has ever owned a task may commit for it."""
    replace(transaction_module, "check_epoch", lambda _connection, _owner: None)


def savepoint() -> None:
    """What a piece of work has written before it failed stays in the transaction."""

    def keep(writer: Writer, pending: Any, refusal: Exception) -> None:
        writer._connection.execute("release work")
        pending.error = refusal

    replace(Writer, "_take_back", keep)


def acknowledge_after_fsync() -> None:
    """Work is acknowledged when it has been written, and not only when it is durable."""
    apply = Writer._apply

    def too_soon(writer: Writer, works: list[Any]) -> None:
        apply(writer, works)
        writer._call(writer._settle, list(works), frozenset())

    replace(Writer, "_apply", too_soon)


def incarnation() -> None:
    """A task that is taken over again goes on with what it remembered, and old contexts may write into that."""
    states: dict[tuple[str, int], TaskState] = {}

    def remembered(rows: TaskRows) -> TaskState:
        return states.setdefault((rows._group, rows._task), TaskState(rows))

    replace(task_module, "TaskState", remembered)
    replace(Incarnation, "check", lambda _self: None)


def completed_set() -> None:
    """What was completed beyond the position is forgotten when a task moves."""
    replace(Progress, "restore", lambda _self, _completed: None)


def synchronous() -> None:
    """SQLite does not wait for the disk."""

    def careless(name: str, *, writes: bool, vfs: str | None = None) -> Connection:
        connection = connect(name, writes=writes, vfs=vfs)
        connection.pragma("synchronous", "off")
        return connection

    replace(database_module, "connect", careless)


GUARDS: Final[dict[str, Callable[[], None]]] = {
    guard.__name__: guard
    for guard in (owner_epoch, savepoint, acknowledge_after_fsync, incarnation, completed_set, synchronous)
}


def replace(owner: object, name: str, value: object) -> None:
    """Put something in the place of what the library has there."""
    assert hasattr(owner, name), f"there is no {name} any more"
    setattr(owner, name, value)
