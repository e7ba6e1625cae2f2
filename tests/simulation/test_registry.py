"""The schema registry, whose owner dies at every step of a commit, loses answers, and is replaced."""

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from mainstem.registry.contents import (
    Changes,
    Config,
    Contents,
    DeleteSubject,
    MemoryRows,
    Register,
    SetConfig,
    Version,
)
from mainstem.registry.contents.preparation import version_of
from mainstem.registry.ledger import RegistryRequest, RegistryRow
from mainstem.registry.ledger.events import ANSWER, AnyOperation, Outcome
from mainstem.schemas.documents import Schema
from mainstem.service.registry import schema_registry
from mainstem.testing import POINTS, Fault, crash, lose_answer, lose_ownership, refuse_commit, simulate, simulated

SUBJECTS = 3
CONTENTS = 6


def operations() -> list[AnyOperation]:
    """What is asked for, in this order: every content several times, in several subjects, and one subject goes."""
    asked: list[AnyOperation] = [SetConfig(Config(compatibility_level="NONE"))]
    for number in range(18):
        schema = Schema(f'{{"title":"{number % CONTENTS}","type":"object"}}', "JSON")
        asked.append(Register(f"s{number % SUBJECTS}", schema))
        if number == 11:
            asked += [DeleteSubject("s0"), DeleteSubject("s0", permanent=True)]
    return asked


def folded(rows: Iterable[RegistryRow]) -> tuple[Contents, dict[str, Outcome]]:
    """What a view makes of the log: the rows, and what has become of each request, always the same."""
    under = MemoryRows()
    changes = Changes(under)
    outcomes: dict[str, Outcome] = {}
    for each in rows:
        if each.row != ANSWER:
            changes.changed[each.row.encode()] = each.value
            continue
        outcome = msgspec.msgpack.decode(each.value or b"", type=Outcome)
        assert outcomes.setdefault(outcome.request, outcome) == outcome
        changes.write_to(under)
        changes = Changes(under)
    assert not changes.changed, "whatever changes has an answer behind it"
    return Contents(under), outcomes


async def play(faults: list[Fault], workers: int) -> None:
    """Ask for everything, now and then twice, and compare with what it is without a fault."""
    asked = operations()
    async with simulate(schema_registry(), workers=workers, faults=faults) as world:
        for number, operation in enumerate(asked):
            await world.publish(RegistryRequest(f"r-{number}", operation))
            if number % 4 == 3:
                await world.publish(RegistryRequest(f"r-{number - 2}", asked[number - 2]))
                await world.advance("1s")
        await world.settle()
        contents, outcomes = folded(world.published(RegistryRow))
        assert not world.dead_letters()
        assert {"crash", "goes wrong", "stall"} & {step.what for step in world.trace.steps}, "something has gone wrong"
    assert len(outcomes) == len(asked)
    assert all(each.number == 0 for each in outcomes.values())
    ids: dict[str, int] = {}
    for number, operation in enumerate(asked):
        if isinstance(operation, Register):
            version = msgspec.msgpack.decode(outcomes[f"r-{number}"].answer, type=Version)
            assert ids.setdefault(version.schema.text, version.id) == version.id
    assert sorted(ids.values()) == list(range(1, CONTENTS + 1))
    assert list(contents.versions("s0")) == [1, 2]
    assert list(contents.subjects(shown="all")) == ["s0", "s1", "s2"]
    assert contents.highest_id() == CONTENTS


@simulated
@pytest.mark.parametrize("point", POINTS)
async def test_an_owner_that_dies_at_a_step_leaves_nothing_half_done(point: str) -> None:
    """At the first time that it comes there, in the middle, and later: every request is answered, and once only."""
    await play([crash(point, skip=skip) for skip in (0, 4, 11)], workers=2)


@simulated
@pytest.mark.parametrize(
    "faults",
    [
        [refuse_commit(skip=1), refuse_commit(skip=4)],
        [lose_answer(happened=True, skip=1), lose_answer(happened=False, skip=4)],
        [lose_ownership("commit.commit", skip=2), lose_ownership("handler.end", skip=9, stand_still=True)],
    ],
    ids=["refused", "unknown", "replaced"],
)
async def test_a_commit_that_goes_wrong_leaves_nothing_half_done(faults: list[Fault]) -> None:
    """What an owner had in its hands is dropped, and the next one begins with what is in the stores."""
    await play(faults, workers=2)


async def outcomes_of(*requests: RegistryRequest | str) -> list[Outcome]:
    """What is answered to requests, one after the other; a text is a time that passes."""
    async with simulate(schema_registry()) as world:
        for each in requests:
            await (world.advance(each) if isinstance(each, str) else world.publish(each))
            await world.settle()
        assert not world.dead_letters()
        rows = [each for each in world.published(RegistryRow) if each.row == ANSWER]
    return [msgspec.msgpack.decode(each.value or b"", type=Outcome) for each in rows]


def titled(request: str, title: str, subject: str = "s") -> RegistryRequest:
    """A registration."""
    return RegistryRequest(request, Register(subject, Schema(f'{{"title":"{title}"}}', "JSON")))


@simulated
async def test_an_answer_is_kept_for_an_hour() -> None:
    """Who asks again within it is told the same; after that it is forgotten, and does not stay for ever."""
    first, again = titled("r-1", "a"), RegistryRequest("r-1", DeleteSubject("s"))
    one, two, _, _, last = await outcomes_of(first, "30m", again, "2h", titled("r-2", "a"), titled("r-3", "a"), again)
    assert one == two
    assert msgspec.msgpack.decode(last.answer) == [1]


@simulated
async def test_what_a_rule_cannot_cope_with_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure in the middle of a change is an answer; what was written by then falls, and the next one is asked."""
    failing = ["x"]

    def fails_once(*of: Any) -> Version:
        if failing and of[1].subject == failing[0]:
            raise RuntimeError(failing.pop())
        return version_of(*of)

    monkeypatch.setattr("mainstem.registry.contents.operations.registering.version_of", fails_once)
    one, two, three = await outcomes_of(titled("r-1", "a", "x"), titled("r-2", "b", "y"), titled("r-3", "a", "x"))
    assert (one.number, two.number, three.number) == (50001, 0, 0)
    assert [msgspec.msgpack.decode(each.answer, type=Version).id for each in (two, three)] == [1, 2]
