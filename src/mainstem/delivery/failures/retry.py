"""What to do when a handler raises, as a value that reads as a sentence.

``Retry.on(TimeoutError).inline(3).later("10s", "1m", "10m")``: three more runs at once, with a short wait before each,
while the key's lane stays busy; then the key is parked, and tried again after ten seconds, a minute and ten minutes;
then it is a dead letter. Tries are finite, always.
"""

import inspect
from collections.abc import Callable
from typing import NamedTuple, Self

from mainstem.calendar import Duration, milliseconds
from mainstem.errors import DecodingFailed, DefinitionError, EventRefused, RecordTooLarge, StoreRefused
from mainstem.resilience import Backoff

_INLINE_BACKOFF = Backoff(first_seconds=0.05, longest_seconds=2.0)


class RunAgain(NamedTuple):
    """Run the handler again in its lane, after this wait."""

    after_seconds: float

    def __str__(self) -> str:
        return f"again in {self.after_seconds * 1000:.0f} ms"


class Park(NamedTuple):
    """Park the key for this handler, and try again after this time."""

    after_ms: int

    def __str__(self) -> str:
        return f"parked, to be tried in {self.after_ms / 1000:g} s"


class GiveUp(NamedTuple):
    """No next try: the parked sequence becomes a dead letter."""

    def __str__(self) -> str:
        return "a dead letter now"


Verdict = RunAgain | Park | GiveUp


class Rule(NamedTuple):
    """What to do about some exceptions."""

    exceptions: tuple[type[Exception], ...]
    inline_count: int
    inline_backoff: Backoff
    later_ms: tuple[int, ...]

    def verdict(self, failures: int, chance: Callable[[], float]) -> Verdict:
        """What to do after so many failures of one event in one handler."""
        if failures <= self.inline_count:
            return RunAgain(self.inline_backoff.delay(failures, chance))
        tier = failures - self.inline_count - 1
        return Park(self.later_ms[tier]) if tier < len(self.later_ms) else GiveUp()


class Retry:
    """A retry policy: rules by exception type, the first that fits counts. Values; each call gives a new one.

    What is not listed follows the default: two more runs at once, then later after 10 s, 1 min and 10 min, then a dead
    letter. What cannot succeed by waiting (bytes that cannot be decoded, an event that cannot be encoded or is too
    large, a mistake in a declaration) is a dead letter at once.
    """

    __slots__ = ("_rules",)

    def __init__(self, rules: tuple[Rule, ...] = ()) -> None:
        given: object = rules
        if not isinstance(given, tuple):
            raise DefinitionError(
                f"Retry({given!r}) says nothing of exceptions",
                why="a policy is a sentence: on what, how often at once, when later",
                remedy=f"write Retry.on(Exception).inline({given if isinstance(given, int) else 3})",
            )
        self._rules = rules

    @classmethod
    def on(cls, *exceptions: type[Exception]) -> Self:
        """Begin a policy with a rule for these exceptions and their subclasses."""
        return cls().also_on(*exceptions)

    @classmethod
    def never(cls) -> Self:
        """A dead letter at the first failure, whatever it was."""
        return cls.on(Exception)

    def also_on(self, *exceptions: type[Exception]) -> Self:
        """Begin another rule; the calls that follow speak of it."""
        if not exceptions:
            raise DefinitionError(
                "a rule of a retry policy names no exceptions",
                remedy="name some; Retry.on(Exception) is for all of them",
            )
        for each in exceptions:
            given: object = each
            if not (inspect.isclass(given) and issubclass(given, Exception)):
                raise DefinitionError(
                    f"{each!r} is not an exception type", remedy="name classes: Retry.on(TimeoutError, ConnectionError)"
                )
        return type(self)((*self._rules, Rule(exceptions, 0, _INLINE_BACKOFF, ())))

    def inline(self, count: int, backoff: Backoff = _INLINE_BACKOFF) -> Self:
        """Run again at once, at most ``count`` times, waiting as ``backoff`` says; the key's lane stays busy."""
        if not isinstance(count, int) or count < 0:
            raise DefinitionError(f"inline({count!r})", remedy="give a whole number, zero or more")
        return self._with(inline_count=count, inline_backoff=backoff)

    def later(self, *after: Duration) -> Self:
        """Then park the key, and try again after each of these times; the other keys flow."""
        return self._with(later_ms=tuple(milliseconds(each) for each in after))

    def dead_letter(self) -> Self:
        """Then give up. It is what happens anyway; saying it makes the sentence complete."""
        return self

    def _with(self, **values: object) -> Self:
        if not self._rules:
            raise DefinitionError("a retry policy begins with the exceptions it is for", remedy="write Retry.on(...)")
        return type(self)((*self._rules[:-1], self._rules[-1]._replace(**values)))  # type: ignore[arg-type]

    @property
    def parks(self) -> bool:
        """Whether it says of anything that it is to be tried later."""
        return any(rule.later_ms for rule in self._rules)

    def verdict(self, error: Exception, failures: int, chance: Callable[[], float]) -> Verdict:
        """What to do after ``error``, the ``failures``-th failure of one event in one handler."""
        for rule in self._rules:
            if isinstance(error, rule.exceptions):
                return rule.verdict(failures, chance)
        return _HOPELESS.verdict(failures, chance) if isinstance(error, _NO_USE) else _DEFAULT.verdict(failures, chance)


_NO_USE = (DecodingFailed, EventRefused, RecordTooLarge, StoreRefused, DefinitionError)
_HOPELESS = Rule(_NO_USE, 0, _INLINE_BACKOFF, ())
_DEFAULT = Rule((Exception,), 2, _INLINE_BACKOFF, (10_000, 60_000, 600_000))
