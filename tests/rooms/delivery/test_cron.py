"""When schedules are due: against a look at every minute, and in the nights in which the clocks are changed."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from mainstem.delivery.schedules import Cron
from mainstem.delivery.schedules.fields import fields_of
from mainstem.errors import DefinitionError

BERLIN = "Europe/Berlin"
NUMBERS = {"minute": (0, 59), "hour": (0, 23), "day": (1, 28), "month": (1, 12), "weekday": (0, 7)}


def ms(text: str) -> int:
    """A time as ISO 8601 writes it, with its offset."""
    return int(datetime.fromisoformat(text).timestamp() * 1_000)


def runs(cron: str, zone: str, begin: str, count: int) -> list[str]:
    """So many runs after a time, as the clocks on the wall say, with their offsets."""
    schedule, at = Cron(cron, zone), ms(begin)
    found = []
    for _ in range(count):
        at = schedule.next_after(at)
        found.append(datetime.fromtimestamp(at / 1_000, ZoneInfo(zone)).strftime("%d %H:%M%z"))
    return found


@st.composite
def parts(draw: st.DrawFn, kind: str) -> str:
    """One field."""
    low, high = NUMBERS[kind]
    first = draw(st.integers(low, high))
    last = draw(st.integers(first, high))
    step = draw(st.integers(1, 9))
    return draw(
        st.sampled_from(
            ["*", "*", str(first), f"{first}-{last}", f"*/{step}", f"{first}-{last}/{step}", f"{first}/{step}"]
        )
    )


def by_hand(part: str, kind: str) -> set[int]:
    """The numbers of a field."""
    low, high = NUMBERS[kind]
    term, _, step = part.partition("/")
    first, _, last = term.partition("-")
    if term == "*":
        bounds = low, high
    else:
        bounds = int(first), int(last or (high if step else first))
    return set(range(bounds[0], bounds[1] + 1, int(step or 1)))


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[parts(kind) for kind in NUMBERS]), st.integers(0, 2**31))
def test_the_next_run_is_the_first_minute_that_fits(fields: tuple[str, ...], begin: int) -> None:
    """In UTC, for four days: every minute that fits all fields is a run, and no other."""
    # Days of the month and months beyond these four days would be looked for in vain.
    text = " ".join([*fields[:2], "*", "*", fields[4]])
    minutes, hours = by_hand(fields[0], "minute"), by_hand(fields[1], "hour")
    weekdays = {each % 7 for each in by_hand(fields[4], "weekday")}
    at = datetime.fromtimestamp(begin - begin % 60, UTC)
    expected = [
        each
        for each in (at + timedelta(minutes=number) for number in range(1, 4 * 1_440))
        if each.minute in minutes and each.hour in hours and each.isoweekday() % 7 in weekdays
    ]
    schedule, found = Cron(text, "UTC"), at
    for each in expected[:300]:
        found = datetime.fromtimestamp(schedule.next_after(int(found.timestamp() * 1_000)) / 1_000, UTC)
        assert found == each


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kolkata"]
)
@pytest.mark.parametrize("cron", ["*/30 * * * *", "15 0-6 * * *", "0 8 * * mon-fri"])
def test_runs_of_a_year_grow_and_fit(zone: str, cron: str) -> None:
    """Each is later than the one before it; and each shows its numbers on the wall, but in a gap."""
    schedule, fields = Cron(cron, zone), fields_of(cron)
    at, end, strange = ms("2026-01-01T00:00+00:00"), ms("2027-01-01T00:00+00:00"), 0
    while at < end:
        later = schedule.next_after(at)
        assert later > at
        assert schedule.is_run(later)
        assert not schedule.is_run(later + 1)
        at = later
        wall = datetime.fromtimestamp(at / 1_000, ZoneInfo(zone))
        strange += wall.minute not in fields.minutes or wall.hour not in fields.hours
    assert strange <= 1


def test_a_time_that_does_not_exist_is_made_up_for_once() -> None:
    """At the moment at which the clocks are put forward, however many times fall into the gap."""
    assert runs("30 2 * * *", BERLIN, "2026-03-28T00:00+01:00", 3) == [
        "28 02:30+0100",
        "29 03:00+0200",
        "30 02:30+0200",
    ]
    assert runs("0,15,30 2,3 * * *", BERLIN, "2026-03-29T00:00+01:00", 4) == [
        "29 03:00+0200",
        "29 03:15+0200",
        "29 03:30+0200",
        "30 02:00+0200",
    ]


def test_a_time_that_exists_twice_counts_the_first_time() -> None:
    """And it is not made up for by whoever asks between the two."""
    assert runs("30 2 * * *", BERLIN, "2026-10-24T12:00+02:00", 2) == ["25 02:30+0200", "26 02:30+0100"]
    assert runs("30 2 * * *", BERLIN, "2026-10-25T02:10+01:00", 1) == ["26 02:30+0100"]


def test_what_names_every_hour_goes_by_the_time_that_passes() -> None:
    """It runs in both of the hours that are called alike, and has nothing to make up for."""
    assert runs("30 * * * *", BERLIN, "2026-10-25T00:45+02:00", 4) == [
        "25 01:30+0200",
        "25 02:30+0200",
        "25 02:30+0100",
        "25 03:30+0100",
    ]
    assert runs("30 * * * *", BERLIN, "2026-03-29T00:45+01:00", 3) == [
        "29 01:30+0100",
        "29 03:30+0200",
        "29 04:30+0200",
    ]


def test_a_day_that_does_not_exist_is_made_up_for_when_the_next_begins() -> None:
    """Samoa went over the line, and had no 30th of December 2011."""
    assert runs("0 9 30 12 *", "Pacific/Apia", "2011-12-29T12:00-10:00", 1) == ["31 00:00+1400"]


def test_half_an_hour_is_put_forward() -> None:
    """On Lord Howe Island 02:00 is followed by 02:30."""
    assert runs("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T20:00+10:30", 1) == ["04 02:30+1100"]


def test_either_day_is_enough_where_both_are_named() -> None:
    """As cron has it: the 13th, and every Friday."""
    found = runs("0 0 13 * fri", "UTC", "2026-01-01T00:00+00:00", 4)
    assert [each[:2] for each in found] == ["02", "09", "13", "16"]


def test_rare_days_are_found() -> None:
    """A leap day that is a Sunday comes once in 28 years."""
    assert Cron("0 0 29 2 */7", "UTC").next_after(ms("2026-01-01T00:00+00:00")) == ms("2032-02-29T00:00+00:00")


def test_the_last_runs_before_a_time() -> None:
    """Found without going through all that were missed."""
    begin, now = ms("2020-01-01T00:00+00:00"), ms("2026-06-01T10:17:30+00:00")
    assert Cron("* * * * *", "UTC").last_until(now, begin) == [ms("2026-06-01T10:17+00:00")]
    assert Cron("0 0 1 1 *", "UTC").last_until(now, begin) == [ms("2026-01-01T00:00+00:00")]
    assert Cron("0 0 29 2 *", "UTC").last_until(now, ms("2020-02-29T00:00+00:00")) == [ms("2024-02-29T00:00+00:00")]
    assert Cron("0 0 1 7 *", "UTC").last_until(now, ms("2025-07-01T00:00+00:00")) == [ms("2025-07-01T00:00+00:00")]


def test_the_last_so_many_runs_before_a_time() -> None:
    """No more than there were, and none before the first."""
    minutes, begin = Cron("* * * * *", "UTC"), ms("2020-01-01T00:00+00:00")
    assert minutes.last_until(begin + 5 * 60_000 + 1, begin, 3) == [begin + n * 60_000 for n in (3, 4, 5)]
    assert minutes.last_until(begin + 60_000, begin, 3) == [begin, begin + 60_000]
    assert len(minutes.last_until(ms("2026-01-01T00:00+00:00"), begin, 1_000)) == 1_000
    days = Cron("0 0 * * *", "UTC").last_until(ms("2026-01-01T00:00+00:00"), begin, 1_000)
    assert days == [ms("2026-01-01T00:00+00:00") - n * 86_400_000 for n in range(999, -1, -1)]


@pytest.mark.parametrize("short", ["@yearly", "@monthly", "@weekly", "@daily", "@hourly"])
def test_short_forms(short: str) -> None:
    """They have names."""
    assert Cron(short, "UTC").next_after(0) > 0


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("", "0 fields"),
        ("0 8 * *", "4 fields"),
        ("8", "1 field, "),
        ("@hour", "did you mean @hourly?"),
        ("@noon", "the words that stand for one are @yearly"),
        ("0 0 8 * * *", "6 fields"),
        ("60 * * * *", "'60' is no minute"),
        ("* 24 * * *", "'24' is no hour"),
        ("* * 0 * *", "'0' is no day of the month"),
        ("* * * 13 *", "'13' is no month"),
        ("* * * * 8", "'8' is no day of the week"),
        ("* * * * mond", "'mond' is no day of the week"),
        ("5-1 * * * *", "ends before it begins"),
        ("*/0 * * * *", "steps of nothing"),
        ("1,,2 * * * *", "is no minute"),
        ("-1 * * * *", "is no minute"),
        ("0 0 30 2 *", "it would never run"),
        ("0 0 31 4,6 *", "it would never run"),
    ],
)
def test_what_is_no_schedule(cron: str, words: str) -> None:
    """Told with the part that cannot be read."""
    with pytest.raises(DefinitionError, match="is not a schedule") as caught:
        Cron(cron, "UTC")
    assert words in str(caught.value)


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "", "../etc/passwd", "europe berlin"])
def test_what_is_no_time_zone(zone: str) -> None:
    """Told when it is declared."""
    with pytest.raises(DefinitionError, match="there is no time zone"):
        Cron("@daily", zone)
