"""What must hold of any service, whatever goes wrong: nothing lost, nothing twice, everything in order.

They know what is in the log, and what the audit in the log says has taken effect; and nothing of what the runtime
believes. What a service promises beyond that, its own invariants say: plain functions of a world.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

import msgspec

from mainstem.delivery import Plan, Processor
from mainstem.events import Declaration
from mainstem.testing.records import Row
from mainstem.testing.simulation import Audited
from mainstem.testing.world import World

Invariant: TypeAlias = Callable[[World], None]
"""Looks at a world that has settled, and raises ``AssertionError`` when something is not as it must be."""


def nothing_lost(world: World) -> None:
    """Every event has taken effect once in each handler that wants it, or waits as a dead letter, or was discarded.

    Handlers that take batches, choose with ``where=`` or recognise doubles by a field of theirs are left out; what
    waits behind a dead letter of a key is excused in all handlers of its group.
    """
    missing = [
        f"{handler.name} has never handled {_row(row)}"
        for plan in world.plans
        for handler in plan.processors
        if _takes_everything(plan, handler)
        for row in _not_handled(world, plan, handler)
    ]
    assert not missing, "; ".join(missing[:5])


def _takes_everything(plan: Plan, handler: Processor) -> bool:
    fields = handler.sieve is not None and handler.sieve.fields is not None
    return not (handler.batch or handler.where is not None or plan.start == "latest" or fields)


def _not_handled(world: World, plan: Plan, handler: Processor) -> Iterator[Row]:
    """What the handler wants, has not handled, and nobody has given up."""
    mine = [each for each in world.handled if (each.group, each.handler) == (plan.group, handler.name)]
    done = {(each.topic, each.partition, each.offset) for each in mine}
    # Of those that it knows again, one is enough.
    known = {(each.topic, each.event_id) for each in mine} if handler.sieve is not None else set()
    keys, places = _given_up(world, plan.audit)
    for topic, names in _wanted(handler.inputs).items():
        for row in world.records.rows(topic):
            wanted = row.value is not None and (names is None or row.type in names)
            place = (topic, row.partition, row.offset)
            waits = place in places or (row.key is not None and row.key in keys)
            if wanted and not waits and place not in done and (topic, row.id) not in known:
                yield row


def nothing_twice(world: World) -> None:
    """No event has taken effect twice in a handler, and no two events that handlers publish have one id."""
    exact = [plan for plan in world.plans if not plan.at_least_once]
    groups = {plan.group for plan in exact}
    counts = Counter(each for each in world.handled if each.group in groups)
    twice = [f"{each.handler} has handled {_place(each)} {n} times" for each, n in counts.items() if n > 1]
    assert not twice, "; ".join(twice[:5])
    topics = {output.topic for plan in exact for handler in plan.processors for output in handler.outputs}
    topics |= {each.topic for plan in exact for handler in plan.processors for each in handler.inputs}
    rows = [row for topic in sorted(topics) for row in world.records.rows(topic)]
    doubles = {name for name, n in Counter(row.id for row in rows).items() if n > 1}
    # One from outside has no cause, and may well be sent twice; what each of the two causes has one id as well.
    same = [row for row in rows if row.id in doubles and row.cause and row.cause not in doubles]
    assert not same, f"several events have one id: {[_row(row) for row in same[:3]]}"


def in_order(world: World) -> None:
    """Each handler handles the events of a key, topic by topic, in the order of the log; also when some had to wait.

    That holds for what was retried later, and for a dead letter that was redriven with all that waited behind it.
    Handlers that waive it, with ``order="skip"`` or ``order="none"``, are left out.
    """
    waived = {(plan.group, each.name) for plan in world.plans for each in plan.processors if each.order != "key"}
    last: dict[tuple[str, str, str, bytes], tuple[int, int]] = {}
    for each in world.handled:
        if each.key is None or each.topic.startswith("$") or (each.group, each.handler) in waived:
            continue
        at = (each.group, each.handler, each.topic, each.key)
        partition, offset = last.get(at, (each.partition, -1))
        assert partition != each.partition or offset < each.offset, (
            f"{each.handler} has handled {_place(each)} after offset {offset}, of the same key {each.key.decode()}"
        )
        last[at] = (each.partition, each.offset)


GUARANTEES: Final[tuple[Invariant, ...]] = (nothing_lost, nothing_twice, in_order)
"""What Mainstem promises of every service."""


def _place(audited: Audited) -> str:
    if audited.topic.startswith("$"):
        return f"{audited.topic.removeprefix('$')} of {(audited.key or b'').decode()}"
    return f"{audited.topic}[{audited.partition}] offset {audited.offset}"


def _row(row: Row) -> str:
    return f"{row.topic}[{row.partition}] offset {row.offset}"


def _wanted(inputs: Sequence[Declaration]) -> dict[str, set[str] | None]:
    """The types by topic; None is all that a topic without types has."""
    found: dict[str, set[str] | None] = defaultdict(set)
    for each in inputs:
        names = found[each.topic]
        if not each.envelope:
            found[each.topic] = None
        elif names is not None:
            names.update(each.names)
    return found


def _given_up(world: World, audit_topic: str) -> tuple[set[bytes | None], set[tuple[str, int, int]]]:
    """The keys of which something waits, or was dropped; and the places of events without a key, of which the same."""
    last = {row.key: row.value for row in world.records.rows(audit_topic)}
    keys: set[bytes | None] = set()
    places: set[tuple[str, int, int]] = set()
    for value in last.values():
        if value is None:
            continue
        entry = msgspec.json.decode(value)
        # A notice, of what holds a whole task up, is no entry and has no status.
        if entry.get("status") in ("parked", "dead-lettered", "discarded"):
            key, letter = entry["key"], entry["letter"]
            keys.add(None if key is None else key.encode())
            places.add((letter["topic"], letter["partition"], letter["offset"]))
    return keys, places
