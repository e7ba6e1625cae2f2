"""What the signature of a handler says: its parameters by role, and who cannot be given what.

A handler takes the event (or ``list[Event]``), then, in any order and each if it wants, the ``Context`` and what the
service provides, found by annotation; what has a default and is not provided keeps it.
"""

import inspect
import types
import typing
from collections.abc import Iterable, Mapping

from msgspec import Struct

from mainstem.delivery.context import Context
from mainstem.delivery.handlers.registration import Registration
from mainstem.errors import DefinitionError
from mainstem.events import Event, declaration_of, meant_instead
from mainstem.state import Timer


class Signature(Struct, frozen=True):
    """A handler's parameters by role; an ``optional`` one keeps its default unless its type is provided."""

    takes_event: bool
    batch: bool
    context: str | None
    wanted: Mapping[str, type]
    optional: frozenset[str]
    returns: object

    @classmethod
    def of(cls, registration: Registration) -> "Signature":
        """Read it. Raises :class:`~mainstem.errors.DefinitionError` for one that cannot be called."""
        hints = _hints(registration)
        event: inspect.Parameter | None = None
        context: str | None = None
        wanted: dict[str, type] = {}
        parameters = inspect.signature(registration.function).parameters
        for number, parameter in enumerate(parameters.values()):
            hint = _but_none(hints.get(parameter.name))
            _check_first(registration, parameter, hint, number)
            if number == 0 and _is_event(registration, hint):
                _check_kind(registration, parameter, BY_PLACE, "make the event its first parameter, given by place")
                event = parameter
            elif hint is Context and context is None:
                places = BY_PLACE | _BY_NAME if number == 1 and event is not None else _BY_NAME
                _check_kind(registration, parameter, places, "let the context be given by name: no / behind it")
                context = parameter.name
            elif isinstance(hint, type) and hint is not Context:
                _check_kind(
                    registration, parameter, _BY_NAME, f"let {parameter.name!r} be given by name: no / behind it"
                )
                wanted[parameter.name] = hint
            elif parameter.default is inspect.Parameter.empty:
                raise DefinitionError(
                    f"handler {registration.name!r}: nobody can tell what {parameter.name!r} should be",
                    where=registration.place,
                    why="what follows the event is found by its annotation: Context, once, or a type that is provided",
                    remedy=f"annotate {parameter.name!r}, or take it away",
                )
        if event is None and registration.timer is None:
            raise DefinitionError(
                f"handler {registration.name!r} does not take its event",
                where=registration.place,
                remedy="make the event its first parameter",
            )
        kind = None if event is None else hints.get(event.name)
        batch = typing.get_origin(kind) is list
        if registration.timer is None:
            _check_event(registration, typing.get_args(kind)[0] if batch else kind)
        optional = frozenset(each.name for each in parameters.values() if each.default is not inspect.Parameter.empty)
        return cls(event is not None, batch, context, wanted, optional, hints.get("return"))


BY_PLACE = frozenset({inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD})
_BY_NAME = frozenset({inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY})


def _hints(registration: Registration) -> Mapping[str, object]:
    """The annotations, with those that are strings looked up."""
    try:
        return typing.get_type_hints(registration.function)
    except (NameError, AttributeError) as error:
        raise DefinitionError(
            f"handler {registration.name!r}: the annotation {error.name!r} cannot be resolved",
            where=registration.place,
            why="annotations that are strings are looked up in the module, and the type is defined elsewhere",
            remedy=meant_instead(registration.function, error) or "move the type to module level",
        ) from error
    except (TypeError, SyntaxError) as error:
        raise DefinitionError(
            f"handler {registration.name!r} is not a function whose annotations can be read",
            where=registration.place,
            why=str(error),
            remedy="register a function or a method; wrap anything else in one",
        ) from error


def _is_event(registration: Registration, hint: object) -> bool:
    """Whether the first parameter is the event; a timer's handler need not take the timer."""
    return hint is not Context if registration.timer is None else hint in (None, object, Timer)


def _but_none(hint: object) -> object:
    """The type in ``Context | None``: whoever may be given nothing is given what there is."""
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    kinds = [each for each in typing.get_args(hint) if each is not type(None)] if union else []
    return kinds[0] if len(kinds) == 1 else hint


def _check_first(registration: Registration, parameter: inspect.Parameter, hint: object, number: int) -> None:
    """Refuse what cannot come first: nobody's ``self``, an event where a timer is due, a timer where events come."""
    what, why, remedy = "", "", ""
    if number == 0 and parameter.name in ("self", "cls") and hint is None:
        what = f"is a method, and takes {parameter.name!r}"
        why = "it is registered where its class is written, and there is no object yet whose method could be called"
        remedy = "write a function, and service.provide() what it needs; or register the method of an object"
    elif registration.timer is not None and isinstance(hint, type) and issubclass(hint, Event):
        what = f"is for the timer {registration.timer!r}, and takes a {hint.__name__}"
        why = "a due timer brings no event along"
        remedy = "take the Timer, or nothing, and the Context; keep in a store what is needed, or use @service.on(...)"
    elif registration.timer is None and number == 0 and hint is Timer:
        what = "takes a Timer, and is registered for events"
        remedy = 'write @service.on_timer("...") above it, with the name that context.wake() sets'
    if what:
        raise DefinitionError(f"handler {registration.name!r} {what}", where=registration.place, why=why, remedy=remedy)


def _check_kind(
    registration: Registration, parameter: inspect.Parameter, kinds: frozenset[object], remedy: str
) -> None:
    if parameter.kind not in kinds:
        raise DefinitionError(
            f"handler {registration.name!r} cannot be given its {parameter.name!r}",
            where=registration.place,
            why=f"the parameter is {parameter.kind.description}",
            remedy=remedy,
        )


def _check_event(registration: Registration, hint: object) -> None:
    """Refuse an annotation that is no type of what the handler is registered for; one that says nothing will do."""
    kinds = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    origin = typing.get_origin(hint)
    if inspect.isclass(origin) and issubclass(origin, Iterable):
        raise _other_event(registration, hint, "a batch is a list: annotate list[Event]")
    if any(
        not inspect.isclass(kind) or typing.is_typeddict(kind) or getattr(kind, "_is_protocol", False) for kind in kinds
    ):
        return
    for each in registration.types:
        if not issubclass(declaration_of(each).type, kinds):
            raise _other_event(
                registration, hint, "annotate the type it is registered for, or register it for this one"
            )


def _other_event(registration: Registration, hint: object, remedy: str) -> DefinitionError:
    registered = ", ".join(declaration_of(each).type.__name__ for each in registration.types)
    return DefinitionError(
        f"handler {registration.name!r} takes a {getattr(hint, '__name__', hint)}, and is registered for {registered}",
        where=registration.place,
        remedy=remedy,
    )
