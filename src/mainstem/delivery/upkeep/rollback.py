"""Rollback: a group that nobody runs is given back to an older definition of its service."""

from msgspec import Struct

from mainstem.broker import GroupDescription
from mainstem.delivery.context import no_effects
from mainstem.delivery.roster import FORMAT, Edition, note_edition, recorded
from mainstem.delivery.upkeep.custody import Keeper, in_custody
from mainstem.errors import DefinitionError
from mainstem.state import TaskState


class Rollback(Struct, frozen=True):
    """A group that nobody runs is to be run by an older definition again."""

    keeper: Keeper
    group: GroupDescription
    definition: int

    async def look(self) -> dict[int, int]:
        """The numbers of the tasks that a process of this definition would give back.

        Raises :class:`~mainstem.errors.DefinitionError` where the library is too old to say.
        """
        rows = {task: await self.keeper.snapshot(self.group.name, task) for task in range(self.group.tasks)}
        found = {task: recorded(TaskState(each)) for task, each in rows.items()}
        if newer := [task for task, each in found.items() if each is not None and each.format > FORMAT]:
            raise DefinitionError(
                f"task {newer[0]} of {self.group.name!r} was run by a newer mainstem",
                why="its format does not go back",
                remedy="give the command with that version",
            )
        return {task: each.definition for task, each in found.items() if each and each.definition > self.definition}

    async def carry_out(self) -> None:
        """Take each of these tasks over, which fences whoever had it, and record the number. It can be repeated."""
        for task in await self.look():
            async with in_custody(self.keeper, self.group, task) as custody:
                if custody is not None:
                    effects = no_effects()
                    note_edition(Edition(self.definition), effects)
                    await custody.commit(effects)
