"""LIKE and SIMILAR TO patterns as Polars expressions.

A constant pattern becomes a prefix, suffix, substring or regular expression test that Polars runs; a pattern that differs by
row is compiled once per distinct pattern.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

import polars as pl

from tableapi.errors import ValidationError
from tableapi.functions.registry import LoweringCall


def like(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    """Lowering of LIKE."""
    escape = call.constant(2)
    if not call.is_constant(1):
        return _by_row(args, lambda pattern: like_regex(pattern, escape))
    pattern = call.constant(1)
    if pattern is None:
        return pl.lit(None, dtype=pl.Boolean)
    simple = _simple(args[0], pattern) if escape is None else None
    return simple if simple is not None else args[0].str.contains(_searched(pattern, escape))


def _searched(pattern: str, escape: str | None) -> str:
    """The regular expression that is found somewhere in the texts that a LIKE pattern matches.

    A % at either end becomes no anchor instead of `.*`: the search then looks for the texts between.
    """
    if escape == "%":
        return f"^{like_regex(pattern, escape)}$"
    body = pattern.lstrip("%")
    start, end = ("" if len(body) < len(pattern) else "^"), "$"
    if escape is None and body.endswith("%"):
        body, end = body.rstrip("%"), ""
    return f"{start}{like_regex(body, escape)}{end}"


def similar(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    """Lowering of SIMILAR TO."""
    escape = call.constant(2)
    if not call.is_constant(1) or _needs_python(similar_regex(call.constant(1) or "", escape)):
        return _by_row(args, lambda pattern: similar_regex(pattern, escape))
    if call.constant(1) is None:
        return pl.lit(None, dtype=pl.Boolean)
    return args[0].str.contains(f"^(?:{similar_regex(call.constant(1), escape)})$")


def _simple(value: pl.Expr, pattern: str) -> pl.Expr | None:
    if "_" in pattern:
        return None
    body = pattern.strip("%")
    if "%" in body:
        return None
    starts, ends = pattern.startswith("%"), pattern.endswith("%")
    if not body:
        return (
            value.is_not_null().replace_strict([False], [None], default=True, return_dtype=pl.Boolean)
            if pattern
            else value == ""
        )
    if starts and ends:
        return value.str.contains(body, literal=True)
    if starts:
        return value.str.ends_with(body)
    return value.str.starts_with(body) if ends else value == body


def like_regex(pattern: str, escape: str | None) -> str:
    """A regular expression (without anchors) for a LIKE pattern.

    Raises:
        ValidationError: The escape character stands before an ordinary one.
    """
    parts = ["(?s:"]
    index = 0
    while index < len(pattern):
        char = pattern[index]
        if escape is not None and char == escape:
            index += 1
            follower = pattern[index] if index < len(pattern) else ""
            if follower not in ("%", "_", escape) or not follower:
                raise ValidationError(
                    f"invalid escape sequence in LIKE pattern '{pattern}'", fix=f"'{escape}' must precede %, _ or itself"
                )
            parts.append(re.escape(follower))
        else:
            parts.append({"%": ".*", "_": "."}.get(char) or re.escape(char))
        index += 1
    return "".join(parts) + ")"


def similar_regex(pattern: str, escape: str | None) -> str:
    """A regular expression (without anchors) for a SIMILAR TO pattern."""
    parts = ["(?s:"]
    index, in_class = 0, False
    while index < len(pattern):
        char = pattern[index]
        named = next((name for name in _CLASSES if pattern.startswith(f"[:{name}:]", index)), None)
        if named is not None:
            parts.append(_CLASSES[named] if in_class else f"[{_CLASSES[named]}]")
            index += len(named) + 3
        elif escape is not None and char == escape and index + 1 < len(pattern):
            index += 1
            parts.append(re.escape(pattern[index]))
        elif in_class:
            in_class = char != "]"
            parts.append("\\" + char if char in "\\&~[" else char)
        elif char == "[":
            in_class = True
            parts.append(char)
        elif char in "|*+?{}()":
            parts.append(char)
        else:
            # Flink leaves a point as it is: it matches any character.
            parts.append({"%": ".*", "_": ".", ".": "."}.get(char) or re.escape(char))
        index += 1
    return "".join(parts) + ")"


_CLASSES = {
    "ALPHA": "A-Za-z",
    "UPPER": "A-Z",
    "LOWER": "a-z",
    "DIGIT": "0-9",
    "ALNUM": "A-Za-z0-9",
    "SPACE": " ",
    "WHITESPACE": r"\s",
}


def _needs_python(regex: str) -> bool:
    return "\\u" in regex


def _by_row(args: Sequence[pl.Expr], to_regex: Callable[[str], str]) -> pl.Expr:
    @lru_cache(maxsize=1024)
    def compiled(pattern: str) -> re.Pattern[str]:
        return re.compile(to_regex(pattern))

    def compute(pairs: pl.Series) -> pl.Series:
        texts, tests = pairs.struct.field("x").to_list(), pairs.struct.field("p").to_list()
        found = [
            None if text is None or test is None else compiled(test).fullmatch(text) is not None
            for text, test in zip(texts, tests, strict=True)
        ]
        return pl.Series(pairs.name, found, dtype=pl.Boolean)

    pair = pl.struct(args[0].alias("x"), args[1].alias("p"))
    return pair.map_batches(compute, return_dtype=pl.Boolean(), is_elementwise=True)
