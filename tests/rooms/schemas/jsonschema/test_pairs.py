"""A table of pairs of schemas, and what is said about each."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema_rs
import pytest
from msgspec import UNSET

from mainstem.schemas.compatibility import Policy
from mainstem.schemas.documents import Schema
from mainstem.schemas.jsonschema import differences
from tests.rooms.schemas.jsonschema.generated import URIS, opened

LETTERS = {"C": "compatible", "I": "incompatible", "N": "not provable"}


class Row(NamedTuple):
    """A row of the table."""

    line: int
    drafts: tuple[int, ...]
    one: Any
    other: Any
    strict: str
    lenient: str


def drafts_of(text: str) -> tuple[int, ...]:
    """``all``, one draft, ``6+`` or ``4-7``."""
    first, _, last = text.partition("-")
    every = sorted(URIS)
    if text == "all":
        return tuple(every)
    if text.endswith("+"):
        return tuple(each for each in every if each >= int(text[:-1]))
    return tuple(each for each in every if int(first) <= each <= int(last or first))


def rows() -> list[Row]:
    """The table."""
    lines = (Path(__file__).parent / "pairs.txt").read_text(encoding="utf-8").splitlines()
    found = []
    for number, line in enumerate(lines, 1):
        if line and not line.startswith("#"):
            drafts, one, other, strict, lenient = line.split(" | ")
            found.append(Row(number, drafts_of(drafts), json.loads(one), json.loads(other), strict, lenient))
    return found


TABLE = rows()


def stated(schema: Any, draft: int) -> Any:
    """A schema that says its draft."""
    return {"$schema": URIS[draft], **(schema if isinstance(schema, dict) else {"allOf": [schema]})}


def test_the_table_is_large_and_knows_all_drafts() -> None:
    """More than 250 pairs, each in every draft that has its keywords."""
    assert 2 * len(TABLE) >= 250
    assert {draft for row in TABLE for draft in row.drafts} == set(URIS)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"line-{row.line}")
def test_a_pair_is_judged_as_the_table_says(row: Row) -> None:
    """In both directions, under both policies, in every draft; and a counterexample is one."""
    wrong = []
    for draft in row.drafts:
        one, other = stated(row.one, draft), stated(row.other, draft)
        policies: tuple[tuple[Policy, str], ...] = (("STRICT", row.strict), ("LENIENT", row.lenient))
        for policy, letters in policies:
            for letter, writer, reader in zip(letters, (one, other), (other, one), strict=True):
                texts = (Schema(json.dumps(writer), "JSON"), Schema(json.dumps(reader), "JSON"))
                verdict = differences(*texts, ({}, {}), policy)
                if verdict.outcome != LETTERS[letter]:
                    wrong.append(f"draft {draft}, {policy}: {writer} -> {reader} is {verdict}, not {LETTERS[letter]}")
                read = opened(reader) if policy == "LENIENT" else reader
                for each in verdict.differences:
                    if each.counterexample is not UNSET:
                        assert jsonschema_rs.is_valid(writer, each.counterexample)
                        assert not jsonschema_rs.is_valid(read, each.counterexample)
    assert wrong == []
