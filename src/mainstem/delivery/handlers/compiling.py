"""From a user's function to a processor: what its signature says, checked when the service starts.

A handler takes the event (or ``list[Event]``), then, in any order and each if it wants, the ``Context`` and what the
service provides, found by annotation; what has a default and is not provided keeps it. It is ``async def`` or plain,
and returns or yields what it publishes.
"""

import inspect
from collections.abc import Mapping

from mainstem.delivery.gates import sieve_of
from mainstem.delivery.guards import fuse_of
from mainstem.delivery.handlers.calls import bound, collect, collect_async, timed
from mainstem.delivery.handlers.outputs import check_returns, latest_of, output_declarations
from mainstem.delivery.handlers.registration import Registration
from mainstem.delivery.handlers.signature import Signature
from mainstem.delivery.processor import Processor
from mainstem.errors import DefinitionError
from mainstem.events import Declaration, declaration_of


def compile_handler(registration: Registration, provided: Mapping[type, object]) -> Processor:
    """Check the signature, bind what is provided, and make a processor. Raises :class:`DefinitionError`."""
    signature = Signature.of(registration)
    missing = [
        kind for name, kind in signature.wanted.items() if kind not in provided and name not in signature.optional
    ]
    if missing:
        raise DefinitionError(
            f"handler {registration.name!r} wants a {missing[0].__name__}, which nobody provides",
            where=registration.place,
            remedy=f"service.provide({missing[0].__name__}, ...)",
        )
    extra = {name: provided[kind] for name, kind in signature.wanted.items() if kind in provided}
    call = bound(registration.function, signature, extra)
    plain = not (
        inspect.iscoroutinefunction(registration.function) or inspect.isasyncgenfunction(registration.function)
    )
    if inspect.isasyncgenfunction(registration.function):
        call = collect_async(call)
    elif inspect.isgeneratorfunction(registration.function):
        call = collect(call)
    else:
        check_returns(registration, signature.returns)
    if registration.timeout_seconds is not None and not plain:
        call = timed(call, registration.name, registration.timeout_seconds)
    return Processor(
        name=registration.name,
        call=call,
        inputs=(inputs := tuple(declaration_of(each) for each in registration.types)),
        outputs=(outputs := output_declarations(registration, signature.returns)),
        timer=registration.timer,
        schedule=registration.schedule,
        plain=plain,
        batch=signature.batch,
        retry=registration.retry,
        timeout_seconds=registration.timeout_seconds,
        where=registration.where,
        sieve=sieve_of(registration.deduplicate, inputs, registration.place),
        limit=registration.limit,
        gives_way_ms=registration.gives_way_ms,
        fuse=fuse_of(registration.breaker, inputs, registration.name, registration.place, batch=signature.batch),
        latest=latest_of(registration, outputs),
        was=registration.was,
        order=registration.order,
        stores=registration.stores if signature.context else frozenset(),
    )


def declared_outputs(registration: Registration) -> tuple[Declaration, ...]:
    """What a handler says it publishes: its return annotation and ``publishes=``."""
    return output_declarations(registration, Signature.of(registration).returns)
