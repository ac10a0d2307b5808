"""Rows of bounded sources that have no Polars scan of their own: read split after split, as far as the query asks.

May import connectors.base and the batch context only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from tableapi.connectors.base import Source, Split
from tableapi.runtime.batch.context import KIND_COLUMN

READ_ROWS = 262_144
"""Rows that a source is asked for at a time."""


def read_lazily(source: Source, schema: Mapping[str, pl.DataType]) -> pl.LazyFrame:
    """The rows as a Polars scan: nothing is read before the query runs, and no more than it needs.

    What the splits are is decided now, so that a query that reads the table twice sees the same rows.
    """
    from polars.io.plugins import register_io_source

    splits = list(source.splits())

    def batches(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        for frame in _frames(source, splits, n_rows):
            wanted = frame if with_columns is None else frame.select(with_columns)
            yield wanted if predicate is None else wanted.filter(predicate)

    return register_io_source(batches, schema=dict(schema), validate_schema=False)


def _frames(source: Source, splits: Sequence[Split], n_rows: int | None) -> Iterator[pl.DataFrame]:
    left = n_rows
    for split in splits:
        reader = source.reader(split)
        try:
            while left is None or left > 0:
                result = reader.read(READ_ROWS if left is None else min(left, READ_ROWS))
                if result.frame is not None and result.frame.height:
                    frame = result.frame if left is None else result.frame.head(left)
                    left = None if left is None else left - frame.height
                    yield frame
                if result.finished:
                    break
        finally:
            reader.close()


def read_changes(source: Source, schema: Mapping[str, pl.DataType]) -> pl.LazyFrame:
    """All changes that a source holds, in order, with a `KIND_COLUMN`."""
    frames: list[pl.DataFrame] = []
    for split in source.splits():
        reader = source.reader(split)
        try:
            while True:
                result = reader.read(READ_ROWS)
                if result.frame is not None and result.frame.height:
                    kinds = pl.lit(0, dtype=pl.Int8()) if result.kinds is None else result.kinds
                    frames.append(result.frame.with_columns(kinds.alias(KIND_COLUMN)))
                if result.finished:
                    break
        finally:
            reader.close()
    return pl.concat(frames).lazy() if frames else pl.LazyFrame(schema={**schema, KIND_COLUMN: pl.Int8()})
