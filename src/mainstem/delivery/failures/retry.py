"""What to do when a handler raises, as a value that reads as a sentence.

``Retry.on(TimeoutError).inline(3).later("10s", "1m", "10m")``: three more runs at once, with a short wait before each,
while the key's lane stays busy; then the key is parked, and tried again after ten seconds, a minute and ten minutes;
then it is a dead letter. Tries are finite, always.
"""

import inspect
import sys
from collections.abc import Callable
from typing import NamedTuple, Self

from mainstem.calendar import Duration, milliseconds, written
from mainstem.errors import DecodingFailed, DefinitionError, EventRefused, RecordTooLarge, StoreRefused
from mainstem.resilience import Backoff, Jitter


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


class Discard(NamedTuple):
    """The event is passed over for good, and told in the audit topic with this reason and its bytes."""

    reason: str

    def __str__(self) -> str:
        return f"discarded: {self.reason}"


class Pause(NamedTuple):
    """The event keeps its lane, and its task reads no more; after this wait it is run again."""

    after_seconds: float

    def __str__(self) -> str:
        return f"its task reads no more; to be tried in {self.after_seconds:g} s"


class Wait(NamedTuple):
    """The event waits, with its key, until the breaker of its handler closes; what it has tried goes on counting."""

    def __str__(self) -> str:
        return "waits until the breaker closes"


Verdict = RunAgain | Park | Pause | GiveUp | Discard | Wait

INLINE_BACKOFF = Backoff(first_seconds=0.05, longest_seconds=2.0)
AGE = "7d"


class Rule(NamedTuple):
    """What to do about some exceptions. ``reason`` is that of a discard; None ends in a dead letter.

    With ``probe_ms`` it pauses after the last try, until the policy's limits end that. One that has ``ended`` has had
    its last word.
    """

    exceptions: tuple[type[Exception], ...]
    inline_count: int = 0
    inline_backoff: Backoff = INLINE_BACKOFF
    later_ms: tuple[int, ...] = ()
    jitter: Jitter = "none"
    reason: str | None = None
    probe_ms: int | None = None
    ended: bool = False

    def verdict(self, failures: int, chance: Callable[[], float]) -> Verdict:
        """What to do after so many failures of one event in one handler."""
        if failures <= self.inline_count:
            return RunAgain(self.inline_backoff.delay(failures, chance))
        tier = failures - self.inline_count - 1
        if tier < len(self.later_ms):
            return Park(self._spread(self.later_ms[tier], chance))
        return self.end() if self.probe_ms is None else Pause(self.probe_ms / 1_000)

    def end(self) -> Verdict:
        """What happens when nothing else does."""
        return GiveUp() if self.reason is None else Discard(self.reason)

    def _spread(self, after_ms: int, chance: Callable[[], float]) -> int:
        wait = Backoff(first_seconds=after_ms, longest_seconds=after_ms, growth="fixed", jitter=self.jitter)
        return round(wait.delay(1, chance))

    def words(self) -> str:
        """What is said behind the exceptions."""
        said = ""
        if self.inline_count:
            backoff = "" if self.inline_backoff == INLINE_BACKOFF else f", {self.inline_backoff!r}"
            said += f".inline({self.inline_count}{backoff})"
        if self.later_ms:
            times = ", ".join(f'"{written(each)}"' for each in self.later_ms)
            said += f".later({times}" + (")" if self.jitter == "none" else f', jitter="{self.jitter}")')
        if self.probe_ms is not None:
            said += f'.pause("{written(self.probe_ms)}")'
        return said + (".dead_letter()" if self.reason is None else f".discard({self.reason!r})")


class Retry:
    """A retry policy: rules by exception type, the first that fits counts. Values; each call gives a new one.

    What is not listed follows the default, unless ``otherwise`` says something else: two more runs at once, then later
    after 10 s, 1 min and 10 min, then a dead letter. What cannot succeed by waiting (bytes that cannot be decoded, an
    event that cannot be encoded or is too large, a mistake in a declaration) is a dead letter at once.

    Tries end: there are as many as the sentence lists, and none later than seven days after the first failure, unless
    ``within`` says something else. It prints as the sentence that makes it.
    """

    __slots__ = ("_age_ms", "_attempts", "_rules")

    def __init__(self, rules: tuple[Rule, ...] = (), attempts: int = sys.maxsize, age_ms: int | None = None) -> None:
        given: object = rules
        if not isinstance(given, tuple):
            raise DefinitionError(
                f"Retry({given!r}) says nothing of exceptions",
                why="a policy is a sentence: on what, how often at once, when later",
                remedy=f"write Retry.on(Exception).inline({given if isinstance(given, int) else 3})",
            )
        self._rules = rules
        self._attempts = attempts
        self._age_ms = age_ms

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
            if issubclass(each, self.listed):
                raise DefinitionError(
                    f"{each.__name__} stands behind a rule that has it already",
                    why="the first rule that fits counts, so this one would never be asked",
                    remedy="put the rule for the narrower exception first",
                )
        return type(self)((*self._rules, Rule(exceptions)), self._attempts, self._age_ms)

    def otherwise(self) -> Self:
        """Begin the last rule, for every exception that none before it names."""
        return self.also_on(Exception)

    def inline(self, count: int, backoff: Backoff = INLINE_BACKOFF) -> Self:
        """Run again at once, at most ``count`` times, waiting as ``backoff`` says; the key's lane stays busy."""
        if not isinstance(count, int) or count < 0:
            raise DefinitionError(f"inline({count!r})", remedy="give a whole number, zero or more")
        return self._with(inline_count=count, inline_backoff=backoff)

    def later(self, *after: Duration, jitter: Jitter = "none") -> Self:
        """Then park the key, and try again after each of these times; the other keys flow.

        ``jitter`` spreads them, so that many keys that failed together do not come back together: "full" takes
        something between zero and the stated time, "equal" something between its half and it.
        """
        if jitter not in ("none", "full", "equal"):
            raise DefinitionError(
                f"later(..., jitter={jitter!r})", remedy='a stated time is spread by "full", by "equal", or by "none"'
            )
        if not after:
            raise DefinitionError(
                "later() names no time",
                why="it would be tried no more often than without it",
                remedy='say when: later("10s", "1m", "10m")',
            )
        return self._with(later_ms=tuple(milliseconds(each) for each in after), jitter=jitter)

    def pause(self, probe: Duration = "10s") -> Self:
        """Then read no more events, and run this one again each ``probe`` until it succeeds; then go on.

        For what concerns every event alike, such as a database that is away. The task keeps its partitions and reads
        its inbox; one event tries, and no other one fails meanwhile. It ends as ``within`` says, after seven days
        unless that is stated.
        """
        if (probe_ms := milliseconds(probe)) < 1:
            raise DefinitionError(f"pause({probe!r})", remedy='say how often it is to be tried: pause("10s")')
        return self._with(probe_ms=probe_ms)

    def discard(self, reason: str) -> Self:
        """Then pass the event over for good. Its bytes, the error and ``reason`` are told in the audit topic."""
        if not isinstance(reason, str) or not reason.strip():
            raise DefinitionError(
                f"discard({reason!r})",
                why="whoever looks for the event later wants to know why it has gone",
                remedy='say why: discard("the order was cancelled meanwhile")',
            )
        return self._with(reason=reason, ended=True)

    def dead_letter(self) -> Self:
        """Then give up. It is what happens anyway; saying it makes the sentence complete."""
        return self._with(reason=None, ended=True)

    def within(self, *, attempts: int | None = None, age: Duration | None = None) -> Self:
        """Never run an event more than ``attempts`` times, or again later than ``age`` after its first failure.

        It is for the whole policy, and for the default that it leaves to what it does not list.
        """
        if attempts is not None and (type(attempts) is not int or attempts < 1):
            raise DefinitionError(f"within(attempts={attempts!r})", remedy="give a whole number from 1 on")
        if attempts is None and age is None:
            raise DefinitionError("within() states no limit", remedy='write within(attempts=10), or within(age="2d")')
        return type(self)(
            self._rules,
            self._attempts if attempts is None else attempts,
            self._age_ms if age is None else milliseconds(age),
        )

    def _with(self, **values: object) -> Self:
        if not self._rules:
            raise DefinitionError("a retry policy begins with the exceptions it is for", remedy="write Retry.on(...)")
        if self._rules[-1].ended:
            raise DefinitionError(
                f"{self!r} has ended, and something follows",
                why="dead_letter() and discard() say what happens when nothing else does",
                remedy="put them last in their rule; also_on(...) begins another one",
            )
        rules = (*self._rules[:-1], self._rules[-1]._replace(**values))  # type: ignore[arg-type]  # each method names fields of the rule
        return type(self)(rules, self._attempts, self._age_ms)

    def completed(self, others: "Retry") -> Self:
        """With the rules of another policy before its own, for what it names by no more than ``Exception``."""
        own = tuple(each for each in self.listed if each is not Exception)
        more = tuple(rule for rule in others.rules if not any(issubclass(each, own) for each in rule.exceptions))
        return type(self)((*more, *self._rules), self._attempts, self._age_ms)

    @property
    def parks(self) -> bool:
        """Whether it says of anything that it is to be tried later."""
        return any(rule.later_ms for rule in self._rules)

    def names(self, error: Exception) -> bool:
        """Whether a rule names an exception by more than ``Exception``, so that its author knew of it."""
        rule = next((each for each in self._rules if isinstance(error, each.exceptions)), None)
        return rule is not None and rule.exceptions != (Exception,)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Its rules, of which the first that fits counts."""
        return self._rules

    @property
    def listed(self) -> tuple[type[Exception], ...]:
        """The exceptions that its rules name."""
        return tuple(each for rule in self._rules for each in rule.exceptions)

    def check(self) -> None:
        """Raise ``DefinitionError`` when it lists tries that would come after its end, which nobody has stated."""
        longest_ms = max((sum(rule.later_ms) for rule in self._rules), default=0)
        if self._age_ms is None and longest_ms > _AGE_MS:
            raise DefinitionError(
                f"{self!r} goes on for {written(longest_ms)}",
                why=f"unless it is stated, no event is tried again later than {AGE} after its first failure",
                remedy=f'state how long: .within(age="{written(2 * longest_ms)}")',
            )

    def verdict(self, error: Exception, failures: int, chance: Callable[[], float], age_ms: int = 0) -> Verdict:
        """What to do after ``error``, the ``failures``-th failure of one event in one handler.

        The first one was ``age_ms`` ago.
        """
        rule = next((each for each in self._rules if isinstance(error, each.exceptions)), None)
        if rule is None:
            rule = _NO_USE if isinstance(error, HOPELESS) else _DEFAULT
        found = rule.verdict(failures, chance)
        wait_ms = _wait_ms(found)
        ends_ms = _AGE_MS if self._age_ms is None else self._age_ms
        return found if failures < self._attempts and age_ms + wait_ms <= ends_ms else rule.end()

    def later_on(self, error: Exception, failures: int, chance: Callable[[], float], age_ms: int) -> Verdict:
        """The same for what has no use of being run again at once: what follows the inline tries of its rule."""
        rule = next((each for each in self._rules if isinstance(error, each.exceptions)), _NO_USE)
        return self.verdict(error, failures + rule.inline_count, chance, age_ms)

    def __repr__(self) -> str:
        said = "Retry"
        for number, rule in enumerate(self._rules):
            last = rule.exceptions == (Exception,) and number
            names = ", ".join(each.__qualname__ for each in rule.exceptions)
            said += ".otherwise()" if last else f".{'also_on' if number else 'on'}({names})"
            said += rule.words()
        limits = {
            "attempts": None if self._attempts == sys.maxsize else str(self._attempts),
            "age": None if self._age_ms is None else f'"{written(self._age_ms)}"',
        }
        stated = ", ".join(f"{name}={limit}" for name, limit in limits.items() if limit)
        return (said if self._rules else "Retry()") + (f".within({stated})" if stated else "")


def _wait_ms(verdict: Verdict) -> float:
    if isinstance(verdict, RunAgain | Pause):
        return verdict.after_seconds * 1_000
    return verdict.after_ms if isinstance(verdict, Park) else 0


_AGE_MS = milliseconds(AGE)
HOPELESS = (DecodingFailed, EventRefused, RecordTooLarge, StoreRefused, DefinitionError)
"""What waiting does not mend."""
_NO_USE = Rule(HOPELESS)
_DEFAULT = Rule((Exception,), 2, INLINE_BACKOFF, (10_000, 60_000, 600_000))
