"""Texts of .proto files: right ones that between them use the whole language, and wrong ones with what is wrong."""

from typing import Final, NamedTuple

ORDER = """// Orders, as the shop writes them.
syntax = "proto3";

package shop.orders.v1;

import "google/protobuf/timestamp.proto";
import public 'google/protobuf/duration.proto';

option java_package = "com.example." "shop"; /* two texts are one */
option java_multiple_files = true;
option optimize_for = CODE_SIZE;

message Order {
  reserved 4, 6 to 8, 1000 to max;
  reserved "total", "paid";

  string order_id = 0x1 [deprecated = true, json_name = "id"];
  optional int32 amount_cents = 2;
  map<string, .shop.orders.v1.Order.Line> lines_by_sku = 3;
  oneof payment {
    Card card = 5;
    google.protobuf.Timestamp paid_at = 9;
    string voucher = 014;
  }
  repeated Colour colours = 10 [packed = false];
  google.protobuf.Duration took = 11;
  bytes _picture = 15;
  optional bool gift = 16;

  message Line {
    string sku = 1;
    sint64 quantity = 2;
    Order bundle = 3;
    message Note { string text = 1; }
    repeated Note notes = 4;
  }
  enum Colour {
    option allow_alias = true;
    reserved 7, 100 to max, -5 to -3;
    reserved "MAUVE";
    COLOUR_UNSPECIFIED = 0;
    RED = 1;
    CRIMSON = 1 [deprecated = true];
    NEGATIVE = -1;
  }
};

message Card { fixed64 number = 1; double limit = 2; float rate = 3; sfixed32 a = 4; uint64 message_count = 5; }

service Orders {
  option deprecated = true;
  rpc Watch (stream Order) returns (stream .shop.orders.v1.Card) { option idempotency_level = IDEMPOTENT; }
  rpc Get (Card) returns (Order);
}
"""

OLD = r"""package legacy;
import "google/protobuf/descriptor.proto";

message Thing {
  required string name = 1 [default = "a \"quoted\"\n\x41\101 \u00e4"];
  optional bytes raw = 2 [default = "\001\xff'"];
  optional double ratio = 3 [default = -1.5e3];
  optional float far = 4 [default = inf];
  optional int32 count = 5 [default = -0x10];
  optional Kind kind = 6 [default = SMALL];
  optional bool on = 7 [default = true];
  repeated group Part = 8 { optional int32 size = 1; optional group Deep = 2 { optional string x = 1; } }
  oneof choice { string text = 9; group Box = 10 { optional uint32 width = 1; } }
  extensions 100 to 199, 500 to max;
  enum Kind { SMALL = 5; LARGE = -2; }
  extend Thing { optional string nested_extra = 150; }
  optional double small = 11 [default = 1e-7];
  optional double big = 12 [default = 12345678901234567890];
}
extend Thing { optional string extra = 120; repeated int32 extras = 121 [packed = true]; }
extend google.protobuf.FieldOptions { optional string secret = 50001; optional Thing about = 50002; }
message Marked {
  optional string a = 1 [(secret) = "x", (legacy.about) = { name: "n" count: 3 }, ctype = CORD];
  optional string message_ = 2 [(about).name = "y", lazy = false];
}
"""

EDITION = """edition = "2023";
package modern;
option features.field_presence = IMPLICIT;
message M {
  reserved gone, away;
  int32 a = 1 [features.field_presence = EXPLICIT, default = 4];
  string b = 2;
  repeated int32 c = 3 [features = { repeated_field_encoding: EXPANDED }];
  M d = 4 [features.message_encoding = DELIMITED];
  enum E { option features.enum_type = CLOSED; A = 1; }
}
"""

SCOPES = """syntax = "proto3";
package a.b.a;
message M { message a { message N {} } a.N n = 1; .a.b.a.M m = 2; b.a.M o = 3; M p = 4; Out.In q = 5; }
message Out { message In { In self = 1; Out out = 2; } }
"""

RIGHT: Final = {"order": ORDER, "old": OLD, "edition": EDITION, "scopes": SCOPES, "empty": "", "nothing": ";;"}


class Wrong(NamedTuple):
    """A text, what is said of it, and where; protoc refuses it too unless ``ours`` says that this rule is ours."""

    text: str
    what: str
    where: str
    ours: bool = False


_MESSAGE = 'syntax = "proto3";\nmessage M {{\n  {}\n}}'
_OLD_MESSAGE = "message M {{\n  {}\n}}"


def _in_message(body: str, what: str, where: str) -> Wrong:
    return Wrong(_MESSAGE.format(body), what, where)


def _in_old_message(body: str, what: str, where: str) -> Wrong:
    return Wrong(_OLD_MESSAGE.format(body), what, where)


WRONG: Final = [
    Wrong("hello", "message, enum, service, extend, import, package or option is expected", "line 1, column 1"),
    Wrong('syntax = "proto4";', "there is no syntax 'proto4'", "line 1, column 10"),
    Wrong('edition = "1999";', "there is no edition '1999'", "line 1, column 11"),
    Wrong("package a;\npackage b;", "a second package", "line 2, column 1"),
    Wrong('import "gone.proto";', "gone.proto is not known", "line 1, column 8"),
    Wrong('import "google/protobuf/any.proto";\nimport "google/protobuf/any.proto";', "imported twice", "line 2"),
    Wrong("message M {", "the text ends here", "line 1, column 12"),
    Wrong("message M { /* never closed", "a comment is not closed", "line 1, column 13"),
    Wrong("message { }", "the name of a message is expected", "line 1, column 9"),
    Wrong("option java_package = 'x;\n", "a text in quotes is not closed", "line 1, column 23"),
    Wrong("option java_package = 3;", "a text in quotes is expected", "line 1, column 23"),
    Wrong("option java_package = '\\q';", "is no escape", "line 1, column 23"),
    Wrong("option no_such = 3;", "there is no option no_such", "line 1, column 8"),
    Wrong("option optimize_for = FAST;", "is one of SPEED, CODE_SIZE, LITE_RUNTIME, not FAST", "line 1, column 23"),
    Wrong("option deprecated = 1;", "true or false", "line 1, column 21"),
    Wrong("option deprecated = true;\noption deprecated = true;", "set twice", "line 2, column 8"),
    Wrong("option java_package.x = 1;", "has no parts", "line 1"),
    Wrong("message M {}\nmessage M {}", "M is declared twice", "line 2, column 9"),
    Wrong("message M {}\nenum M { A = 0; }", "M is declared twice", "line 2, column 6"),
    Wrong("enum A { X = 0; }\nenum B { X = 0; }", "X is declared twice", "line 2, column 10"),
    Wrong("enum E { }", "has no values", "line 1, column 6"),
    Wrong("enum E { A = 1; B = 1; }", "are both 1", "line 1, column 17"),
    Wrong("enum E { A = 2147483648; }", "is no number of an enum", "line 1, column 14"),
    Wrong("enum E { reserved 3; A = 3; }", "the number 3 of A is reserved", "line 1, column 6"),
    Wrong("enum E { reserved 'A'; A = 3; }", "the name A is reserved", "line 1, column 24"),
    Wrong('syntax = "proto3";\nenum E { A = 1; }', "the first value of E is 1", "line 2, column 10"),
    Wrong("service S { rpc A (M) returns (M); }", "there is no type M", "line 1, column 17"),
    Wrong("service S { message M {} }", "rpc or option is expected", "line 1, column 13"),
    Wrong("message M {}\nextend M { optional int32 a = 5; }", "does not keep the number 5", "line 2, column 27"),
    Wrong("extend M { optional int32 a = 5; }", "there is no type M", "line 1, column 27"),
    Wrong("message M { extensions 1 to max; } extend M { }", "adds nothing", "line 1, column 36"),
    _in_message("string a = 1", "; is expected", "line 4, column 1"),
    _in_message("string a;", "= is expected", "line 3, column 11"),
    _in_message("string a = b;", "a whole number is expected", "line 3, column 14"),
    _in_message("string a = 1b;", "neither a number nor a name", "line 3, column 14"),
    _in_message("string a = 08;", "no octal number", "line 3, column 14"),
    _in_message("string a = 0;", "0 is no field number", "line 3, column 14"),
    _in_message("string a = 536870912;", "is no field number", "line 3, column 14"),
    _in_message("string a = 19500;", "has the number 19500", "line 3, column 10"),
    _in_message("string a = 1;\n  int32 a = 2;", "M.a is declared twice", "line 4, column 9"),
    _in_message("string a = 1;\n  int32 b = 1;", "have the number 1", "line 4, column 9"),
    _in_message("string a_b = 1;\n  int32 aB = 2;", "are both aB in JSON", "line 4, column 9"),
    _in_message("reserved 1 to 5;\n  int32 b = 5;", "the number 5 of b is reserved", "line 4, column 9"),
    _in_message("reserved 'b';\n  int32 b = 5;", "the name b is reserved", "line 4, column 9"),
    _in_message("reserved 1 to 5, 5;", "reserves 5 twice", "line 2, column 9"),
    _in_message("reserved 5 to 1;", "is no range", "line 3, column 12"),
    _in_message("required int32 b = 5;", "there is no required in proto3", "line 3"),
    _in_message("int32 b = 5 [default = 3];", "has a default", "line 3, column 9"),
    _in_message("repeated group B = 5 { }", "there are no groups in proto3", "line 3"),
    _in_message("extensions 5;", "has numbers for extensions", "line 2, column 9"),
    _in_message("Nope b = 5;", "there is no type Nope in M", "line 3, column 8"),
    _in_message("a.Nope b = 5;\n  message a {}", "there is no type a.Nope in M", "line 3, column 10"),
    _in_message("b c = 5;\n  int32 b = 1;", "there is no type b in M", "line 3, column 5"),
    _in_message("map<float, int32> b = 5;", "float cannot be the key of a map", "line 3, column 7"),
    _in_message("repeated map<int32, int32> b = 5;", "a map cannot be repeated", "line 3, column 3"),
    _in_message("oneof a { }", "the oneof a has no fields", "line 3, column 9"),
    _in_message("oneof a { repeated int32 b = 1; }", "a field of a oneof cannot be repeated", "line 3, column 13"),
    _in_message("oneof a { map<int32, int32> b = 1; }", "a map cannot stand here", "line 3, column 13"),
    _in_message("int32 b = 5 [json_name = 3];", "a text in quotes is expected", "line 3, column 28"),
    _in_message("int32 b = 5 [(x) = { a: [1 } ];", "the bracket that closes the last one", "line 3, column 30"),
    _in_message("oneof a { int32 b = 1; }\n  oneof a { int32 c = 2; }", "M.a is declared twice", "line 4, column 9"),
    _in_old_message("int32 a = 1;", "says whether it is optional", "line 2, column 3"),
    _in_old_message("optional int32 a = 1 [default = 1.5];", "is a whole number", "line 2, column 35"),
    _in_old_message("repeated int32 a = 1 [default = 1];", "a repeated field has no default", "line 2, column 35"),
    _in_old_message("optional bool a = 1 [default = 1];", "is no value of this field", "line 2, column 34"),
    _in_old_message("optional group small = 1 { }", "does not begin with a capital letter", "line 2, column 18"),
    _in_old_message("extensions 4 to 9;\n  optional int32 a = 5;", "is kept for extensions", "line 3, column 18"),
    Wrong("message M { " * 40 + "}" * 40, "nested deeper than 32", "line 1, column", ours=True),
    Wrong("option (x) = " + "{a: " * 40 + "1" + "}" * 40 + ";", "nested deeper than 32", "line 1", ours=True),
]
