"""Functions of the session and of chance: TYPEOF, CURRENT_DATABASE, UUID, RAND."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from tableapi.functions.registry import LoweringCall, ScalarFunction
from tableapi.functions.signatures import ANY, AS_INT, BOOLEAN, signature
from tableapi.types import (
    CharType,
    DayTimeIntervalType,
    DoubleType,
    IntervalUnit,
    IntType,
    VarCharType,
    YearMonthIntervalType,
)


def _typeof(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    data_type = call.args[0].type
    if isinstance(data_type, YearMonthIntervalType):
        data_type = YearMonthIntervalType(IntervalUnit.MONTH, IntervalUnit.MONTH, is_nullable=data_type.is_nullable)
    elif isinstance(data_type, DayTimeIntervalType):
        data_type = DayTimeIntervalType(IntervalUnit.SECOND, IntervalUnit.SECOND, is_nullable=data_type.is_nullable)
    text = str(data_type)
    if call.constant(1):
        text = text.replace("STRING", "VARCHAR(2147483647)").replace("BYTES", "VARBINARY(2147483647)")
    return pl.lit(text)


def _per_row(make: Callable[[int], pl.Series], dtype: pl.DataType) -> pl.Expr:
    """An expression without arguments that has a value for each row: `make(number of rows)`."""
    return pl.int_range(pl.len()).map_batches(lambda s: make(len(s)), return_dtype=dtype)


def _uuids(count: int) -> pl.Series:
    raw = np.frombuffer(bytearray(os.urandom(16 * count)), dtype=np.uint8).reshape(count, 16)
    raw[:, 6] = (raw[:, 6] & 0x0F) | 0x40
    raw[:, 8] = (raw[:, 8] & 0x3F) | 0x80
    cuts = ((0, 8), (8, 4), (12, 4), (16, 4), (20, 12))
    frame = pl.DataFrame({"h": _hex_rows(raw)})
    parts = [pl.col("h").str.slice(start, length) for start, length in cuts]
    return frame.select(pl.concat_str(parts, separator="-"))["h"]


def _hex_rows(raw: np.ndarray) -> pl.Series:
    table = np.array([f"{b:02x}" for b in range(256)])
    columns = [pl.Series(str(i), table[raw[:, i]], dtype=pl.String) for i in range(16)]
    return pl.DataFrame(columns).select(pl.concat_str(pl.all()).alias("h"))["h"]


def _uuid(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return _per_row(_uuids, pl.String())


def _generator(call: LoweringCall, index: int) -> np.random.Generator:
    return np.random.default_rng(None if call.constant(index) is None else call.constant(index) & (2**64 - 1))


def _rand(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return _per_row(lambda n: pl.Series(values=_generator(call, 0).random(n)), pl.Float64())


def _rand_integer(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    has_seed = len(args) == 2
    shares = _per_row(lambda n: pl.Series(values=_generator(call, 0 if has_seed else 9).random(n)), pl.Float64())
    return (shares * args[-1]).floor().cast(pl.Int32)


FUNCTIONS: tuple[ScalarFunction, ...] = (
    ScalarFunction(
        "TYPEOF",
        signature(ANY, BOOLEAN, optional=1, result=VarCharType(), is_nullable=True),
        _typeof,
        "The type of the argument as text.",
        examples=(("TYPEOF(1.5)", "DECIMAL(2, 1) NOT NULL"),),
        category="system",
    ),
    ScalarFunction(
        "CURRENT_DATABASE",
        signature(result=VarCharType(is_nullable=False)),
        lambda args, call: pl.lit(call.session.database),
        "The name of the current database.",
        api_name="current_database",
        category="system",
    ),
    ScalarFunction(
        "UUID",
        signature(result=CharType(36, is_nullable=False)),
        _uuid,
        "A random UUID (version 4), for every row anew.",
        api_name="uuid",
        is_deterministic=False,
        category="system",
    ),
    ScalarFunction(
        "RAND",
        signature(AS_INT, optional=1, result=DoubleType()),
        _rand,
        "A random number from 0 (included) to 1 (excluded), with an optional seed.",
        api_name="rand",
        is_deterministic=False,
        category="system",
    ),
    ScalarFunction(
        "RAND_INTEGER",
        signature(AS_INT, AS_INT, optional=1, result=IntType()),
        _rand_integer,
        "RAND_INTEGER([seed,] bound): a random integer from 0 (included) to the bound (excluded).",
        api_name="rand_integer",
        is_deterministic=False,
        category="system",
    ),
)
