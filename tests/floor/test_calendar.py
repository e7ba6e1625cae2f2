"""Durations."""

from datetime import timedelta

import pytest

from mainstem.calendar import Duration, milliseconds, seconds
from mainstem.errors import DefinitionError


@pytest.mark.parametrize(
    ("duration", "expected"),
    [("50ms", 0.05), ("10s", 10), ("1.5m", 90), ("1h30m", 5_400), ("14d", 1_209_600), ("2w", 1_209_600), (0.25, 0.25)],
)
def test_a_duration_is_read_in_seconds(duration: Duration, expected: float) -> None:
    """Text with units, and bare numbers of seconds, mean what people mean by them."""
    assert seconds(duration) == pytest.approx(expected)


def test_a_timedelta_is_a_duration() -> None:
    """The standard library's durations are taken as they are, and are whole in milliseconds."""
    assert milliseconds(timedelta(minutes=1, microseconds=400)) == 60_000


@pytest.mark.parametrize("duration", ["10", "ten seconds", "", "-1s", "1s 2", "1y", -1, float("nan"), float("inf")])
def test_what_is_no_duration_is_refused_where_it_is_written(duration: Duration) -> None:
    """A missing unit, a sign, an unknown word and an endless time are each a mistake in a declaration."""
    with pytest.raises(DefinitionError):
        seconds(duration)
