"""Registering: what a decorator writes down, and what it refuses at once."""

import functools
from collections.abc import Callable

import pytest

from mainstem import Handlers, Retry, Service, Topic
from mainstem.errors import DefinitionError
from mainstem.testing import simulate, simulated
from tests.rooms.service.events import GoldReached, OrderPaid, SeatTaken


async def tally(order: OrderPaid) -> None:
    """A handler."""


class Foreign:
    """Not an event."""


def test_a_decorator_returns_the_function_unchanged() -> None:
    """The function can be called, and tested, as if it had not been registered."""
    handlers = Handlers()
    assert handlers.on(OrderPaid)(tally) is tally
    assert handlers.on_timer("remind", name="reminder")(tally) is tally


def test_a_registration_says_what_was_written() -> None:
    """Every option arrives, and durations in seconds."""
    handlers = Handlers()
    retry = Retry.on(TimeoutError).inline(1)
    handlers.on(
        OrderPaid,
        SeatTaken,
        name="count",
        retry=retry,
        timeout="30s",
        where=lambda envelope: envelope.version == 1,
        publishes=(GoldReached,),
        was=("tally",),
    )(tally)
    [found] = handlers.registered
    assert (found.name, found.types, found.retry, found.timeout_seconds) == ("count", (OrderPaid, SeatTaken), retry, 30)
    assert found.where is not None
    assert (found.publishes, found.was, found.timer) == ((GoldReached,), ("tally",), None)


def test_a_handler_is_called_like_its_function() -> None:
    """Without ``name=`` the function's name is the handler's identity, and the module plays no part."""
    handlers = Handlers()
    handlers.on(OrderPaid)(tally)
    assert [each.name for each in handlers.registered] == ["tally"]


def test_what_is_included_is_seen() -> None:
    """A service has the handlers and stores of what it includes, in order, also those declared afterwards."""
    service, orders, deeper = Service("shop"), Handlers(), Handlers()
    service.include(orders)
    orders.include(deeper)
    service.on(OrderPaid, name="first")(tally)
    orders.on(OrderPaid, name="second")(tally)
    deeper.on(OrderPaid, name="third")(tally)
    store = deeper.store("spent", int)
    assert [each.name for each in service.registered] == ["first", "second", "third"]
    assert service.stores == (store,)


@pytest.mark.parametrize(
    ("register", "words"),
    [
        (lambda it: it.on()(tally), "names no event"),
        (lambda it: it.on(Foreign), "not declared as an event"),
        (lambda it: it.on(tally), "names no event"),
        (lambda it: it.on("OrderPaid"), "not an event type"),
        (lambda it: it.on(OrderPaid, publishes=OrderPaid), "publishes=.* is not a tuple"),
        (lambda it: it.on(OrderPaid, was="tally"), "was='tally' is not a tuple"),
        (lambda it: it.on_timer("due", publishes=OrderPaid), "publishes=.* is not a tuple"),
        (lambda it: it.on_timer("due", was="tally"), "was='tally' is not a tuple"),
        (lambda it: it.on(OrderPaid, publishes=(Foreign,)), "not declared as an event"),
        (lambda it: it.on(OrderPaid)(lambda _: None), "cannot be called '<lambda>'"),
        (lambda it: it.on(OrderPaid, name="two words")(tally), "cannot be called 'two words'"),
        (lambda it: it.on(OrderPaid)(functools.partial(tally)), "is not a function"),
        (lambda it: it.on(OrderPaid, timeout="soon")(tally), "not a duration"),
        (lambda it: it.on(OrderPaid, retry=3)(tally), "not a retry policy"),
        (lambda it: (it.on(OrderPaid)(tally), it.on(SeatTaken)(tally)), "two handlers are called 'tally'"),
        (lambda it: it.on_timer("$due"), "timer cannot be called"),
        (lambda it: it.on_timer(tally), "names no timer"),
        (lambda it: it.schedule(tally), "names no time"),
        (lambda it: it.schedule(5), "names no time"),
        (lambda it: it.on_timer(""), "timer cannot be called"),
        (lambda it: (it.store("spent", int), it.store("spent", str)), "called 'spent' already"),
        (lambda it: it.store("$spent", int), "a store cannot be called"),
        (lambda it: it.store("open", object()), "store"),
        (lambda it: it.include(it), "cannot include themselves"),
        (lambda it: it.include(functools), "a module cannot be included"),
    ],
)
def test_a_mistake_is_refused_where_it_is_written(register: Callable[[Handlers], object], words: str) -> None:
    """What can be seen at once is said at once, and not at the start."""
    with pytest.raises(DefinitionError, match=words):
        register(Handlers())


def test_handlers_cannot_include_each_other() -> None:
    """A circle would never end; it is refused where it would be closed."""
    one, two = Handlers(), Handlers()
    one.include(two)
    with pytest.raises(DefinitionError, match="cannot include themselves"):
        two.include(one)


def test_a_topic_of_others_may_be_handled() -> None:
    """A declared topic stands wherever an event type does."""
    handlers = Handlers()
    topic = Topic("erp.orders", Foreign)
    handlers.on(topic, publishes=(topic,))(tally)
    assert handlers.registered[0].types == (topic,)


@simulated
async def test_no_handler_has_a_breaker_that_it_does_not_declare() -> None:
    """A hundred bad events become dead letters at once, and another handler of their task does not wait for them."""
    service = Service("shop")
    service.topic("orders", partitions=1)
    service.topic("loyalty", partitions=1)
    praised: list[str] = []

    @service.on(OrderPaid, retry=Retry.never())
    async def broken(order: OrderPaid) -> None:
        raise ValueError(order.customer_id)

    @service.on(GoldReached)
    async def praise(gold: GoldReached) -> None:
        praised.append(gold.customer_id)

    @service.on_timer("remind")
    async def remind() -> None: ...

    assert [each.breaker for each in service.registered] == [None, None, None]
    async with simulate(service) as world:
        await world.publish(*[OrderPaid(f"c-{number}") for number in range(100)])
        await world.advance("5s")
        await world.publish(GoldReached("c-1"))
        await world.advance("5s")
        assert praised == ["c-1"]
        assert len(world.dead_letters()) == 100
