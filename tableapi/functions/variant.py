"""VARIANT: semi-structured values, kept as JSON text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from tableapi.errors import ExecutionError
from tableapi.functions.jsontree import JsonError, parse, parse_without_duplicates, text_of
from tableapi.functions.registry import LoweringCall
from tableapi.functions.rowwise import by_row


def element_of_variant(args: Sequence[pl.Expr]) -> pl.Expr:
    """`v['name']` and `v[i]` (from 1); NULL when there is none."""

    def element(text: str, index: Any) -> str | None:
        value = parse(text)
        if isinstance(value, dict) and isinstance(index, str) and index in value:
            return text_of(value[index])
        if isinstance(value, list) and isinstance(index, int) and 1 <= index <= len(value):
            return text_of(value[index - 1])
        return None

    return by_row(args, element, pl.String())


def parse_json(args: Sequence[pl.Expr], call: LoweringCall, is_try: bool) -> pl.Expr:
    """Lowering of PARSE_JSON and TRY_PARSE_JSON."""
    allows_duplicates = bool(call.constant(1, False))

    def read(text: str) -> str | None:
        try:
            return text_of(parse(text) if allows_duplicates else parse_without_duplicates(text))
        except JsonError as error:
            if is_try:
                return None
            raise ExecutionError(f"PARSE_JSON: {text!r} is not JSON: {error}", fix="use TRY_PARSE_JSON to get NULL") from None

    return by_row([call.guarded(args[0])], read, pl.String())
