"""A place in a row of tokens, and what a grammar asks of it."""

from typing import Final, TypeAlias

from google.protobuf.descriptor_pb2 import SourceCodeInfo

from mainstem.schemas.protobuf.language.options import Part, Value, whole
from mainstem.schemas.protobuf.language.tokens import Place, Token, refused, tokens_of

DEPTH: Final = 32
"""Messages in messages, and braces in the value of an option."""

FILES: Final = 256
"""So many files may be imported, directly and through others."""

Path: TypeAlias = tuple[int, ...]
"""Where something lies in a file's descriptor, as field numbers and indexes; descriptor.proto says how."""


class Reading:
    """Tokens one after the other. Whatever is not as expected raises ``SchemaRefused`` with its line and column."""

    def __init__(self, text: str) -> None:
        self._tokens = tokens_of(text)
        self._next = 0
        self.source = SourceCodeInfo()

    def peek(self, ahead: int = 0) -> Token:
        """The next token, or one behind it, without taking it."""
        return self._tokens[min(self._next + ahead, len(self._tokens) - 1)]

    def take(self) -> Token:
        """The next token."""
        token = self.peek()
        self._next += 1
        return token

    def at(self, *texts: str) -> bool:
        """Whether the next token is one of these words or signs."""
        token = self.peek()
        return token.kind in ("word", "symbol") and token.text in texts

    def accept(self, text: str) -> bool:
        """Take the next token if it is this one."""
        if self.at(text):
            self._next += 1
            return True
        return False

    def expect(self, text: str) -> Token:
        """Take the next token, which must be this one."""
        if not self.at(text):
            raise self.unexpected(text)
        return self.take()

    def unexpected(self, wanted: str) -> Exception:
        """The error for the next token."""
        token = self.peek()
        found = "the text ends" if token.kind == "end" else f"{token.text[:60]} stands"
        return refused(f"{wanted} is expected, and {found} here", token.place)

    def word(self, what: str = "a name") -> Token:
        """A name without dots."""
        if self.peek().kind != "word":
            raise self.unexpected(what)
        return self.take()

    def dotted(self, *, leading: bool = False) -> str:
        """A name that may have dots within, and one in front where that is asked for."""
        start = "." if leading and self.accept(".") else ""
        parts = [self.word().text]
        while self.accept("."):
            parts.append(self.word().text)
        return start + ".".join(parts)

    def integer(self) -> int:
        """A whole number, with its sign."""
        negative = self.accept("-")
        if self.peek().kind != "integer":
            raise self.unexpected("a whole number")
        number = whole(self.take())
        return -number if negative else number

    def quoted(self) -> Value:
        """Texts in quotes: several, one after the other, are one."""
        if self.peek().kind != "text":
            raise self.unexpected("a text in quotes")
        found = [self.take()]
        while self.peek().kind == "text":
            found.append(self.take())
        return Value(tuple(found))

    def option_name(self) -> tuple[Part, ...]:
        """``packed``, ``(my.option)``, ``(my.option).field``, ``features.field_presence``."""
        parts = [self._option_part()]
        while self.accept("."):
            parts.append(self._option_part())
        return tuple(parts)

    def _option_part(self) -> Part:
        if not self.accept("("):
            return Part(self.word("the name of an option").text, extension=False)
        name = self.dotted(leading=True)
        self.expect(")")
        return Part(name, extension=True)

    def option_value(self) -> Value:
        """A number, a name, a text, or an aggregate in braces."""
        token = self.peek()
        if token.kind == "text":
            return self.quoted()
        if self.at("{"):
            return self._braces()
        negative = self.accept("-")
        if self.peek().kind not in ("integer", "float", "word"):
            raise self.unexpected("a value")
        return Value((self.take(),), negative=negative)

    def _braces(self) -> Value:
        found: list[Token] = []
        closing: list[str] = []
        while True:
            if self.at("{", "[", "<"):
                closing.append({"{": "}", "[": "]", "<": ">"}[self.peek().text])
                if len(closing) > DEPTH:
                    raise refused(f"the value of an option is nested deeper than {DEPTH}", self.peek().place)
            elif self.at("}", "]", ">"):
                if self.peek().text != closing.pop():
                    raise self.unexpected("the bracket that closes the last one")
            elif self.peek().kind == "end":
                raise self.unexpected("a closing brace")
            found.append(self.take())
            if not closing:
                return Value(tuple(found))

    def bracketed_options(self) -> list[tuple[tuple[Part, ...], Value, Place]]:
        """``[deprecated = true, (my.option) = 3]`` as names, values and places; nothing where no bracket stands."""
        found: list[tuple[tuple[Part, ...], Value, Place]] = []
        if not self.accept("["):
            return found
        while not found or self.accept(","):
            place = self.peek().place
            name = self.option_name()
            self.expect("=")
            found.append((name, self.option_value(), place))
        self.expect("]")
        return found

    def mark(self, path: Path, name: Token, first: Token) -> None:
        """Remember where something stands, by its name, and what was said in front of its ``first`` token."""
        line, column = name.place.line - 1, name.place.column - 1
        location = self.source.location.add(path=path, span=(line, column, column + len(name.text)))
        if first.comment:
            location.leading_comments = first.comment
