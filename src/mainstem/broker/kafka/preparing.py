"""What services need of a cluster, all at once: their topics, those of their groups, and the groups' settings."""

from collections.abc import Collection, Sequence
from typing import Final

from msgspec.structs import replace

from mainstem.broker import (
    GroupSpec,
    Preparation,
    TopicSpec,
    at_least,
    changelog_of,
    is_refused,
    largest_record,
    preparation,
)
from mainstem.broker.kafka.groups import REGISTRY, Groups, own_topics
from mainstem.broker.kafka.topics import Laid, TopicAdmin, Topics

_REPLICATION: Final = "replication"
_MIN_INSYNC: Final = "min_insync"


class Preparer:
    """Compares what is needed with what is there, and makes it so."""

    def __init__(self, topics: Topics, admin: TopicAdmin, groups: Groups) -> None:
        """Through the clients that are there."""
        self._topics = topics
        self._admin = admin
        self._groups = groups

    async def prepare(
        self, topics: Sequence[TopicSpec], groups: Sequence[GroupSpec], *, dry: bool
    ) -> Sequence[Preparation]:
        """As :meth:`mainstem.broker.Admin.prepare`."""
        named = {spec.name: spec for spec in topics}
        own = {spec.name: spec for group in groups for spec in own_topics(group, largest_record(group, topics))}
        there = await self._topics.layout([*named, *own])
        for name, spec in own.items():
            named[name] = at_least(spec, there[name].spec if name in there else None)
        gone = await self._gone(groups, there)
        prepared = [gone.get(name) or self._compared(spec, there.get(name)) for name, spec in named.items()]
        sessions = [await self._session(group) for group in groups if not self._groups.settings.is_classic(None)]
        if not dry and not is_refused(prepared):
            for each in prepared:
                if each.action == "create":
                    await self._admin.create(named[each.name])
                elif each.action == "alter":
                    await self._admin.alter(named[each.name])
            altered = {each.name for each in sessions if each.action == "alter"}
            for group in groups:
                if group.name in altered:
                    await self._groups.set_session(group)
        return sorted([*prepared, *sessions], key=lambda each: (each.kind, each.name))

    async def _gone(self, groups: Sequence[GroupSpec], there: Collection[str]) -> dict[str, Preparation]:
        """What groups have that have run, and that is not there any more: an empty one would not be the same."""
        registered = await self._groups.registry.registered() if REGISTRY.topic in there else {}
        return {
            name: Preparation(
                "refuse",
                "topic",
                name,
                {},
                why=f"the group {group.name!r} has run, and its topic {name!r} is gone: with an empty one it would go "
                "on from its positions without its memory",
                remedy="bring the topic back; or delete what is left of the group, so that it starts anew: "
                f"mainstem groups delete {group.name} --yes",
            )
            for group in groups
            if group.name in registered
            for name in (group.inbox, changelog_of(group.name))
            if name not in there
        }

    def _compared(self, spec: TopicSpec, there: Laid | None) -> Preparation:
        options = self._topics.options
        beside: dict[str, tuple[object, object]] = {}
        for name, wanted, found in (
            (_REPLICATION, options.replication, None if there is None else there.replication),
            (_MIN_INSYNC, options.min_insync, None if there is None else there.min_insync),
        ):
            if wanted is not None and wanted != found:
                beside[name] = found, wanted
        prepared = preparation(spec, None if there is None else there.spec, beside)
        if _REPLICATION not in prepared.differs or prepared.action != "alter":
            return prepared
        return replace(
            prepared,
            action="alter" if len(prepared.differs) > 1 else "by-hand",
            by_hand=(_REPLICATION,),
            why="the brokers have to copy it, which the client cannot ask for",
            remedy="kafka-reassign-partitions.sh moves it to as many brokers; or leave ?replication= out",
        )

    async def _session(self, group: GroupSpec) -> Preparation:
        differs = await self._groups.session_differs(group)
        wanted = {name: should for name, (_, should) in differs.items()}
        return Preparation("alter" if differs else "keep", "group", group.name, wanted, differs)
