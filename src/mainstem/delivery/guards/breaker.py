"""What a handler says of its breaker: when its failures are no longer those of single events."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec
from msgspec import Struct

from mainstem.calendar import Duration, milliseconds
from mainstem.delivery.failures import HOPELESS, Discard, GiveUp, Park, Retry, Verdict
from mainstem.errors import CallRefused, DefinitionError
from mainstem.events import Declaration, KeyFunction, key_function
from mainstem.options import Stated
from mainstem.resilience import BreakerRule, CallsWindow, Ending


class Breaker(Struct, frozen=True, metaclass=Stated):
    """A circuit breaker for what a handler calls; ``rule`` says when it opens, and how many probes close it.

    While it is open nothing is run, and nothing counts as a try. Without ``by`` the inputs of the task stand still, and
    events keep their lanes. ``by`` names a field of the events, or several, such as the provider: a breaker for each
    value, whose events are parked until it closes, while all others flow.

    A run has failed when it raises one of ``counts``. What raises one of ``ignores``, was refused by another
    guard, cannot be mended by waiting, or is discarded by the policy, tells nothing. Anything else is an answer.
    """

    rule: BreakerRule = BreakerRule()
    by: str | tuple[str, ...] | None = None
    counts: tuple[type[Exception], ...] = (Exception,)
    ignores: tuple[type[Exception], ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no type checker has seen."""
        given: object = self.rule
        kinds = (
            (*self.counts, *self.ignores) if isinstance(self.counts, tuple) and isinstance(self.ignores, tuple) else ()
        )
        wrong = not isinstance(given, BreakerRule) or not kinds
        if wrong or not all(isinstance(each, type) and issubclass(each, Exception) for each in kinds):
            raise DefinitionError(
                f"{self!r} is no breaker",
                why="it takes a rule, and as tuples the exceptions that count and those that tell nothing",
                remedy="write Breaker(BreakerRule(failure_rate=0.5), counts=(ConnectionError, TimeoutError))",
            )


class KillSwitch(Struct, frozen=True, metaclass=Stated):
    """A breaker for the code of a handler: a release with a bug must not make dead letters of all it is given.

    When so many events of different keys have failed one after the other, with none between them that succeeded, it is
    the code or what it calls that is broken, and not the events. Then the inputs stand still, and one event is
    probed after ``probe``, twice as late each further time up to ``longest``; the first that succeeds lets all go on.
    Other handlers of the group wait as long: hours, when nobody mends it. So it is declared, and no handler's default.

    An event counts when its policy has no further run at once for it, whatever was raised, a bug as well. What the
    policy discards, or parks by a rule that names the exception, was foreseen, and does not count.
    """

    failures: int = 50
    probe: Duration = "1s"
    longest: Duration = "1m"

    def __post_init__(self) -> None:
        """Refuse what could never open, or never close."""
        try:
            self.rule()
        except DefinitionError as error:
            raise DefinitionError(
                f"{self!r} could never open, or never close again",
                why=error.what,
                remedy='write KillSwitch(failures=50, probe="1s", longest="1m"), or leave breaker out',
            ) from error

    def rule(self) -> BreakerRule:
        """The same as a rule."""
        return BreakerRule(
            window=CallsWindow(self.failures),
            failure_rate=1.0,
            minimum_calls=self.failures,
            open_ms=milliseconds(self.probe),
            longest_open_ms=milliseconds(self.longest),
            probes=1,
        )


Declared: TypeAlias = Breaker | KillSwitch | None


class Fuse(Struct, frozen=True):
    """A breaker, compiled. ``fields`` tell by what its events are told apart, by type; None lets all be one."""

    rule: BreakerRule
    fields: Mapping[type[object], KeyFunction] | None = None
    counts: tuple[type[Exception], ...] = (Exception,)
    ignores: tuple[type[Exception], ...] = ()
    kills: bool = False

    def ending(self, error: Exception, verdict: Verdict, retry: Retry) -> Ending:
        """What a failed run says of what the handler needs."""
        if isinstance(verdict, Discard):
            return "cancelled"
        if self.kills:
            return "cancelled" if isinstance(verdict, Park) and retry.names(error) else "failed"
        if isinstance(error, (CallRefused, *HOPELESS, *self.ignores)):
            return "cancelled"
        return "failed" if isinstance(error, self.counts) else "succeeded"


def is_final(verdict: Verdict) -> bool:
    """Whether an event is not run again at once."""
    return isinstance(verdict, Park | GiveUp)


def fuse_of(
    declared: object, inputs: Sequence[Declaration], handler: str, place: str, *, batch: bool = False
) -> Fuse | None:
    """What a handler of these inputs has. Raises :class:`DefinitionError`."""
    if declared is None:
        return None
    if isinstance(declared, KillSwitch):
        return Fuse(declared.rule(), kills=True)
    if not isinstance(declared, Breaker):
        raise DefinitionError(
            f"breaker={declared!r} of handler {handler!r} is no breaker",
            where=place,
            why="a BreakerRule alone does not say which exceptions count, and a CircuitBreaker is for one process",
            remedy="write breaker=Breaker(BreakerRule(...)), breaker=KillSwitch(...), or breaker=None",
        )
    if declared.by is None:
        return Fuse(declared.rule, None, declared.counts, declared.ignores)
    by = (declared.by,) if isinstance(declared.by, str) else declared.by
    try:
        fields = {each.type: key_function(msgspec.structs.replace(each, key=by)) for each in inputs}
        if not fields or not by or batch:
            why = "a batch holds events of several" if batch else "there is no event, or no field"
            raise DefinitionError(why, remedy='take one event at a time, and write by="provider"')
    except DefinitionError as error:
        raise DefinitionError(
            f"the breaker of handler {handler!r} cannot tell its events apart by {' and '.join(map(repr, by)) or by}",
            where=place,
            why=error.what,
            remedy=error.remedy,
        ) from error
    return Fuse(declared.rule, fields, declared.counts, declared.ignores)
