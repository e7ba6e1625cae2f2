"""Whether a reader reads what a writer writes, over a table; beside buf, and beside the runtime itself."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.unknown_fields import UnknownFieldSet

from mainstem.schemas.compatibility import Verdict
from mainstem.schemas.documents import Resolved, Schema
from mainstem.schemas.protobuf import differences
from mainstem.schemas.protobuf.files import linked
from tests.rooms.schemas.protobuf.pairs import BUF_SAYS_OTHERWISE, PAIRS, Pair, three
from tests.rooms.schemas.protobuf.texts import RIGHT


def schema(text: str) -> Schema:
    """A schema without references."""
    return Schema(text, "PROTOBUF")


def verdict(writer: str, reader: str) -> Verdict:
    """What is said of two texts without references."""
    return differences(schema(writer), schema(reader), ({}, {}), "LENIENT")


def message_class(text: str, name: str) -> type[Message]:
    """The class of a message of a file, by its name in it."""
    link = linked(schema(text), {})
    package = link.file.package
    found: type[Message] = GetMessageClass(link.pool.FindMessageTypeByName(f"{package}.{name}" if package else name))
    return found


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_a_pair_is_judged(pair: Pair) -> None:
    """Each difference that matters is named by its rule, and nothing else is."""
    said = verdict(pair.writer, pair.reader)
    assert tuple(each.rule for each in said.differences) == pair.rules
    assert said.compatible == (not pair.rules)


@pytest.mark.parametrize("name", RIGHT)
def test_a_schema_reads_what_it_writes(name: str) -> None:
    """Whatever is in it."""
    assert verdict(RIGHT[name], RIGHT[name]).compatible


def test_buf_agrees_but_where_it_is_said(tmp_path: Path) -> None:
    """``buf breaking`` with its rules for bytes refuses the same pairs, but for those of a list with reasons."""
    for side in ("old", "new"):
        (tmp_path / side).mkdir()
        settings = {"version": "v2", "breaking": {"use": ["WIRE"]}}
        (tmp_path / side / "buf.yaml").write_text(json.dumps(settings))
    for index, pair in enumerate(PAIRS):
        for side, text in (("old", pair.writer), ("new", pair.reader)):
            own = re.sub(r"package (\w);", rf"package \1_{index};", text)
            (tmp_path / side / f"pair_{index}.proto").write_text(own)
    command = [
        str(Path(sys.executable).with_name("buf")),
        "breaking",
        "new",
        "--against",
        "old",
        "--error-format",
        "json",
    ]
    completed = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=60)
    assert completed.stderr == ""
    broken = {json.loads(line)["path"] for line in completed.stdout.splitlines()}
    said = {pair.name: any(path.endswith(f"pair_{index}.proto") for path in broken) for index, pair in enumerate(PAIRS)}
    assert len(said) == len(PAIRS) >= 100
    assert {name for name, breaks in said.items() if breaks != bool(rules_of(name))} == set(BUF_SAYS_OTHERWISE)


def rules_of(name: str) -> tuple[str, ...]:
    """The rules that a pair breaks."""
    return next(pair.rules for pair in PAIRS if pair.name == name)


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if not pair.rules], ids=lambda pair: pair.name)
def test_what_is_compatible_is_read(pair: Pair) -> None:
    """The runtime reads every field that both know, from messages with all fields that can be set together."""
    writer, reader = linked(schema(pair.writer), {}), linked(schema(pair.reader), {})
    for name, message in writer.descriptor.message_types_by_name.items():
        for filled in fillings(message):
            read = GetMessageClass(reader.descriptor.message_types_by_name[name])()
            read.ParseFromString(filled.SerializeToString())
            known = {field.number for field in read.DESCRIPTOR.fields}
            unknown = UnknownFieldSet(read)
            assert not {unknown[index].field_number for index in range(len(unknown))} & known
            both = {field.number for field, _ in filled.ListFields()} & known
            assert {field.number for field, _ in read.ListFields()} == both


def fillings(message: Descriptor) -> list[Message]:
    """Messages with each field set; of a oneof, one after the other."""
    filled = []
    for chosen in range(max((len(each.fields) for each in message.oneofs), default=1)):
        one = GetMessageClass(message)()
        for field in message.fields:
            if field.containing_oneof is None or list(field.containing_oneof.fields).index(field) == chosen:
                fill(one, field)
        filled.append(one)
    return filled


def fill(message: Message, field: FieldDescriptor) -> None:
    """Set one field to something else than its default."""
    value = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, held = field.message_type.fields
        if held.message_type is not None:
            value[sample(key)].SetInParent()
        else:
            value[sample(key)] = sample(held)
    elif field.message_type is not None:
        (value.add() if field.is_repeated else value).SetInParent()
    elif field.is_repeated:
        value.append(sample(field))
    else:
        setattr(message, field.name, sample(field))


def sample(field: FieldDescriptor) -> object:
    """A value that is not the default."""
    kinds = {FieldDescriptor.TYPE_STRING: "é", FieldDescriptor.TYPE_BYTES: b"\xff", FieldDescriptor.TYPE_BOOL: True}
    return kinds.get(field.type, field.enum_type.values[-1].number if field.enum_type is not None else 1)


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair.rules], ids=lambda pair: pair.name)
def test_a_counterexample_can_be_written(pair: Pair) -> None:
    """It is a message of the writer, by its name, in Protobuf's text format; and every difference has one."""
    for each in verdict(pair.writer, pair.reader).differences:
        name, _, rest = str(each.counterexample).partition(" { ")
        text_format.Parse(rest.removesuffix("}"), message_class(pair.writer, name)())


def test_a_difference_says_everything() -> None:
    """Path, rule, both types, and a message that is written and not read."""
    (found,) = verdict(
        three("message Order { message Line { string sku = 1; } repeated Line lines = 1; }"),
        three("message Order { message Line { repeated int64 sku = 1; } repeated Line lines = 1; }"),
    ).differences[:1]
    assert (found.path, found.rule) == ("Order.Line.sku", "FIELD_SCALAR_KIND_CHANGED")
    assert (found.writer, found.reader) == ("string", "repeated int64")
    assert found.message == "number 1 is written as string, and read as repeated int64"
    assert found.counterexample == 'Order.Line { sku: "x" }'


def test_what_is_imported_is_compared() -> None:
    """A message of another file may change under one that did not; each side has its own references."""
    text = three('import "money.proto"; message Order { Money total = 1; }')
    old, new = (
        {"money.proto": schema(three(f"message Money {{ {kind} cents = 1; }}"))} for kind in ("int64", "string")
    )
    resolved: tuple[Resolved, Resolved] = (old, new)
    found = differences(schema(text), schema(text), resolved, "STRICT").differences
    assert [(each.path, each.rule) for each in found] == [("p.Money.cents", "FIELD_SCALAR_KIND_CHANGED")]
    assert differences(schema(text), schema(text), (old, old), "STRICT").compatible


def test_a_message_may_move_to_a_file_of_its_package() -> None:
    """Who imports it still knows it by its full name."""
    money = "message Money { int64 cents = 1; }"
    one = schema(three(f"message Order {{ Money total = 1; }} {money}"))
    other = schema(three('import "money.proto"; message Order { Money total = 1; }'))
    assert differences(one, other, ({}, {"money.proto": schema(three(money))}), "STRICT").compatible
