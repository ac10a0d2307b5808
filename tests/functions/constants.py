"""Evaluates constant SQL expressions for tests."""

from __future__ import annotations

from typing import Any

import polars as pl

from tableapi.functions.registry import SessionContext
from tableapi.plan.nodes import Inline, InlineFrame, NamedRex
from tableapi.plan.resolve import Resolver
from tableapi.plan.rex import Cast, Rex
from tableapi.plan.scope import PlanContext, Relation
from tableapi.runtime.expressions import evaluate
from tableapi.sql import parse_expression
from tableapi.tablespec import Field, RowSchema
from tableapi.types import DataTypes, IntType

FRAME = pl.DataFrame({"$": [1]})


def resolve(sql: str, zone: str = "UTC") -> Rex:
    """The typed form of a constant expression."""
    relation = Relation(Inline(InlineFrame(FRAME), RowSchema((Field("$", IntType()),))), ())
    return Resolver(PlanContext(time_zone=zone), relation).resolve(parse_expression(sql))


def value(sql: str, zone: str = "UTC") -> Any:
    """The Python value of a constant expression."""
    return evaluate(FRAME, [NamedRex("r", resolve(sql, zone))], SessionContext(time_zone=zone))["r"][0]


def text(sql: str, zone: str = "UTC") -> str:
    """The value of a constant expression as CAST(… AS STRING) shows it."""
    shown = Cast(DataTypes.STRING(), resolve(sql, zone))
    result = evaluate(FRAME, [NamedRex("r", shown)], SessionContext(time_zone=zone))["r"][0]
    return "NULL" if result is None else str(result)
