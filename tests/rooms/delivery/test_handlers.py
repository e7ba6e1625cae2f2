"""From a function to a processor: which signatures are taken, and what they are given."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable, Iterator, Sequence
from typing import Annotated, Any, NoReturn

import pytest

from mainstem.delivery import Context, Registration, compile_handler, declared_outputs
from mainstem.errors import HandlerTimeout
from mainstem.events import IntegrationEvent
from mainstem.state import Timer
from tests.rooms.delivery.signatures import (
    BANK,
    FOREIGN,
    Bank,
    Counted,
    Foreign,
    Outputs,
    Paid,
    Shipped,
    Structural,
    called,
    compiled,
)


async def with_event(event: Paid) -> Any:
    """The least."""
    return ("event", event)


async def with_both(event: Paid, context: Context) -> Any:
    """The usual."""
    return ("both", event, isinstance(context, Outputs))


async def with_keyword_context(event: Paid, *, context: Context) -> Any:
    """By name only."""
    return ("both", event, isinstance(context, Outputs))


async def with_places_only(event: Paid, context: Context, /) -> Any:
    """By place only."""
    return ("both", event, isinstance(context, Outputs))


async def with_bank(event: Paid, bank: Bank) -> Any:
    """With what is provided."""
    return ("bank", event, bank is BANK)


async def with_all(event: Paid, bank: Bank, context: Context) -> Any:
    """In another order."""
    return ("all", event, bank is BANK, isinstance(context, Outputs))


async def with_optional_context(event: Paid, context: Context | None = None) -> Any:
    """With one that a test may leave out."""
    return ("both", event, isinstance(context, Outputs))


async def with_defaults(event: Paid, context: Context, bank: Bank | None = None, size: int = 3, *, unit="kg") -> Any:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """With parameters that have a default, and of which one is provided."""
    return ("defaults", bank, size, unit)


async def with_optional_bank(event: Paid, bank: Bank = Bank()) -> Any:  # noqa: B008
    """What is provided wins over the default."""
    return ("bank", event, bank is BANK)


async def with_strings(event: "Paid", context: "Context", bank: "Bank") -> Any:
    """Annotations that are strings, of types of this module."""
    return ("all", event, bank is BANK, isinstance(context, Outputs))


async def with_annotated(event: Annotated[Paid, "said"], context: Annotated[Context, "said"]) -> Any:
    """Annotations that say more."""
    return ("both", event, isinstance(context, Outputs))


async def without_annotation(event, context: Context) -> Any:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """The first one is the event."""
    return ("both", event, isinstance(context, Outputs))


async def with_a_base(event: IntegrationEvent) -> Any:
    """A base of the registered type."""
    return ("event", event)


async def with_a_union(event: Paid | Shipped) -> Any:
    """One of several."""
    return ("event", event)


async def with_a_protocol(event: Structural) -> Any:
    """Whatever looks like it."""
    return ("event", event)


def plain(event: Paid, context: Context) -> Any:
    """Not a coroutine."""
    return ("both", event, isinstance(context, Outputs))


class Shop:
    """Methods are functions too."""

    async def method(self, event: Paid, context: Context) -> Any:
        """A bound one."""
        return ("both", event, isinstance(context, Outputs))


@pytest.mark.parametrize(
    ("function", "result"),
    [
        (with_event, ("event", "event")),
        (with_both, ("both", "event", True)),
        (with_keyword_context, ("both", "event", True)),
        (with_places_only, ("both", "event", True)),
        (with_bank, ("bank", "event", True)),
        (with_all, ("all", "event", True, True)),
        (with_defaults, ("defaults", BANK, 3, "kg")),
        (with_optional_context, ("both", "event", True)),
        (with_optional_bank, ("bank", "event", True)),
        (with_strings, ("all", "event", True, True)),
        (with_annotated, ("both", "event", True)),
        (without_annotation, ("both", "event", True)),
        (with_a_base, ("event", "event")),
        (with_a_protocol, ("event", "event")),
        (plain, ("both", "event", True)),
        (Shop().method, ("both", "event", True)),
    ],
)
def test_a_handler_gets_what_it_asks_for(function: Callable[..., object], result: object) -> None:
    """Event first; context and what is provided by annotation, in any order and each if wanted."""
    processor = compiled(function)
    assert called(processor)[0] == result
    assert processor.plain == (function is plain)
    assert not processor.batch


def test_the_usual_signature_costs_nothing() -> None:
    """A handler that takes event and context is called as it is, with nothing in between."""
    assert compiled(with_both).call is with_both
    assert compiled(plain).call is plain


def test_one_handler_may_take_several_types() -> None:
    """Its inputs are all of them, in order."""
    processor = compiled(with_a_union, Paid, Shipped)
    assert [each.wire_name for each in processor.inputs] == ["Paid", "Shipped"]


def test_annotations_of_local_types_work() -> None:
    """A type that is defined in a function is found, as long as the annotation is no string."""

    class Local(IntegrationEvent, topic="local"):
        pass

    class Safe:
        pass

    async def handle(event: Local, safe: Safe) -> Local:
        return event

    registration = Registration(function=handle, name="h", types=(Local,))
    processor = compile_handler(registration, {Safe: Safe()})
    assert [each.type for each in (*processor.inputs, *processor.outputs)] == [Local, Local]


# -- batches, generators, timers


async def batch(events: list[Paid], context: Context) -> None:
    """Many at once."""


async def batch_of_two(events: list[Paid | Shipped]) -> None:
    """Many of several types."""


@pytest.mark.parametrize(("function", "types"), [(batch, (Paid,)), (batch_of_two, (Paid, Shipped))])
def test_a_list_of_events_makes_a_batch_handler(function: Callable[..., object], types: tuple[object, ...]) -> None:
    """``list[Event]`` says that the handler takes many at once."""
    assert compiled(function, *types).batch


def generator(event: Paid, context: Context) -> Iterator[Counted]:
    """Yields two."""
    yield Counted(1)
    yield Counted(2)


async def async_generator(event: Paid) -> AsyncIterator[Counted]:
    """Yields two, with a wait in between."""
    yield Counted(1)
    await asyncio.sleep(0)
    yield Counted(2)


@pytest.mark.parametrize("function", [generator, async_generator])
def test_what_a_handler_yields_is_published(function: Callable[..., object]) -> None:
    """Plain or not, in order, as it comes; nothing is returned."""
    processor = compiled(function)
    assert called(processor) == (None, [Counted(1), Counted(2)])
    assert processor.plain == (function is generator)
    assert [each.type for each in processor.outputs] == [Counted]


def test_a_generator_is_closed_when_an_output_is_refused() -> None:
    """What it cleans up is cleaned up at once, in its lane, and not whenever it is collected."""
    cleaned: list[str] = []

    def plainly(event: Paid) -> Iterator[Counted]:
        try:
            yield Counted(-1)
        finally:
            cleaned.append("plain")

    async def slowly(event: Paid) -> AsyncIterator[Counted]:
        try:
            yield Counted(-1)
        finally:
            await asyncio.sleep(0)
            cleaned.append("async")

    for function in (plainly, slowly):
        with pytest.raises(ValueError, match="refused"):
            called(compiled(function))
    assert cleaned == ["plain", "async"]


async def timer_alone(context: Context) -> Any:
    """Needs no timer."""
    return ("context", isinstance(context, Outputs))


async def timer_first(timer: Timer, context: Context) -> Any:
    """Takes the timer."""
    return ("timer", timer)


async def timer_with_bank(bank: Bank) -> Any:
    """Takes what is provided, and nothing else."""
    return ("bank", bank is BANK)


async def timer_with_nothing() -> Any:
    """Takes nothing."""
    return "nothing"


TIMER = Timer(5, "remind", b"k")


@pytest.mark.parametrize(
    ("function", "result"),
    [
        (timer_alone, ("context", True)),
        (timer_first, ("timer", TIMER)),
        (timer_with_bank, ("bank", True)),
        (timer_with_nothing, "nothing"),
    ],
)
def test_a_timer_handler_need_not_take_the_timer(function: Callable[..., object], result: object) -> None:
    """It takes the timer, the context, what is provided, or nothing."""
    processor = compiled(function, timer="remind")
    assert called(processor, TIMER)[0] == result
    assert (processor.timer, processor.inputs) == ("remind", ())


# -- time-outs


def test_a_handler_that_takes_too_long_is_stopped() -> None:
    """The error names the handler, the time and the event; a generator is stopped as well."""

    async def slow(event: Paid, context: Context) -> None:
        await asyncio.Event().wait()

    async def slow_generator(event: Paid) -> AsyncIterator[Counted]:
        await asyncio.Event().wait()
        yield Counted(1)

    for function in (slow, slow_generator):
        with pytest.raises(HandlerTimeout, match=r"'handler' took longer than 0\.001 s") as raised:
            called(compiled(function, timeout_seconds=0.001))
        assert "orders[0] offset 7, event e-7" in raised.value.where


def test_a_time_out_of_the_handlers_own_is_its_own() -> None:
    """What it raises itself passes through as it is."""

    async def impatient(event: Paid) -> None:
        async with asyncio.timeout(0.001):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError) as raised:
        called(compiled(impatient, timeout_seconds=10.0))
    assert not isinstance(raised.value, HandlerTimeout)


# -- outputs


def returning(annotation: object) -> Callable[..., object]:
    """A handler with this return annotation."""

    async def handle(event: Paid) -> None:
        pass

    handle.__annotations__["return"] = annotation
    return handle


@pytest.mark.parametrize(
    ("annotation", "outputs"),
    [
        (None, []),
        (NoReturn, []),
        (Any, []),
        (Counted, [Counted]),
        (Counted | None, [Counted]),
        (Counted | Shipped, [Counted, Shipped]),
        (list[Counted], [Counted]),
        (list[Counted | Shipped] | None, [Counted, Shipped]),
        (tuple[Counted, ...], [Counted]),
        (tuple[Counted, Shipped], [Counted, Shipped]),
        (Sequence[Counted], [Counted]),
        (Iterable[Counted], [Counted]),
        (Iterator[Counted | None], [Counted]),
        (Generator[Counted, None, None], [Counted]),
        (AsyncIterator[Counted], [Counted]),
        (AsyncGenerator[Counted | Shipped, None], [Counted, Shipped]),
        (tuple[Counted, Counted], [Counted]),
    ],
)
def test_outputs_are_known_before_the_first_event(annotation: object, outputs: list[object]) -> None:
    """They are the types in the return annotation, out of unions, lists and iterators, each once."""
    registration = Registration(function=returning(annotation), name="h", types=(Paid,))
    assert [each.type for each in declared_outputs(registration)] == outputs


def test_more_outputs_can_be_named() -> None:
    """``publishes=`` adds to the annotation, and declares what is published to a topic that is not ours."""
    processor = compiled(returning(Foreign | Counted), publishes=(FOREIGN, Shipped, Counted))
    assert [each.type for each in processor.outputs] == [Foreign, Shipped, Counted]


def test_what_a_processor_does_can_be_printed() -> None:
    """Its description has its types, as the catalogue tells them, and its timer."""
    described = compiled(generator).describe()
    [wanted], [published] = described.wants, described.publishes
    assert (described.handler, described.timer, described.batch) == ("handler", None, False)
    assert (wanted.name, wanted.version, wanted.topic, wanted.kind) == ("Paid", 1, "orders", "integration")
    assert (published.name, published.version, published.topic) == ("Counted", 1, "counts")
