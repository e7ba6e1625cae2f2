"""Which handlers a replay runs, and what they get in the place of what reaches outside."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import NoReturn

from msgspec.structs import replace

from mainstem.delivery import Registration
from mainstem.errors import DefinitionError, EffectRefused, NotFound
from mainstem.service.definition import Definition, narrowed

OUTSIDE = "mainstem replay --outside"


class Refusal:
    """Stands where something of the outside would: every call is refused, and counted by its name."""

    def __init__(self, kind: type[object], counts: dict[str, int]) -> None:
        self._kind = kind
        self._counts = counts

    def __getattr__(self, name: str) -> NoReturn:
        self._refuse(f"{self._kind.__name__}.{name}")

    def __call__(self, *_arguments: object, **_named: object) -> NoReturn:
        """Refuse it."""
        self._refuse(f"{self._kind.__name__}()")

    def __getitem__(self, _key: object) -> NoReturn:
        self._refuse(f"{self._kind.__name__}[]")

    def __enter__(self) -> NoReturn:
        self._refuse(f"with {self._kind.__name__}")

    def __exit__(self, *_error: object) -> None:
        """Never reached."""

    async def __aenter__(self) -> NoReturn:
        self._refuse(f"async with {self._kind.__name__}")

    async def __aexit__(self, *_error: object) -> None:
        """Never reached."""

    def _refuse(self, what: str) -> NoReturn:
        self._counts[what] = self._counts.get(what, 0) + 1
        raise EffectRefused(
            f"{what} was not called: this is a replay",
            why=f"a {self._kind.__name__} reaches outside, and what it did for this event it has done already",
            remedy=f"service.provide({self._kind.__name__}, ..., in_replay=...) names what is to stand in for it; "
            f"{OUTSIDE} uses it all the same",
        )


def picked(service: Definition, only: Collection[str], *, outside: bool) -> Definition:
    """The service with the handlers that are to run; timers are all there, for others may set them.

    Each event is tried once. Without ``outside`` there are no hooks, and what is provided is what
    ``in_replay=`` says. Raises :class:`~mainstem.errors.NotFound` for a handler that is not there.
    """
    names = [each.name for group in service.groups for each in group.registered]
    for name in only:
        if name not in names:
            near = get_close_matches(name, names, n=1)
            raise NotFound(
                f"{service.name!r} has no handler {name!r}",
                why=f"its handlers are {', '.join(names) or 'none'}",
                remedy=f"did you mean {near[0]}?" if near else "name one of them",
            )
    wanted = set(only or names)

    def choose(registration: Registration) -> Registration | None:
        if registration.name not in wanted and (registration.timer is None or registration.schedule is not None):
            return None
        attempt = registration.retry.within(attempts=1)
        return replace(registration, retry=attempt, limit=None, breaker=None, gives_way_ms=None)

    copy = narrowed(service, choose)
    for group in copy.groups:
        group.gives_way_ms = None
    if not outside:
        copy.startup, copy.shutdown = [], []
        copy.provided = {kind: service.in_replay.get(kind, factory) for kind, factory in service.provided.items()}
    if not any(each.types or each.schedule for group in copy.groups for each in group.registered):
        raise DefinitionError(
            f"no handler of {service.name!r} takes events",
            where=", ".join(sorted(wanted)),
            why="a replay hands recorded events to handlers; those of timers run when these set them",
            remedy="name a handler of events with --only, or none for all of them",
        )
    return copy


def refusals(service: Definition, counts: dict[str, int]) -> Mapping[type[object], object]:
    """What stands in for everything that a service provides and says nothing about."""
    return {kind: Refusal(kind, counts) for kind in service.provided if kind not in service.in_replay}
