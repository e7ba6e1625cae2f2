"""One handler at a time: given what has happened, when this happens, then that must come of it."""

import pytest

from mainstem import Context, IntegrationEvent, Service
from mainstem.errors import DefinitionError, NotFound
from mainstem.testing import given, simulated


class Bought(IntegrationEvent, topic="purchases", key="customer_id"):
    customer_id: str
    amount_cents: int


class GoldReached(IntegrationEvent, topic="loyalty", key="customer_id"):
    customer_id: str


class Missed(IntegrationEvent, topic="loyalty", key="customer_id"):
    customer_id: str


class Shop:
    open = True


loyalty = Service("loyalty")
loyalty.provide(Shop, Shop)
spent = loyalty.store("spent", int)
elsewhere = Service("elsewhere").store("elsewhere", int)


@loyalty.on(Bought)
async def tally(bought: Bought, context: Context, shop: Shop) -> GoldReached | None:
    """Counts, and tells of gold once; somebody who stays away is missed."""
    if not shop.open or bought.amount_cents < 0:
        message = f"{bought.amount_cents} is no amount"
        raise ValueError(message)
    before = context.get(spent, 0)
    after = before + bought.amount_cents
    context.put(spent, after)
    context.wake("missed", after="30d")
    return GoldReached(bought.customer_id) if before < 10_000 <= after else None


@loyalty.on_timer("missed")
async def miss(context: Context) -> Missed:
    """A month has gone by."""
    return Missed((context.key or b"").decode())


def test_what_comes_of_an_event() -> None:
    """What was published before is not counted; what is stored is."""
    given(loyalty, Bought("c-1", 9_000)).when(Bought("c-1", 1_500)).then(GoldReached("c-1")).stores(
        spent, {"c-1": 10_500}
    )


def test_nothing_comes_of_it() -> None:
    """Without events it is said that there are none."""
    given(loyalty).when(Bought("c-1", 100)).then()


def test_time_goes_by() -> None:
    """A timer that is due fires; without time, or with less of it, it does not."""
    given(loyalty, Bought("c-1", 100)).when(after="31d").then(Missed("c-1"))
    given(loyalty, Bought("c-1", 100)).when(after="29d").then()


def test_a_handler_fails() -> None:
    """That is what is expected, whether it is tried again or not; or it is an error."""
    given(loyalty).when(Bought("c-1", -1)).fails(ValueError).fails("-1 is no amount")
    with pytest.raises(AssertionError, match="failed: tally, ValueError: -1 is no amount"):
        given(loyalty).when(Bought("c-1", -1)).then()
    with pytest.raises(AssertionError, match="no ValueError: failed has nothing"):
        given(loyalty).when(Bought("c-1", 1)).fails(ValueError)


def test_what_is_not_as_expected_is_told() -> None:
    """Both what is missing and what is there."""
    with pytest.raises(AssertionError) as failed:
        given(loyalty, Bought("c-1", 9_000)).when(Bought("c-1", 1_500)).then(Missed("c-1"))
    assert "was to be published, and was not: Missed(customer_id='c-1')" in str(failed.value)
    assert "was published, and not expected: GoldReached(customer_id='c-1')" in str(failed.value)
    with pytest.raises(AssertionError, match=r"the store 'spent' holds \{'c-1': 100\}"):
        given(loyalty).when(Bought("c-1", 100)).stores(spent, {"c-1": 99})
    with pytest.raises(NotFound, match="keeps the store 'elsewhere'"):
        given(loyalty).when(Bought("c-1", 100)).stores(elsewhere, {})


def test_something_stands_in() -> None:
    """For what the service provides."""
    closed = Shop()
    closed.open = False
    given(loyalty, replace={Shop: closed}).when(Bought("c-1", 100)).fails(ValueError)


@simulated
async def test_it_runs_a_loop_of_its_own() -> None:
    """Inside a coroutine there is one already."""
    with pytest.raises(DefinitionError, match="inside a coroutine"):
        given(loyalty).when(Bought("c-1", 100))
