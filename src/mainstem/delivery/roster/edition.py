"""Who has run a task last: the number of the service's definition, and the format of what the library keeps in it.

Both stand in the task's store and rise in the first commit of a process that has a higher one. A process with a lower
one gives the task back: it would read what it does not know, or forget what it does not look for. See
``docs/decisions/0005-definition-numbers.md``.
"""

from typing import Final

import msgspec
from msgspec import Struct

from mainstem.delivery.context import Effects
from mainstem.delivery.plan import EDITION_STORE, Plan
from mainstem.errors import Outdated
from mainstem.state import TaskState

FORMAT: Final = 2
"""Raised with every change after which an older library would misread the runtime's own stores."""

_KEY: Final = b"last"


class Edition(Struct, frozen=True):
    """What a task's store records. A definition without a number counts as 0."""

    definition: int = 0
    format: int = FORMAT


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Edition).decode


def enter(plan: Plan, task: int, state: TaskState, effects: Effects) -> None:
    """Record who runs the task from now on, in ``effects``. Raises Outdated in a process that is older."""
    found, mine = recorded(state), Edition(plan.definition)
    if found is not None and found.format > mine.format:
        raise Outdated(
            f"task {task} of {plan.group!r} was run by a newer mainstem, and is not run here",
            where=f"format {found.format}; this process knows {mine.format}",
            why="an older library would misread what the newer one has left in the task's store",
            remedy="install that version here too; a format does not go back",
        )
    if found is not None and found.definition > mine.definition:
        raise Outdated(
            f"task {task} of {plan.group!r} was run by a newer definition of its service, and is not run here",
            where=f"definition {found.definition}; this process has {mine.definition or 'none'}",
            why="older code may not understand what the newer one has left in the task's stores",
            remedy=f"start definition {found.definition} or a newer one; to go back on purpose, stop the group, then: "
            f"mainstem groups rollback {plan.group} --definition {mine.definition}",
        )
    if found != mine:
        note_edition(mine, effects)


def note_edition(edition: Edition, effects: Effects) -> None:
    """Write down, in ``effects``, that this is the one that has run the task last."""
    effects.write(EDITION_STORE, _KEY, _encode(edition))


def recorded(state: TaskState) -> Edition | None:
    """Who has run the task last; None for one that has never committed."""
    row = state.get(EDITION_STORE, _KEY)
    return None if row is None else _decode(row)
