"""Runs recorded scalar cases on expressions alone: SQL text -> typed expression -> Polars, without tables, planner or connectors.

The cases (data only) are under tests/corpus/cases. Values are compared in the corpus's own JSON form.
"""

from __future__ import annotations

import base64
import datetime
import json
import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from tableapi import types as t
from tableapi.functions.registry import SessionContext
from tableapi.plan.nodes import Inline, InlineFrame, NamedRex
from tableapi.plan.resolve import Resolver
from tableapi.plan.scope import PlanContext, Relation, ScopeColumn
from tableapi.runtime.expressions import evaluate
from tableapi.sql import parse_expression, parse_type
from tableapi.tablespec import Field, RowSchema

CASES = Path(__file__).parents[1] / "corpus" / "cases"
PROBES = Path(__file__).parent / "probes"
"""What Flink gave for generated expressions: every function and operator with ordinary, unusual, NULL and unfit arguments."""


@dataclass(frozen=True)
class ScalarCase:
    """One recorded expression: where it is evaluated, and its type and values (or that it is an error)."""

    id: str
    sql: str
    frame: pl.DataFrame
    schema: RowSchema
    zone: str
    expected: dict[str, Any]


def load() -> Iterator[ScalarCase]:
    """All recorded expressions that need nothing but a table of data."""
    yield from _cases(sorted(CASES.glob("scalar-*/*.json")))


def load_probes() -> Iterator[tuple[str, list[ScalarCase]]]:
    """The generated expressions, by file."""
    for path in sorted(PROBES.glob("*.json")):
        yield path.stem, list(_cases([path]))


def _cases(paths: list[Path]) -> Iterator[ScalarCase]:
    for path in paths:
        case = json.loads(path.read_text())
        if any("CREATE VIEW" in s for s in case.get("setup", [])):
            continue
        frame, schema = _table(case)
        zone = (case.get("config") or {}).get("table.local-time-zone", "UTC")
        for name, sql in case["exprs"]:
            yield ScalarCase(f"{case['id']}#{name}", sql, frame, schema, zone, case["expect"]["exprs"][name])


def _table(case: dict[str, Any]) -> tuple[pl.DataFrame, RowSchema]:
    if not case.get("from"):
        return pl.DataFrame({"$": [1]}), RowSchema((Field("$", t.IntType()),))
    ddl = next(s for s in case["setup"] if re.match(rf"CREATE TABLE {case['from']}\b", s))
    columns = ddl[ddl.index("(") + 1 : ddl.index(") WITH")]
    fields = []
    for column in _split(columns):
        name, _, type_text = column.strip().partition(" ")
        fields.append(Field(name.strip("`"), parse_type(type_text)))
    schema = RowSchema(tuple(fields))
    (data,) = case["data"].values()
    rows = [json.loads(line, parse_float=Decimal) for line in data.splitlines() if line.strip()]
    rows.sort(key=lambda r: r[case["key"]])
    series = [pl.Series(f.name, [_value(r.get(f.name), f.type) for r in rows], dtype=f.type.to_polars()) for f in fields]
    return pl.DataFrame(series), schema


def _split(text: str) -> list[str]:
    parts, depth, current = [], 0, ""
    for char in text:
        depth += (char in "<(") - (char in ">)")
        if char == "," and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += char
    return [*parts, current]


def _value(value: Any, data_type: t.DataType) -> Any:
    """A JSON value as the Python value of its SQL type."""
    if value is None:
        return None
    match data_type:
        case t.DecimalType():
            return Decimal(str(value))
        case t.FractionalType():
            return float(value)
        case t.BinaryStringType():
            return base64.b64decode(value)
        case t.DateType():
            return datetime.date.fromisoformat(value)
        case t.TimeType():
            return datetime.time.fromisoformat(value)
        case t.LocalZonedTimestampType():
            return datetime.datetime.fromisoformat(_padded(value.rstrip("Z"))).replace(tzinfo=datetime.UTC)
        case t.TimestampType():
            return datetime.datetime.fromisoformat(_padded(value))
        case t.ArrayType(element_type=e):
            return [_value(v, e) for v in value]
        case t.MapType(value_type=v):
            return [{"key": k, "value": _value(x, v)} for k, x in value.items()]
        case t.RowType(fields=fields):
            return {f.name: _value(value.get(f.name), f.data_type) for f in fields}
    return value


def _padded(text: str) -> str:
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction:0<6}" if fraction else whole


def run(case: ScalarCase) -> tuple[str, list[Any]]:
    """The type summary and the values (in the corpus's form) that this engine gives."""
    relation = Relation(
        Inline(InlineFrame(case.frame), case.schema), tuple(ScopeColumn(None, f.name, f.name) for f in case.schema)
    )
    rex = Resolver(PlanContext(time_zone=case.zone), relation).resolve(parse_expression(case.sql))
    result = evaluate(case.frame, [NamedRex("r", rex)], SessionContext(time_zone=case.zone))["r"]
    assert result.dtype == rex.type.to_polars(), f"{result.dtype} instead of {rex.type.to_polars()}"
    return str(rex.type), [shown(v, rex.type) for v in result.to_list()]


def shown(value: Any, data_type: t.DataType) -> Any:
    """A value in the corpus's JSON form."""
    if value is None:
        return None
    match data_type:
        case t.FractionalType():
            return _float(value, isinstance(data_type, t.FloatType))
        case t.DecimalType():
            return format(value, "f")
        case t.BinaryStringType():
            return value.hex()
        case t.LocalZonedTimestampType():
            return _stamp(value.replace(tzinfo=None)) + "Z"
        case t.TimestampType():
            return _stamp(value)
        case t.TimeType():
            return value.strftime("%H:%M:%S") + _fraction(value.microsecond)
        case t.DateType():
            return f"{value.year:04d}-{value.month:02d}-{value.day:02d}"
        case t.DayTimeIntervalType():
            return f"interval_ms:{value // datetime.timedelta(milliseconds=1)}"
        case t.ArrayType(element_type=e):
            return [shown(v, e) for v in value]
        case t.MapType(key_type=k, value_type=v):
            return _pairs([[shown(p["key"], k), shown(p["value"], v)] for p in value])
        case t.MultisetType(element_type=e):
            return _pairs([[shown(p["key"], e), p["value"]] for p in value])
        case t.RowType(fields=fields):
            return [shown(value[f.name], f.data_type) for f in fields]
    return value


def _pairs(pairs: list[list[Any]]) -> list[list[Any]]:
    return sorted(pairs, key=lambda p: json.dumps(p, sort_keys=True, ensure_ascii=False))


def _stamp(value: datetime.datetime) -> str:
    return f"{value.year:04d}-{value.month:02d}-{value.day:02d}T{value.strftime('%H:%M:%S')}{_fraction(value.microsecond)}"


def _fraction(micros: int) -> str:
    return "." + f"{micros:06d}".rstrip("0") if micros else ""


def _float(value: float, is_single: bool) -> Any:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if is_single:
        for digits in range(6, 10):
            short = float(f"{value:.{digits}g}")
            try:
                if struct.pack("f", short) == struct.pack("f", value):
                    value = short
                    break
            except OverflowError:
                continue
    value = float(f"{value:.12g}")
    return 0.0 if value == 0 else value


def without_nullability(type_text: str) -> str:
    """A type summary without NOT NULL, as the corpus's loose comparison takes it."""
    return type_text.replace(" NOT NULL", "")


def same(left: Any, right: Any) -> bool:
    """Whether two values in the corpus's form are equal (floats to 11 digits)."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, float) and isinstance(right, float | int):
        return math.isclose(left, right, rel_tol=1e-10, abs_tol=1e-12)
    return left == right
