"""How many of all calls may be retries, so that retrying does not finish off what is unwell."""

from msgspec import Struct

from mainstem.errors import DefinitionError


class BudgetState(Struct, frozen=True, array_like=True, gc=False):
    """What is in the purse at ``at_ms``, in parts of a retry, which takes 100,000 of them."""

    parts: int
    at_ms: int


class RetryBudget(Struct, frozen=True, kw_only=True):
    """Retries may be ``percent`` of the calls, and beyond that ``per_second``, which few calls need to get anywhere.

    At most ``longest_seconds`` worth of ``per_second`` and a hundred calls' worth are saved up. As in Finagle's retry
    budgets, the calls of a quiet hour do not pay for a storm.
    """

    percent: int = 10
    per_second: int = 1
    longest_seconds: int = 10

    def __post_init__(self) -> None:
        """Refuse a budget of nothing, with ``DefinitionError``."""
        if not (
            0 <= self.percent <= 100 and self.per_second >= 0 and self.longest_seconds >= 1 and self._most >= _RETRY
        ):
            raise DefinitionError(
                f"a retry budget of {self.percent} % and {self.per_second} per second",
                why="it never has room for one retry, or allows more retries than calls",
                remedy="give percent from 0 to 100, per_second from 0, one of them above 0, longest_seconds from 1",
            )

    @property
    def _most(self) -> int:
        return self.per_second * self.longest_seconds * _RETRY + self.percent * _CALLS_SAVED * _PERCENT

    def called(self, state: BudgetState | None, now_ms: int) -> BudgetState:
        """The state after a first attempt."""
        state = self._filled(state, now_ms)
        return BudgetState(min(self._most, state.parts + self.percent * _PERCENT), state.at_ms)

    def retry(self, state: BudgetState | None, now_ms: int) -> tuple[BudgetState, bool]:
        """Ask for one retry: the state to keep, and whether there is room for it."""
        state = self._filled(state, now_ms)
        if state.parts < _RETRY:
            return state, False
        return BudgetState(state.parts - _RETRY, state.at_ms), True

    def _filled(self, state: BudgetState | None, now_ms: int) -> BudgetState:
        if state is None:
            return BudgetState(self.per_second * self.longest_seconds * _RETRY, now_ms)
        gained = max(0, now_ms - state.at_ms) * self.per_second * (_RETRY // 1_000)
        return BudgetState(min(self._most, state.parts + gained), max(now_ms, state.at_ms))


_RETRY = 100_000
_PERCENT = _RETRY // 100
_CALLS_SAVED = 100
