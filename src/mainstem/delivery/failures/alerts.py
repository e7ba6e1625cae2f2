"""From when on somebody is to be told of what waits: thresholds of a service, and whether they are passed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Final

from msgspec import Struct

from mainstem.calendar import Duration, milliseconds, seconds, written
from mainstem.errors import DefinitionError


class Letters(Struct, frozen=True):
    """What waits for handlers, in keys, and for how long the oldest of each kind has waited."""

    dead_letters: int = 0
    parked: int = 0
    dead_letter_age_ms: int = 0
    parked_age_ms: int = 0

    def with_another(self, other: "Letters") -> "Letters":
        """Both together."""
        return Letters(
            self.dead_letters + other.dead_letters,
            self.parked + other.parked,
            max(self.dead_letter_age_ms, other.dead_letter_age_ms),
            max(self.parked_age_ms, other.parked_age_ms),
        )


# A keyword that there is none of is refused in its name; a Struct would not say whose it is.
@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """When dead letters, and parked keys, are too many or too old for nobody to know; None is never.

    Each is passed when so many keys of a group wait, or when the oldest of them has waited for so long.
    """

    dead_letters: int | None = None
    dead_letter_age: Duration | None = None
    parked: int | None = None
    parked_age: Duration | None = None

    def __post_init__(self) -> None:
        """Refuse what no type checker has seen. Raises :class:`~mainstem.errors.DefinitionError`."""
        for name in ("dead_letters", "parked"):
            count: object = getattr(self, name)
            if count is not None and (type(count) is not int or count < 1):
                raise DefinitionError(f"Alerts({name}={count!r})", remedy="say how many keys are too many, from 1 on")
        for age in (self.dead_letter_age, self.parked_age):
            if age is not None:
                milliseconds(age)

    @classmethod
    def of(cls, numbers: Mapping[str, float]) -> "Alerts":
        """What was stated, of :attr:`numbers` that have been kept or sent, as numbers that may all be floats."""
        ages = {name: each for name, each in numbers.items() if name.endswith("_age")}
        counts = {name: int(each) for name, each in numbers.items() if name not in ages}
        return cls(
            dead_letters=counts.get("dead_letters"),
            dead_letter_age=ages.get("dead_letter_age"),
            parked=counts.get("parked"),
            parked_age=ages.get("parked_age"),
        )

    @property
    def numbers(self) -> dict[str, float]:
        """What is stated, with ages in seconds, for who keeps or sends it; :meth:`of` is the way back."""
        stated = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            name: seconds(each) if name.endswith("_age") else each for name, each in stated.items() if each is not None
        }

    def passed(self, letters: Letters) -> dict[str, str]:
        """The thresholds that are passed, by name, each with what is to be said."""
        return {
            **dict(_too_many("dead_letters", "are dead letters", letters.dead_letters, self.dead_letters)),
            **dict(_too_many("parked", "are parked", letters.parked, self.parked)),
            **dict(_too_old("dead_letter_age", "dead letter", letters.dead_letter_age_ms, self.dead_letter_age)),
            **dict(_too_old("parked_age", "parked key", letters.parked_age_ms, self.parked_age)),
        }


NO_ALERTS: Final = Alerts()


def check_alerts(given: object) -> Alerts:
    """What was given, where it is one; nothing is no threshold. Raises :class:`~mainstem.errors.DefinitionError`."""
    if given is None:
        return NO_ALERTS
    if not isinstance(given, Alerts):
        raise DefinitionError(
            f"alerts={given!r} says nothing of what is too much",
            remedy='write alerts=Alerts(dead_letters=1, parked_age="1h")',
        )
    return given


def _too_many(name: str, what: str, count: int, most: int | None) -> Iterator[tuple[str, str]]:
    if most is not None and count >= most:
        yield name, f"{count:,} keys {what}, of which {most:,} are to be told"


def _too_old(name: str, what: str, age_ms: int, most: Duration | None) -> Iterator[tuple[str, str]]:
    if most is not None and age_ms >= max(1, milliseconds(most)):
        waited, told = written(age_ms // 1_000 * 1_000), written(milliseconds(most))
        yield name, f"the oldest {what} has waited for {waited}, and is to be told after {told}"
