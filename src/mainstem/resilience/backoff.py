"""How long to wait before trying again."""

from collections.abc import Callable
from typing import Literal, assert_never

from msgspec import Struct

from mainstem.errors import DefinitionError
from mainstem.options import Stated

Growth = Literal["fixed", "linear", "exponential"]
Jitter = Literal["none", "full", "equal", "decorrelated"]


class Backoff(Struct, frozen=True, kw_only=True, metaclass=Stated):
    """Waits that grow, up to a cap, and are spread by chance so that those who failed together do not return together.

    ``first_seconds`` is the wait before the second attempt, ``longest_seconds`` the cap. ``growth`` says how a wait
    follows from the attempt: always the first; the first times the attempt; or doubled each time. ``jitter`` then
    takes the wait as it is ("none"), something between zero and it ("full"), something between its half and it
    ("equal"), or something between the first wait and three times the previous one ("decorrelated", which grows by
    itself and leaves ``growth`` aside).
    """

    first_seconds: float = 0.1
    longest_seconds: float = 30.0
    growth: Growth = "exponential"
    jitter: Jitter = "full"

    def __post_init__(self) -> None:
        """Refuse waits that are no waits, with ``DefinitionError``."""
        if not 0 <= self.first_seconds <= self.longest_seconds:
            raise DefinitionError(
                f"a backoff from {self.first_seconds} to {self.longest_seconds} seconds",
                why="the first wait is at least zero and at most the longest",
                remedy="give 0 <= first_seconds <= longest_seconds",
            )

    def delay(self, attempt: int, chance: Callable[[], float], previous_seconds: float | None = None) -> float:
        """Seconds to wait after ``attempt`` (1 for the first) has failed; at most ``longest_seconds``.

        ``chance`` gives numbers from 0 to below 1, as ``Random.random`` does. ``previous_seconds`` is the wait before
        this attempt; only "decorrelated" looks at it, and begins anew without it.
        """
        wait = self._grown(attempt)
        match self.jitter:
            case "none":
                return wait
            case "full":
                return wait * chance()
            case "equal":
                return wait * (1 + chance()) / 2
            case "decorrelated":
                reach = 3 * max(self.first_seconds, previous_seconds or 0.0) - self.first_seconds
                return min(self.longest_seconds, self.first_seconds + reach * chance())
        assert_never(self.jitter)

    def _grown(self, attempt: int) -> float:
        match self.growth:
            case "fixed":
                factor = 1
            case "linear":
                factor = attempt
            case "exponential":
                # 2**64 times any wait worth naming is past every cap, and a larger power would not fit in a float.
                factor = 1 << min(attempt - 1, 64)
            case _:
                assert_never(self.growth)
        return min(self.longest_seconds, self.first_seconds * factor)
