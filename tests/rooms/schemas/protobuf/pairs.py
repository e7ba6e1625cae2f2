"""Pairs of schemas with what is said of them, and where buf's category WIRE says otherwise."""

from typing import Final, NamedTuple


class Pair(NamedTuple):
    """What a writer and a reader have, and the rules that their differences break, in order."""

    name: str
    writer: str
    reader: str
    rules: tuple[str, ...] = ()


def three(body: str) -> str:
    """A file of proto3."""
    return f'syntax = "proto3";\npackage p;\n{body}\n'


def two(body: str) -> str:
    """A file of proto2."""
    return f'syntax = "proto2";\npackage p;\n{body}\n'


def field(name: str, writer: str, reader: str, rules: tuple[str, ...] = ()) -> Pair:
    """A message of proto3 with other members."""
    rest = "message N { int32 n = 1; } message O { int32 n = 1; } enum E { Z = 0; Y = 1; } enum F { A = 0; }"
    return Pair(name, three(f"message M {{ {writer} }} {rest}"), three(f"message M {{ {reader} }} {rest}"), rules)


def old(name: str, writer: str, reader: str, rules: tuple[str, ...] = ()) -> Pair:
    """A message of proto2 with other members."""
    rest = "message N { optional int32 n = 1; } enum E { Z = 0; Y = 1; } enum F { B = 0; C = 7; }"
    return Pair(name, two(f"message M {{ {writer} }} {rest}"), two(f"message M {{ {reader} }} {rest}"), rules)


KIND: Final = ("FIELD_KIND_CHANGED",)
SCALAR: Final = ("FIELD_SCALAR_KIND_CHANGED",)
NAMED: Final = ("FIELD_NAMED_TYPE_CHANGED",)
LABEL: Final = ("FIELD_NUMERIC_LABEL_CHANGED",)
NUMBER: Final = ("FIELD_NUMBER_CHANGED",)
REQUIRED: Final = ("REQUIRED_FIELD_ADDED",)
REMOVED: Final = ("MESSAGE_REMOVED",)
ONEOF_REMOVED: Final = ("ONEOF_FIELD_REMOVED",)
MOVED: Final = ("FIELD_MOVED_TO_EXISTING_ONEOF",)
MULTIPLE: Final = ("MULTIPLE_FIELDS_MOVED_TO_ONEOF",)
VALUE: Final = ("ENUM_VALUE_NUMBER_CHANGED",)

_SCALARS: Final = [
    ("int32", "int64", True),
    ("int64", "int32", True),
    ("int32", "uint32", True),
    ("uint64", "int32", True),
    ("bool", "int32", True),
    ("int64", "bool", True),
    ("sint32", "sint64", True),
    ("sint64", "sint32", True),
    ("fixed32", "sfixed32", True),
    ("sfixed32", "fixed32", True),
    ("fixed64", "sfixed64", True),
    ("sfixed64", "fixed64", True),
    ("string", "bytes", True),
    ("bytes", "string", False),
    ("int32", "sint32", False),
    ("sint32", "int32", False),
    ("sint64", "uint64", False),
    ("int32", "fixed32", False),
    ("fixed32", "int32", False),
    ("fixed32", "fixed64", False),
    ("fixed64", "fixed32", False),
    ("sfixed64", "int64", False),
    ("float", "double", False),
    ("double", "float", False),
    ("float", "fixed32", False),
    ("double", "fixed64", False),
    ("int32", "float", False),
    ("double", "int64", False),
    ("bool", "string", False),
    ("string", "int32", False),
    ("int32", "string", False),
    ("bytes", "int64", False),
    ("string", "double", False),
]

SCALAR_PAIRS: Final = [
    field(
        f"{one} read as {other}",
        f"{one} a = 1;",
        f"{other} a = 1;",
        () if same else SCALAR,
    )
    for one, other, same in _SCALARS
]

FIELD_PAIRS: Final = [
    field("nothing changes", "int32 a = 1; N n = 2;", "int32 a = 1; N n = 2;"),
    field("a field more", "int32 a = 1;", "int32 a = 1; string b = 2;"),
    field("a field less", "int32 a = 1; string b = 2;", "int32 a = 1;"),
    field("a field less, reserved", "int32 a = 1; string b = 2;", "reserved 2; int32 a = 1;"),
    field("the order of fields", "int32 a = 1; string b = 2;", "string b = 2; int32 a = 1;"),
    field("another name", "int32 a = 1;", "int32 b = 1;"),
    field("another name and type", "int32 a = 1;", "string b = 1;", SCALAR),
    field("two numbers change places", "int32 a = 1; string b = 2;", "string b = 1; int32 a = 2;", (*SCALAR, *SCALAR)),
    field("another number", "int32 a = 1;", "int32 a = 2;", NUMBER),
    field("another number, the old one reserved", "int32 a = 1;", "reserved 1; string a = 2;"),
    field("another number, the reader's reserved", "reserved 1; string a = 2;", "int32 a = 1;"),
    field("a scalar becomes a message", "int32 a = 1;", "N a = 1;", KIND),
    field("a message becomes a scalar", "N a = 1;", "int32 a = 1;", KIND),
    field("a message becomes bytes", "N a = 1;", "bytes a = 1;", KIND),
    field("bytes become a message", "bytes a = 1;", "N a = 1;", KIND),
    field("a string becomes a message", "string a = 1;", "N a = 1;", KIND),
    field("another message", "N a = 1;", "O a = 1;", NAMED),
    field("an enum becomes an int32", "E a = 1;", "int32 a = 1;"),
    field("an enum becomes a uint64", "E a = 1;", "uint64 a = 1;"),
    field("an enum becomes a sint32", "E a = 1;", "sint32 a = 1;", KIND),
    field("an enum becomes a string", "E a = 1;", "string a = 1;", KIND),
    field("an enum becomes a bool", "E a = 1;", "bool a = 1;", KIND),
    field("an int32 becomes an enum", "int32 a = 1;", "E a = 1;"),
    field("a string becomes an enum", "string a = 1;", "E a = 1;", KIND),
    field("an enum becomes a message", "E a = 1;", "N a = 1;", KIND),
    field("another enum", "E a = 1;", "F a = 1;", NAMED),
    field("presence is known", "int32 a = 1;", "optional int32 a = 1;"),
    field("presence is not known", "optional int32 a = 1;", "int32 a = 1;"),
    field("a number becomes several", "int32 a = 1;", "repeated int32 a = 1;", LABEL),
    field("numbers become one", "repeated int32 a = 1;", "int32 a = 1;", LABEL),
    field("an enum becomes several", "E a = 1;", "repeated E a = 1;", LABEL),
    field("bools become one", "repeated bool a = 1;", "bool a = 1;", LABEL),
    field("a string becomes several", "string a = 1;", "repeated string a = 1;"),
    field("strings become one", "repeated string a = 1;", "string a = 1;"),
    field("bytes become several", "bytes a = 1;", "repeated bytes a = 1;"),
    field("a message becomes several", "N a = 1;", "repeated N a = 1;"),
    field("messages become one", "repeated N a = 1;", "N a = 1;"),
    field("strings become one number", "repeated string a = 1;", "int32 a = 1;", (*SCALAR, *LABEL)),
    field("packed or not", "repeated int32 a = 1;", "repeated int32 a = 1 [packed = false];"),
    field("a map more", "int32 a = 1;", "int32 a = 1; map<string, N> b = 2;"),
    field("a map less", "map<string, N> b = 2;", ""),
    field("a map's wider keys", "map<int32, N> a = 1;", "map<int64, N> a = 1;"),
    field("a map's other keys", "map<int32, N> a = 1;", "map<string, N> a = 1;", SCALAR),
    field("a map's other values", "map<string, int32> a = 1;", "map<string, string> a = 1;", SCALAR),
    field("a map's other messages", "map<string, N> a = 1;", "map<string, O> a = 1;", NAMED),
    field("a map's values become messages", "map<string, int32> a = 1;", "map<string, N> a = 1;", KIND),
    field("a map becomes messages", "map<string, int32> a = 1;", "repeated N a = 1;", KIND),
    field("messages become a map", "repeated N a = 1;", "map<string, int32> a = 1;", KIND),
    field("a map becomes a number", "map<string, int32> a = 1;", "int32 a = 1;", KIND),
    field("the name in JSON", 'int32 a = 1 [json_name = "x"];', "int32 a = 1;"),
    field("an option", "int32 a = 1 [deprecated = true];", "int32 a = 1;"),
    field("less is reserved", "reserved 5; reserved 'x';", ""),
    field("more is reserved", "", "reserved 5; reserved 'x';"),
]

ONEOF_PAIRS: Final = [
    field("a oneof more", "int32 a = 1;", "int32 a = 1; oneof o { int32 b = 2; int32 c = 3; }"),
    field("a oneof less", "int32 a = 1; oneof o { int32 b = 2; int32 c = 3; }", "int32 a = 1;"),
    field("a choice more", "oneof o { int32 a = 1; }", "oneof o { int32 a = 1; int32 b = 2; }"),
    field("a choice less", "oneof o { int32 a = 1; int32 b = 2; }", "oneof o { int32 a = 1; }", ONEOF_REMOVED),
    field(
        "a choice less, reserved",
        "oneof o { int32 a = 1; int32 b = 2; }",
        "reserved 2; oneof o { int32 a = 1; }",
        ONEOF_REMOVED,
    ),
    field("another name of a oneof", "oneof o { int32 a = 1; }", "oneof other { int32 a = 1; }"),
    field("a choice of another type", "oneof o { int32 a = 1; }", "oneof o { string a = 1; }", SCALAR),
    field("one field into a new oneof", "int32 a = 1;", "oneof o { int32 a = 1; int32 b = 2; }"),
    field("an optional field into a new oneof", "optional int32 a = 1;", "oneof o { int32 a = 1; int32 b = 2; }"),
    field("two fields into a oneof", "int32 a = 1; int32 b = 2;", "oneof o { int32 a = 1; int32 b = 2; }", MULTIPLE),
    field(
        "three fields into a oneof",
        "int32 a = 1; N b = 2; string c = 3;",
        "oneof o { int32 a = 1; N b = 2; string c = 3; }",
        MULTIPLE,
    ),
    field(
        "a field into a oneof that was there",
        "oneof o { int32 a = 1; } int32 b = 2;",
        "oneof o { int32 a = 1; int32 b = 2; }",
        MOVED,
    ),
    field(
        "two oneofs into one",
        "oneof o { int32 a = 1; } oneof q { int32 b = 2; }",
        "oneof o { int32 a = 1; int32 b = 2; }",
        MOVED,
    ),
    field(
        "one oneof into two",
        "oneof o { int32 a = 1; int32 b = 2; }",
        "oneof o { int32 a = 1; } oneof q { int32 b = 2; }",
    ),
    field("choices become fields", "oneof o { int32 a = 1; int32 b = 2; }", "int32 a = 1; int32 b = 2;"),
    field("a choice becomes a field", "oneof o { int32 a = 1; int32 b = 2; }", "oneof o { int32 a = 1; } int32 b = 2;"),
]

FILE_PAIRS: Final = [
    Pair("a message more", three("message M {}"), three("message M {} message N {}")),
    Pair("a message less", three("message M {} message N {}"), three("message M {}"), REMOVED),
    Pair("the order of messages", three("message M {} message N {}"), three("message N {} message M {}")),
    Pair("a nested message less", three("message M { message N {} }"), three("message M {}"), REMOVED),
    Pair(
        "a message with nested ones less",
        three("message M { message N {} } message O {}"),
        three("message O {}"),
        REMOVED,
    ),
    Pair("a message moves in", three("message M {} message N {}"), three("message M { message N {} }"), REMOVED),
    Pair("a message moves out", three("message M { message N {} }"), three("message M {} message N {}"), REMOVED),
    Pair(
        "another name of a message",
        three("message M { N n = 1; } message N {}"),
        three("message M { O n = 1; } message O {}"),
        (*REMOVED, *NAMED),
    ),
    Pair("an enum more", three("message M {}"), three("message M {} enum E { Z = 0; }")),
    Pair("an enum less", three("message M {} enum E { Z = 0; }"), three("message M {}")),
    Pair("a service more", three("message M {}"), three("message M {} service S { rpc A (M) returns (M); }")),
    Pair("a service less", three("message M {} service S { rpc A (M) returns (M); }"), three("message M {}")),
    Pair(
        "another package",
        three("message M { M m = 1; }"),
        three("message M { M m = 1; }").replace("package p", "package q"),
    ),
    Pair("an option of the file", three("option java_package = 'a'; message M {}"), three("message M {}")),
    Pair("nothing is left", three("message M {}"), three(""), REMOVED),
    Pair(
        "a message that contains itself",
        three("message M { M m = 1; repeated N n = 2; } message N { M m = 1; int32 a = 2; }"),
        three("message M { M m = 1; repeated N n = 2; } message N { M m = 1; string a = 2; }"),
        SCALAR,
    ),
    Pair(
        "deep down",
        three("message M { message N { message O { int32 a = 1; } O o = 1; } N n = 1; }"),
        three("message M { message N { message O { string a = 1; } O o = 1; } N n = 1; }"),
        SCALAR,
    ),
    Pair("proto2 becomes proto3", two("message M { optional int32 a = 1; }"), three("message M { int32 a = 1; }")),
    Pair(
        "proto3 becomes proto2",
        three("message M { repeated int32 a = 1; }"),
        two("message M { repeated int32 a = 1; }"),
    ),
]

ENUM_PAIRS: Final = [
    Pair(
        name,
        three(f"message M {{ E e = 1; }} enum E {{ {one} }}"),
        three(f"message M {{ E e = 1; }} enum E {{ {two_} }}"),
        rules,
    )
    for name, one, two_, rules in [
        ("a value more", "Z = 0;", "Z = 0; Y = 1;", ()),
        ("a value less", "Z = 0; Y = 1;", "Z = 0;", ()),
        ("a value less, reserved", "Z = 0; Y = 1;", "reserved 1; Z = 0;", ()),
        ("another name of a value", "Z = 0; Y = 1;", "Z = 0; X = 1;", ()),
        ("another number of a value", "Z = 0; Y = 1;", "Z = 0; Y = 2;", VALUE),
        ("another number of a value, the old one reserved", "Z = 0; Y = 1;", "reserved 1; Z = 0; Y = 2;", ()),
        ("two values change places", "Z = 0; Y = 1; X = 2;", "Z = 0; Y = 2; X = 1;", (*VALUE, *VALUE)),
        ("an alias more", "Z = 0; Y = 1;", "option allow_alias = true; Z = 0; Y = 1; X = 1;", ()),
        ("less is reserved in an enum", "reserved 9; Z = 0;", "Z = 0;", ()),
    ]
]

OLD_PAIRS: Final = [
    old("a required field more", "optional int32 a = 1;", "optional int32 a = 1; required int32 b = 2;", REQUIRED),
    old("a required field less", "optional int32 a = 1; required int32 b = 2;", "optional int32 a = 1;"),
    old("a field becomes required", "optional int32 a = 1;", "required int32 a = 1;", REQUIRED),
    old("a field is required no more", "required int32 a = 1;", "optional int32 a = 1;"),
    old("a required field stays", "required int32 a = 1;", "required int32 a = 1;"),
    old("a repeated field becomes required", "repeated string a = 1;", "required string a = 1;", REQUIRED),
    old("another default", "optional int32 a = 1 [default = 3];", "optional int32 a = 1 [default = 4];"),
    old("a group more", "", "optional group G = 1 { optional int32 a = 1; }"),
    old(
        "a group of other fields",
        "optional group G = 1 { optional int32 a = 1; }",
        "optional group G = 1 { optional string a = 1; }",
        SCALAR,
    ),
    old("a group becomes a message", "optional group G = 1 {}", "message G {} optional G g = 1;", KIND),
    old("a message becomes a group", "message G {} optional G g = 1;", "optional group G = 1 {}", KIND),
    old("an int32 becomes a closed enum", "optional int32 a = 1;", "optional E a = 1;", KIND),
    old("a closed enum becomes an int32", "optional E a = 1;", "optional int32 a = 1;"),
    Pair(
        "a closed enum knows less",
        two("message M { optional E e = 1; } enum E { Z = 0; Y = 1; }"),
        two("message M { optional E e = 1; } enum E { Z = 0; }"),
        ("ENUM_VALUE_REMOVED",),
    ),
    Pair(
        "a closed enum knows more",
        two("message M { optional E e = 1; } enum E { Z = 0; }"),
        two("message M { optional E e = 1; } enum E { Z = 0; Y = 1; }"),
    ),
    Pair(
        "an enum is closed",
        three("message M { E e = 1; } enum E { Z = 0; Y = 1; }"),
        two("message M { optional E e = 1; } enum E { Z = 0; }"),
        ("ENUM_VALUE_REMOVED",),
    ),
    old("numbers for extensions", "extensions 100 to 200;", ""),
    old("packed", "repeated int32 a = 1;", "repeated int32 a = 1 [packed = true];"),
]

PAIRS: Final = [*SCALAR_PAIRS, *FIELD_PAIRS, *ONEOF_PAIRS, *FILE_PAIRS, *ENUM_PAIRS, *OLD_PAIRS]

BUF_SAYS_OTHERWISE: Final = {
    "a field less": (_UNRESERVED := "buf wants its number reserved; a reader passes over what it does not know"),
    "a map less": _UNRESERVED,
    "a oneof less": _UNRESERVED,
    "a value less": _UNRESERVED,
    "another number, the reader's reserved": "the other direction of a number that was replaced as it should be",
    "an enum becomes an int32": (_ENUM := "Protobuf's documentation has them as compatible"),
    "an enum becomes a uint64": _ENUM,
    "an int32 becomes an enum": _ENUM,
    "a closed enum becomes an int32": _ENUM,
    "a string becomes several": (_LABEL := "Protobuf's documentation has them as compatible: the last one counts"),
    "strings become one": _LABEL,
    "bytes become several": _LABEL,
    "a message becomes several": _LABEL,
    "messages become one": _LABEL,
    "less is reserved": (_NO_BYTES := "nothing in the bytes changes"),
    "less is reserved in an enum": _NO_BYTES,
    "another package": _NO_BYTES,
    "another default": _NO_BYTES,
    "another name of a oneof": _NO_BYTES,
    "one field into a new oneof": (_NOTHING_LOST := "whatever was written is found"),
    "an optional field into a new oneof": _NOTHING_LOST,
    "one oneof into two": _NOTHING_LOST,
    "choices become fields": _NOTHING_LOST,
    "a choice becomes a field": _NOTHING_LOST,
    "a required field less": _NOTHING_LOST,
    "a field is required no more": _NOTHING_LOST,
    "a choice less, reserved": "a reader that asks which choice was made is told: none",
    "a message less": (_NO_READER := "a topic may hold any message of the file, and buf looks at fields alone"),
    "a nested message less": _NO_READER,
    "a message with nested ones less": _NO_READER,
    "a message moves in": _NO_READER,
    "a message moves out": _NO_READER,
    "nothing is left": _NO_READER,
    "two values change places": "buf looks at numbers, and both are still there",
}
"""Where ``buf breaking`` refuses what is taken here, or takes what is refused; and why."""
