"""The base of the grammar: walking over tokens, asking for words and names, and errors that point at a token.

`Cursor` is a sqlglot parser of which only the token cursor is used; the grammar in the subclasses is Flink's own and builds
`ast` and `plan.unresolved` nodes instead of sqlglot trees, so every node knows its place and nothing is accepted by accident.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NoReturn, TypeVar

from sqlglot.parser import Parser
from sqlglot.tokens import Token, TokenType

from tableapi.errors import Location, SqlParseError, UnsupportedError, did_you_mean
from tableapi.sql.dialect import Flink, location, place, tokenize
from tableapi.sql.reserved import RESERVED

T = TypeVar("T")


class Cursor(Parser):  # type: ignore[misc]
    """A position in the tokens of one statement."""

    def __init__(self, text: str, tokens: list[Token] | None = None) -> None:
        super().__init__(dialect=Flink)
        self.sql = text
        self._chunks = [tokenize(text) if tokens is None else tokens]
        self._advance_chunk()
        self._closing = _closing_parentheses(self._tokens)

    def fail(self, what: str, token: Token | None = None, fix: str | None = None) -> NoReturn:
        """Raises SqlParseError at a token (the current one by default)."""
        raise SqlParseError(what, where=self.place(token), fix=fix)

    def unsupported(self, what: str, token: Token | None = None, fix: str | None = None) -> NoReturn:
        """Raises UnsupportedError at a token (the current one by default)."""
        raise UnsupportedError(f"{what} is not supported yet", where=self.place(token), fix=fix)

    def place(self, token: Token | None = None) -> Location:
        """The place of a token; at the end of the text, of its last character."""
        token = token or self._curr
        if not token:
            end = len(self.sql.rstrip()) if self._chunks[0] == [] else self._tokens[-1].end + 1
            return location(self.sql, max(0, end - 1), max(1, end))
        return place(self.sql, token)

    def span(self, start: Token) -> Location:
        """The place from a token up to the last one consumed."""
        return location(self.sql, start.start, max(self._prev.end, start.end) + 1)

    def text_between(self, start: Token) -> str:
        """The source from a token up to the last one consumed."""
        return self.sql[start.start : self._prev.end + 1]

    def at_end(self) -> bool:
        """Whether all tokens are consumed."""
        return not self._curr

    def expect_end(self) -> None:
        """Fails unless all tokens are consumed."""
        if not self.at_end():
            self.unexpected()

    def unexpected(self, wanted: str | None = None) -> NoReturn:
        """Raises for a token that cannot stand here."""
        if self.at_end():
            self.fail(f"the statement ends where {wanted} is expected" if wanted else "the statement is incomplete")
        shown = self.sql[self._curr.start : self._curr.end + 1]
        shown = shown if len(shown) <= 40 else shown[:37] + "..."
        from tableapi.sql.syntax_hints import hint

        fix = hint(self._tokens, self._index)
        self.fail(f"{shown!r} is not expected here" + (f"; {wanted} is" if wanted else ""), fix=fix)

    def word(self, ahead: int = 0) -> str:
        """The word at the position in upper case, or "" when that token is not a plain word."""
        index = self._index + ahead
        if not 0 <= index < len(self._tokens) or self._tokens[index].token_type is not TokenType.VAR:
            return ""
        return str(self._tokens[index].text.upper())

    def kind(self, ahead: int = 0) -> TokenType | None:
        """The type of the token at the position, or None at the end."""
        index = self._index + ahead
        return self._tokens[index].token_type if 0 <= index < len(self._tokens) else None

    def closing(self, ahead: int) -> int:
        """The position of the parenthesis that closes the one at a position (that position itself if none opens there)."""
        return int(self._closing.get(self._index + ahead, self._index + ahead) - self._index)

    def next_token(self) -> Token:
        """Consumes a token."""
        if self.at_end():
            self.unexpected()
        self._advance()
        return self._prev

    def at(self, *words: str) -> bool:
        """Whether the given words come next."""
        return all(self.word(i) == w for i, w in enumerate(words))

    def at_any(self, *words: str) -> bool:
        """Whether one of the given words comes next."""
        return self.word() in words

    def accept(self, *words: str) -> bool:
        """Consumes the words if they come next."""
        if not self.at(*words):
            return False
        self._advance(len(words))
        return True

    def accept_any(self, *words: str) -> str | None:
        """Consumes and returns one of the words if it comes next."""
        if self.word() not in words:
            return None
        word = self.word()
        self._advance()
        return word

    def expect(self, *words: str) -> Token:
        """Consumes the words or fails."""
        for word in words:
            if not self.accept(word):
                self.unexpected(word)
        return self._prev

    def expect_any(self, *words: str) -> str:
        """Consumes and returns one of the words or fails."""
        found = self.accept_any(*words)
        if found is None:
            fix = did_you_mean(self.word(), words) if self.word() else None
            if fix:
                self.fail(f"{self._curr.text!r} is not expected here", fix=fix)
            self.unexpected(" or ".join(words))
        return found

    def symbol(self, token_type: TokenType) -> bool:
        """Consumes a symbol if it comes next."""
        return bool(self._match(token_type))

    def expect_symbol(self, token_type: TokenType) -> Token:
        """Consumes a symbol or fails."""
        if not self._match(token_type):
            self.unexpected(f"'{_SYMBOLS[token_type]}'")
        return self._prev

    def open(self) -> Token:
        """Consumes `(`."""
        return self.expect_symbol(TokenType.L_PAREN)

    def close(self) -> Token:
        """Consumes `)`."""
        return self.expect_symbol(TokenType.R_PAREN)

    def comma_list(self, item: Callable[[], T]) -> tuple[T, ...]:
        """One or more items with commas between."""
        items = [item()]
        while self.symbol(TokenType.COMMA):
            items.append(item())
        return tuple(items)

    def in_parentheses(self, item: Callable[[], T]) -> T:
        """`( item )`."""
        self.open()
        result = item()
        self.close()
        return result

    def is_name(self, ahead: int = 0) -> bool:
        """Whether a name comes next: in back-ticks, or a word that is not reserved."""
        if self.kind(ahead) is TokenType.IDENTIFIER:
            return True
        return self.kind(ahead) is TokenType.VAR and self.word(ahead) not in RESERVED

    def name(self, what: str = "a name") -> str:
        """Consumes a name."""
        if not self.is_name():
            self.unexpected(what)
        token = self.next_token()
        if token.token_type is TokenType.VAR and not _WORD.fullmatch(token.text):
            self.fail(f"{token.text!r} is not a name", token, fix=f"write it in back-ticks: `{token.text}`")
        if not token.text:
            self.fail("a name cannot be empty", token)
        return str(token.text)

    def name_parts(self, what: str = "a name") -> tuple[str, ...]:
        """Consumes a name with dots."""
        parts = [self.name(what)]
        while self.symbol(TokenType.DOT):
            parts.append(self.name(what))
        return tuple(parts)

    def object_name(self, what: str) -> tuple[str, ...]:
        """Consumes `[[catalog.]database.]name`."""
        start = self._curr
        parts = self.name_parts(f"the name of {what}")
        if len(parts) > 3:
            self.fail(f"the name of {what} has at most three parts: catalog.database.name", start)
        return parts

    def name_list(self) -> tuple[str, ...]:
        """`(a, b, …)`."""
        return self.in_parentheses(lambda: self.comma_list(self.name))

    def string(self, what: str = "text in quotes") -> str:
        """Consumes a string literal."""
        if self.kind() not in _STRINGS:
            self.unexpected(what)
        return self.string_value(self.next_token())

    def strings(self) -> str:
        """Consumes string literals that stand side by side and mean one text."""
        text = self.string()
        while self.kind() is TokenType.STRING:
            if "\n" not in self.sql[self._prev.end : self._curr.start]:
                self.fail("a text continues only on another line", fix="write one text, or join them with ||")
            text += self.next_token().text
        return text

    def string_value(self, token: Token) -> str:
        """The text that a string token means."""
        if token.token_type is TokenType.UNICODE_STRING:
            return self._unicode(token)
        if token.token_type is TokenType.BYTE_STRING:
            return _c_style(token.text)
        return str(token.text)

    def _unicode(self, token: Token) -> str:
        escape = "\\"
        if self.accept("UESCAPE"):
            escape = self.string()
            if len(escape) != 1:
                self.fail("UESCAPE needs one character", self._prev)
        pattern = re.escape(escape) + r"(?:([0-9A-Fa-f]{4})|(" + re.escape(escape) + "))"
        rest = re.sub(pattern, "", token.text)
        if escape in rest:
            self.fail(f"{escape} must be followed by four hexadecimal digits", token)
        return re.sub(pattern, lambda m: chr(int(m[1], 16)) if m[1] else escape, token.text)

    def integer(self, what: str = "a whole number") -> int:
        """Consumes an unsigned whole number."""
        if self.kind() is not TokenType.NUMBER or not re.fullmatch("[0-9]{1,18}", self._curr.text):
            self.unexpected(what)
        return int(self.next_token().text)


def _closing_parentheses(tokens: list[Token]) -> dict[int, int]:
    """Position of each opening parenthesis to that of its closing one."""
    closing: dict[int, int] = {}
    opened: list[int] = []
    for position, token in enumerate(tokens):
        if token.token_type is TokenType.L_PAREN:
            opened.append(position)
        elif token.token_type is TokenType.R_PAREN and opened:
            closing[opened.pop()] = position
    return closing


_WORD = re.compile(r"[^\W\d][\w$]*|[$_][\w$]*")
_STRINGS = (TokenType.STRING, TokenType.UNICODE_STRING, TokenType.BYTE_STRING)
_SYMBOLS = {
    TokenType.L_PAREN: "(",
    TokenType.R_PAREN: ")",
    TokenType.L_BRACKET: "[",
    TokenType.R_BRACKET: "]",
    TokenType.COMMA: ",",
    TokenType.DOT: ".",
    TokenType.EQ: "=",
    TokenType.FARROW: "=>",
    TokenType.LT: "<",
    TokenType.GT: ">",
    TokenType.STAR: "*",
    TokenType.SEMICOLON: ";",
    TokenType.R_BRACE: "}",
    TokenType.DASH: "-",
}
_C_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def _c_style(text: str) -> str:
    """Decodes the escapes of `e'…'`."""

    def decode(match: re.Match[str]) -> str:
        body = match[1]
        if body[0] in "xuU" and len(body) > 1:
            return chr(int(body[1:], 16))
        if body[0].isdigit():
            return chr(int(body, 8))
        return _C_ESCAPES.get(body, body)

    return re.sub(r"\\(x[0-9A-Fa-f]{1,2}|u[0-9A-Fa-f]{4}|U000[0-9A-Fa-f]{5}|[0-7]{1,3}|.)", decode, text, flags=re.DOTALL)
