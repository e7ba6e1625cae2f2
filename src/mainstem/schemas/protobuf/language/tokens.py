"""The words of a .proto text, and where each of them stands."""

import re
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, TypeAlias

from mainstem.errors import SchemaRefused

TEXT_SIZE_BYTES: Final = 1_000_000
"""A registry takes no longer text. Reading one of this length takes about two seconds."""

TokenKind: TypeAlias = Literal["word", "integer", "float", "text", "symbol", "end"]

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+)
      | (?P<comment>//[^\n]*|/\*.*?\*/)
      | (?P<unclosed>/\*)
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<float>(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+)
      | (?P<integer>0[xX][0-9a-fA-F]+|[0-9]+)
      | (?P<text>"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*')
      | (?P<symbol>[;,.:={}()\[\]<>/+-])
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_ESCAPE: Final = re.compile(
    rb"\\(?:([abfnrtv\\'\"?])|([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL
)
_NAMED: Final = dict(zip(b"abfnrtv\\'\"?", b"\a\b\f\n\r\t\v\\'\"?", strict=True))


class Place(NamedTuple):
    """A line and a column of a text, both counted from 1; and the file, if it is not the one that was asked about."""

    line: int
    column: int
    file: str = ""

    def __str__(self) -> str:
        return (f"{self.file}, " if self.file else "") + f"line {self.line}, column {self.column}"


class Token(NamedTuple):
    """A word, number, text or sign. ``comment`` is what stands in front of it, without its slashes and stars."""

    kind: TokenKind
    text: str
    place: Place
    comment: str = ""


def tokens_of(text: str) -> list[Token]:
    """The tokens of a text, ``end`` last. Raises ``SchemaRefused`` where no token begins."""
    if len(text) > TEXT_SIZE_BYTES or len(text.encode("utf-8", "surrogatepass")) > TEXT_SIZE_BYTES:
        raise SchemaRefused(
            f"the schema is longer than {TEXT_SIZE_BYTES} bytes",
            remedy="split it into files, and refer from one to the other",
        )
    return list(_scan(text.removeprefix("\ufeff")))


def _scan(text: str) -> Iterator[Token]:
    line, line_start, position = 1, 0, 0
    comments: list[str] = []
    while position < len(text):
        place = Place(line, position - line_start + 1)
        match = _TOKEN.match(text, position)
        if match is None:
            raise _unreadable(text, position, place)
        kind, found = str(match.lastgroup), match.group()
        position = match.end()
        if newlines := found.count("\n"):
            line, line_start = line + newlines, match.start() + found.rindex("\n") + 1
        if kind == "unclosed":
            raise refused("a comment is not closed", place)
        if kind == "comment":
            comments.append(_said(found))
        elif kind != "space":
            if kind in ("integer", "float") and text[position : position + 1].isidentifier():
                raise refused(f"{found}{text[position]}... is neither a number nor a name", place)
            yield Token(kind, found, place, "\n".join(comments))  # type: ignore[arg-type]  # the groups are the kinds
            comments.clear()
    yield Token("end", "", Place(line, position - line_start + 1))


def _said(comment: str) -> str:
    if comment.startswith("//"):
        return comment[2:].strip()
    return "\n".join(line.strip().removeprefix("*").strip() for line in comment[2:-2].splitlines()).strip()


def _unreadable(text: str, position: int, place: Place) -> SchemaRefused:
    if text[position] in "\"'":
        return refused("a text in quotes is not closed on its line", place)
    return refused(f"{text[position]!r} means nothing here", place)


def unquoted(token: Token) -> bytes:
    """What a text in quotes stands for. Raises ``SchemaRefused`` for an escape that there is not."""

    def one(match: re.Match[bytes]) -> bytes:
        named, octal, digits, short, long, other = match.groups()
        if other is not None:
            raise refused(f"\\{other.decode('latin-1')} is no escape", token.place)
        if named:
            return bytes([_NAMED[named[0]]])
        if octal or digits:
            return bytes([int(octal, 8) & 0xFF if octal else int(digits, 16)])
        try:
            return chr(int(short or long, 16)).encode()
        except ValueError as error:
            raise refused(f"{match.group().decode()} is no character", token.place) from error

    try:
        return _ESCAPE.sub(one, token.text[1:-1].encode())
    except UnicodeEncodeError as error:
        raise refused("a text in quotes is not Unicode", token.place) from error


def refused(what: str, place: Place | None, why: str = "", remedy: str = "") -> SchemaRefused:
    """The error for something at a place of the text."""
    return SchemaRefused(what, where=str(place) if place else "", why=why, remedy=remedy)
