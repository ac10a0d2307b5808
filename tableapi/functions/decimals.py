"""Exact decimal arithmetic on Polars expressions, with Flink's rounding (HALF_UP) and overflow (NULL).

A decimal is handled as its unscaled 128-bit integer (`Int128`), which Polars computes with natively. Only where an intermediate
result may not fit into 128 bits (a derived precision above 38) it depends on the values of a batch: those that do not fit are
computed by Python's decimal module.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import polars as pl

from tableapi.types import DecimalType

INT128 = pl.Int128()


def largest(column: pl.Series) -> int:
    """The largest absolute unscaled integer of a Decimal column (0 without values)."""
    found = column.to_frame("x").select(unscaled(pl.col("x")).abs().max()).item()
    return int(found or 0)


def integer(value: int) -> pl.Expr:
    """A 128-bit constant."""
    return pl.lit(value, dtype=INT128)


def unscaled(value: pl.Expr) -> pl.Expr:
    """The unscaled integer of a Decimal expression."""
    return value.reinterpret(dtype=INT128)


def divide_half_up(dividend: pl.Expr, divisor: pl.Expr) -> pl.Expr:
    """Quotient of two 128-bit integers, rounded to the nearest, halves away from zero."""
    quotient = dividend.truncdiv(divisor)
    rest = dividend - quotient * divisor
    direction = pl.when((dividend < 0) != (divisor < 0)).then(integer(-1)).otherwise(integer(1))
    return pl.when(rest.abs() * integer(2) >= divisor.abs()).then(quotient + direction).otherwise(quotient)


def rescale(value: pl.Expr, digits: int) -> pl.Expr:
    """An unscaled integer moved by `digits` digits (negative: rounded HALF_UP)."""
    if digits == 0:
        return value
    if digits > 0:
        return value * integer(10**digits)
    power = 10**-digits
    half = integer(power // 2)
    shifted = pl.when(value < 0).then(value - half).otherwise(value + half)
    return shifted.truncdiv(integer(power))


def from_unscaled(value: pl.Expr, data_type: DecimalType) -> pl.Expr:
    """A Decimal from its unscaled integer; NULL where it has more digits than the type."""
    fits = value.abs() < integer(10**data_type.precision)
    return pl.when(fits).then(value).reinterpret(dtype=data_type.to_polars())


def product(left: pl.Expr, right: pl.Expr, data_type: DecimalType) -> pl.Expr:
    """The product of two decimals in a type that has all its digits behind the point; NULL where it has too many before it."""
    a, b = unscaled(left), unscaled(right)
    exact, limit = a * b, 10**data_type.precision
    # Below 1.5e38 the 128-bit product is exact; from there on it has more than 38 digits, whatever the estimate's last bits.
    estimate = a.cast(pl.Float64) * b.cast(pl.Float64)
    fits = estimate.is_between(-1.5e38, 1.5e38) & exact.is_between(integer(-limit), integer(limit), closed="none")
    return pl.when(fits).then(exact).reinterpret(dtype=data_type.to_polars())


def to_decimal(value: pl.Expr, source: DecimalType, target: DecimalType) -> pl.Expr:
    """A Decimal in another precision and scale: rounded HALF_UP, NULL when too large."""
    if source.scale <= target.scale and source.precision - source.scale <= target.precision - target.scale:
        return value.cast(target.to_polars())
    moved = target.scale - source.scale
    raw = unscaled(value)
    if moved > 0 and source.precision + moved > 38:
        room = 38 - moved
        raw = pl.when(raw.abs() < integer(10**room)).then(raw)
    return from_unscaled(rescale(raw, moved), target)


@dataclass(frozen=True)
class Native:
    """How an operation is computed on unscaled integers, and for which it fits into 128 bits.

    Args:
        fits: (largest left, largest right absolute unscaled value) -> whether no intermediate value has more than 38 digits.
        compute: (left, right unscaled) -> the result as a Decimal expression.
    """

    fits: Callable[[int, int], bool]
    compute: Callable[[pl.Expr, pl.Expr], pl.Expr]


def by_size(
    left: pl.Expr,
    right: pl.Expr,
    data_type: DecimalType,
    operation: Callable[[Decimal, Decimal], Decimal],
    native: Native | None = None,
) -> pl.Expr:
    """`operation` for operands whose exact result may need more than 128 bits.

    A batch whose values are small enough, which is nearly every one, is computed by `native`, others row by row in Python.
    """
    unit = Decimal(1).scaleb(-data_type.scale)
    limit = Decimal(10) ** (data_type.precision - data_type.scale)
    dtype = data_type.to_polars()

    def compute(pairs: pl.Series) -> pl.Series:
        if native is not None and native.fits(*(largest(pairs.struct.field(side)) for side in ("l", "r"))):
            frame = pairs.struct.unnest()
            return frame.select(native.compute(unscaled(pl.col("l")), unscaled(pl.col("r"))).alias(pairs.name)).to_series()
        context = decimal.Context(prec=100, rounding=decimal.ROUND_HALF_UP)
        lefts, rights = pairs.struct.field("l").to_list(), pairs.struct.field("r").to_list()
        values: list[Decimal | None] = []
        with decimal.localcontext(context):
            for a, b in zip(lefts, rights, strict=True):
                value = None if a is None or b is None else operation(a, b).quantize(unit)
                values.append(value if value is not None and abs(value) < limit else None)
        return pl.Series(pairs.name, values, dtype=dtype)

    return pl.struct(left.alias("l"), right.alias("r")).map_batches(compute, return_dtype=dtype, is_elementwise=True)
