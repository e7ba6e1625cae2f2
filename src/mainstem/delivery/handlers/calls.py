"""How a function is called: with exactly its event and its context, whatever it takes and however it publishes."""

import asyncio
import functools
import inspect
import typing
from collections.abc import AsyncGenerator, Awaitable, Generator, Mapping
from contextlib import aclosing, closing

from mainstem.delivery.context import Context
from mainstem.delivery.handlers.registration import Function
from mainstem.delivery.handlers.signature import BY_PLACE, Signature
from mainstem.delivery.processor import Call
from mainstem.errors import HandlerTimeout


def bound(function: Function, signature: Signature, extra: Mapping[str, object]) -> Call:
    """A call that takes exactly event and context, with as little between as the signature allows."""
    second = next(iter([*inspect.signature(function).parameters.values()][1:2]), None)
    in_place = second is not None and second.name == signature.context and second.kind in BY_PLACE
    if signature.takes_event and not extra and in_place:
        return function
    keyword = signature.context
    partial = functools.partial(function, **extra) if extra else function
    if signature.takes_event:
        if keyword is None:
            return lambda event, _: partial(event)
        return lambda event, context: partial(event, **{keyword: context})
    if keyword is None:
        return lambda _, __: partial()
    return lambda _, context: partial(**{keyword: context})


def collect_async(call: Call) -> Call:
    """A call that publishes what an asynchronous generator yields."""

    async def run(event: object, context: Context) -> None:
        # Closed when an output is refused, so that it ends in its lane, and not whenever it is collected.
        async with aclosing(typing.cast("AsyncGenerator[object]", call(event, context))) as outputs:
            async for output in outputs:
                context.publish(output)

    return run


def collect(call: Call) -> Call:
    """A call that publishes what a generator yields."""

    def run(event: object, context: Context) -> None:
        with closing(typing.cast("Generator[object]", call(event, context))) as outputs:
            for output in outputs:
                context.publish(output)

    return run


def timed(call: Call, name: str, timeout_seconds: float) -> Call:
    """A call that ends in :class:`~mainstem.errors.HandlerTimeout` when it takes longer."""

    async def run(event: object, context: Context) -> object:
        limit = asyncio.timeout(timeout_seconds)
        try:
            async with limit:
                return await typing.cast("Awaitable[object]", call(event, context))
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise HandlerTimeout(
                f"handler {name!r} took longer than {timeout_seconds:g} s",
                where=f"{context.topic}[{context.partition}] offset {context.offset}, event {context.event_id}",
                remedy="raise timeout=, or give the call inside a shorter time-out of its own",
            ) from error

    return run
