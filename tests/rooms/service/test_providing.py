"""What a service provides to its handlers: opened once, in order, and closed in reverse."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Protocol

import pytest

from mainstem import Service
from mainstem.errors import DefinitionError, StartRefused
from tests.journeys.conditions import until
from tests.rooms.service.events import Bank, OrderPaid

MEMORY = "sqlite:///:memory:"
STRAY = Bank()


class Ledger:
    """Something that is opened with a bank."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank


async def given(service: Service, kind: type[object]) -> object:
    """What a hook of the service is given for a type."""
    found: list[object] = []

    def hook(value: object) -> None:
        found.append(value)

    hook.__annotations__["value"] = kind
    service.on_startup(hook)
    async with service.running(broker=MEMORY, dev=True):
        pass
    return found[0]


@asynccontextmanager
async def by_async_manager() -> AsyncIterator[Bank]:
    """An async context manager."""
    yield Bank()


@contextmanager
def by_manager() -> Iterator[Bank]:
    """A context manager."""
    yield Bank()


async def by_async_generator() -> AsyncIterator[Bank]:
    """An async generator."""
    yield Bank()


def by_generator() -> Iterator[Bank]:
    """A generator."""
    yield Bank()


async def by_coroutine() -> Bank:
    """A coroutine function."""
    return Bank()


@pytest.mark.parametrize(
    "factory", [Bank, by_async_manager, by_manager, by_async_generator, by_generator, by_coroutine]
)
async def test_a_factory_may_have_any_usual_form(factory: Callable[[], object]) -> None:
    """Context managers, generators, coroutines and plain functions all give the thing itself."""
    service = Service("shop")
    service.provide(Bank, factory)
    assert isinstance(await given(service, Bank), Bank)


async def test_a_class_of_the_language_may_be_provided() -> None:
    """It has no signature to be read, so it is called as it is."""
    service = Service("shop")
    service.provide(dict, dict)
    assert await given(service, dict) == {}


async def test_provided_once_in_order_and_closed_in_reverse() -> None:
    """One opening in a process, whatever the number of handlers; hooks run while everything is open."""
    steps: list[str] = []
    service = Service("shop", publishes=(OrderPaid,))
    seen: list[Bank] = []

    @asynccontextmanager
    async def open_bank() -> AsyncIterator[Bank]:
        steps.append("bank open")
        yield Bank()
        steps.append("bank closed")

    def open_ledger(bank: Bank, size: int = 3) -> Iterator[Ledger]:
        steps.append(f"ledger open {size}")
        yield Ledger(bank)
        steps.append("ledger closed")

    service.provide(Bank, open_bank)
    service.provide(Ledger, open_ledger)

    @service.on_startup
    async def warm(ledger: Ledger) -> None:
        steps.append("startup")
        seen.append(ledger.bank)

    @service.on_shutdown
    def cool(bank: Bank = STRAY) -> None:
        steps.append("shutdown")
        seen.append(bank)

    @service.on(OrderPaid)
    async def pay(order: OrderPaid, bank: Bank) -> None:
        steps.append("handled")
        seen.append(bank)

    async with service.running(broker=MEMORY, dev=True):
        await service.publish(OrderPaid("c-1"))
        await until(lambda: "handled" in steps)
    assert steps == [
        "bank open",
        "ledger open 3",
        "startup",
        "handled",
        "shutdown",
        "ledger closed",
        "bank closed",
    ]
    assert len({id(each) for each in seen}) == 1


async def test_what_stands_in_for_a_type_is_used_as_it_is() -> None:
    """``replaced`` gives the thing itself: its factory is not called, and it need not be of the type."""
    service = Service("shop")

    def never() -> Bank:
        raise AssertionError

    class SlowBank:
        """Not a Bank by inheritance."""

    slow = SlowBank()
    service.provide(Bank, never)
    found: list[object] = []

    @service.on_startup
    def look(bank: Bank) -> None:
        found.append(bank)

    async with service.running(broker=MEMORY, dev=True, replaced={Bank: slow}):
        assert found == [slow]


async def test_a_protocol_may_be_provided() -> None:
    """Handlers may ask for a protocol; what a factory gives for it is taken at its word."""

    class Pays(Protocol):
        """Any bank."""

    service = Service("shop")
    service.provide(Pays, Bank)
    assert isinstance(await given(service, Pays), Bank)


async def test_what_a_factory_gives_is_looked_at() -> None:
    """A lock that would be acquired at the start, instead of handed out, is found there."""
    service = Service("shop")
    service.provide(asyncio.Semaphore, lambda: asyncio.Semaphore(5))
    with pytest.raises(DefinitionError, match="gave a NoneType, and not a Semaphore"):
        async with service.running(broker=MEMORY, dev=True):
            pass


async def test_what_is_asked_for_too_early_is_a_fault() -> None:
    """A factory sees what was provided before it, a hook everything; the rest is told at the start."""
    service = Service("shop")

    @service.on_shutdown
    def cool(number: int) -> None: ...

    service.provide(Ledger, Ledger)
    service.provide(Bank, Bank)
    with pytest.raises(StartRefused) as refused:
        async with service.running(broker=MEMORY, dev=True):
            pass
    assert [fault.what.split(", which")[0] for fault in refused.value.faults] == [
        "Ledger() of service 'shop' wants 'bank'",
        "test_what_is_asked_for_too_early_is_a_fault.<locals>.cool() of service 'shop' wants 'number'",
    ]


async def test_an_annotation_of_a_factory_that_leads_nowhere_is_a_fault() -> None:
    """It is told at the start with the others, and says where to move the type."""

    class Local:
        """Not to be found by a string."""

    def open_bank(local: "Local") -> Bank:
        raise AssertionError(local)

    service = Service("shop")
    service.provide(Bank, open_bank)
    with pytest.raises(StartRefused) as refused:
        async with service.running(broker=MEMORY, dev=True):
            pass
    [fault] = refused.value.faults
    assert "move Local to module level" in fault.remedy


def open_bank_of(ledgr: "Ledgre") -> Bank:  # type: ignore[name-defined]  # noqa: F821 - that is the mistake
    """A factory with a slip of the pen."""
    raise AssertionError(ledgr)


async def test_a_misspelt_annotation_of_a_factory_is_answered_with_the_right_one() -> None:
    """A name that is nearly that of a type of the module was meant to be it."""
    service = Service("shop")
    service.provide(Bank, open_bank_of)
    with pytest.raises(StartRefused) as refused:
        async with service.running(broker=MEMORY, dev=True):
            pass
    [fault] = refused.value.faults
    assert "'Ledgre'" in fault.what
    assert fault.remedy == "did you mean Ledger?"


async def test_what_was_opened_is_closed_when_the_start_fails() -> None:
    """A later factory that fails ends the start with its own error, and leaves nothing open."""
    steps: list[str] = []
    service = Service("shop")

    def open_bank() -> Iterator[Bank]:
        try:
            yield Bank()
        finally:
            steps.append("closed")

    async def open_ledger() -> Ledger:
        message = "no ledger today"
        raise OSError(message)

    service.provide(Bank, open_bank)
    service.provide(Ledger, open_ledger)
    with pytest.raises(OSError, match="no ledger today"):
        async with service.running(broker=MEMORY, dev=True):
            pass
    assert steps == ["closed"]


async def test_who_only_publishes_opens_nothing() -> None:
    """With ``consume=False`` no handler runs, so nothing is opened for one and no hook is called."""
    service = Service("shop", publishes=(OrderPaid,))
    opened: list[str] = []
    service.provide(Bank, lambda: opened.append("bank"))
    service.on_startup(lambda: opened.append("hook"))
    async with service.running(broker=MEMORY, dev=True, consume=False):
        await service.publish(OrderPaid("c-1"))
    assert opened == []
