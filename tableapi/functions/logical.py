"""AND, OR, NOT and the IS TRUE family, in three-valued logic (Polars' boolean operators are Kleene's)."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import reduce

import polars as pl

from tableapi.functions.registry import LoweringCall, ScalarFunction
from tableapi.functions.signatures import BOOLEAN, signature
from tableapi.types import BooleanType


def _and(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return reduce(operator.and_, args)


def _or(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return reduce(operator.or_, args)


def _not(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return ~args[0]


def _test(name: str, expression: Callable[[pl.Expr], pl.Expr], doc: str, api_name: str | None = None) -> ScalarFunction:
    return ScalarFunction(
        name,
        signature(BOOLEAN, result=BooleanType(), is_nullable=False),
        lambda args, call: expression(args[0]),
        doc,
        api_name=api_name,
        category="logical",
    )


FUNCTIONS: tuple[ScalarFunction, ...] = (
    ScalarFunction(
        "AND",
        signature(BOOLEAN, BOOLEAN, rest=BOOLEAN, result=BooleanType()),
        _and,
        "TRUE when all are; FALSE when one is FALSE; else NULL.",
        api_name="and_",
        examples=(("TRUE AND CAST(NULL AS BOOLEAN)", "NULL"), ("FALSE AND CAST(NULL AS BOOLEAN)", "FALSE")),
        category="logical",
    ),
    ScalarFunction(
        "OR",
        signature(BOOLEAN, BOOLEAN, rest=BOOLEAN, result=BooleanType()),
        _or,
        "TRUE when one is; FALSE when all are FALSE; else NULL.",
        api_name="or_",
        examples=(("TRUE OR CAST(NULL AS BOOLEAN)", "TRUE"),),
        category="logical",
    ),
    ScalarFunction(
        "NOT",
        signature(BOOLEAN, result=BooleanType()),
        _not,
        "The opposite; NULL stays NULL.",
        api_name="not_",
        examples=(("NOT TRUE", "FALSE"),),
        category="logical",
    ),
    _test("IS_TRUE", lambda x: x.fill_null(False), "Whether the condition is TRUE.", "is_true"),
    _test("IS_NOT_TRUE", lambda x: ~x.fill_null(False), "Whether the condition is FALSE or NULL.", "is_not_true"),
    _test("IS_FALSE", lambda x: (~x).fill_null(False), "Whether the condition is FALSE.", "is_false"),
    _test("IS_NOT_FALSE", lambda x: x.fill_null(True), "Whether the condition is TRUE or NULL.", "is_not_false"),
    _test("IS_UNKNOWN", lambda x: x.is_null(), "Whether the condition is NULL."),
    _test("IS_NOT_UNKNOWN", lambda x: x.is_not_null(), "Whether the condition is not NULL."),
)
