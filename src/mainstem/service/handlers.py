"""The registering surface: what a service, a group and a file of handlers have in common."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Final, Literal, TypeVar, get_args

from mainstem.calendar import Duration, milliseconds, seconds
from mainstem.delivery import (
    CRON,
    Breaker,
    Cron,
    Deduplicate,
    KeyOrder,
    KillSwitch,
    Limit,
    Missed,
    Predicate,
    Readable,
    Recurring,
    Registration,
    Retry,
    Source,
    Store,
)
from mainstem.errors import DefinitionError
from mainstem.events import Declarable, declaration_of

F = TypeVar("F", bound=Callable[..., object])
G = TypeVar("G", bound="Handlers")
T = TypeVar("T")
V = TypeVar("V")

DEFAULT_RETRY: Final = Retry()
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,199}")


class Handlers:
    """Handlers and stores that are declared here and run where they are included.

    Nothing runs and nothing is looked up before the start; a mistake that can be seen at once is raised at once, as
    :class:`~mainstem.errors.DefinitionError`.
    """

    def __init__(self) -> None:
        self._own: list[Registration] = []
        self._stores: dict[str, Store[object]] = {}
        self._sources: list[Source] = []
        self._included: list[Handlers] = []
        self._holders = 0

    def on(
        self,
        *types: Declarable,
        name: str | None = None,
        retry: Retry = DEFAULT_RETRY,
        timeout: Duration | None = None,
        where: Predicate | None = None,
        deduplicate: Deduplicate | None = None,
        limit: Limit | None = None,
        gives_way: Duration | None = None,
        breaker: Breaker | KillSwitch | None = None,
        publishes: tuple[Declarable, ...] = (),
        latest: tuple[Declarable, ...] = (),
        was: tuple[str, ...] = (),
        order: KeyOrder = "key",
        stores: tuple[Readable[object], ...] | None = None,
    ) -> Callable[[F], F]:
        """Let a function handle events of one type or several; the function is returned unchanged.

        ``name`` is its identity, ``was`` are the names it had before. ``retry`` says what happens when it raises,
        ``timeout`` how long a run may take, ``limit`` how often it may run, ``breaker`` when it is not run for a while.
        ``where`` says which events it wants; ``publishes`` adds to its annotation. ``docs/handlers.md`` has the others.
        """
        if not types or inspect.isroutine(types[0]):
            raise DefinitionError("on() names no event", remedy="write @service.on(OrderPaid)")
        _check((*types, *several("publishes", publishes), *several("latest", latest)), was)

        def register(function: F) -> F:
            self._register(
                Registration(
                    function=function,
                    name=_name_of(function, name),
                    types=types,
                    retry=retry,
                    timeout_seconds=None if timeout is None else seconds(timeout),
                    where=where,
                    deduplicate=deduplicate,
                    limit=limit,
                    gives_way_ms=way_given(gives_way),
                    breaker=breaker,
                    publishes=publishes,
                    latest=latest,
                    was=was,
                    order=_order(order),
                    stores=_stores(stores),
                )
            )
            return function

        return register

    def on_timer(
        self,
        timer: str,
        *,
        name: str | None = None,
        retry: Retry = DEFAULT_RETRY,
        timeout: Duration | None = None,
        breaker: Breaker | KillSwitch | None = None,
        publishes: tuple[Declarable, ...] = (),
        latest: tuple[Declarable, ...] = (),
        was: tuple[str, ...] = (),
        order: KeyOrder = "key",
        stores: tuple[Readable[object], ...] | None = None,
    ) -> Callable[[F], F]:
        """Let a function handle the timers of this name that ``context.wake(timer, ...)`` has set.

        It takes the :class:`~mainstem.Timer` first, or leaves it out; the options are those of :meth:`on`.
        """
        _check_text("on_timer", timer, "timer", "remind")
        if not _NAME.fullmatch(timer):
            raise DefinitionError(
                f"a timer cannot be called {timer!r}",
                why="names that begin with $ belong to the runtime, and a name is one plain word",
                remedy='write a word such as "remind"',
            )
        _check((*several("publishes", publishes), *several("latest", latest)), was)

        def register(function: F) -> F:
            self._register(
                Registration(
                    function=function,
                    name=_name_of(function, name),
                    timer=timer,
                    retry=retry,
                    timeout_seconds=None if timeout is None else seconds(timeout),
                    breaker=breaker,
                    publishes=publishes,
                    latest=latest,
                    was=was,
                    order=_order(order),
                    stores=_stores(stores),
                )
            )
            return function

        return register

    def schedule(
        self,
        cron: str,
        *,
        tz: str = "UTC",
        missed: Missed = "once",
        jitter: Duration = 0,
        name: str | None = None,
        retry: Retry = DEFAULT_RETRY,
        timeout: Duration | None = None,
        publishes: tuple[Declarable, ...] = (),
        was: tuple[str, ...] = (),
    ) -> Callable[[F], F]:
        """Let a function run by the calendar, once for the whole group, as ``schedule("0 8 * * mon-fri")`` says.

        ``cron`` is minute, hour, day of the month, month and day of the week, in the time zone ``tz``. A run that
        could not begin within a minute has been ``missed``: ``"once"`` makes the last one up, a number the last so
        many, ``"all"`` the last thousand, ``"skip"`` none. Each begins up to ``jitter`` later, which differs from run
        to run. It takes the :class:`~mainstem.Timer` first, or leaves it out; the other options are those of
        :meth:`on`.
        """
        _check_text("schedule", cron, "time", "0 8 * * mon-fri")
        recurring = Recurring(Cron(cron, tz), missed, milliseconds(jitter))
        _check(several("publishes", publishes), was)

        def register(function: F) -> F:
            handler = _name_of(function, name)
            self._register(
                Registration(
                    function=function,
                    name=handler,
                    timer=CRON + handler,
                    schedule=recurring,
                    retry=retry,
                    timeout_seconds=None if timeout is None else seconds(timeout),
                    publishes=publishes,
                    was=was,
                )
            )
            return function

        return register

    def store(
        self,
        name: str,
        value_type: type[V],
        *,
        scope: Literal["key", "partition"] = "key",
        version: int = 1,
        expire_after: Duration | None = None,
    ) -> Store[V]:
        """Declare durable memory: one value of this type for each event key.

        With ``scope="partition"`` keys are free; that needs ``lanes=1``. ``version`` is the schema version written
        with each value, ``expire_after`` lets a value count as absent after a while.
        """
        self._check_open()
        if name in self._stores:
            raise DefinitionError(
                f"there is a store called {name!r} already", remedy="share the one there is, or choose another name"
            )
        store = Store(name, value_type, scope=scope, version=version, expire_after=expire_after)
        self._stores[name] = store  # type: ignore[assignment]  # read back as bytes only
        return store

    def include(self, *others: "Handlers") -> None:
        """Take in handlers and stores that were declared elsewhere, also those they are still to get."""
        self._check_open()
        for other in others:
            given: object = other
            if not isinstance(given, Handlers):
                raise DefinitionError(
                    f"a {type(given).__name__} cannot be included",
                    why="handlers and stores are included, as Handlers() gathers them",
                    remedy="write orders = Handlers(), declare with @orders.on(...), and include(orders)",
                )
            if self in other._family():  # noqa: SLF001 - our own kind
                raise DefinitionError("handlers cannot include themselves", remedy="include them from one side only")
            self._included.append(other)

    def _family(self) -> Iterator["Handlers"]:
        """These handlers, and all that they include."""
        yield self
        for each in self._included:
            yield from each._family()  # noqa: SLF001 - our own kind

    @contextmanager
    def held(self) -> Iterator[None]:
        """While they run nothing more can be declared: nobody would call it."""
        family = list(self._family())
        for each in family:
            each._holders += 1  # noqa: SLF001 - our own kind
        try:
            yield
        finally:
            for each in family:
                each._holders -= 1  # noqa: SLF001 - our own kind

    @property
    def registered(self) -> tuple[Registration, ...]:
        """Everything registered here and in what is included, in this order."""
        return tuple(registration for each in self._family() for registration in each._own)  # noqa: SLF001 - our own kind

    @property
    def stores(self) -> tuple[Store[object], ...]:
        """Every store declared here and in what is included."""
        return tuple(store for each in self._family() for store in each._stores.values())  # noqa: SLF001 - our own kind

    @property
    def sources(self) -> tuple[Source, ...]:
        """The functions of every cache declared here and in what is included."""
        return tuple(source for each in self._family() for source in each._sources)  # noqa: SLF001 - our own kind

    def _check_open(self) -> None:
        if self._holders:
            raise DefinitionError(
                "nothing more can be declared: the service is running",
                why="what a service does is fixed when it starts, and this would have no effect",
                remedy="declare it before the start, at the top of the module",
            )

    def _register(self, registration: Registration) -> None:
        self._check_open()
        for other in self._own:
            if other.name == registration.name:
                raise DefinitionError(
                    f"two handlers are called {registration.name!r}",
                    where=f"{other.place} and {registration.place}",
                    why="the name is a handler's identity: what it has parked and remembered is found by it",
                    remedy='give one of them name="..."',
                )
        self._own.append(registration)


def with_registrations(handlers: G, choose: Callable[[Registration], Registration | None]) -> G:
    """A copy that holds what ``choose`` makes of each registration, where it makes anything, and all stores."""
    copied = copy(handlers)
    copied._own = [made for each in handlers.registered if (made := choose(each)) is not None]  # noqa: SLF001 - our own kind
    copied._stores = {each.name: each for each in handlers.stores}  # noqa: SLF001 - our own kind
    copied._sources = list(handlers.sources)  # noqa: SLF001 - our own kind
    copied._included = []  # noqa: SLF001 - our own kind
    return copied


def way_given(gives_way: Duration | None) -> int | None:
    """How old the events of the others are when somebody gives way, in milliseconds; None for never."""
    after_ms = None if gives_way is None else milliseconds(gives_way)
    if after_ms == 0:
        raise DefinitionError(
            f"gives_way={gives_way!r} says nothing",
            why="every event is a little old when it is read: it would always give way",
            remedy='say how old events may be before it does: gives_way="30s"',
        )
    return after_ms


def several(option: str, given: tuple[T, ...]) -> tuple[T, ...]:
    """What was given for an option that takes several; one alone in brackets is no tuple, and easily written."""
    if not isinstance(given, tuple | list):
        raise DefinitionError(
            f"{option}={given!r} is not a tuple", why="a single one needs a comma: (OrderPaid,)", remedy="add the comma"
        )
    return given


def _check(declared: Iterable[Declarable], was: tuple[str, ...]) -> None:
    for each in declared:
        declaration_of(each)
    several("was", was)


def _check_text(decorator: str, given: object, what: str, example: str) -> None:
    """Refuse what is no text; it is the function itself where somebody has left the brackets out."""
    if not isinstance(given, str):
        raise DefinitionError(
            f"{decorator}() names no {what}",
            why=f"it was given {given!r}",
            remedy=f'write @service.{decorator}("{example}")',
        )


def _order(given: KeyOrder) -> KeyOrder:
    if given not in get_args(KeyOrder):
        raise DefinitionError(f"order={given!r} is no order", remedy='write order="key", order="skip" or order="none"')
    return given


def _stores(given: tuple[Readable[object], ...] | None) -> frozenset[str] | None:
    for each in () if given is None else several("stores", given):
        if not isinstance(each, Store):
            raise DefinitionError(
                f"stores= names {each!r}, which is not a store",
                remedy="give what service.store(...) has returned: stores=(spent,)",
            )
    return None if given is None else frozenset(each.name for each in given)


def _name_of(function: Callable[..., object], stated: str | None) -> str:
    if not inspect.isroutine(function) or not hasattr(inspect.unwrap(function), "__code__"):
        raise DefinitionError(
            f"{function!r} is not a function",
            why="what a handler takes and publishes is read from its signature",
            remedy="write a function that calls it",
        )
    name = function.__name__ if stated is None else stated
    if not _NAME.fullmatch(name):
        raise DefinitionError(
            f"a handler cannot be called {name!r}",
            where=f"{function.__module__}.{function.__qualname__}",
            why="the name is written into the log and the stores, and stays when the function is renamed",
            remedy='give it name="...": a letter, then letters, digits, dots, underscores and hyphens',
        )
    return name
