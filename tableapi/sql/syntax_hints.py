"""What to do about a token that cannot stand where it stands: the usual slips, and words of other dialects."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot.tokens import Token, TokenType

from tableapi.errors import did_you_mean
from tableapi.sql.reserved import RESERVED

_CLAUSES = ("FROM", "WHERE", "GROUP BY", "HAVING", "ORDER BY", "LIMIT", "UNION", "JOIN", "WINDOW", "QUALIFY")
_STRUCTURE = frozenset(
    {
        *(
            "ALL",
            "AND",
            "AS",
            "BETWEEN",
            "BY",
            "CASE",
            "CROSS",
            "ELSE",
            "END",
            "EXCEPT",
            "EXISTS",
            "FETCH",
            "FOR",
            "FROM",
            "FULL",
        ),
        *("GROUP", "HAVING", "IN", "INNER", "INTERSECT", "INTO", "IS", "JOIN", "LATERAL", "LEFT", "LIKE", "LIMIT", "NATURAL"),
        *(
            "NOT",
            "OFFSET",
            "ON",
            "OR",
            "ORDER",
            "OVER",
            "PARTITION",
            "RIGHT",
            "SELECT",
            "SET",
            "THEN",
            "UNION",
            "UNNEST",
            "USING",
        ),
        *("VALUES", "WHEN", "WHERE", "WITH"),
    }
)
"""Reserved words that nobody means as a name."""
_OTHER_DIALECTS = {
    "!": "write NOT",
    "!=": "write <>",
    "==": "write one =",
    "&": "bits are combined by no operator here",
    "^": "write POWER(a, b)",
    "#": "a comment begins with --",
    "::": "write CAST(value AS type)",
    "MOD": "write MOD(a, b), or a % b",
    "DIV": "write a / b, and CAST it",
    "RLIKE": "write REGEXP(text, pattern)",
    "REGEXP": "write REGEXP(text, pattern)",
    "<<": "bits are shifted by no operator here",
}


def hint(tokens: Sequence[Token], index: int) -> str | None:
    """What the user should write instead of the token at `index`, or None."""
    token = tokens[index]
    word = token.text.upper() if token.token_type is TokenType.VAR else ""
    following = tokens[index + 1] if index + 1 < len(tokens) else None
    if index and tokens[index - 1].token_type is TokenType.SEMICOLON:
        return "one statement at a time: execute what follows the ; by itself"
    if word in ("GROUP", "ORDER", "PARTITION") and _after_value(tokens, index) and not _is(following, "BY"):
        return f"write {word} BY; as a name, write it in back-ticks: `{token.text}`"
    for text in _spellings(tokens, index):
        if text in _OTHER_DIALECTS:
            return _OTHER_DIALECTS[text]
    if word in RESERVED and (word not in _STRUCTURE or (word in ("GROUP", "ORDER") and not _is(following, "BY"))):
        return f"{word} is a reserved word; write it as `{token.text}`"
    if word in _STRUCTURE and index and tokens[index - 1].token_type is TokenType.COMMA:
        return "leave the last comma out"
    if token.token_type is TokenType.COMMA and index > 1 and _is(tokens[index - 2], "LIMIT"):
        return "write LIMIT rows OFFSET rows"
    for place in (index, index - 1):
        if place > 0 and _is_free_word(tokens[place]) and _after_value(tokens, place):
            found = did_you_mean(tokens[place].text, _CLAUSES)
            if found:
                return found
    return None


def _is_free_word(token: Token) -> bool:
    return token.token_type is TokenType.VAR and token.text.upper() not in RESERVED


def _spellings(tokens: Sequence[Token], index: int) -> list[str]:
    """The token, alone and together with the one that touches it."""
    token = tokens[index]
    found = []
    for other in (index - 1, index + 1):
        if 0 <= other < len(tokens):
            first, second = (tokens[other], token) if other < index else (token, tokens[other])
            if first.end + 1 == second.start:
                found.append(_symbol(first) + _symbol(second))
    return [*found, _symbol(token)]


_SYMBOLS = {TokenType.EQ: "=", TokenType.COLON: ":", TokenType.LT: "<", TokenType.NOT: "!", TokenType.AMP: "&"}
_SYMBOLS |= {TokenType.CARET: "^", TokenType.HASH: "#", TokenType.DCOLON: "::", TokenType.NEQ: "!="}


def _symbol(token: Token) -> str:
    return _SYMBOLS.get(token.token_type, token.text.upper())


def _is(token: Token | None, word: str) -> bool:
    return token is not None and token.token_type is TokenType.VAR and token.text.upper() == word


def _after_value(tokens: Sequence[Token], index: int) -> bool:
    """Whether a name, value or `*` stands before."""
    if not index:
        return False
    before = tokens[index - 1]
    is_name = before.token_type is TokenType.VAR and before.text.upper() not in _STRUCTURE
    kinds = (TokenType.IDENTIFIER, TokenType.NUMBER, TokenType.STRING, TokenType.STAR, TokenType.R_PAREN)
    return is_name or before.token_type in kinds
