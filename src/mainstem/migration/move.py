"""A move, from closing the file to the proof; and the way back.

1. The source refuses every commit from now on, and says where its data is going.
2. Topics are created, without retention and compaction, and all records copied.
3. Both sides are read and compared; that gives the place of each record on the other side.
4. Groups are registered; each task's rows and positions are written there, translated, and compared.
5. Topics get their retention and compaction, the end is written down, and the source says where its data is.

Every step can be repeated, and a move that was interrupted anywhere is carried on by the same command.
"""

from collections.abc import Mapping

from msgspec import Struct

from mainstem.broker import TopicDescription
from mainstem.clock import Clock
from mainstem.database import Moved
from mainstem.errors import BrokerError, TopicExists
from mainstem.identifiers import Identifiers
from mainstem.migration import groups, shared, topics
from mainstem.migration.endpoints import Source, Target
from mainstem.migration.mover import Begun, Copied, Diary, Finished, GivenUp, Mover, moving
from mainstem.migration.topics import Heard, Likeness


class Move(Struct, frozen=True):
    """What was moved, and how both sides compare. ``likenesses`` is empty for a move that was finished before."""

    move: str
    likenesses: list[Likeness]
    finished: bool


class Journey(Struct, frozen=True):
    """From where to where. ``to`` is how the target is called in what the source says from now on.

    ``shared`` topics are those to which services elsewhere write as well, under keys of their own.
    """

    source: Source
    target: Target
    to: str
    clock: Clock
    identifiers: Identifiers
    heard: Heard
    shared: frozenset[str] = frozenset()

    async def go(self) -> Move:
        """Move everything, or carry on with what was interrupted.

        Raises TopicExists before anything has happened when the target holds something of these names; what keeps a
        commit from happening; and returns a move that is not ``finished`` when the sides differ.
        """
        stamped = self.source.moved()
        if stamped is None:
            await self._require_room()
            stamped = Moved(self.identifiers.new(), self.to, self.clock.now_ms())
            await self.source.stamp(stamped)
        async with moving(self.target, stamped.move) as mover:
            diary = await mover.diary()
            if diary.finished is None:
                likenesses = await self._carry(mover, diary)
                if not all(each.equal for each in likenesses):
                    return Move(stamped.move, likenesses, finished=False)
            else:
                likenesses = []
        await self.source.stamp(Moved(stamped.move, self.to, stamped.since_ms, finished=True))
        return Move(stamped.move, likenesses, finished=True)

    async def undo(self) -> bool:
        """Take commits again in the source, and delete what was copied; False when it was never closed.

        Raises BrokerError when something has been written on the target since.
        """
        stamped = self.source.moved()
        if stamped is None:
            return False
        async with moving(self.target, stamped.move) as mover:
            diary = await mover.diary()
            if diary.begun is not None:
                if diary.finished is not None:
                    await self._require_untouched(diary.finished)
                await self._delete(diary.begun)
                facts, empty = await shared.take_back(self.target, diary.begun.added)
                for name in empty:
                    await self.target.admin.delete(name)
                await mover.write(GivenUp(stamped.move), facts)
        await self.source.stamp(None)
        return True

    async def _carry(self, mover: Mover, diary: Diary) -> list[Likeness]:
        moved = await self._moved()
        registered = await groups.groups_of(self.source)
        begun = diary.begun
        if begun is None:
            await self._require_room()
            names = {name: each.topic_id for name, each in moved.items()}
            added = await shared.missing(self.source, self.target, self.shared)
            begun = Begun(mover.move, self.source.name, names, list(registered), added)
            await mover.write(begun)
        await topics.create(self.target, moved)
        await shared.create(self.source, self.target, begun.added)
        await topics.copy(self.source, mover, moved, diary.following, self.heard)
        if facts := await shared.to_add(self.source, self.target, begun.added):
            await mover.write(Copied(mover.move, []), facts)
        likenesses, places = await topics.compare(self.source, self.target, moved, self.heard)
        likenesses += await shared.compare(self.source, self.target, begun.added)
        if places is None:
            return likenesses
        for group in registered.values():
            await groups.copy(self.source, self.target, group, places)
        for group in registered.values():
            likenesses.append(await groups.compare(self.source, self.target, group, places))
        if all(each.equal for each in likenesses):
            await self._finish(mover, moved, list(registered))
        return likenesses

    async def _finish(self, mover: Mover, moved: Mapping[str, TopicDescription], names: list[str]) -> None:
        for description in moved.values():
            if description.spec != topics.unlimited(description.spec):
                await self.target.admin.alter(description.spec)
        there = await self.target.admin.topics(moved)
        groups_there = await self.target.admin.groups(names)
        ends = {name: each.ends for name, each in there.items()}
        await mover.write(Finished(mover.move, ends, {name: each.epochs for name, each in groups_there.items()}))

    async def _moved(self) -> dict[str, TopicDescription]:
        found = await topics.topics_of(self.source)
        return {name: each for name, each in found.items() if name not in self.shared}

    async def _require_room(self) -> None:
        there = [f"topic {name}" for name in await self.target.admin.topics(await self._moved())]
        there += [f"group {name}" for name in await self.target.admin.groups(await groups.groups_of(self.source))]
        if there:
            raise TopicExists(
                f"The target has topics or groups of the same names: {', '.join(sorted(there)[:5])}",
                where=self.target.name,
                why="what is there would be mixed with what is moved: records under one order, and the memory of two "
                "groups under one name",
                remedy="name a target without them; or delete them there, where nobody uses them any more: "
                "mainstem groups delete, mainstem topics apply --delete",
            )
        await shared.missing(self.source, self.target, self.shared)

    async def _require_untouched(self, finished: Finished) -> None:
        there = await self.target.admin.topics(finished.ends)
        touched = [name for name, ends in finished.ends.items() if name not in there or there[name].ends != ends]
        groups_there = await self.target.admin.groups(finished.epochs)
        touched += [
            name
            for name, epochs in finished.epochs.items()
            if name not in groups_there or groups_there[name].epochs != epochs
        ]
        if touched:
            raise BrokerError(
                "The target has been used since the move, and the file stays closed",
                where=", ".join(sorted(touched)[:5]),
                why="what has been written there would be lost",
                remedy=f"go on there: MAINSTEM_BROKER={self.to}",
            )

    async def _delete(self, begun: Begun) -> None:
        for name in await self.target.admin.groups(begun.groups):
            await self.target.admin.delete_group(name)
        for name in await self.target.admin.topics(begun.topics):
            await self.target.admin.delete(name)
