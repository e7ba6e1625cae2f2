"""Who can take a call, and who is fit to."""

from collections.abc import Sequence

from msgspec import Struct

from mainstem.errors import DefinitionError, NoBackend


class Backend(Struct, frozen=True):
    """One of those among whom calls are shared out. One of weight 2 is to take twice as much as one of weight 1."""

    name: str
    weight: int = 1

    def __post_init__(self) -> None:
        """Refuse a backend that could never be chosen, with ``DefinitionError``."""
        if not self.name or type(self.weight) is not int or self.weight < 1:
            raise DefinitionError(
                f"a backend {self.name!r} of weight {self.weight!r}",
                why="a backend has a name, and its weight is a whole number from 1",
                remedy="leave out of the list what is to take no calls",
            )


def demand_some(backends: Sequence[Backend]) -> None:
    """Raise ``NoBackend`` when there is nothing to choose from."""
    if not backends:
        raise NoBackend(
            "there is no backend to choose from",
            why="the list is empty, or all of them are set aside",
            remedy="look at why they fail; they come back by themselves after a while",
        )


class Mark(Struct, frozen=True, array_like=True, gc=False):
    """How one backend does: failures in a row, how often it was set aside, and until when it is."""

    failures: int = 0
    times: int = 0
    until_ms: int = 0


class HealthRule(Struct, frozen=True, kw_only=True):
    """When a backend is set aside, as Envoy ejects outliers: after ``failures`` in a row, for ``aside_ms``.

    Each further time it is as much longer, up to ``longest_ms``; each ``aside_ms`` that it has been back makes up for
    one time. At most ``percent`` of all backends are set aside, because with most of them gone it is rather the
    network, and the few would be run down; but one may always be, where there are two or more. The state is a mark
    for each backend that has failed lately.
    """

    failures: int = 5
    aside_ms: int = 30_000
    longest_ms: int = 300_000
    percent: int = 50

    def __post_init__(self) -> None:
        """Refuse a rule that sets nobody aside, or for ever, with ``DefinitionError``."""
        if self.failures < 1 or not 1 <= self.aside_ms <= self.longest_ms or not 0 <= self.percent <= 100:
            raise DefinitionError(
                f"backends set aside after {self.failures} failures for {self.aside_ms} to {self.longest_ms} ms, "
                f"at most {self.percent} %",
                why="it would never set one aside, or not know for how long",
                remedy="give failures from 1, 1 <= aside_ms <= longest_ms, and percent from 0 to 100",
            )

    def failed(self, marks: dict[str, Mark], name: str, now_ms: int) -> dict[str, Mark]:
        """The marks after a call to ``name`` has failed. While it is set aside, late failures change nothing."""
        mark = marks.get(name, Mark())
        if now_ms < mark.until_ms:
            return marks
        if mark.failures + 1 < self.failures:
            return {**marks, name: Mark(mark.failures + 1, mark.times, mark.until_ms)}
        times = self._times(mark, now_ms) + 1
        return {**marks, name: Mark(0, times, now_ms + min(self.longest_ms, times * self.aside_ms))}

    def succeeded(self, marks: dict[str, Mark], name: str, now_ms: int) -> dict[str, Mark]:
        """The marks after a call to ``name`` has succeeded.

        While it is set aside, late successes do not bring it back.
        """
        mark = marks.get(name)
        if mark is None:
            return marks
        if not self._times(mark, now_ms):
            return {each: other for each, other in marks.items() if each != name}
        return {**marks, name: Mark(0, mark.times, mark.until_ms)} if mark.failures else marks

    def _times(self, mark: Mark, now_ms: int) -> int:
        return max(0, mark.times - (now_ms - mark.until_ms) // self.aside_ms) if mark.times else 0

    def fit(self, marks: dict[str, Mark], backends: Sequence[Backend], now_ms: int) -> Sequence[Backend]:
        """Those of ``backends`` that are not set aside; of too many, those return that would have first.

        One is always left.
        """
        aside = [each for each in backends if each.name in marks and marks[each.name].until_ms > now_ms]
        if not aside:
            return backends
        most = min(len(backends) - 1, max(len(backends) * self.percent // 100, int(self.percent > 0)))
        if len(aside) > most:
            aside = sorted(aside, key=lambda each: marks[each.name].until_ms, reverse=True)[:most]
        names = {each.name for each in aside}
        return [each for each in backends if each.name not in names]
