"""Decimal arithmetic on 128-bit integers must give what exact arithmetic in Python gives, whenever it says that values fit."""

from __future__ import annotations

import operator
import random
from decimal import ROUND_HALF_UP, Context, Decimal

import polars as pl

from tableapi.functions import arithmetic, decimals
from tableapi.plan.typing import decimal_divide, decimal_plus, decimal_times
from tableapi.types import DecimalType

EXACT = Context(prec=100, rounding=ROUND_HALF_UP)


def a_type(source: random.Random) -> DecimalType:
    precision = source.randint(1, 38)
    return DecimalType(precision, source.randint(0, precision))


def some_values(source: random.Random, data_type: DecimalType) -> pl.Series:
    limits = [10 ** source.randint(1, data_type.precision) - 1 for _ in range(4)]
    values = [Decimal(source.randint(-limit, limit)).scaleb(-data_type.scale, EXACT) for limit in limits]
    return pl.Series([*values, None], dtype=data_type.to_polars())


def test_native_and_exact_results_agree():
    source = random.Random(7)
    compared = 0
    for _ in range(80):
        left, right = a_type(source), a_type(source)
        frame = pl.DataFrame({"l": some_values(source, left), "r": some_values(source, right)})
        total, product, quotient = decimal_plus(left, right), decimal_times(left, right), decimal_divide(left, right)
        cases = (
            (operator.add, total, arithmetic._sum_of_integers(1, left, right, total)),
            (operator.sub, total, arithmetic._sum_of_integers(-1, left, right, total)),
            (operator.mul, product, arithmetic._product_of_integers(left, right, product)),
            (operator.truediv, quotient, arithmetic._quotient_of_integers(left, right, quotient)),
        )
        for operation, result, native in cases:
            rows = frame.filter(pl.col("r") != 0) if operation is operator.truediv else frame
            exact = rows.select(decimals.by_size(pl.col("l"), pl.col("r"), result, operation))
            fast = rows.select(decimals.by_size(pl.col("l"), pl.col("r"), result, operation, native))
            assert exact.equals(fast), (operation, left, right, rows)
            compared += native is not None and native.fits(decimals.largest(rows["l"]), decimals.largest(rows["r"]))
    assert compared > 100


def test_products_with_more_digits_than_fit_are_null_and_others_exact():
    """Goal: the check by estimate lets no wrapped 128-bit product through, and refuses none that fits."""
    source = random.Random(11)
    left, right, result = DecimalType(31, 4), DecimalType(16, 2), DecimalType(38, 6)
    edges = [
        (10**31 - 1, 10**7),
        (10**31 - 1, 10**16 - 1),
        (10**22, 10**16 - 1),
        (10**22 + 1, 10**16 - 1),
        (-(10**31 - 1), 10**16 - 1),
    ]
    pairs = edges + [
        tuple(source.randint(-(10**n), 10**n) for n in (source.randint(1, 30), source.randint(1, 15))) for _ in range(5_000)
    ]
    values = [
        [Decimal(v).scaleb(-scale, EXACT) for v in side] for side, scale in zip(zip(*pairs, strict=True), (4, 2), strict=True)
    ]
    frame = pl.DataFrame([pl.Series(n, v, dtype=t.to_polars()) for n, v, t in zip("lr", values, (left, right), strict=True)])
    found = frame.select(decimals.product(pl.col("l"), pl.col("r"), result)).to_series().to_list()
    expected = [EXACT.multiply(a, b) if abs(x * y) < 10**38 else None for a, b, (x, y) in zip(*values, pairs, strict=True)]
    assert found == expected
    assert 0 < found.count(None) < len(found)
