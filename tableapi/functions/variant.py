"""VARIANT: semi-structured values, kept as JSON text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from tableapi.errors import ExecutionError
from tableapi.functions.jsontree import JsonError, parse_variant, text_of
from tableapi.functions.registry import LoweringCall
from tableapi.functions.rowwise import by_row


def element_of_variant(args: Sequence[pl.Expr]) -> pl.Expr:
    """`v['name']` of an object and `v[i]` (from 1) of an array; NULL when there is none, an error of other values."""

    def element(text: str, index: Any) -> str | None:
        value = parse_variant(text)
        if isinstance(index, str):
            if not isinstance(value, dict):
                raise ExecutionError(f"['{index}'] of a VARIANT that is no object: {text}", fix="use an index for an array")
            return text_of(value[index]) if index in value else None
        if not isinstance(value, list):
            raise ExecutionError(f"[{index}] of a VARIANT that is no array: {text}", fix="use a name for an object")
        return text_of(value[index - 1]) if 1 <= index <= len(value) else None

    return by_row(args, element, pl.String())


def parse_json(args: Sequence[pl.Expr], call: LoweringCall, is_try: bool) -> pl.Expr:
    """Lowering of PARSE_JSON and TRY_PARSE_JSON."""
    allows_duplicates = bool(call.constant(1, False))

    def read(text: str) -> str | None:
        try:
            return text_of(parse_variant(text, allows_duplicates))
        except JsonError as error:
            if is_try:
                return None
            raise ExecutionError(f"PARSE_JSON: {text!r} is not JSON: {error}", fix="use TRY_PARSE_JSON to get NULL") from None

    return by_row([call.guarded(args[0])], read, pl.String())
