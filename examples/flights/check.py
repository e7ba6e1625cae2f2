"""Check the demo's report against the file the flights came from.

    python examples/flights/check.py [--data FOLDER] [--report build/demo-report.json]

This program shares no code with the demo and imports nothing from Mainstem, so that a mistake there cannot hide here.
It adds the file up, row by row, for every carrier and origin ("UA/EWR"):

    flights                    rows; a row that stands twice is two flights
    cancelled                  no departure time
    diverted                   a departure time, but no arrival delay
    departure_delays           departure delay over 15 minutes
    arrival_delays             arrival delay over 15 minutes
    departure_delay_minutes    sum of the known departure delays, early ones negative
    arrival_delay_minutes      sum of the known arrival delays, early ones negative

and compares these with the report's ``groups``. Nothing may be missing, too much or different.

Exit code: 0 when all is equal, 1 when something differs, 2 when there was nothing to compare.
"""

import argparse
import contextlib
import csv
import gzip
import io
import json
import os
import sys
import zipfile
import zlib
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TextIO, cast

Totals = dict[str, dict[str, int]]

FIELDS = (
    "flights",
    "cancelled",
    "diverted",
    "departure_delays",
    "arrival_delays",
    "departure_delay_minutes",
    "arrival_delay_minutes",
)
COLUMNS = ("carrier", "origin", "dep_time", "dep_delay", "arr_delay")
LATE_MINUTES = 15
UNKNOWN = frozenset({"", "na", "n/a", "nan", "null", "none"})


class Unreadable(Exception):
    """The file or the report cannot be read as what it should be; the message says where and why."""


def totals(folder: Path) -> Totals:
    """Add up the flights of ``folder``, per carrier and origin.

    Raises ``Unreadable`` when there is no such file or no row in it, a column is missing, or a row is damaged.
    """
    path = flights_file(folder)
    groups: Totals = {}
    try:
        with opened(path) as text:
            rows = csv.reader(text, strict=True)
            header = [name.strip() for name in next(rows, list[str]())]
            absent = [name for name in COLUMNS if name not in header]
            if absent:
                raise Unreadable(f"{path}: no column {', '.join(absent)}; it has {', '.join(header) or 'none'}")
            places = [header.index(name) for name in COLUMNS]
            for row in rows:
                if row:
                    where = f"{path}, line {rows.line_num}"
                    if len(row) != len(header):
                        raise Unreadable(f"{where}: {len(row)} fields, but the header has {len(header)}")
                    count(groups, [row[place] for place in places], where)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zipfile.BadZipFile, zlib.error) as error:
        raise Unreadable(f"{path}: {error}") from error
    if not groups:
        raise Unreadable(f"{path}: holds no flights")
    return groups


def count(groups: Totals, values: Sequence[str], where: str) -> None:
    """Add one row, its values in the order of ``COLUMNS``, to its group."""
    carrier, origin, departed, departure_delay, arrival_delay = values
    group = groups.setdefault(f"{carrier}/{origin}", dict.fromkeys(FIELDS, 0))
    left = known(departed)
    group["flights"] += 1
    group["cancelled"] += not left
    group["diverted"] += left and not known(arrival_delay)
    for kind, text in (("departure", departure_delay), ("arrival", arrival_delay)):
        if known(text):
            delay = minutes(text, where)
            group[f"{kind}_delays"] += delay > LATE_MINUTES
            group[f"{kind}_delay_minutes"] += delay


def known(text: str) -> bool:
    """Whether the field holds a value."""
    return text.strip().lower() not in UNKNOWN


def minutes(text: str, where: str) -> int:
    """Whole minutes. "11.0" is 11, as a file that has been through a table of floating-point numbers says it."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        raise Unreadable(f"{where}: {text!r} is not a number of minutes") from None
    if not number.is_integer():
        raise Unreadable(f"{where}: {text!r} is not a whole number of minutes")
    return int(number)


def flights_file(folder: Path) -> Path:
    """The flights in ``folder``: flights.csv, else flights.csv.gz, else flights.csv.zip."""
    for ending in ("", ".gz", ".zip"):
        path = folder / f"flights.csv{ending}"
        if path.is_file():
            return path
    raise Unreadable(f"{folder}: holds no flights.csv, flights.csv.gz or flights.csv.zip")


@contextlib.contextmanager
def opened(path: Path) -> Generator[TextIO, None, None]:
    """The text of a plain, gzip or zip file, line endings untouched as the csv module wants them."""
    with contextlib.ExitStack() as stack:
        if path.suffix == ".zip":
            archive = stack.enter_context(zipfile.ZipFile(path))
            names = [name for name in archive.namelist() if Path(name).name == "flights.csv" and "__MACOSX" not in name]
            if len(names) != 1:
                raise Unreadable(f"{path}: holds {len(names)} files named flights.csv, and should hold one")
            binary = stack.enter_context(archive.open(names[0]))
            yield stack.enter_context(io.TextIOWrapper(binary, encoding="utf-8-sig", newline=""))
        elif path.suffix == ".gz":
            yield stack.enter_context(gzip.open(path, "rt", encoding="utf-8-sig", newline=""))
        else:
            yield stack.enter_context(path.open(encoding="utf-8-sig", newline=""))


def reported(path: Path) -> dict[str, object]:
    """The ``groups`` of a report."""
    try:
        report: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Unreadable(f"{path}: {error}") from error
    groups = cast("dict[str, object]", report).get("groups") if isinstance(report, dict) else None
    if not isinstance(groups, dict):
        raise Unreadable(f"{path}: holds no object named groups")
    return cast("dict[str, object]", groups)


def differences(expected: Totals, found: dict[str, object]) -> list[str]:
    """What is missing, too much or different in ``found``, one line each."""
    lines = [f"{name}: not in the report" for name in sorted(expected.keys() - found.keys())]
    lines += [f"{name}: in the report, not in the file" for name in sorted(found.keys() - expected.keys())]
    for name in sorted(expected.keys() & found.keys()):
        group = found[name]
        if isinstance(group, dict):
            unequal = unequal_fields(expected[name], cast("dict[str, object]", group))
            lines += [f"{name}: {text}" for text in unequal]
        else:
            lines.append(f"{name}: {group!r} instead of an object")
    return lines


def unequal_fields(expected: dict[str, int], found: dict[str, object]) -> list[str]:
    """The differences of one group."""
    texts: list[str] = []
    for field, right in expected.items():
        value = found.get(field)
        if field not in found:
            texts.append(f"{field} is missing; the file says {right:,}")
        elif not isinstance(value, int) or isinstance(value, bool):
            texts.append(f"{field} is {value!r}, which is no whole number; the file says {right:,}")
        elif value != right:
            texts.append(f"{field} is {value:,}; the file says {right:,} ({value - right:+,})")
    return texts + [f"{field} is no field of a group" for field in sorted(found.keys() - expected.keys())]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the check and return the exit code."""
    beside = Path(__file__).resolve().parent / "data"
    parser = argparse.ArgumentParser(description="Check the demo's report against the file the flights came from.")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MAINSTEM_DEMO_DATA") or beside))
    parser.add_argument("--report", type=Path, default=Path("build/demo-report.json"))
    options = parser.parse_args(arguments)
    try:
        expected = totals(options.data)
        found = reported(options.report)
    except Unreadable as error:
        print(f"cannot check: {error}", file=sys.stderr)
        return 2
    lines = differences(expected, found)
    flights = sum(group["flights"] for group in expected.values())
    subject = f"{flights:,} flights in {len(expected)} groups, {len(FIELDS)} totals each"
    if not lines:
        print(f"equal: {subject}")
        return 0
    print(f"DIFFERENT: {len(lines)} differences; the file holds {subject}")
    print("\n".join(f"  {line}" for line in lines))
    return 1


if __name__ == "__main__":
    sys.exit(main())
