"""The `datagen` connector: made-up rows, at a rate or as fast as they are taken.

Row `i` depends only on the seed and on `i` (but for times, which are near the clock): a restarted job reads the same rows.
Imports connectors.{base,options}, numpy, polars and tableapi's plain data types only.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import polars as pl

from tableapi.connectors.base import Connector, Option, ReadResult, ScanRequest, Source, Split, SplitReader
from tableapi.connectors.options import COMMON_OPTIONS, read_options, unknown_option
from tableapi.errors import OptionError, UnsupportedError
from tableapi.tablespec import RowSchema, TableSpec
from tableapi.types import (
    AnyTimestampType,
    ArrayType,
    BinaryStringType,
    BinaryType,
    BooleanType,
    CharacterType,
    CharType,
    DataType,
    DateType,
    DayTimeIntervalType,
    DecimalType,
    FloatType,
    FractionalType,
    IntegralType,
    MapType,
    RowType,
    TimeType,
    YearMonthIntervalType,
)

BLOCK_ROWS = 65_536
"""Rows are made in blocks of this many, each with a random stream of its own."""

DEFAULT_RATE = 10_000
"""Rows a second of an unbounded table without `rows-per-second`. A bounded one is not slowed down unless it asks for it."""

_FIELD_OPTIONS = (
    Option("fields.#.kind", ("random", "sequence"), "Random values, or whole numbers in order.", default="random"),
    Option("fields.#.min", str, "Smallest random number."),
    Option("fields.#.max", str, "Largest random number."),
    Option("fields.#.max-past", timedelta, "How far random times lie in the past.", default=timedelta(0)),
    Option("fields.#.length", int, "Length of random texts, or number of elements.", default=100),
    Option("fields.#.var-len", bool, "Random lengths up to 'length'.", default=False),
    Option("fields.#.start", int, "First number of a sequence."),
    Option("fields.#.end", int, "Last number of a sequence; the table then ends there."),
    Option("fields.#.null-rate", float, "Share of NULLs.", default=0.0),
)


@dataclass(frozen=True)
class FieldPlan:
    """How the values of a column are made."""

    type: DataType
    kind: str = "random"
    min: Any = None
    max: Any = None
    max_past_ms: int = 0
    length: int = 100
    has_varying_length: bool = False
    start: int = 0
    null_rate: float = 0.0
    children: tuple[FieldPlan, ...] = ()


@dataclass(frozen=True)
class DatagenSource(Source):
    """Made-up rows.

    Args:
        rows: How many; None: without end.
        rate: Rows a second; None: as fast as they are taken.
    """

    schema: RowSchema
    plans: Mapping[str, FieldPlan]
    columns: tuple[str, ...]
    seed: int
    rows: int | None = None
    rate: int | None = None
    parts: int = 1

    @property
    def is_bounded(self) -> bool:  # type: ignore[override]
        """Whether the rows come to an end."""
        return self.rows is not None

    def splits(self) -> Sequence[Split]:
        edges = [None if self.rows is None else self.rows * i // self.parts for i in range(self.parts + 1)]
        if self.rows is None:
            # Without end every part takes its own range of row numbers.
            return [Split(f"datagen-{i}", (i << 48, None)) for i in range(self.parts)]
        return [Split(f"datagen-{i}", (edges[i], edges[i + 1])) for i in range(self.parts)]

    def reader(self, split: Split, position: Any = None) -> SplitReader:
        first, end = split.payload
        return DatagenReader(self, first if position is None else position, end)

    def block(self, number: int) -> pl.DataFrame:
        """Rows `number * BLOCK_ROWS` to the next block's first."""
        first = number * BLOCK_ROWS
        columns = {}
        for index, name in enumerate(self.schema.names):
            if name in self.columns:
                rng = np.random.Generator(np.random.Philox(key=self.seed + index, counter=number << 64))
                columns[name] = values_of(self.plans[name], first, BLOCK_ROWS, rng).alias(name)
        return pl.DataFrame(columns).select(self.columns)


class DatagenReader(SplitReader):
    """Hands over rows by number; the position is the next row's."""

    def __init__(self, source: DatagenSource, first: int, end: int | None) -> None:
        self._source, self._next, self._end = source, first, end
        self._block: tuple[int, pl.DataFrame] | None = None
        self._started = time.monotonic()
        self._first = first

    def read(self, max_rows: int) -> ReadResult:
        if self._end is not None:
            max_rows = min(max_rows, self._end - self._next)
        if max_rows <= 0:
            return ReadResult(None, self._next, finished=True)
        rate = self._source.rate
        if rate is not None:
            due = int((time.monotonic() - self._started) * rate / self._source.parts) + 1 - (self._next - self._first)
            max_rows = min(max_rows, due)
            if max_rows <= 0:
                return ReadResult(None, self._next)
        number, offset = divmod(self._next, BLOCK_ROWS)
        if self._block is None or self._block[0] != number:
            self._block = (number, self._source.block(number))
        frame = self._block[1].slice(offset, max_rows)
        self._next += frame.height
        return ReadResult(frame, self._next, finished=self._next == self._end)


def values_of(plan: FieldPlan, first: int, count: int, rng: np.random.Generator) -> pl.Series:
    """The values of a column for rows `first` to `first + count`."""
    dtype = plan.type.to_polars()
    if plan.kind == "sequence":
        numbers = pl.Series(np.arange(first, first + count, dtype=np.int64) + plan.start)
        return numbers.cast(pl.String) if isinstance(plan.type, CharacterType) else numbers.cast(dtype, strict=False)
    values = _random(plan, count, rng)
    values = values if values.dtype == dtype else values.cast(dtype)
    if plan.null_rate > 0:
        values = values.set(pl.Series(rng.random(count) < plan.null_rate), None)
    return values


def _random(plan: FieldPlan, count: int, rng: np.random.Generator) -> pl.Series:
    match plan.type:
        case BooleanType():
            return pl.Series(rng.random(count) < 0.5)
        case IntegralType(bits=bits):
            low = -(1 << (bits - 1)) if plan.min is None else int(plan.min)
            high = (1 << (bits - 1)) - 1 if plan.max is None else int(plan.max)
            return pl.Series(rng.integers(low, high, count, dtype=np.int64, endpoint=True))
        case FractionalType():
            largest = 3.4028234e38 if isinstance(plan.type, FloatType) else 1.7976931348623157e308
            smallest = float(plan.min or 0)
            return pl.Series(smallest + rng.random(count) * ((largest if plan.max is None else float(plan.max)) - smallest))
        case DecimalType(precision=p, scale=s):
            unit = Decimal(10) ** -s
            low = int(Decimal(plan.min or 0) / unit)
            high = min(10**p - 1, 2**62) if plan.max is None else int(Decimal(plan.max) / unit)
            unscaled = pl.Series(rng.integers(low, high, count, dtype=np.int64, endpoint=True))
            return (unscaled.cast(pl.Decimal(38, s)) * pl.Series([unit], dtype=pl.Decimal(38, s))).cast(pl.Decimal(p, s))
        case CharacterType():
            return _texts(plan, count, rng)
        case BinaryStringType():
            return _texts(plan, count, rng).cast(pl.Binary)
        case ArrayType() | MapType() | RowType():
            return _nested(plan, count, rng)
    return _times(plan, count, rng)


def _texts(plan: FieldPlan, count: int, rng: np.random.Generator) -> pl.Series:
    """Random hexadecimal digits."""
    length = plan.type.length if isinstance(plan.type, CharType | BinaryType) else min(plan.length, plan.type.length)  # type: ignore[attr-defined]
    digits = rng.bytes(count * (length // 2 + 1)).hex()
    per_row = 2 * (length // 2 + 1)
    texts = (
        pl.Series([digits], dtype=pl.String)
        .to_frame("d")
        .select(pl.col("d").str.extract_all(f".{{{per_row}}}"))
        .to_series()
        .explode()
    )
    lengths = (
        rng.integers(1, length, count, endpoint=True) if plan.has_varying_length and length > 1 else np.full(count, length)
    )
    return pl.DataFrame({"t": texts, "n": lengths}).select(pl.col("t").str.head(pl.col("n"))).to_series()


def _nested(plan: FieldPlan, count: int, rng: np.random.Generator) -> pl.Series:
    if isinstance(plan.type, RowType):
        parts = [values_of(child, 0, count, rng) for child in plan.children]
        return pl.DataFrame(dict(zip(plan.type.field_names(), parts, strict=True))).to_struct("row")
    rows = np.repeat(np.arange(count), plan.length)
    items = [values_of(child, 0, count * plan.length, rng) for child in plan.children]
    names = ["item"] if isinstance(plan.type, ArrayType) else ["key", "value"]
    frame = pl.DataFrame({"r": rows} | dict(zip(names, items, strict=True)))
    value = pl.col("item") if names == ["item"] else pl.struct("key", "value")
    return frame.group_by("r", maintain_order=True).agg(value.alias("v"))["v"]


def _times(plan: FieldPlan, count: int, rng: np.random.Generator) -> pl.Series:
    now_ms = time.time_ns() // 1_000_000
    match plan.type:
        case AnyTimestampType():
            past = (
                rng.integers(0, plan.max_past_ms, count, endpoint=True) if plan.max_past_ms else np.zeros(count, dtype=np.int64)
            )
            return pl.Series(now_ms - past).cast(pl.Datetime("ms")).cast(plan.type.to_polars())
        case DateType():
            return pl.Series(np.full(count, now_ms // 86_400_000)).cast(pl.Int32).cast(pl.Date)
        case TimeType():
            return pl.Series(np.full(count, now_ms % 86_400_000 * 1_000_000)).cast(pl.Time)
        case DayTimeIntervalType():
            return pl.Series(rng.integers(0, 1 << 31, count)).cast(pl.Duration("ms"))
        case YearMonthIntervalType():
            return pl.Series(rng.integers(0, 12 * 100, count)).cast(pl.Int32)
    raise AssertionError(f"no values of type {plan.type}")


class DatagenConnector(Connector):
    """Made-up rows."""

    name = "datagen"
    options = (
        Option("rows-per-second", int, f"Rows a second; without it {DEFAULT_RATE:,} if the table has no end, else no limit."),
        Option("number-of-rows", int, "How many rows there are; without it there is no end."),
        Option("seed", int, "Makes the same rows each time."),
        *_FIELD_OPTIONS,
    )

    def source(self, table: TableSpec, request: ScanRequest, is_streaming: bool) -> Source:
        schema = table.physical
        paths = _paths(schema)
        options = read_options("connector 'datagen'", table.options, (*self.options, *COMMON_OPTIONS))
        for key in table.options:
            if key.startswith("fields.") and key.removeprefix("fields.").rpartition(".")[0] not in paths:
                known = [Option(o.key.replace("#", path), o.kind, o.doc) for o in _FIELD_OPTIONS for path in paths]
                raise unknown_option("connector 'datagen'", key, known)
        plans = {f.name: _plan(f.name, f.type, options) for f in schema}
        limits = [
            options[f"fields.{f.name}.end"] - options[f"fields.{f.name}.start"] + 1
            for f in schema
            if plans[f.name].kind == "sequence"
        ]
        if options["number-of-rows"] is not None:
            limits.append(options["number-of-rows"])
        if request.limit is not None:
            limits.append(request.limit)
        rows = min(limits) if limits else None
        rate = options["rows-per-second"]
        return DatagenSource(
            schema,
            plans,
            tuple(schema.names) if request.columns is None else request.columns or tuple(schema.names[:1]),
            secrets.randbits(62) if options["seed"] is None else options["seed"],
            rows,
            DEFAULT_RATE if rate is None and rows is None else rate,
            max(1, options["scan.parallelism"] or 1),
        )


def _paths(schema: RowSchema) -> list[str]:
    """Columns, and the fields inside them, that options may name."""
    found: list[str] = []

    def visit(path: str, data_type: DataType) -> None:
        found.append(path)
        for name, child in _children(data_type):
            visit(f"{path}.{name}", child)

    for f in schema:
        visit(f.name, f.type)
    return found


def _children(data_type: DataType) -> list[tuple[str, DataType]]:
    match data_type:
        case RowType(fields=fields):
            return [(f.name, f.data_type) for f in fields]
        case ArrayType(element_type=element):
            return [("element", element)]
        case MapType(key_type=key, value_type=value):
            return [("key", key), ("value", value)]
    return []


_MADE = (
    IntegralType
    | FractionalType
    | BooleanType
    | CharacterType
    | BinaryStringType
    | DecimalType
    | AnyTimestampType
    | DateType
    | TimeType
    | ArrayType
    | MapType
    | RowType
    | DayTimeIntervalType
    | YearMonthIntervalType
)


def _plan(path: str, data_type: DataType, options: Mapping[str, Any]) -> FieldPlan:
    if not isinstance(data_type, _MADE):
        raise UnsupportedError(f"datagen cannot make values of column '{path}' of type {data_type}", fix="use another type")

    def option(key: str, default: Any = None) -> Any:
        return options.get(f"fields.{path}.{key}", default)

    kind = option("kind", "random")
    if kind == "sequence":
        _check_sequence(path, data_type, option("start"), option("end"))
    is_collection = isinstance(data_type, ArrayType | MapType)
    return FieldPlan(
        data_type,
        kind,
        _number(path, "min", option("min"), data_type),
        _number(path, "max", option("max"), data_type),
        int(option("max-past", timedelta(0)).total_seconds() * 1000),
        option("length", 3 if is_collection else 100),
        option("var-len", False),
        option("start", 0) or 0,
        option("null-rate", 0.0),
        tuple(_plan(f"{path}.{name}", child, options) for name, child in _children(data_type)),
    )


def _check_sequence(path: str, data_type: DataType, start: int | None, end: int | None) -> None:
    if not isinstance(data_type, IntegralType | FractionalType | DecimalType | CharacterType):
        raise OptionError(f"column '{path}' of type {data_type} cannot be a sequence", fix="use a number or a text")
    for key, value in (("start", start), ("end", end)):
        if value is None:
            raise OptionError(f"a sequence needs the option 'fields.{path}.{key}'", fix=f"add 'fields.{path}.{key}' = '…'")


def _number(path: str, key: str, text: str | None, data_type: DataType) -> Any:
    if text is None:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise OptionError(f"option 'fields.{path}.{key}' has a wrong value: '{text}' is not a number") from None
    return int(number) if isinstance(data_type, IntegralType) else number
