"""The clock."""

import pytest

from mainstem.clock import ManualClock, SystemClock


def test_advancing_moves_both_readings() -> None:
    """Time that passes is seen on the wall clock and on the monotonic one."""
    clock = ManualClock(start_ms=1_000)
    clock.advance(1.5)
    assert (clock.now_ms(), clock.monotonic()) == (2_500, 1.5)


def test_a_jump_moves_the_wall_clock_only() -> None:
    """Setting the clock, in either direction, is not time that has passed."""
    clock = ManualClock(start_ms=10_000)
    clock.jump(-4)
    assert (clock.now_ms(), clock.monotonic()) == (6_000, 0)


def test_many_small_advances_do_not_drift() -> None:
    """A thousand advances of a millisecond are exactly a second."""
    clock = ManualClock(start_ms=0)
    for _ in range(1_000):
        clock.advance(0.001)
    assert (clock.now_ms(), clock.monotonic()) == (1_000, 1.0)


def test_time_does_not_go_back() -> None:
    """A negative advance is refused."""
    with pytest.raises(ValueError, match="does not go back"):
        ManualClock().advance(-1)


def test_the_system_clock_reads_milliseconds_since_1970() -> None:
    """The two readings are in the units they promise, and the monotonic one does not go back."""
    clock = SystemClock()
    assert 1_700_000_000_000 < clock.now_ms() < 10_000_000_000_000
    assert clock.monotonic() <= clock.monotonic()
