"""When a cron expression is due in a time zone, also in the nights in which the clocks are changed.

A time of day that does not exist, because the clocks were put forward, is made up for at the moment at which they were:
once, however many of them fall into the gap. One that exists twice counts the first time. But an expression that names
every hour goes by the time that passes: it has no run in the gap, and runs in both of the hours that are called alike.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import takewhile
from typing import Final

from mainstem.delivery.schedules.fields import ALL_HOURS, fields_of
from mainstem.errors import DefinitionError

_DAY: Final = timedelta(days=1)
_DAYS_MOST: Final = 366 * 60  # the 29th of February falls on a certain day of the week once in 28 years, or in 40
_LOOK_BACK_MS: Final = 3_600_000


class Cron:
    """An expression of five fields in a time zone. Times are milliseconds since 1970 (UTC)."""

    __slots__ = ("_fields", "_minutes", "_zone", "text", "zone_name")

    def __init__(self, text: str, zone: str) -> None:
        """Raises :class:`~mainstem.errors.DefinitionError` for what is no expression, and for an unknown zone."""
        self.text = text
        self.zone_name = zone
        self._fields = fields_of(text)
        self._zone = _zone(zone)
        self._minutes = sorted(hour * 60 + minute for hour in self._fields.hours for minute in self._fields.minutes)

    def next_after(self, after_ms: int) -> int:
        """The first run later than ``after_ms``."""
        return next(self.runs_after(after_ms))

    def runs_after(self, after_ms: int) -> Iterator[int]:
        """All runs later than ``after_ms``, in order, without end."""
        last = after_ms // 1_000
        # A whole day may be missing, and is made up for on the next one.
        day = datetime.fromtimestamp(last, self._zone).date() - _DAY
        without = 0
        while without < _DAYS_MOST:
            without += 1
            if self._fits(day):
                for run in self._runs(day):
                    if run > last:
                        yield run * 1_000
                        last, without = run, 0
            day += _DAY
        raise AssertionError(self.text)

    def last_until(self, until_ms: int, begin_ms: int, most: int = 1) -> list[int]:
        """The last runs up to ``until_ms``, at most so many; ``begin_ms`` is a run, and none before it counts."""
        back_ms = _LOOK_BACK_MS
        while True:
            start_ms = max(until_ms - back_ms, begin_ms - 1_000)
            found = list(takewhile(lambda run_ms: run_ms <= until_ms, self.runs_after(start_ms)))
            if len(found) >= most or start_ms < begin_ms:
                return found[-most:]
            back_ms *= 8

    def is_run(self, at_ms: int) -> bool:
        """Whether it is due at this very time."""
        return self.next_after(at_ms - 1_000) == at_ms

    def _fits(self, day: date) -> bool:
        fields = self._fields
        if day.month not in fields.months:
            return False
        of_month, of_week = day.day in fields.days, day.isoweekday() % 7 in fields.weekdays
        return (of_month or of_week) if fields.either else (of_month and of_week)

    def _runs(self, day: date) -> Iterator[int]:
        """The runs of a day in order, in seconds since 1970."""
        midnight = datetime.combine(day, time())
        begin, end = self._at(midnight), self._at(midnight + _DAY)
        noon = self._at(midnight + _DAY / 2)
        if (noon - begin, end - noon) == (43_200, 43_200):
            yield from (begin + minute * 60 for minute in self._minutes)
            return
        found: set[int] = set()
        for minute in self._minutes:
            found.update(self._resolved(midnight + timedelta(minutes=minute)))
        yield from sorted(found)

    def _resolved(self, local: datetime) -> Iterator[int]:
        """When a local time is, if it exists at all or twice."""
        every_hour = self._fields.hours == ALL_HOURS
        first, second = self._at(local), self._at(local, fold=1)
        if datetime.fromtimestamp(first, self._zone).replace(tzinfo=None, fold=0) != local:
            if not every_hour:
                yield self._end_of_gap(second, first)
            return
        yield first
        if second != first and every_hour:
            yield second

    def _end_of_gap(self, before: int, behind: int) -> int:
        """The moment at which the clocks were put forward; the two lie on either side of it."""
        old = datetime.fromtimestamp(before, self._zone).utcoffset()
        while behind - before > 1:
            middle = (before + behind) // 2
            if datetime.fromtimestamp(middle, self._zone).utcoffset() == old:
                before = middle
            else:
                behind = middle
        return behind

    def _at(self, local: datetime, fold: int = 0) -> int:
        return int(local.replace(tzinfo=self._zone, fold=fold).timestamp())


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    # Who has no schedule should not have to load it.
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise DefinitionError(
            f"there is no time zone {name!r}",
            why="neither the system's database of time zones nor the package tzdata has it",
            remedy='name one as in tz="Europe/Berlin"; where the system has no such database, pip install tzdata',
        ) from error
