"""BITMAP: sets of 32-bit integers, kept as sorted lists of unsigned integers; set operations are Polars list operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from tableapi.functions.registry import (
    Accumulator,
    AccumulatorKind,
    AggregateFunction,
    LoweringCall,
    ScalarFunction,
    Signature,
)
from tableapi.functions.roaring import from_bytes, to_bytes
from tableapi.functions.rowwise import each
from tableapi.functions.signatures import BINARY, Param, param, signature
from tableapi.functions.text_format import to_text
from tableapi.types import (
    ArrayType,
    BigIntType,
    BitmapType,
    DataType,
    IntegralType,
    IntType,
    NullType,
    VarBinaryType,
    VarCharType,
)

_MEMBERS = pl.List(pl.UInt32)
BITMAP = param("a BITMAP", BitmapType, null_as=BitmapType())
_INTEGERS = Param(
    "an ARRAY<INT>",
    lambda t: (
        isinstance(t, NullType)
        or (
            isinstance(t, ArrayType)
            and isinstance(t.element_type, IntegralType | NullType)
            and getattr(t.element_type, "bits", 0) <= 32
        )
    ),
    lambda t: ArrayType(IntType()),
)
_INTEGER = Param("an INT", lambda t: isinstance(t, IntegralType) and t.bits <= 32, lambda t: IntType())


def _build(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    members = args[0].list.eval(pl.element().drop_nulls().cast(pl.Int32).reinterpret(signed=False).unique().sort())
    return members.cast(_MEMBERS)


def _to_string(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return to_text(args[0], BitmapType(), call.session)


def bitmap_bytes(value: pl.Expr) -> pl.Expr:
    """A bitmap in Roaring's portable serialised form."""
    return each([value], to_bytes, pl.Binary())


def _to_array(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return args[0].list.eval(pl.element().reinterpret(signed=True))


def _from_bytes(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return each(args, from_bytes, _MEMBERS)


def _combined(left: pl.Expr, right: pl.Expr, method: str) -> pl.Expr:
    # Polars fails on a constant NULL.
    known = left.is_not_null() & right.is_not_null()
    none = pl.lit([], dtype=_MEMBERS)
    return pl.when(known).then(getattr(left.fill_null(none).list, method)(right.fill_null(none)).list.sort())


def _set_operation(name: str, method: str, doc: str) -> ScalarFunction:
    return ScalarFunction(
        name,
        signature(BITMAP, BITMAP, result=BitmapType()),
        lambda args, call: _combined(args[0], args[1], method),
        doc,
        api_name=name.lower(),
        category="bitmap",
    )


def _function(
    name: str, argument: Param, result: DataType, lower: Callable[..., pl.Expr], doc: str, **more: object
) -> ScalarFunction:
    return ScalarFunction(
        name,
        signature(argument, result=result),
        lower,
        doc,
        api_name=name.lower(),
        category="bitmap",
        **more,  # type: ignore[arg-type]
    )


Combine = Callable[[pl.Expr], pl.Expr]
"""From the inputs of a group (integers, or bitmaps) to the members of the result, sorted."""


def _of_integers(values: pl.Expr) -> pl.Expr:
    return values.drop_nulls().cast(pl.Int32).reinterpret(signed=False).unique().sort()


def _any_of(values: pl.Expr) -> pl.Expr:
    return values.drop_nulls().explode().drop_nulls().unique().sort()


def _counted(values: pl.Expr, keep: Callable[[pl.Expr], pl.Expr]) -> pl.Expr:
    counts = values.drop_nulls().explode().drop_nulls().sort().rle()
    return counts.filter(keep(counts.struct.field("len"))).struct.field("value")


def _odd_of(values: pl.Expr) -> pl.Expr:
    return _counted(values, lambda n: n % 2 == 1)


def _all_of(values: pl.Expr) -> pl.Expr:
    return _counted(values, lambda n: n == values.count())


def _aggregates(name: str, argument: Param, combine: Combine, doc: str) -> tuple[AggregateFunction, AggregateFunction]:
    """The aggregate that gives the BITMAP, and the one that gives its cardinality. NULL when there are no values."""

    def values(types: Sequence[DataType], result: DataType) -> tuple[Accumulator, ...]:
        return (Accumulator(AccumulatorKind.VALUES, ArrayType(types[0].nullable(), is_nullable=False), lambda args: args[0]),)

    def batch(of: Combine) -> Callable[..., pl.Expr]:
        return lambda args, call: pl.when(args[0].count() > 0).then(of(args[0]))

    def stream(columns: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
        made = columns[0].list.eval(combine(pl.element()))
        known = columns[0].list.drop_nulls().list.len() > 0
        return pl.when(known).then(made if isinstance(call.type, BitmapType) else made.list.len().cast(pl.Int64))

    def rule(result: DataType) -> Signature:
        return signature(argument, result=result, is_nullable=True)

    whole = AggregateFunction(
        f"BITMAP_{name}_AGG",
        rule(BitmapType()),
        batch(lambda x: combine(x).implode()),
        values,
        stream,
        f"The BITMAP of {doc}.",
        api_name=f"bitmap_{name.lower()}_agg",
    )
    size = AggregateFunction(
        f"BITMAP_{name}_CARDINALITY_AGG",
        rule(BigIntType()),
        batch(lambda x: combine(x).len().cast(pl.Int64)),
        values,
        stream,
        f"The number of {doc}.",
        api_name=f"bitmap_{name.lower()}_cardinality_agg",
    )
    return whole, size


FUNCTIONS: tuple[ScalarFunction | AggregateFunction, ...] = (
    _function(
        "BITMAP_BUILD",
        _INTEGERS,
        BitmapType(),
        _build,
        "The BITMAP of the integers of an array.",
        examples=(("BITMAP_TO_STRING(BITMAP_BUILD(ARRAY[3, 1]))", "{1,3}"),),
    ),
    _function(
        "BITMAP_CARDINALITY",
        BITMAP,
        BigIntType(),
        lambda args, call: args[0].list.len().cast(pl.Int64),
        "Number of members.",
        examples=(("BITMAP_CARDINALITY(BITMAP_BUILD(ARRAY[3, 1]))", "2"),),
    ),
    _set_operation("BITMAP_AND", "set_intersection", "Members of both bitmaps."),
    _set_operation("BITMAP_OR", "set_union", "Members of one of the bitmaps."),
    _set_operation("BITMAP_XOR", "set_symmetric_difference", "Members of exactly one of the bitmaps."),
    _set_operation("BITMAP_ANDNOT", "set_difference", "Members of the first bitmap that are not in the second."),
    _function("BITMAP_TO_ARRAY", BITMAP, ArrayType(IntType()), _to_array, "The members as an ARRAY, in (unsigned) order."),
    _function("BITMAP_TO_STRING", BITMAP, VarCharType(), _to_string, "The members as text: {1,3}."),
    _function(
        "BITMAP_TO_BYTES",
        BITMAP,
        VarBinaryType(),
        lambda args, call: bitmap_bytes(args[0]),
        "The portable form of a Roaring bitmap.",
    ),
    ScalarFunction(
        "BITMAP_FROM_BYTES",
        signature(BINARY, result=BitmapType(), is_nullable=True),
        _from_bytes,
        "The BITMAP of its portable form; NULL when the bytes are none.",
        api_name="bitmap_from_bytes",
        category="bitmap",
    ),
    *_aggregates("BUILD", _INTEGER, _of_integers, "the group's integers"),
    *_aggregates("AND", BITMAP, _all_of, "the integers that are in all of the group's bitmaps"),
    *_aggregates("OR", BITMAP, _any_of, "the integers that are in one of the group's bitmaps"),
    *_aggregates("XOR", BITMAP, _odd_of, "the integers that are in an odd number of the group's bitmaps"),
)
