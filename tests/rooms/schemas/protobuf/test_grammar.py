"""Texts of .proto files: read as protoc reads them, refused with their place, printed in one form."""

from base64 import b64encode
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.message import Message

from mainstem.errors import SchemaRefused
from mainstem.schemas.documents import Reference, Schema
from mainstem.schemas.protobuf import GRAMMAR, serialized
from mainstem.schemas.protobuf.files import linked
from mainstem.schemas.protobuf.language import TEXT_SIZE_BYTES
from tests.rooms.schemas.protobuf.protoc import compiled
from tests.rooms.schemas.protobuf.texts import ORDER, RIGHT, WRONG, Wrong


def schema(text: str) -> Schema:
    """A schema without references."""
    return Schema(text, "PROTOBUF")


def without_additions(file: FileDescriptorProto) -> FileDescriptorProto:
    """A file without what protoc adds: names in JSON, and custom options in bytes where we keep them as written."""
    plain = FileDescriptorProto()
    plain.CopyFrom(file)
    plain.ClearField("source_code_info")
    if plain.syntax == "proto2":
        plain.ClearField("syntax")
    for message in plain.message_type:
        _strip(message)
    for extension in plain.extension:
        extension.ClearField("json_name")
    return plain


def _strip(message: DescriptorProto) -> None:
    for field in (*message.field, *message.extension):
        field.ClearField("json_name")
        if _custom(field.options):
            field.ClearField("options")
    for nested in message.nested_type:
        _strip(nested)


def _custom(options: Message) -> bool:
    known = type(options)()
    known.CopyFrom(options)
    known.DiscardUnknownFields()
    return known != options or any(field.name == "uninterpreted_option" for field, _ in options.ListFields())


@pytest.mark.parametrize("name", RIGHT)
def test_a_text_is_read_as_protoc_reads_it(name: str, tmp_path: Path) -> None:
    """Every name, number, label, type, default and option is the same."""
    theirs = compiled(tmp_path, RIGHT[name])
    assert theirs is not None
    assert without_additions(linked(schema(RIGHT[name]), {}).file) == without_additions(theirs)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.what[:40])
def test_what_is_wrong_is_refused_with_its_place(wrong: Wrong, tmp_path: Path) -> None:
    """And protoc refuses it as well, unless the rule is a bound of ours."""
    with pytest.raises(SchemaRefused) as refused:
        GRAMMAR.check(schema(wrong.text), {})
    assert wrong.what in refused.value.what
    assert refused.value.where.startswith(wrong.where)
    assert wrong.ours or compiled(tmp_path, wrong.text) is None


@pytest.mark.parametrize("name", RIGHT)
def test_the_normal_form_says_the_same(name: str) -> None:
    """It is a schema, its own normal form, and reads as what it was made of, but for the order of fields."""
    normal = GRAMMAR.normal(schema(RIGHT[name]), {})
    GRAMMAR.check(schema(normal), {})
    assert GRAMMAR.normal(schema(normal), {}) == normal


def test_the_normal_form_is_one_for_all_orders_and_spellings() -> None:
    """Comments, spaces, the order of fields, options and imports, and how a type is named, make no difference."""
    one = """syntax = "proto3"; package p; import "google/protobuf/any.proto"; import "google/protobuf/empty.proto";
      option java_package = "x"; option deprecated = false;
      message M { string a = 1 [deprecated = true, json_name = "z"]; N n = 2; map<int32, N> by = 3; enum E { Z = 0;
      Y = 1; X = 2; } oneof o { int32 p = 5; int32 q = 6; } } message N {}"""
    other = """syntax = 'proto3'; // said otherwise
      import "google/protobuf/empty.proto"; import "google/protobuf/any.proto"; package p;
      message M { oneof o { int32 q = 6; int32 p = 5; } map<int32, .p.N> by = 3; enum E { Z = 0; X = 0x2; Y = 1; }
      p.N n = 02; string a = 1 [json_name = "z", deprecated = true]; } message N {}
      option deprecated = false; option java_package = "x";"""
    assert GRAMMAR.normal(schema(one), {}) == GRAMMAR.normal(schema(other), {})


def test_the_order_of_messages_is_kept() -> None:
    """The framing of a registry names a message by its index, so another order is another schema."""
    text = 'syntax = "proto3"; message B { message D {} map<int32, int32> m = 1; message C {} C c = 2; } message A {}'
    before = linked(schema(text), {}).file
    after = linked(schema(GRAMMAR.normal(schema(text), {})), {}).file
    assert [each.name for each in after.message_type] == ["B", "A"]
    assert [each.name for each in before.message_type[0].nested_type] == ["D", "MEntry", "C"]
    assert [each.name for each in after.message_type[0].nested_type] == ["D", "MEntry", "C"]


def test_the_plain_form_keeps_what_a_reader_sees() -> None:
    """Comments and order stay; spaces at the ends of lines, and other ends of lines, mean nothing."""
    assert GRAMMAR.plain(schema("\ufeff\n" + ORDER.replace("\n", "  \r\n") + "\n\n")) == ORDER


def test_references_are_imports() -> None:
    """A file is found by the name it is imported with; what it imports publicly is seen too, and only that."""
    resolved = {
        "a.proto": schema('syntax = "proto3"; package a; import public "b.proto"; import "c.proto"; message A {}'),
        "b.proto": schema('syntax = "proto3"; package b; message B {}'),
        "c.proto": schema('syntax = "proto3"; package c; message C {}'),
    }
    text = 'syntax = "proto3"; import "a.proto"; message M {{ a.A a = 1; b.B b = 2; {} }}'
    GRAMMAR.check(Schema(text.format(""), "PROTOBUF", (Reference("a.proto", "a", 1),)), resolved)
    with pytest.raises(SchemaRefused, match=r"there is no type c\.C in M"):
        GRAMMAR.check(schema(text.format("c.C c = 3;")), resolved)
    with pytest.raises(SchemaRefused, match=r"c\.proto is not known") as refused:
        GRAMMAR.check(schema(text.format("")), {name: resolved[name] for name in ("a.proto", "b.proto")})
    assert refused.value.where == "a.proto, line 1, column 63"


def test_a_circle_of_imports_is_refused() -> None:
    """With its names, in order."""
    resolved = {
        "a.proto": schema('import "b.proto";'),
        "b.proto": schema('import "a.proto";'),
    }
    with pytest.raises(SchemaRefused, match=r"a\.proto → b\.proto → a\.proto"):
        GRAMMAR.check(schema('import "a.proto";'), resolved)


def test_a_long_chain_of_imports_is_refused() -> None:
    """Before it is too deep for anybody to follow."""
    resolved = {f"{index}.proto": schema(f'import "{index + 1}.proto";') for index in range(1_000)}
    with pytest.raises(SchemaRefused, match="256 files"):
        GRAMMAR.check(schema('import "0.proto";'), resolved)


@pytest.mark.parametrize("name", [name for name, text in RIGHT.items() if text.strip(";")])
def test_a_descriptor_in_base64_is_the_text_it_stands_for(name: str, tmp_path: Path) -> None:
    """confluent-kafka's client registers what protoc has made; it has the normal form of the text."""
    theirs = compiled(tmp_path, RIGHT[name])
    assert theirs is not None
    text = b64encode(theirs.SerializeToString()).decode()
    GRAMMAR.check(schema(text), {})
    if name != "old":  # its custom options are bytes by now
        assert GRAMMAR.normal(schema(text), {}) == GRAMMAR.normal(schema(RIGHT[name]), {})
        GRAMMAR.check(schema(GRAMMAR.plain(schema(text))), {})


def test_custom_options_of_a_descriptor_are_not_lost(tmp_path: Path) -> None:
    """Only their declarations explain them, so what was registered is stored as it came."""
    theirs = compiled(tmp_path, RIGHT["old"])
    assert theirs is not None
    text = b64encode(theirs.SerializeToString()).decode()
    assert GRAMMAR.plain(schema(text)) == text


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_serialized_is_read_again(name: str) -> None:
    """As a registry answers to ``format=serialized``, for clients that know no text."""
    text = serialized(schema(RIGHT[name]), {})
    assert GRAMMAR.normal(schema(text), {}) == GRAMMAR.normal(schema(RIGHT[name]), {})


@pytest.mark.parametrize("text", ["AAAA", "a===", "////", "not base64", "CgA=" * 3, "0" * 30, " ", "\x00", "\ud800"])
def test_what_is_no_schema_is_refused(text: str) -> None:
    """Whatever it is: neither text nor descriptor; an empty one says nothing, and is a file."""
    if text == " ":
        GRAMMAR.check(schema(text), {})
        return
    with pytest.raises(SchemaRefused):
        GRAMMAR.check(schema(text), {})


def test_what_is_too_long_is_refused() -> None:
    """Before it is read."""
    for text in (" " * (TEXT_SIZE_BYTES + 1), "A" * (TEXT_SIZE_BYTES + 4)):
        with pytest.raises(SchemaRefused, match="longer than 1000000 bytes"):
            GRAMMAR.check(schema(text), {})


def test_another_format_is_refused() -> None:
    """A schema in Avro is none in Protobuf."""
    with pytest.raises(SchemaRefused, match="its format is AVRO"):
        GRAMMAR.check(Schema('"int"'), {})
