"""The demo's checker: what it counts, and that it sees every kind of difference."""

import ast
import copy
import gzip
import json
import sys
import zipfile
from pathlib import Path

import pytest

from examples.flights import check

EXAMPLE = Path(check.__file__).parent
HEADER = "carrier,origin,dep_time,dep_delay,arr_delay"


def group(*values: int) -> dict[str, int]:
    """The totals of a group, in the order of the fields."""
    return dict(zip(check.FIELDS, values, strict=True))


def added_up(folder: Path, *rows: str, header: str = HEADER, newline: str = "\n") -> check.Totals:
    """Write a file of these rows and add it up."""
    (folder / "flights.csv").write_bytes((newline.join([header, *rows]) + newline).encode())
    return check.totals(folder)


def test_the_checker_shares_no_code_with_what_it_checks() -> None:
    """The checker imports the standard library and nothing else."""
    imported: set[str] = set()
    for node in ast.walk(ast.parse((EXAMPLE / "check.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(str(node.module).partition(".")[0])
    assert imported <= sys.stdlib_module_names


def test_january_adds_up() -> None:
    """The shipped file holds January 2013; the totals were found with another program."""
    totals = check.totals(EXAMPLE / "data")
    assert len(totals) == 33
    assert totals["UA/EWR"] == group(3657, 21, 11, 610, 775, 31543, 10892)
    sums = [sum(each[field] for each in totals.values()) for field in check.FIELDS]
    assert sums == [27004, 521, 85, 4918, 6001, 265801, 161819]


def test_each_field_counts_what_it_says(tmp_path: Path) -> None:
    """Late is over fifteen minutes, early minutes are negative, and unknown values enter no sum."""
    totals = added_up(
        tmp_path,
        "UA,EWR,517,15,16",
        "UA,EWR,600,16,15",
        "UA,EWR,555,-5,-20",
        "UA,EWR,NA,NA,NA",
        "UA,EWR,700,90,NA",
        "UA,JFK,700,0,0",
    )
    assert totals == {"UA/EWR": group(5, 1, 1, 2, 1, 116, 11), "UA/JFK": group(1, 0, 0, 0, 0, 0, 0)}


@pytest.mark.parametrize("unknown", ["NA", "", " ", "nan", "NaN"])
def test_unknown_has_several_spellings(tmp_path: Path, unknown: str) -> None:
    """An empty field and the usual words for nothing are unknown values, not numbers."""
    totals = added_up(tmp_path, f"B6,JFK,{unknown},{unknown},{unknown}", f"B6,JFK,800,20,{unknown}")
    assert totals == {"B6/JFK": group(2, 1, 1, 1, 0, 20, 0)}


def test_a_row_that_stands_twice_is_two_flights(tmp_path: Path) -> None:
    """Duplicates count: the file is the truth."""
    assert added_up(tmp_path, "AA,LGA,900,20,30", "AA,LGA,900,20,30") == {"AA/LGA": group(2, 0, 0, 2, 2, 40, 60)}


def test_the_form_of_the_file_does_not_matter(tmp_path: Path) -> None:
    """Carriage returns, a byte-order mark, quotes, blank lines, other columns and 20.0 change no total."""
    totals = added_up(
        tmp_path,
        '"Boston, MA","20.0","DL","""x""",900,-3.0,"JFK"',
        "",
        '"two\r\nlines",,DL,,,,JFK',
        header='\ufeff"dest",dep_delay,carrier,tailnum,dep_time,arr_delay,origin',
        newline="\r\n",
    )
    assert totals == {"DL/JFK": group(2, 1, 0, 1, 0, 20, -3)}


def test_plain_gzip_and_zip_are_the_same(tmp_path: Path) -> None:
    """All three forms of the file give the same totals."""
    found = []
    for ending in ("", ".gz", ".zip"):
        folder = tmp_path / f"form{ending}"
        folder.mkdir()
        text = f"{HEADER}\nUA,EWR,517,2,16\n"
        if ending == ".gz":
            (folder / "flights.csv.gz").write_bytes(gzip.compress(text.encode()))
        elif ending == ".zip":
            with zipfile.ZipFile(folder / "flights.csv.zip", "w") as archive:
                archive.writestr("flights.csv", text)
                archive.writestr("__MACOSX/flights.csv", "rubbish")
        else:
            (folder / "flights.csv").write_text(text)
        found.append(check.totals(folder))
    assert found == [{"UA/EWR": group(1, 0, 0, 0, 1, 2, 16)}] * 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no column carrier"),
        ("carrier,origin,dep_time,dep_delay\n", "no column arr_delay"),
        (f"{HEADER}\n", "holds no flights"),
        (f"{HEADER}\nUA,EWR,517,2,3\nUA,EWR,517\n", "line 3: 3 fields"),
        (f"{HEADER}\nUA,EWR,517,soon,3\n", "line 2: 'soon' is not a number"),
        (f"{HEADER}\nUA,EWR,517,2.5,3\n", "line 2: '2.5' is not a whole number"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """What cannot be added up is refused with its place, never passed over."""
    (tmp_path / "flights.csv").write_text(text)
    with pytest.raises(check.Unreadable, match=said):
        check.totals(tmp_path)


@pytest.mark.parametrize("ending", [".gz", ".zip"])
def test_a_broken_archive_is_refused(tmp_path: Path, ending: str) -> None:
    """Half of a compressed file is no file."""
    whole = (EXAMPLE / "data" / "flights.csv.gz").read_bytes()
    (tmp_path / f"flights.csv{ending}").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(check.Unreadable):
        check.totals(tmp_path)


def run(folder: Path, groups: object) -> int:
    """Write a report with these groups and check it against the flights in the folder."""
    report = folder / "report.json"
    report.write_text(json.dumps({"groups": groups}))
    return check.main(["--data", str(folder), "--report", str(report)])


def test_equal_groups_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Equal totals exit with 0, and the line says how much was compared."""
    totals = added_up(tmp_path, "UA,EWR,517,2,16", "AA,JFK,NA,NA,NA")
    assert run(tmp_path, totals) == 0
    assert capsys.readouterr().out == "equal: 2 flights in 2 groups, 7 totals each\n"


@pytest.mark.parametrize("field", check.FIELDS)
def test_one_wrong_total_is_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str], field: str) -> None:
    """Any single total that is off by one fails the check and is named."""
    wrong = copy.deepcopy(added_up(tmp_path, "UA,EWR,517,2,16", "AA,JFK,NA,NA,NA"))
    wrong["UA/EWR"][field] += 1
    assert run(tmp_path, wrong) == 1
    right = wrong["UA/EWR"][field] - 1
    assert f"UA/EWR: {field} is {right + 1}; the file says {right} (+1)" in capsys.readouterr().out


def test_missing_and_invented_parts_are_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A group or field too few, too many or of another kind is a difference."""
    groups: dict[str, object] = dict(added_up(tmp_path, "UA,EWR,517,2,16", "AA,JFK,NA,NA,NA", "B6,JFK,1,1,1"))
    del groups["AA/JFK"]
    groups["ZZ/JFK"] = {}
    groups["B6/JFK"] = None
    groups["UA/EWR"] = {"flights": 1.0, "pilots": 2} | dict(zip(check.FIELDS[3:], (0, 1, 2, 16), strict=True))
    assert run(tmp_path, groups) == 1
    assert capsys.readouterr().out.splitlines()[1:] == [
        "  AA/JFK: not in the report",
        "  ZZ/JFK: in the report, not in the file",
        "  B6/JFK: None instead of an object",
        "  UA/EWR: flights is 1.0, which is no whole number; the file says 1",
        "  UA/EWR: cancelled is missing; the file says 0",
        "  UA/EWR: diverted is missing; the file says 0",
        "  UA/EWR: pilots is no field of a group",
    ]


def test_nothing_to_compare_is_not_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing file, a missing report and a report without groups exit with 2."""
    assert check.main(["--data", str(tmp_path)]) == 2
    added_up(tmp_path, "UA,EWR,517,2,16")
    assert check.main(["--data", str(tmp_path), "--report", str(tmp_path / "none.json")]) == 2
    assert run(tmp_path, None) == 2
    assert capsys.readouterr().err.count("cannot check: ") == 3


def test_the_folder_can_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --data the checker reads the folder that the demo reads."""
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"groups": added_up(tmp_path, "UA,EWR,517,2,16")}))
    monkeypatch.setenv("MAINSTEM_DEMO_DATA", str(tmp_path))
    assert check.main(["--report", str(report)]) == 0
    monkeypatch.delenv("MAINSTEM_DEMO_DATA")
    assert check.main(["--report", str(report)]) == 1
