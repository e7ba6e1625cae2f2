"""The schema registry as a service on a file, with several processes' worth of instances."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mainstem import running
from mainstem.broker import Record, TopicPartition
from mainstem.clock import SystemClock
from mainstem.errors import BrokerAway, BrokerError, CommitUnknown
from mainstem.identifiers import Identifiers
from mainstem.registry.contents import Config, DeleteSubject, Limits, Register, RegistryError, SetConfig
from mainstem.registry.contents.operations.registering import COMPARED_APART
from mainstem.registry.ledger import ROWS, Ledger, Patience, RegistryRequest
from mainstem.schemas.documents import Schema
from mainstem.service import connected
from mainstem.service.registry import registry_access, schema_registry


def titled(title: str) -> Schema:
    """A schema of its own."""
    return Schema(f'{{"title":"{title}","type":"object"}}', "JSON")


@asynccontextmanager
async def instance(broker: str) -> AsyncIterator[Ledger]:
    """An instance of the registry, with a broker connection of its own."""
    service = schema_registry()
    async with (
        running(service, broker=broker, dev=True),
        registry_access(service) as access,
    ):
        yield access


async def test_what_one_instance_writes_every_instance_knows(tmp_path: Path) -> None:
    """Either writes, whoever owns the task; the other knows it when it has read to the end of the log."""
    broker = f"sqlite:///{tmp_path}/registry.db"
    async with instance(broker) as one, instance(broker) as two:
        await two.write(SetConfig(Config(compatibility_level="NONE")))
        first = await one.write(Register("orders", titled("a")))
        second = await two.write(Register("orders", titled("b")))
        assert (first.id, second.id) == (1, 2)
        for each in (one, two):
            contents = await each.caught_up()
            assert list(contents.versions("orders")) == [1, 2]
            assert contents.schema(2).schema == titled("b")


async def test_a_restart_finds_everything(tmp_path: Path) -> None:
    """The next process reads rows, gives the next id, and answers as before."""
    broker = f"sqlite:///{tmp_path}/registry.db"
    async with instance(broker) as access:
        await access.write(Register("orders", titled("a")))
        await access.write(SetConfig(Config(compatibility_level="NONE")))
        await access.write(DeleteSubject("orders"))
        await access.write(DeleteSubject("orders", permanent=True))
    async with instance(broker) as access:
        assert (await access.view()).configured.config().compatibility_level == "NONE"
        assert (await access.write(Register("bills", titled("b")))).id == 2
        assert (await access.write(Register("orders", titled("a")))).id == 1


async def test_a_refusal_changes_nothing(tmp_path: Path) -> None:
    """The number comes back to who asked; the rows are as before, and the next request is carried out."""
    async with instance(f"sqlite:///{tmp_path}/registry.db") as access:
        with pytest.raises(RegistryError) as refused:
            await access.write(Register("orders", Schema('{"type":"nothing"}', "JSON")))
        assert refused.value.number == 42201
        assert list((await access.caught_up()).subjects(shown="all")) == []
        assert (await access.write(Register("orders", titled("a")))).id == 1


async def test_a_request_that_is_repeated_has_the_same_answer() -> None:
    """Whoever is not sure that it was published may publish it again: it is carried out once."""
    service = schema_registry()
    asked = RegistryRequest("r-1", DeleteSubject("orders"))
    async with (
        running(service, broker="sqlite:///:memory:", dev=True),
        registry_access(service) as access,
    ):
        await access.write(Register("orders", titled("a")))
        view = access._view
        outcomes = []
        for _ in range(2):
            with view.expecting("r-1") as expected:
                await service.publish(asked)
                outcomes.append(await expected)
        assert outcomes[0] == outcomes[1]
        assert outcomes[0].number == 0
        with pytest.raises(RegistryError) as refused:
            await access.write(DeleteSubject("orders"))
        assert refused.value.number == 40404


async def test_many_at_once_get_ids_without_a_gap(tmp_path: Path) -> None:
    """Registrations from several instances at the same time: one id for each content, each content one id."""
    broker = f"sqlite:///{tmp_path}/registry.db"
    async with instance(broker) as one, instance(broker) as two:
        asked = [
            each.write(Register(f"s{number % 7}", titled(f"t{number % 20}")))
            for number in range(40)
            for each in (one, two)
        ]
        await one.write(SetConfig(Config(compatibility_level="NONE")))
        answers = await asyncio.gather(*asked)
        given = {each.schema.text: each.id for each in answers}
        assert sorted(given.values()) == list(range(1, len(given) + 1))
        contents = await one.caught_up()
        assert {text: contents.schema(number).schema.text for text, number in given.items()} == {t: t for t in given}


async def test_who_reads_nothing_any_more_says_so() -> None:
    """A record that is no row ends the reading: what is known is told no more, for it would be older every day."""
    service = schema_registry()
    clock = SystemClock()
    async with (
        connected("sqlite:///:memory:", clock, Identifiers(clock)) as backend,
        running(service, broker=backend, dev=True),
        registry_access(service) as access,
    ):
        await access.write(Register("orders", titled("a")))
        await backend.log.append(TopicPartition(ROWS, 0), [Record(None, b"no row", 1)])
        for ask in (access.caught_up, access.view, lambda: access.write(DeleteSubject("orders"))):
            with pytest.raises(RegistryError, match="cannot be read") as failed:
                await ask()
            assert failed.value.number == 50001


async def test_many_versions_are_compared_by_who_asks() -> None:
    """Who carries out is told what has been compared already; and a refusal does not come so far."""
    service = schema_registry()
    asked: list[Register] = []

    async def publish(request: RegistryRequest) -> None:
        if isinstance(request.operation, Register):
            asked.append(request.operation)
        await service.publish(request)

    def grown(field: str, default: str = ',"default":""') -> Schema:
        return Schema(f'{{"type":"record","name":"A","fields":[{{"name":"{field}","type":"string"{default}}}]}}')

    async with running(service, broker="sqlite:///:memory:", dev=True):
        reach = service.reaches[-1]
        ledger = Ledger(reach.broker.log, publish, reach.publisher.identifiers, Limits())
        async with ledger.following():
            await ledger.write(SetConfig(Config(compatibility_level="FULL_TRANSITIVE")))
            for number in range(COMPARED_APART + 1):
                assert (await ledger.write(Register("a", grown(f"field{number}")))).version == number + 1
            assert [each.compared for each in asked[:-1]] == [None] * COMPARED_APART
            assert asked[-1].compared is not None
            assert asked[-1].compared.versions == COMPARED_APART
            with pytest.raises(RegistryError) as refused:
                await ledger.write(Register("a", grown("more", "")))
            assert refused.value.number == 40901
            assert len(asked) == COMPARED_APART + 1


@pytest.mark.parametrize("unknown", [CommitUnknown, BrokerAway])
@pytest.mark.parametrize("written", [True, False])
async def test_a_request_that_may_not_have_been_published_is_made_again(
    unknown: type[BrokerError],
    written: bool,  # noqa: FBT001 - a column
) -> None:
    """At once, and not after a wait for its answer; it is carried out once, whether it had been published or not."""
    service = schema_registry()
    asked: list[str] = []

    async def publish(request: RegistryRequest) -> None:
        asked.append(request.request)
        if written or len(asked) > 1:
            await service.publish(request)
        if len(asked) == 1:
            raise unknown("nobody knows")

    async with running(service, broker="sqlite:///:memory:", dev=True):
        reach = service.reaches[-1]
        patience = Patience(answer_seconds=20.0, again_seconds=20.0)
        ledger = Ledger(reach.broker.log, publish, reach.publisher.identifiers, Limits(), patience)
        async with ledger.following():
            assert (await ledger.write(Register("orders", titled("a")))).id == 1
            assert len(asked) == 2
            assert len(set(asked)) == 1
            assert list((await ledger.caught_up()).versions("orders")) == [1]


async def test_a_request_that_gets_lost_is_made_again_for_a_while() -> None:
    """Who hears nothing publishes the same request once more, and is told in time that nobody answers."""
    service = schema_registry()
    asked: list[RegistryRequest] = []

    async def publish(request: RegistryRequest) -> None:
        asked.append(request)
        if len(asked) == 3:
            await service.publish(request)

    async with running(service, broker="sqlite:///:memory:", dev=True):
        reach = service.reaches[-1]
        patience = Patience(answer_seconds=1.0, again_seconds=0.05)
        ledger = Ledger(reach.broker.log, publish, reach.publisher.identifiers, Limits(), patience)
        async with ledger.following():
            assert (await ledger.write(Register("orders", titled("a")))).id == 1
            assert len({each.request for each in asked}) == 1
            with pytest.raises(RegistryError) as refused:
                await ledger.write(Register("orders", titled("b")))
            assert refused.value.number == 50002
