"""REGEXP functions with Java's regular expressions. A malformed pattern gives NULL (FALSE for REGEXP), as in Flink."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from tableapi.functions.regexes import can_be_empty, compiled, groups, native
from tableapi.functions.registry import LoweringCall, ScalarFunction
from tableapi.functions.rowwise import by_row
from tableapi.functions.signatures import AS_INT, TEXT, signature
from tableapi.types import ArrayType, BooleanType, IntType, VarCharType


def _pattern(call: LoweringCall, looks_for_all: bool = False) -> str | None:
    """The constant pattern in Polars' spelling, or None when the function must run in Python."""
    pattern = call.constant(1)
    if not isinstance(pattern, str) or (looks_for_all and can_be_empty(pattern)):
        return None
    return native(pattern)


def _regexp(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    pattern = _pattern(call)
    if pattern:
        return args[0].str.contains(pattern)

    def found(text: str, regex: str) -> bool:
        matcher = compiled(regex) if regex else None
        return matcher is not None and matcher.search(text) is not None

    return by_row(args, found, pl.Boolean())


def _replace(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    pattern, replacement = _pattern(call, looks_for_all=True), call.constant(2)
    if pattern is not None and isinstance(replacement, str):
        return args[0].str.replace_all(pattern, replacement.replace("$", "$$"))

    def replaced(text: str, regex: str, new: str) -> str | None:
        matcher = compiled(regex)
        return None if matcher is None else matcher.sub(lambda _: new, text)

    return by_row(args, replaced, pl.String())


def _extract(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    pattern = _pattern(call)
    group = call.constant(2, 0 if len(args) < 3 else None)
    if pattern is not None and isinstance(group, int):
        if not 0 <= group <= (groups(call.constant(1)) or 0):
            return pl.lit(None, dtype=pl.String)
        return args[0].str.extract(pattern, group)

    def extracted(text: str, regex: str, index: int = 0) -> str | None:
        matcher = compiled(regex)
        match = matcher.search(text) if matcher else None
        return match[index] if match and 0 <= index <= match.re.groups else None

    return by_row(args, extracted, pl.String())


def _extract_all(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    pattern = _pattern(call, looks_for_all=True)
    if pattern is not None and call.constant(2) == 0:
        return args[0].str.extract_all(pattern)

    def extracted(text: str, regex: str, index: int = 1) -> list[str | None] | None:
        matcher = compiled(regex)
        if matcher is None or not 0 <= index <= matcher.groups:
            return None
        return [match[index] for match in matcher.finditer(text)]

    return by_row(args, extracted, pl.List(pl.String))


def _count(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    pattern = _pattern(call, looks_for_all=True)
    if pattern is not None:
        return args[0].str.count_matches(pattern).cast(pl.Int32)
    return _with_matcher(args, lambda matcher, text: sum(1 for _ in matcher.finditer(text)), pl.Int32())


def _instr(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    """The position in UTF-16 units (Java)."""

    def position(matcher: Any, text: str) -> int:
        match = matcher.search(text)
        return len(text[: match.start()].encode("utf-16-le")) // 2 + 1 if match else 0

    return _with_matcher(args, position, pl.Int32())


def _substr(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    pattern = _pattern(call)
    if pattern is not None:
        return args[0].str.extract(pattern, 0)

    def first(matcher: Any, text: str) -> str | None:
        match = matcher.search(text)
        return match[0] if match else None

    return _with_matcher(args, first, pl.String())


def _with_matcher(args: Sequence[pl.Expr], compute: Callable[[Any, str], Any], dtype: pl.DataType) -> pl.Expr:
    def run(text: str, regex: str) -> Any:
        matcher = compiled(regex)
        return None if matcher is None else compute(matcher, text)

    return by_row(args, run, dtype)


FUNCTIONS: tuple[ScalarFunction, ...] = (
    ScalarFunction(
        "REGEXP",
        signature(TEXT, TEXT, result=BooleanType()),
        _regexp,
        "Whether the Java regular expression matches somewhere in the text.",
        api_name="regexp",
        examples=(("REGEXP('hello', 'l+')", "TRUE"),),
        category="string",
    ),
    ScalarFunction(
        "REGEXP_REPLACE",
        signature(TEXT, TEXT, TEXT, result=VarCharType(), is_nullable=True),
        _replace,
        "The text with every match replaced; the replacement is taken literally.",
        api_name="regexp_replace",
        examples=(("REGEXP_REPLACE('foobar', 'oo|ar', '')", "fb"),),
        category="string",
    ),
    ScalarFunction(
        "REGEXP_EXTRACT",
        signature(TEXT, TEXT, AS_INT, optional=1, result=VarCharType(), is_nullable=True),
        _extract,
        "The group (default 0: all) of the first match; NULL when nothing matches or there is no such group.",
        api_name="regexp_extract",
        examples=(("REGEXP_EXTRACT('foothebar', 'foo(.*?)(bar)', 2)", "bar"),),
        category="string",
    ),
    ScalarFunction(
        "REGEXP_EXTRACT_ALL",
        signature(TEXT, TEXT, AS_INT, optional=1, result=ArrayType(VarCharType()), is_nullable=True),
        _extract_all,
        "The group (default 1) of every match as an ARRAY.",
        api_name="regexp_extract_all",
        category="string",
    ),
    ScalarFunction(
        "REGEXP_COUNT",
        signature(TEXT, TEXT, result=IntType(), is_nullable=True),
        _count,
        "Number of matches.",
        api_name="regexp_count",
        examples=(("REGEXP_COUNT('banana', 'an')", "2"),),
        category="string",
    ),
    ScalarFunction(
        "REGEXP_INSTR",
        signature(TEXT, TEXT, result=IntType(), is_nullable=True),
        _instr,
        "Position (from 1) of the first match, 0 when there is none.",
        api_name="regexp_instr",
        examples=(("REGEXP_INSTR('banana', 'na')", "3"),),
        category="string",
    ),
    ScalarFunction(
        "REGEXP_SUBSTR",
        signature(TEXT, TEXT, result=VarCharType(), is_nullable=True),
        _substr,
        "The first match, NULL when there is none.",
        api_name="regexp_substr",
        examples=(("REGEXP_SUBSTR('banana', 'n.')", "na"),),
        category="string",
    ),
)
