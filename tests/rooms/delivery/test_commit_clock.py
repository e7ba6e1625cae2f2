"""When a commit is due: the whole rule, with time as an argument."""

import pytest

from mainstem.delivery.commit import ALONE, INTERVAL_SECONDS_MOST, PACE, REST_SHARE, CommitClock
from mainstem.delivery.ledger import Pending

INTERVAL = 0.1
POSITIONS = Pending(events=3, changed=False, waited_for=False, resting=False)
CHANGES = POSITIONS._replace(changed=True)


def clock(*came: float) -> CommitClock:
    """One that has heard of something at these times."""
    made = CommitClock(INTERVAL, 100)
    for now in came:
        made.something_came(now)
    return made


def test_nothing_is_due_when_nothing_came() -> None:
    """An idle task does not wake up."""
    assert clock().due(Pending(0, changed=False, waited_for=False, resting=True)) is None
    over = clock(5.0)
    over.nothing_pends()
    assert over.due(POSITIONS) is None


def test_under_load_a_commit_is_due_an_interval_after_the_first_change() -> None:
    """What comes later does not put it off."""
    assert clock(5.0, 5.09).due(CHANGES) == pytest.approx(5.0 + INTERVAL)


def test_at_rest_it_is_due_at_once_but_not_too_often() -> None:
    """A quarter of an interval after the last commit began, at the earliest; and never later than under load."""
    resting = CHANGES._replace(resting=True)
    assert clock(5.0).due(resting) == 5.0
    after = clock()
    after.rest_from(4.99)
    after.something_came(5.0)
    assert after.due(resting) == pytest.approx(4.99 + INTERVAL / REST_SHARE)
    after.something_came(5.2)
    assert after.due(resting) == pytest.approx(5.0 + INTERVAL)


def test_positions_alone_wait_longer() -> None:
    """Ten intervals while events keep coming; one interval after the last of them."""
    busy = clock(5.0, 5.05)
    assert busy.due(POSITIONS) == pytest.approx(5.0 + ALONE * INTERVAL)
    assert busy.due(POSITIONS._replace(resting=True)) == pytest.approx(5.05 + INTERVAL)
    trickle = clock(*(5.0 + n * INTERVAL / 2 for n in range(40)))
    assert trickle.due(POSITIONS._replace(resting=True)) == pytest.approx(5.0 + ALONE * INTERVAL)


@pytest.mark.parametrize("urgent", [POSITIONS._replace(waited_for=True), POSITIONS._replace(events=100)])
def test_whoever_waits_and_many_events_wait_for_nothing(urgent: Pending) -> None:
    """Due at the time when it was heard of, whatever was committed just before."""
    hurried = clock()
    hurried.rest_from(5.0)
    hurried.something_came(5.0)
    assert hurried.due(urgent) == 5.0


def test_whoever_commits_slowly_commits_seldom() -> None:
    """The interval follows what a commit costs, up to a limit, and comes back."""
    slow = clock(5.0)
    slow.took(0.2)
    assert slow.due(CHANGES) == pytest.approx(5.0 + PACE * 0.2)
    slow.took(60.0)
    assert slow.due(CHANGES) == pytest.approx(5.0 + INTERVAL_SECONDS_MOST)
    slow.took(0.001)
    assert slow.due(CHANGES) == pytest.approx(5.0 + INTERVAL)
