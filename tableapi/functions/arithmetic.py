"""Operators on numbers (and on times and intervals), rounding, and mathematical functions.

Integers wrap as in Java and divide towards zero; decimals are exact and round HALF_UP; a zero divisor of an exact number fails
the query. May import types, plan.typing and the sibling helpers.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from tableapi.functions import decimals, intervals
from tableapi.functions.checks import fail_where
from tableapi.functions.registry import Lowering, LoweringCall, Resolved, ScalarFunction, Signature
from tableapi.functions.signatures import (
    AS_DOUBLE,
    AS_INT,
    INTEGER,
    INTERVAL,
    NUMBER,
    TEXT,
    Param,
    first,
    overload,
    param,
    signature,
)
from tableapi.plan.rex import Literal, Ref, Rex, walk
from tableapi.plan.typing import (
    as_decimal,
    common_type,
    decimal_divide,
    decimal_mod,
    decimal_plus,
    decimal_round,
    decimal_times,
)
from tableapi.types import (
    BinaryStringType,
    CharacterType,
    DataType,
    DecimalType,
    DoubleType,
    FractionalType,
    IntegralType,
    IntType,
    NullType,
    VarBinaryType,
    VarCharType,
)

_EXACT_NUMBER = param("an integer or a DECIMAL", IntegralType, DecimalType, null_as=IntType())

Derivation = Callable[[DecimalType, DecimalType], DecimalType]


def _binary_number(derive: Derivation) -> Signature:
    """Two numbers: integers take the wider type, decimals keep theirs and derive the result, floating point wins."""

    def resolve(args: Sequence[Rex]) -> Resolved:
        checked = signature(NUMBER, NUMBER, result=first)(args)
        left, right = (IntType() if isinstance(t, NullType) else t for t in checked.arg_types)
        nullable = checked.result.is_nullable
        if isinstance(left, FractionalType) or isinstance(right, FractionalType) or _both_integers(left, right):
            common = common_type([left, right])
            assert common is not None
            return Resolved((common, common), common.with_nullability(nullable))
        a, b = as_decimal(left), as_decimal(right)
        return Resolved((a, b), derive(a, b).with_nullability(nullable))

    return resolve


def _mod_signature(args: Sequence[Rex]) -> Resolved:
    """Of whole numbers the result has the divisor's type, which always holds it. Exact numbers only (Flink)."""
    signature(_EXACT_NUMBER, _EXACT_NUMBER, result=first)(args)
    checked = _binary_number(decimal_mod)(args)
    divisor = args[1].type
    if isinstance(divisor, IntegralType) and _is_whole(checked.result):
        return replace(checked, result=divisor.with_nullability(checked.result.is_nullable))
    return checked


def _is_whole(data_type: DataType) -> bool:
    return not isinstance(data_type, DecimalType) or data_type.scale == 0


def _both_integers(left: DataType, right: DataType) -> bool:
    return isinstance(left, IntegralType) and isinstance(right, IntegralType)


def _concatenated(types: Sequence[DataType]) -> DataType:
    return VarCharType()


def _decimals_of(call: LoweringCall) -> tuple[DecimalType, DecimalType, DecimalType] | None:
    if not isinstance(call.type, DecimalType):
        return None
    left, right = call.args[0].type, call.args[1].type
    assert isinstance(left, DecimalType)
    assert isinstance(right, DecimalType)
    return left, right, call.type


def _add(sign: int) -> Lowering:
    native: Callable[[Any, Any], Any] = operator.add if sign > 0 else operator.sub

    def lower(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
        if intervals.is_temporal(call):
            return intervals.add(args, call, sign)
        if isinstance(call.type, CharacterType):
            return args[0] + args[1]
        types = _decimals_of(call)
        if types is None:
            return args[0] + args[1] if sign > 0 else args[0] - args[1]
        left, right, result = types
        scale = max(left.scale, right.scale)
        if max(left.precision - left.scale, right.precision - right.scale) + scale + 1 > 38:
            return decimals.by_size(args[0], args[1], result, native, _sum_of_integers(sign, left, right, result))
        a = decimals.rescale(decimals.unscaled(args[0]), scale - left.scale)
        b = decimals.rescale(decimals.unscaled(args[1]), scale - right.scale)
        total = a + b if sign > 0 else a - b
        return total.reinterpret(dtype=result.to_polars())

    return lower


_LIMIT = 10**38
"""What stays below has room in 128 bits, a rounding included."""


def _sum_of_integers(sign: int, left: DecimalType, right: DecimalType, result: DecimalType) -> decimals.Native:
    scale = max(left.scale, right.scale)
    a_digits, b_digits = scale - left.scale, scale - right.scale

    def compute(a: pl.Expr, b: pl.Expr) -> pl.Expr:
        total = decimals.rescale(a, a_digits) + sign * decimals.rescale(b, b_digits)
        return decimals.from_unscaled(decimals.rescale(total, result.scale - scale), result)

    return decimals.Native(lambda a, b: a * 10**a_digits + b * 10**b_digits < _LIMIT, compute)


def _product_of_integers(left: DecimalType, right: DecimalType, result: DecimalType) -> decimals.Native:
    digits = result.scale - left.scale - right.scale

    def compute(a: pl.Expr, b: pl.Expr) -> pl.Expr:
        return decimals.from_unscaled(decimals.rescale(a * b, digits), result)

    return decimals.Native(lambda a, b: a * b < _LIMIT, compute)


def _quotient_of_integers(left: DecimalType, right: DecimalType, result: DecimalType) -> decimals.Native | None:
    digits = result.scale + right.scale - left.scale
    if digits < 0:
        return None

    def compute(a: pl.Expr, b: pl.Expr) -> pl.Expr:
        return decimals.from_unscaled(decimals.divide_half_up(decimals.rescale(a, digits), b), result)

    return decimals.Native(lambda a, b: a * 10**digits < _LIMIT and 2 * b < _LIMIT, compute)


def _times(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    if intervals.is_temporal(call):
        return intervals.multiply(args, call)
    types = _decimals_of(call)
    if types is None:
        return args[0] * args[1]
    left, right, result = types
    is_exact = result.scale == left.scale + right.scale
    if left.precision + right.precision > 38:
        if is_exact:
            return decimals.product(args[0], args[1], result)
        return decimals.by_size(args[0], args[1], result, operator.mul, _product_of_integers(left, right, result))
    product = decimals.unscaled(args[0]) * decimals.unscaled(args[1])
    if is_exact and left.precision + right.precision <= result.precision:
        return product.reinterpret(dtype=result.to_polars())
    return decimals.from_unscaled(decimals.rescale(product, result.scale - left.scale - right.scale), result)


def _checked_divisor(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    """The divisor of an exact division; fails the query when it is zero and there is something to divide."""
    value = call.constant(1)
    if value is not None and value != 0:
        return args[1]
    dtype = call.args[1].type.to_polars()
    divisor = pl.when(args[0].is_not_null()).then(args[1]) if call.args[0].type.is_nullable else args[1]
    return fail_where(
        call.guarded(divisor), dtype, lambda s: s == 0, "division by zero", fix="filter zero divisors out, or use NULLIF(x, 0)"
    )


def _divide(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    if intervals.is_temporal(call):
        return intervals.divide(args, call)
    if isinstance(call.type, FractionalType):
        # Polars multiplies by the reciprocal of a constant, which is not the nearest quotient.
        varies = any(isinstance(part, Ref) for part in walk(call.args[1]))
        return args[0] / (args[1] if varies else pl.when(args[0].is_not_null()).then(args[1]))
    divisor = _checked_divisor(args, call)
    types = _decimals_of(call)
    if types is None:
        return args[0].truncdiv(divisor)
    left, right, result = types
    digits = result.scale + right.scale - left.scale
    if digits < 0 or left.precision + digits > 38:
        return decimals.by_size(args[0], divisor, result, operator.truediv, _quotient_of_integers(left, right, result))
    dividend = decimals.rescale(decimals.unscaled(args[0]), digits)
    return decimals.from_unscaled(decimals.divide_half_up(dividend, decimals.unscaled(divisor)), result)


def _mod(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    divisor = _checked_divisor(args, call)
    types = _decimals_of(call)
    if types is None:
        if isinstance(call.args[0].type, DecimalType):
            args, divisor = [decimals.unscaled(args[0])], decimals.unscaled(divisor)
        return args[0] - args[0].truncdiv(divisor) * divisor
    left, right, result = types
    scale = max(left.scale, right.scale)
    if max(left.precision - left.scale, right.precision - right.scale) + scale > 38:
        return decimals.by_size(args[0], divisor, result, operator.mod)
    a = decimals.rescale(decimals.unscaled(args[0]), scale - left.scale)
    b = decimals.rescale(decimals.unscaled(divisor), scale - right.scale)
    return decimals.from_unscaled(decimals.rescale(a - a.truncdiv(b) * b, result.scale - scale), result)


_PLUS_SIGNATURE = overload(_binary_number(decimal_plus), signature(TEXT, TEXT, result=_concatenated), intervals.PLUS)
_MINUS_SIGNATURE = overload(_binary_number(decimal_plus), intervals.MINUS)
_TIMES_SIGNATURE = overload(_binary_number(decimal_times), intervals.TIMES)
_DIVIDE_SIGNATURE = overload(_binary_number(decimal_divide), intervals.DIVIDE)


def _negate(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return -args[0]


def _abs(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return args[0].abs()


def _sign(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    if isinstance(call.type, DecimalType):
        value = decimals.unscaled(args[0])
        one = decimals.integer(10**call.type.scale)
        return decimals.from_unscaled(
            pl.when(value > 0).then(one).when(value < 0).then(-one).when(value == 0).then(decimals.integer(0)), call.type
        )
    return args[0].sign()


def _whole(types: Sequence[DataType]) -> DataType:
    value = types[0]
    return DecimalType(value.precision, 0) if isinstance(value, DecimalType) else value


_FLOOR_SIGNATURE = overload(signature(NUMBER, result=_whole), intervals.FLOOR_TO_UNIT)


def _floor(direction: int) -> Lowering:
    def lower(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
        if len(args) == 2:
            return intervals.floor_to_unit(args, call, direction)
        source = call.args[0].type
        if isinstance(source, FractionalType):
            return args[0].ceil() if direction > 0 else args[0].floor()
        if not isinstance(source, DecimalType) or not isinstance(call.type, DecimalType):
            return args[0]
        power = decimals.integer(10**source.scale)
        value = decimals.unscaled(args[0])
        whole = value.truncdiv(power)
        rest = value - whole * power
        is_off = rest > 0 if direction > 0 else rest < 0
        return decimals.from_unscaled(whole + is_off.cast(decimals.INT128) * decimals.integer(direction), call.type)

    return lower


def _round_signature(args: Sequence[Rex]) -> Resolved:
    checked = signature(NUMBER, AS_INT, optional=1, result=first)(args)
    value = checked.arg_types[0]
    if isinstance(value, DecimalType):
        places = args[1].value if len(args) == 2 and isinstance(args[1], Literal) and args[1].value is not None else 0
        if len(args) == 2 and not isinstance(args[1], Literal):
            places = value.scale
        return Resolved(checked.arg_types, decimal_round(value, places).with_nullability(checked.result.is_nullable))
    return checked


def _round(half_up: bool) -> Lowering:
    def lower(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
        places = call.constant(1) if len(args) == 2 else 0
        source = call.args[0].type
        if len(args) == 2 and not call.is_constant(1):
            return _round_by_row(args, call, half_up)
        if places is None:
            return pl.lit(None, dtype=call.type.to_polars())
        if isinstance(source, DecimalType) and isinstance(call.type, DecimalType):
            return _round_decimal(args[0], source, call.type, places, half_up)
        if isinstance(source, IntegralType):
            return _round_integer(args[0], source, places, half_up)
        return _round_double(args[0], source, pl.lit(places), half_up)

    return lower


def _round_decimal(value: pl.Expr, source: DecimalType, result: DecimalType, places: int, half_up: bool) -> pl.Expr:
    if places >= source.scale:
        return value
    raw = decimals.unscaled(value)
    dropped = source.scale - places
    if dropped > 38:
        return decimals.from_unscaled(raw * decimals.integer(0), result)
    power = decimals.integer(10**dropped)
    cut = decimals.rescale(raw, -dropped) if half_up else raw.truncdiv(power)
    return decimals.from_unscaled(decimals.rescale(cut, result.scale - places), result)


def _round_integer(value: pl.Expr, source: DataType, places: int, half_up: bool) -> pl.Expr:
    if places >= 0:
        return value
    if places < -19:
        return value * 0
    power = 10**-places
    wide = value.cast(decimals.INT128)
    cut = decimals.rescale(wide, places) if half_up else wide.truncdiv(decimals.integer(power))
    return (cut * decimals.integer(power)).cast(source.to_polars(), wrap_numerical=True)


def _round_double(value: pl.Expr, source: DataType, places: pl.Expr, half_up: bool) -> pl.Expr:
    """Rounds the shortest decimal text of the number, as Java's BigDecimal.valueOf does: 1.005 to two places is 1.01."""
    from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal

    context = Context(prec=400)
    mode = ROUND_HALF_UP if half_up else ROUND_DOWN

    def rounded(number: float | None, digits: int | None) -> float | None:
        if number is None or digits is None or not math.isfinite(number):
            return number if digits is not None else None
        text = str(np.float32(number)) if source.to_polars() == pl.Float32 else repr(number)
        return float(Decimal(text).quantize(Decimal(1).scaleb(-min(digits, 330)), rounding=mode, context=context))

    def compute(pairs: pl.Series) -> pl.Series:
        numbers, digits = pairs.struct.field("x"), pairs.struct.field("n")
        fast, is_sure = _rounded_fast(numbers, digits, half_up)
        slow = [
            rounded(x, n) for x, n in zip(numbers.filter(~is_sure).to_list(), digits.filter(~is_sure).to_list(), strict=True)
        ]
        return fast.scatter((~is_sure).arg_true(), pl.Series(slow, dtype=pl.Float64)).cast(source.to_polars()).alias(pairs.name)

    pair = pl.struct(value.alias("x"), places.cast(pl.Int32).alias("n"))
    return pair.map_batches(compute, return_dtype=source.to_polars(), is_elementwise=True)


def _rounded_fast(numbers: pl.Series, places: pl.Series, half_up: bool) -> tuple[pl.Series, pl.Series]:
    """Rounded doubles, and for which of them binary arithmetic is exact enough to be sure."""
    digits = places.fill_null(0).to_numpy()
    x = numbers.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    with np.errstate(all="ignore"):
        power = 10.0 ** np.abs(digits)
        scaled = np.where(digits >= 0, np.abs(x) * power, np.abs(x) / power)
        whole = np.floor(scaled)
        rest = scaled - whole
        border = np.abs(rest - 0.5) if half_up else np.minimum(rest, 1 - rest)
        units = whole + (rest > 0.5) if half_up else whole
        made = np.copysign(np.where(digits >= 0, units / power, units * power), x)
        is_sure = (scaled < 2.0**40) & (border > 1e-3) & (np.abs(digits) <= 15)
    return pl.Series(values=made), pl.Series(values=is_sure) & numbers.is_not_null() & places.is_not_null()


def _round_by_row(args: Sequence[pl.Expr], call: LoweringCall, half_up: bool) -> pl.Expr:
    source = call.args[0].type
    if isinstance(source, FractionalType):
        return _round_double(args[0], source, args[1], half_up)
    from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal

    context = Context(prec=80)
    mode = ROUND_HALF_UP if half_up else ROUND_DOWN
    is_decimal = isinstance(call.type, DecimalType)
    unit = Decimal(1).scaleb(-call.type.scale) if isinstance(call.type, DecimalType) else Decimal(1)

    def compute(pairs: pl.Series) -> pl.Series:
        numbers, digits = pairs.struct.field("x").to_list(), pairs.struct.field("n").to_list()
        values: list[Decimal | int | None] = []
        for number, places in zip(numbers, digits, strict=True):
            if number is None or places is None:
                values.append(None)
                continue
            exact = Decimal(number).quantize(Decimal(1).scaleb(-places), rounding=mode, context=context)
            values.append(exact.quantize(unit, rounding=mode, context=context) if is_decimal else int(exact))
        if isinstance(call.type, DecimalType):
            limit = Decimal(10) ** (call.type.precision - call.type.scale)
            fitting = [v if isinstance(v, Decimal) and abs(v) < limit else None for v in values]
            return pl.Series(pairs.name, fitting, dtype=call.type.to_polars())
        return pl.Series(pairs.name, values, dtype=decimals.INT128).cast(call.type.to_polars(), wrap_numerical=True)

    pair = pl.struct(args[0].alias("x"), args[1].alias("n"))
    return pair.map_batches(compute, return_dtype=call.type.to_polars(), is_elementwise=True)


def _unary(expression: Callable[[pl.Expr], pl.Expr]) -> Lowering:
    return lambda args, call: expression(args[0])


def _log(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    if len(args) == 1:
        return args[0].log()
    return args[1].log() / args[0].log()


def _atan2(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return pl.arctan2(args[0], args[1])


def _bin(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    def compute(values: pl.Series) -> pl.Series:
        return pl.Series(
            values.name, [None if v is None else f"{v & (2**64 - 1):b}" for v in values.to_list()], dtype=pl.String
        )

    return args[0].cast(pl.Int64).map_batches(compute, return_dtype=pl.String(), is_elementwise=True)


def _hex_integers(values: pl.Series) -> pl.Series:
    return pl.Series(values.name, [None if v is None else f"{v & (2**64 - 1):X}" for v in values.to_list()], dtype=pl.String)


def _hex(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    if isinstance(call.args[0].type, IntegralType):
        return args[0].cast(pl.Int64).map_batches(_hex_integers, return_dtype=pl.String(), is_elementwise=True)
    return args[0].cast(pl.Binary).bin.encode("hex").str.to_uppercase()


def _unhex(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    # Of an odd number of digits the first gives way to a zero byte (Flink).
    is_odd = (args[0].str.len_chars() % 2 == 1) & args[0].str.contains("^[0-9a-fA-F]")
    padded = pl.when(is_odd).then("00" + args[0].str.slice(1)).otherwise(args[0])
    return padded.str.decode("hex", strict=False)


def _double_result(
    name: str, expression: Callable[[pl.Expr], pl.Expr], doc: str, api_name: str | None = None, **more: object
) -> ScalarFunction:
    return ScalarFunction(
        name,
        signature(AS_DOUBLE, result=DoubleType()),
        _unary(expression),
        doc,
        api_name=api_name or name.lower(),
        category="arithmetic",
        **more,  # type: ignore[arg-type]
    )


_HEXABLE = Param(
    "an integer or a string", lambda t: isinstance(t, IntegralType | CharacterType | BinaryStringType | NullType), lambda t: t
)

FUNCTIONS: tuple[ScalarFunction, ...] = (
    ScalarFunction(
        "PLUS",
        _PLUS_SIGNATURE,
        _add(1),
        "Sum of two numbers; a time plus an interval; two strings joined (Table API). Integers wrap on overflow.",
        api_name="plus",
        examples=(("1 + 2", "3"), ("1.5 + 2", "3.5")),
        category="arithmetic",
    ),
    ScalarFunction(
        "MINUS",
        _MINUS_SIGNATURE,
        _add(-1),
        "Difference of two numbers, of a time and an interval, or of two times (an interval).",
        api_name="minus",
        examples=(("1 - 2", "-1"),),
        category="arithmetic",
    ),
    ScalarFunction(
        "TIMES",
        _TIMES_SIGNATURE,
        _times,
        "Product of two numbers, or of an interval and a number.",
        api_name="times",
        examples=(("1.10 * 2.2", "2.420"),),
        category="arithmetic",
    ),
    ScalarFunction(
        "DIVIDE",
        _DIVIDE_SIGNATURE,
        _divide,
        "Quotient. Integers are truncated towards zero; a zero divisor fails the query unless the type is FLOAT or DOUBLE.",
        api_name="dividedBy",
        can_fail=True,
        examples=(("7 / -2", "-3"), ("1.0 / 3.0", "0.333333")),
        category="arithmetic",
    ),
    ScalarFunction(
        "MOD",
        _mod_signature,
        _mod,
        "Remainder of two integers or decimals; its sign is the dividend's. A zero divisor fails the query.",
        api_name="mod",
        can_fail=True,
        examples=(("MOD(-7, 3)", "-1"),),
        category="arithmetic",
    ),
    ScalarFunction(
        "NEGATE",
        overload(signature(NUMBER, result=first), signature(INTERVAL, result=first)),
        _negate,
        "The number or interval with the opposite sign.",
        api_name="negative",
        examples=(("-(3)", "-3"),),
        category="arithmetic",
    ),
    ScalarFunction(
        "ABS",
        signature(NUMBER, result=first),
        _abs,
        "Absolute value.",
        api_name="abs",
        examples=(("ABS(-3)", "3"),),
        category="arithmetic",
    ),
    ScalarFunction(
        "SIGN",
        signature(NUMBER, result=first),
        _sign,
        "-1, 0 or 1, in the type of the argument.",
        api_name="sign",
        examples=(("SIGN(-3)", "-1"),),
        category="arithmetic",
    ),
    ScalarFunction(
        "FLOOR",
        _FLOOR_SIGNATURE,
        _floor(-1),
        "Largest whole number that is not greater; with a unit, the start of the year, month, week (Sunday), ... of a time.",
        api_name="floor",
        examples=(("FLOOR(-1.5)", "-2"), ("FLOOR(DATE '2024-02-29' TO MONTH)", "2024-02-01")),
        category="arithmetic",
    ),
    ScalarFunction(
        "CEIL",
        _FLOOR_SIGNATURE,
        _floor(1),
        "Smallest whole number that is not less; with a unit, the start of the next year, month, ... unless the time is one.",
        sql_names=("CEILING",),
        api_name="ceil",
        examples=(("CEIL(1.2)", "2"),),
        category="arithmetic",
    ),
    ScalarFunction(
        "ROUND",
        _round_signature,
        _round(half_up=True),
        "Rounds to a number of places (default 0; negative: before the point), halves away from zero.",
        api_name="round",
        examples=(("ROUND(2.25, 1)", "2.3"), ("ROUND(1234, -2)", "1200")),
        category="arithmetic",
    ),
    ScalarFunction(
        "TRUNCATE",
        _round_signature,
        _round(half_up=False),
        "Cuts to a number of places (default 0), towards zero.",
        api_name="truncate",
        examples=(("TRUNCATE(-3.75, 1)", "-3.7"),),
        category="arithmetic",
    ),
    ScalarFunction(
        "POWER",
        signature(AS_DOUBLE, AS_DOUBLE, result=DoubleType()),
        lambda args, call: args[0].pow(args[1]),
        "First argument to the power of the second, a DOUBLE.",
        api_name="power",
        examples=(("POWER(2, 10)", "1024.0"),),
        category="arithmetic",
    ),
    ScalarFunction(
        "LOG",
        signature(AS_DOUBLE, AS_DOUBLE, optional=1, result=DoubleType()),
        _log,
        "Natural logarithm; with two arguments, the logarithm of the second to the base of the first.",
        api_name="log",
        examples=(("LOG(2, 8)", "3.0"),),
        category="arithmetic",
    ),
    ScalarFunction(
        "ATAN2",
        signature(AS_DOUBLE, AS_DOUBLE, result=DoubleType()),
        _atan2,
        "Angle in radians of the point (x, y), given as ATAN2(y, x).",
        api_name="atan2",
        examples=(("ATAN2(0, 1)", "0.0"),),
        category="arithmetic",
    ),
    _double_result("SQRT", lambda x: x.sqrt(), "Square root; NaN of a negative number.", examples=(("SQRT(9)", "3.0"),)),
    _double_result("EXP", lambda x: x.exp(), "e to the power of the argument.", examples=(("EXP(0)", "1.0"),)),
    _double_result("LN", lambda x: x.log(), "Natural logarithm.", examples=(("LN(1)", "0.0"),)),
    _double_result("LOG10", lambda x: x.log10(), "Logarithm to base 10.", examples=(("LOG10(100)", "2.0"),)),
    _double_result("LOG2", lambda x: x.log(2), "Logarithm to base 2.", examples=(("LOG2(8)", "3.0"),)),
    _double_result("SIN", lambda x: x.sin(), "Sine of an angle in radians."),
    _double_result("COS", lambda x: x.cos(), "Cosine of an angle in radians."),
    _double_result("TAN", lambda x: x.tan(), "Tangent of an angle in radians."),
    _double_result("COT", lambda x: 1.0 / x.tan(), "Cotangent of an angle in radians."),
    _double_result("ASIN", lambda x: x.arcsin(), "Arc sine."),
    _double_result("ACOS", lambda x: x.arccos(), "Arc cosine."),
    _double_result("ATAN", lambda x: x.arctan(), "Arc tangent."),
    _double_result("SINH", lambda x: x.sinh(), "Hyperbolic sine."),
    _double_result("COSH", lambda x: x.cosh(), "Hyperbolic cosine."),
    _double_result("TANH", lambda x: x.tanh(), "Hyperbolic tangent."),
    _double_result("DEGREES", lambda x: x * (180.0 / math.pi), "Radians to degrees."),
    _double_result("RADIANS", lambda x: x / 180.0 * math.pi, "Degrees to radians."),
    ScalarFunction(
        "PI",
        signature(result=DoubleType(is_nullable=False)),
        lambda args, call: pl.lit(math.pi),
        "The number pi.",
        api_name="pi",
        category="arithmetic",
    ),
    ScalarFunction(
        "E",
        signature(result=DoubleType(is_nullable=False)),
        lambda args, call: pl.lit(math.e),
        "Euler's number e.",
        api_name="e",
        category="arithmetic",
    ),
    ScalarFunction(
        "BIN",
        signature(INTEGER, result=VarCharType()),
        _bin,
        "Binary digits of an integer; negative numbers as 64-bit two's complement.",
        api_name="bin",
        examples=(("BIN(12)", "1100"),),
        category="arithmetic",
    ),
    ScalarFunction(
        "HEX",
        signature(_HEXABLE, result=VarCharType()),
        _hex,
        "Hexadecimal digits of an integer, or of the UTF-8 bytes of a string, in upper case.",
        api_name="hex",
        examples=(("HEX('hello')", "68656C6C6F"),),
        category="arithmetic",
    ),
    ScalarFunction(
        "UNHEX",
        signature(TEXT, result=VarBinaryType(), is_nullable=True),
        _unhex,
        "Bytes from hexadecimal digits; NULL when the text has others.",
        api_name="unhex",
        category="arithmetic",
    ),
)
