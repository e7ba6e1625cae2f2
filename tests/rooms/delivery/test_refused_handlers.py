"""Signatures that are refused, and what is said about them."""

import asyncio
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import pytest

from mainstem.delivery import Context
from mainstem.errors import DefinitionError
from mainstem.events import IntegrationEvent
from mainstem.state import Timer
from tests.rooms.delivery.signatures import Bank, Clerk, Counted, Foreign, Paid, Shipped, compiled


async def with_event(event: Paid) -> None:
    """The least."""


async def with_both(event: Paid, context: Context) -> None:
    """The usual."""


async def with_a_union(event: Paid | Shipped) -> None:
    """One of several."""


def refused(function: Callable[..., object], *types: object, **options: Any) -> DefinitionError:
    """The error for a signature."""
    with pytest.raises(DefinitionError) as raised:
        compiled(function, *types, **options)
    return raised.value


async def nothing() -> None:
    """Takes no event."""


async def only_context(context: Context) -> None:
    """Takes no event either."""


async def clerk(event: Paid, clerk: Clerk) -> None:
    """Wants what nobody provides."""


async def unannotated(event: Paid, something) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Wants it knows what."""


async def generic(event: Paid, banks: list[Bank]) -> None:
    """Wants what cannot be found by type."""


async def two_contexts(event: Paid, context: Context, again: Context) -> None:
    """Wants it twice."""


async def many(event: Paid, *rest: object) -> None:
    """Wants whatever there is."""


async def many_events(*events: Paid) -> None:
    """Takes no single event."""


async def event_by_name(*, event: Paid) -> None:
    """Takes its event by name."""


async def bank_by_place(event: Paid, context: Context, bank: Bank, /) -> None:
    """Takes by place what is given by name."""


async def context_behind(event: Paid, bank: Bank, context: Context, /) -> None:
    """The same with the context."""


async def unknown_name(event: "Padi") -> None:  # type: ignore[name-defined]  # noqa: F821
    """A string that names nothing."""


async def unknown_attribute(event: "asyncio.Padi") -> None:  # type: ignore[name-defined]
    """A string that names nothing in a module."""


async def other_event(event: Shipped) -> None:
    """Takes something else than it is registered for."""


async def other_events(events: list[Shipped]) -> None:
    """Many of something else."""


async def a_sequence(events: Sequence[Paid]) -> None:
    """Nearly a batch."""


async def a_bare_list(events: list) -> None:  # type: ignore[type-arg]
    """Nearly a batch, too."""


async def returns_other(event: Paid) -> Foreign:
    """Returns what is not declared."""
    return Foreign(event.order)


async def returns_iterator(event: Paid) -> Iterator[Counted] | None:
    """Returns what nobody would go through."""
    return iter([Counted(1)])


async def returns_base(event: Paid) -> list[IntegrationEvent]:
    """Returns what has no topic."""
    return []


async def somebodys_method(self, event: Paid) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Written in a class."""


async def takes_a_timer(timer: Timer) -> None:
    """Belongs to another decorator."""


@pytest.mark.parametrize(
    ("function", "what", "remedy"),
    [
        (nothing, "does not take its event", "make the event its first parameter"),
        (only_context, "does not take its event", "make the event its first parameter"),
        (clerk, "wants a Clerk, which nobody provides", "service.provide(Clerk, ...)"),
        (unannotated, "nobody can tell what 'something' should be", "annotate 'something'"),
        (generic, "nobody can tell what 'banks' should be", "annotate 'banks'"),
        (two_contexts, "nobody can tell what 'again' should be", "annotate 'again'"),
        (many, "cannot be given its 'rest'", "by name"),
        (many_events, "cannot be given its 'events'", "first parameter"),
        (event_by_name, "cannot be given its 'event'", "first parameter"),
        (bank_by_place, "cannot be given its 'bank'", "by name"),
        (context_behind, "cannot be given its 'bank'", "by name"),
        (unknown_name, "the annotation 'Padi' cannot be resolved", "did you mean Paid?"),
        (unknown_attribute, "the annotation 'Padi' cannot be resolved", "move the type to module level"),
        (other_event, "takes a Shipped, and is registered for Paid", "annotate the type it is registered for"),
        (other_events, "takes a Shipped, and is registered for Paid", "annotate the type it is registered for"),
        (a_sequence, "is registered for Paid", "a batch is a list: annotate list[Event]"),
        (a_bare_list, "takes a list, and is registered for Paid", "annotate the type it is registered for"),
        (somebodys_method, "is a method, and takes 'self'", "write a function"),
        (takes_a_timer, "takes a Timer, and is registered for events", "write @service.on_timer"),
        (returns_other, "returns Foreign, which is not a declared event", "publishes=(Topic(...),)"),
        (returns_iterator, "says that it yields, and has no yield", "return a list"),
        (returns_base, "returns IntegrationEvent, which is not a declared event", "return an event type"),
    ],
)
def test_a_mistake_is_found_when_the_service_starts(function: Callable[..., object], what: str, remedy: str) -> None:
    """The error says which handler, where it stands, what is wrong and what to do."""
    error = refused(function)
    assert "handler 'handler'" in error.what
    assert what in error.what
    assert remedy in error.remedy
    assert f"{function.__module__}.{function.__qualname__}" in error.where
    assert f"{__file__}:" in error.where


@pytest.mark.parametrize("function", [with_event, with_both])
def test_a_timer_brings_no_event(function: Callable[..., object]) -> None:
    """The error says what its handler may take."""
    error = refused(function, timer="remind")
    assert "is for the timer 'remind', and takes a Paid" in error.what
    assert error.remedy.startswith("take the Timer, or nothing")


def test_a_union_is_refused_when_it_leaves_a_type_out() -> None:
    """Every type that a handler is registered for must fit its annotation."""
    assert "registered for Paid, Counted" in refused(with_a_union, Paid, Counted).what


def test_a_string_that_names_a_local_type_is_refused() -> None:
    """The error says why, and to move the type."""

    class Hidden(IntegrationEvent, topic="hidden"):
        pass

    async def handle(event: "Hidden") -> None:
        pass

    error = refused(handle, Hidden)
    assert "'Hidden' cannot be resolved" in error.what
    assert "looked up in the module" in error.why
    assert error.remedy == "move the type to module level"


def test_what_is_no_function_is_refused() -> None:
    """A partial has no annotations to be read; the error shows it, and says to wrap it."""
    error = refused(functools.partial(with_both, context=cast("Context", None)))
    assert "is not a function whose annotations can be read" in error.what
    assert "functools.partial" in error.where
    assert "wrap anything else" in error.remedy


def test_what_is_registered_must_be_an_event() -> None:
    """A class that is not declared is refused by name."""
    assert "Foreign is not declared as an event" in refused(with_event, Foreign).what
