"""Values between tables and SQLite: which column types there are, and how each is stored. Imports types and errors only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from tableapi.errors import UnsupportedError
from tableapi.tablespec import RowSchema
from tableapi.types import DataType


def check_types(schema: RowSchema) -> None:
    """Fails for a column that SQLite cannot hold."""
    for field in schema:
        if isinstance(field.type.to_polars(), pl.List | pl.Struct | pl.Array):
            raise UnsupportedError(f"connector 'jdbc' cannot hold column '{field.name}' of type {field.type}")


def to_frame(rows: Sequence[Sequence[Any]], schema: RowSchema) -> pl.DataFrame:
    """Rows of a cursor as a frame with the table's types. Times are ISO texts, decimals numbers or texts, booleans 0 and 1."""
    columns = list(zip(*rows, strict=True)) if rows else [() for _ in schema]
    return pl.DataFrame([_column(f.name, values, f.type) for f, values in zip(schema, columns, strict=True)])


def _column(name: str, values: Iterable[Any], data_type: DataType) -> pl.Series:
    dtype = data_type.to_polars()
    if isinstance(dtype, pl.Decimal) or dtype.is_temporal():
        texts = pl.Series(name, [None if v is None else str(v) for v in values], dtype=pl.String)
        if isinstance(dtype, pl.Datetime):
            plain = texts.str.replace("T", " ", literal=True).str.strip_suffix("Z").str.strip_suffix("+00:00")
            return plain.str.to_datetime(time_unit=dtype.time_unit, strict=True).dt.replace_time_zone(dtype.time_zone)
        if dtype == pl.Time:
            return texts.str.to_time("%H:%M:%S%.f")
        return texts.str.to_date() if dtype == pl.Date else texts.cast(dtype)
    if dtype == pl.Boolean:
        return pl.Series(name, [None if v is None else bool(v) for v in values], dtype=dtype)
    return pl.Series(name, list(values), dtype=dtype, strict=not dtype.is_float())


def to_rows(frame: pl.DataFrame) -> list[tuple[Any, ...]]:
    """The rows of a frame as SQLite takes them."""
    columns = []
    for series in frame:
        dtype = series.dtype
        if isinstance(dtype, pl.Datetime):
            plain = series.dt.replace_time_zone(None) if dtype.time_zone else series
            series = plain.dt.to_string("%Y-%m-%d %H:%M:%S%.f")
        elif dtype.is_temporal() or isinstance(dtype, pl.Decimal):
            series = series.cast(pl.String)
        columns.append(series.to_list())
    return list(zip(*columns, strict=True)) if columns else []
