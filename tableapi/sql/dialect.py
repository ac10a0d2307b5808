"""Flink's lexical rules as a sqlglot dialect: tokens, reserved words, and scripts cut into statements.

Words are not classified by the tokenizer (every word is a VAR token): which words mean something depends on the place, and the
grammar in the sibling files asks for them by text. Imports sqlglot; so it is itself imported only when SQL is parsed.
"""

from __future__ import annotations

import re
from typing import ClassVar

from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import TokenError
from sqlglot.tokens import Token, TokenType
from sqlglot.tokens import Tokenizer as BaseTokenizer

from tableapi.errors import Location, SqlParseError

MAX_TEXT_LENGTH = 4_000_000
"""Characters in one script; a longer text is data, not a program."""


class Flink(Dialect):  # type: ignore[misc]
    """The lexical rules of Flink SQL."""

    class Tokenizer(BaseTokenizer):  # type: ignore[misc]
        """Back-ticked names, '' escapes, U&'…', X'…', e'…', comments that do not nest, hints."""

        IDENTIFIERS = ["`"]  # noqa: RUF012
        QUOTES = ["'"]  # noqa: RUF012
        STRING_ESCAPES = ["'"]  # noqa: RUF012
        HEX_STRINGS = [("x'", "'"), ("X'", "'")]  # noqa: RUF012
        UNICODE_STRINGS = [("u&'", "'"), ("U&'", "'")]  # noqa: RUF012
        BYTE_STRINGS = [("e'", "'"), ("E'", "'")]  # noqa: RUF012
        BYTE_STRING_ESCAPES = ["\\", "'"]  # noqa: RUF012
        NESTED_COMMENTS = False
        COMMENTS = ["--", "//", ("/*", "*/")]  # noqa: RUF012
        COMMANDS: ClassVar[set[TokenType]] = set()
        TOKENS_PRECEDING_HINT = set(TokenType)  # noqa: RUF012
        KEYWORDS = {  # noqa: RUF012
            "/*+": TokenType.HINT,
            "||": TokenType.DPIPE,
            "=>": TokenType.FARROW,
            "<>": TokenType.NEQ,
            "!=": TokenType.NEQ,
            "<=": TokenType.LTE,
            ">=": TokenType.GTE,
        }


_DIALECT = Flink()


def location(text: str, start: int, end: int) -> Location:
    """The place of `text[start:end]` in a SQL text; only its first line is underlined."""
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", start)
    last = end if line_end < 0 else min(end, line_end)
    line = text.count("\n", 0, start) + 1
    return Location("<sql>", line, start - line_start + 1, text, max(1, last - start))


def tokenize(text: str) -> list[Token]:
    """The tokens of a text.

    Raises:
        SqlParseError: A string, name or comment does not end, or a character has no meaning.
    """
    if len(text) > MAX_TEXT_LENGTH:
        raise SqlParseError(f"the SQL text has {len(text)} characters", fix=f"keep it under {MAX_TEXT_LENGTH}")
    try:
        tokens = list(_DIALECT.tokenize(text))
    except TokenError as error:
        raise _unterminated(text, error) from None
    for token in tokens:
        if token.token_type is TokenType.UNKNOWN:
            fix = "write names in back-ticks: `name`, and text in single quotes: 'text'" if token.text == '"' else None
            raise SqlParseError(f"{token.text} has no meaning here", where=place(text, token), fix=fix)
    return tokens


def place(text: str, token: Token) -> Location:
    """The place of a token."""
    return location(text, token.start, token.end + 1)


def _unterminated(text: str, error: TokenError) -> SqlParseError:
    """Says which string, name or comment has no end; sqlglot does not keep its position."""
    opened = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|`(?:[^`]|``)*`|(?P<open>/\*|'|`)", re.DOTALL)
    for match in opened.finditer(text):
        if match["open"]:
            what = {"'": "text in quotes", "`": "name in back-ticks", "/*": "comment"}[match["open"]]
            return SqlParseError(
                f"this {what} does not end",
                where=location(text, match.start(), len(text)),
                fix=f"close it with {_CLOSE[match['open']]}",
            )
    return SqlParseError(f"the text cannot be read: {error.__cause__ or error}", where=location(text, 0, 1))


_CLOSE = {"'": "'", "`": "`", "/*": "*/"}


def split_tokens(tokens: list[Token]) -> list[list[Token]]:
    """The tokens of each statement of a script. A `;` inside `STATEMENT SET BEGIN … END` does not separate."""
    statements: list[list[Token]] = [[]]
    depth = 0
    for index, token in enumerate(tokens):
        word = token.text.upper() if token.token_type is TokenType.VAR else ""
        if word == "SET" and _opens_statement_set(statements[-1], tokens, index):
            depth = 1
        elif word == "END" and depth and _starts_statement(tokens, index):
            depth = 0
        if token.token_type is TokenType.SEMICOLON and not depth:
            statements.append([])
        else:
            statements[-1].append(token)
    return [s for s in statements if s]


def _opens_statement_set(statement: list[Token], tokens: list[Token], index: int) -> bool:
    """Whether SET at `index` ends `BEGIN STATEMENT SET;` or stands in `… STATEMENT SET BEGIN`."""
    before = [t.text.upper() for t in statement[-2:]]
    following = tokens[index + 1].text.upper() if index + 1 < len(tokens) else ""
    return before[-1:] == ["STATEMENT"] and (following == "BEGIN" or before == ["BEGIN", "STATEMENT"])


def _starts_statement(tokens: list[Token], index: int) -> bool:
    return index > 0 and tokens[index - 1].token_type is TokenType.SEMICOLON


def statement_text(text: str, tokens: list[Token]) -> str:
    """The source of a statement."""
    return text[tokens[0].start : tokens[-1].end + 1]
