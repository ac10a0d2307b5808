"""Comparisons and predicates: =, <, BETWEEN, IN, LIKE, SIMILAR TO, IS NULL, IS DISTINCT FROM. Three-valued throughout.

May import types, plan.typing and the sibling helpers.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from functools import reduce

import polars as pl

from tableapi.functions import patterns
from tableapi.functions.equality import equal, equal_rex, ordered
from tableapi.functions.registry import Lowering, LoweringCall, Resolved, ScalarFunction
from tableapi.functions.signatures import ANY, TEXT, _check_count, common, compared, comparison, merge, signature
from tableapi.plan.rex import Literal, Rex
from tableapi.plan.typing import comparable_type
from tableapi.types import (
    BooleanType,
    CharacterType,
    DataType,
    DecimalType,
    FractionalType,
    IntegralType,
    MapType,
    MultisetType,
    NumericType,
    RowType,
)

NOT_NULL_BOOLEAN = BooleanType(is_nullable=False)


def _order(compare: Callable[[pl.Expr, pl.Expr], pl.Expr]) -> Lowering:
    def lower(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
        return ordered(args[0], args[1], call.args[0].type, compare, call.args[0], call.args[1])

    return lower


def _equals(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return equal_rex(args[0], args[1], call.args[0], call.args[1])


def _not_equals(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    if isinstance(call.args[0].type, RowType):
        # Flink: fields that are both NULL do not differ, and a single one does.
        both = pl.when(args[0].is_not_null() & args[1].is_not_null())
        return both.then(args[0].ne_missing(args[1]))
    return ~equal_rex(args[0], args[1], call.args[0], call.args[1])


def _range_signature(args: Sequence[Rex]) -> Resolved:
    _check_count(len(args), 3, 3)
    low = compared(args[0].type, args[1].type, True)
    both = compared(low, args[2].type, True)
    nullable = any(a.type.is_nullable for a in args)
    return Resolved((both, both, both), BooleanType(is_nullable=nullable))


def _is_between(args: Sequence[pl.Expr], rexes: Sequence[Rex], low: int, high: int) -> pl.Expr:
    data_type = rexes[0].type
    above = ordered(args[0], args[low], data_type, operator.ge, rexes[0], rexes[low])
    below = ordered(args[0], args[high], data_type, operator.le, rexes[0], rexes[high])
    return above & below


def _between(is_negated: bool, is_symmetric: bool) -> Lowering:
    def lower(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
        made = _is_between(args, call.args, 1, 2)
        if is_symmetric:
            made = made | _is_between(args, call.args, 2, 1)
        return ~made if is_negated else made

    return lower


def _in_signature(args: Sequence[Rex]) -> Resolved:
    _check_count(len(args), 2, None)
    nullable = any(a.type.is_nullable for a in args)
    wanted = _searched_in(args[0].type, [a.type for a in args[1:]])
    return Resolved((wanted,) * len(args), BooleanType(is_nullable=nullable))


def _searched_in(value: DataType, candidates: Sequence[DataType]) -> DataType:
    """The type in which a value is looked for in a list.

    Flink: numbers in the list are cast to the type of the value, whatever that cuts off, but for decimals; texts in a list are read as the
    type of a number or BOOLEAN, and a list of numbers is written as text.
    """
    if isinstance(value, DecimalType) and all(isinstance(c, DecimalType | IntegralType) for c in candidates):
        return merge([value, *candidates])
    if isinstance(value, NumericType | CharacterType) and all(isinstance(c, NumericType) for c in candidates):
        return value
    if isinstance(value, NumericType | BooleanType) and all(isinstance(c, CharacterType) for c in candidates):
        return value
    if all(comparable_type(value, c, False) == value.nullable() for c in candidates):
        return value
    return merge([compared(value, c, False) for c in candidates])


def _in(is_negated: bool) -> Lowering:
    def lower(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
        made = _is_in(args, call)
        return ~made if is_negated else made

    return lower


def _is_in(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    data_type = call.args[0].type
    candidates = call.args[1:]
    is_plain = not isinstance(data_type, RowType | FractionalType)
    if is_plain and all(isinstance(c, Literal) for c in candidates):
        values = [c.value for c in candidates if isinstance(c, Literal) and c.value is not None]
        found = args[0].is_in(pl.lit(values, dtype=pl.List(data_type.to_polars())))
        return found if len(values) == len(candidates) else found | pl.lit(None, dtype=pl.Boolean)
    return reduce(operator.or_, (equal(args[0], value, data_type) for value in args[1:]))


def _is_null(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return args[0].is_null()


def _is_not_null(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return args[0].is_not_null()


def _distinct(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return ~_not_distinct(args, call)


def _not_distinct(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    if isinstance(call.args[0].type, MapType | MultisetType):
        both_null = args[0].is_null() & args[1].is_null()
        return both_null | equal(args[0], args[1], call.args[0].type).fill_null(False)
    return args[0].eq_missing(args[1])


def _negated(lower: Lowering) -> Lowering:
    return lambda args, call: ~lower(args, call)


def _comparison(
    name: str,
    lower: Lowering,
    doc: str,
    *,
    can_order: bool,
    api_name: str | None = None,
    examples: tuple[tuple[str, str], ...] = (),
) -> ScalarFunction:
    return ScalarFunction(name, comparison(can_order), lower, doc, api_name=api_name, examples=examples, category="comparison")


def _predicate(
    name: str, lower: Lowering, doc: str, api_name: str | None = None, examples: tuple[tuple[str, str], ...] = ()
) -> ScalarFunction:
    return ScalarFunction(
        name,
        signature(ANY, result=NOT_NULL_BOOLEAN, is_nullable=False),
        lower,
        doc,
        api_name=api_name,
        examples=examples,
        category="comparison",
    )


_LIKE_SIGNATURE = signature(TEXT, TEXT, TEXT, optional=1, result=BooleanType())


def _greatest(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    largest = _extreme(args, pl.max_horizontal)
    if not isinstance(call.type, FractionalType):
        return largest
    # NaN is the largest number (Java), and Polars leaves it out.
    return pl.when(reduce(operator.or_, (a.is_nan() for a in args)) & largest.is_not_null()).then(math.nan).otherwise(largest)


def _extreme(args: Sequence[pl.Expr], choose: Callable[..., pl.Expr]) -> pl.Expr:
    return pl.when(reduce(operator.and_, (a.is_not_null() for a in args))).then(choose(*args))


FUNCTIONS: tuple[ScalarFunction, ...] = (
    _comparison(
        "EQUALS",
        _equals,
        "Whether two values are equal. NaN equals nothing; rows compare field by field.",
        can_order=False,
        api_name="is_equal",
        examples=(("1 = 1.0", "TRUE"),),
    ),
    _comparison(
        "NOT_EQUALS",
        _not_equals,
        "Whether two values differ.",
        can_order=False,
        api_name="is_not_equal",
        examples=(("1 <> 2", "TRUE"),),
    ),
    _comparison(
        "LESS",
        _order(operator.lt),
        "Whether the first value is less. Strings compare by their bytes.",
        can_order=True,
        api_name="is_less",
        examples=(("1 < 2", "TRUE"),),
    ),
    _comparison(
        "LESS_OR_EQUAL",
        _order(operator.le),
        "Whether the first value is less or equal.",
        can_order=True,
        api_name="is_less_or_equal",
    ),
    _comparison("GREATER", _order(operator.gt), "Whether the first value is greater.", can_order=True, api_name="is_greater"),
    _comparison(
        "GREATER_OR_EQUAL",
        _order(operator.ge),
        "Whether the first value is greater or equal.",
        can_order=True,
        api_name="is_greater_or_equal",
    ),
    ScalarFunction(
        "BETWEEN",
        _range_signature,
        _between(False, False),
        "Whether lower <= value <= upper.",
        api_name="between",
        examples=(("2 BETWEEN 1 AND 3", "TRUE"),),
        category="comparison",
    ),
    ScalarFunction(
        "NOT_BETWEEN",
        _range_signature,
        _between(True, False),
        "The opposite of BETWEEN.",
        api_name="not_between",
        category="comparison",
    ),
    ScalarFunction(
        "BETWEEN_SYMMETRIC",
        _range_signature,
        _between(False, True),
        "BETWEEN with the bounds in either order.",
        examples=(("2 BETWEEN SYMMETRIC 3 AND 1", "TRUE"),),
        category="comparison",
    ),
    ScalarFunction(
        "NOT_BETWEEN_SYMMETRIC",
        _range_signature,
        _between(True, True),
        "The opposite of BETWEEN SYMMETRIC.",
        category="comparison",
    ),
    ScalarFunction(
        "IN",
        _in_signature,
        _in(False),
        "Whether the value equals one of the others; NULL when it does not and one of them is NULL.",
        api_name="in_",
        examples=(("2 IN (1, 2)", "TRUE"), ("4 IN (1, CAST(NULL AS INT))", "NULL")),
        category="comparison",
    ),
    ScalarFunction(
        "NOT_IN",
        _in_signature,
        _in(True),
        "The opposite of IN.",
        examples=(("2 NOT IN (1, 3)", "TRUE"),),
        category="comparison",
    ),
    _predicate("IS_NULL", _is_null, "Whether the value is NULL.", "is_null", (("1 IS NULL", "FALSE"),)),
    _predicate("IS_NOT_NULL", _is_not_null, "Whether the value is not NULL.", "is_not_null"),
    ScalarFunction(
        "IS_DISTINCT_FROM",
        comparison(False, is_nullable=False),
        _distinct,
        "Whether two values differ, where two NULLs do not.",
        examples=(("1 IS DISTINCT FROM CAST(NULL AS INT)", "TRUE"),),
        category="comparison",
    ),
    ScalarFunction(
        "IS_NOT_DISTINCT_FROM",
        comparison(False, is_nullable=False),
        _not_distinct,
        "Whether two values are equal, where two NULLs are.",
        category="comparison",
    ),
    ScalarFunction(
        "LIKE",
        _LIKE_SIGNATURE,
        patterns.like,
        "Whether the text matches a pattern: % any text, _ any character. No character escapes unless ESCAPE names one.",
        api_name="like",
        examples=(("'apple' LIKE 'a%'", "TRUE"),),
        category="comparison",
    ),
    ScalarFunction("NOT_LIKE", _LIKE_SIGNATURE, _negated(patterns.like), "The opposite of LIKE.", category="comparison"),
    ScalarFunction(
        "SIMILAR_TO",
        _LIKE_SIGNATURE,
        patterns.similar,
        "Whether the text matches a SQL regular expression: %, _, |, *, +, ?, {n}, (), [].",
        api_name="similar",
        examples=(("'cab' SIMILAR TO '(a|b|c)*'", "TRUE"),),
        category="comparison",
    ),
    ScalarFunction(
        "NOT_SIMILAR_TO", _LIKE_SIGNATURE, _negated(patterns.similar), "The opposite of SIMILAR TO.", category="comparison"
    ),
    ScalarFunction(
        "GREATEST",
        common(),
        _greatest,
        "The largest argument; NULL when one is NULL.",
        examples=(("GREATEST(1, 3, 2)", "3"),),
        category="comparison",
    ),
    ScalarFunction(
        "LEAST",
        common(),
        lambda args, call: _extreme(args, pl.min_horizontal),
        "The smallest argument; NULL when one is NULL.",
        examples=(("LEAST(1, 3, 2)", "1"),),
        category="comparison",
    ),
)
