"""CAST and TRY_CAST on Polars expressions (first version: numbers and same-kind conversions)."""

from __future__ import annotations

import polars as pl

from tableapi.functions import decimals
from tableapi.functions.registry import SessionContext
from tableapi.plan.typing import as_decimal
from tableapi.types import CharacterType, DataType, DecimalType, FractionalType, IntegralType


def cast_can_fail(source: DataType, target: DataType) -> bool:
    """Whether CAST may raise for some values."""
    return isinstance(source, CharacterType) and not isinstance(target, CharacterType)


def cast(
    value: pl.Expr,
    source: DataType,
    target: DataType,
    session: SessionContext,
    *,
    is_try: bool = False,
    guard: pl.Expr | None = None,
) -> pl.Expr:
    """`value` converted from one type to another."""
    if source.to_polars() == target.to_polars() and not isinstance(target, DecimalType):
        return value
    if isinstance(target, DecimalType) and isinstance(source, DecimalType | IntegralType):
        exact = as_decimal(source)
        return decimals.to_decimal(value if isinstance(source, DecimalType) else value.cast(exact.to_polars()), exact, target)
    if isinstance(target, IntegralType) and isinstance(source, IntegralType):
        return value.cast(target.to_polars(), wrap_numerical=True)
    if isinstance(target, FractionalType):
        return value.cast(target.to_polars(), strict=not is_try)
    return value.cast(target.to_polars(), strict=not is_try)
