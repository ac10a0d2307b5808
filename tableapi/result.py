"""Results: rows as they come, as a printed table, or as a whole frame. Sees the runtime only through the execution it is given.

Values are converted a batch at a time; nothing is read before it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import polars as pl

from tableapi.job_client import JobClient
from tableapi.location import located
from tableapi.printing import PrintStyle, print_result
from tableapi.resolved_schema import ResolvedSchema
from tableapi.row import Row, RowKind
from tableapi.table_schema import TableSchema
from tableapi.tablespec import Field, RowSchema
from tableapi.types import DataType, DataTypes

if TYPE_CHECKING:
    import pandas
    import pyarrow

    from tableapi.runtime.execute import Execution

Batch = tuple[pl.DataFrame, pl.Series | None]


class ResultKind:
    """What a statement gave. Plain numbers, as in PyFlink."""

    SUCCESS = 0
    SUCCESS_WITH_CONTENT = 1


class CloseableIterator:
    """Rows one by one. Closing it, or leaving its `with` block, stops the job."""

    def __init__(self, rows: Iterator[Row], execution: Execution | None) -> None:
        self._rows, self._execution = rows, execution

    def __iter__(self) -> CloseableIterator:
        return self

    def __next__(self) -> Row:
        return self.next()

    def next(self) -> Row:
        """The next row; waits for it.

        Raises:
            StopIteration: There are no more.
        """
        try:
            return next(self._rows)
        except KeyboardInterrupt:
            self.close()
            raise

    def close(self) -> None:
        """Stops the job."""
        execution, self._execution = self._execution, None
        self._rows = iter(())
        if execution is not None and execution.status() in ("CREATED", "RUNNING"):
            execution.cancel()

    def __enter__(self) -> CloseableIterator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class TableResult:
    """What `execute` and `execute_sql` give.

    Args:
        schema: Columns of the rows.
        execution: The job, None when there is none.
        rows: The rows of a statement without a job.
        kind: A `ResultKind`.
        time_zone: In which instants are shown.
        is_insert: Whether the job writes tables; then the rows are -1 a table, once it has ended.
        style: How `print` writes the rows.
        max_width: Characters of a cell that `print` shows.
    """

    def __init__(
        self,
        schema: RowSchema,
        *,
        execution: Execution | None = None,
        rows: Sequence[tuple[Any, ...]] = (),
        kind: int = ResultKind.SUCCESS_WITH_CONTENT,
        time_zone: str = "UTC",
        is_insert: bool = False,
        style: PrintStyle = PrintStyle.CONTENT,
        max_width: int = 30,
    ) -> None:
        self._schema, self._execution, self._static = schema, execution, list(rows)
        self._kind, self._time_zone, self._is_insert = kind, time_zone, is_insert
        self._style, self._max_width = style, max_width
        self._batches: Iterator[Batch] | None = None
        self._peeked: list[Batch] = []

    @staticmethod
    def ok() -> TableResult:
        """The result of a statement that defines something."""
        return TableResult(
            RowSchema((Field("result", DataTypes.STRING()),)), rows=[("OK",)], kind=ResultKind.SUCCESS, style=PrintStyle.PLAIN
        )

    @staticmethod
    def of_rows(
        columns: Sequence[tuple[str, DataType]], rows: Sequence[tuple[Any, ...]], *, is_plain: bool = False
    ) -> TableResult:
        """The result of a statement that shows something."""
        return TableResult(
            RowSchema(tuple(Field(n, t) for n, t in columns)),
            rows=rows,
            style=PrintStyle.PLAIN if is_plain else PrintStyle.CONTENT,
        )

    def get_job_client(self) -> JobClient | None:
        """The job, None when there is none."""
        return None if self._execution is None else JobClient(self._execution)

    def late_rows(self) -> dict[str, pl.DataFrame]:
        """The rows that came too late for an operator and were left out of the result: operator id to frame. The first column of each,
        `late_by_ms`, says how far behind the watermark a row was.

        >>> from tableapi import EnvironmentSettings, TableEnvironment
        >>> env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
        >>> env.execute_sql("VALUES (1)").late_rows()
        {}
        """
        return {} if self._execution is None else self._execution.late_rows()

    @located
    def wait(self, timeout_ms: int | None = None) -> None:
        """Waits for the first row of a query, or for the end of a job that writes.

        Args:
            timeout_ms: At most so long.

        Raises:
            ExecutionError: The job failed.
            TimeoutError: The time was up.
        """
        if self._execution is None:
            return
        if not self._is_insert:
            self._first_batch()
            return
        if not self._execution.wait(None if timeout_ms is None else timeout_ms / 1000):
            raise TimeoutError(f"the job has not ended after {timeout_ms} ms")

    def _first_batch(self) -> Batch | None:
        """The next rows, without taking them; waits for them. None when there are no more."""
        if not self._peeked:
            self._peeked = list(islice(self._source(), 1))
        return self._peeked[0] if self._peeked else None

    def _source(self) -> Iterator[Batch]:
        if self._batches is None:
            assert self._execution is not None
            self._batches = iter(self._execution.batches())
        return self._batches

    def batches(self) -> Iterator[Batch]:
        """The rows as Polars frames as they come, with their kinds (None: all inserts)."""
        if self._execution is None or self._is_insert:
            yield self._static_frame(), None
            return
        while self._peeked:
            yield self._peeked.pop()
        yield from self._source()

    def _static_frame(self) -> pl.DataFrame:
        if self._is_insert:
            self.wait()
            self._static = [tuple(-1 for _ in self._schema)]
        columns = list(zip(*self._static, strict=True)) or [()] * len(self._schema)
        return pl.DataFrame(
            [pl.Series(f.name, c, dtype=f.type.to_polars()) for f, c in zip(self._schema, columns, strict=True)]
        )

    def get_table_schema(self) -> TableSchema:
        """Names and types of the columns (deprecated in Flink; see `get_resolved_schema`)."""
        return TableSchema(self._schema.names, self._schema.types)

    def get_resolved_schema(self) -> ResolvedSchema:
        """Columns with their types."""
        return ResolvedSchema.of_rows(self._schema)

    def get_result_kind(self) -> int:
        """A `ResultKind`: definitions give SUCCESS, everything else SUCCESS_WITH_CONTENT."""
        return self._kind

    def collect(self) -> CloseableIterator:
        """The rows one by one, each with its `RowKind`. Can be taken once.

        Raises:
            ExecutionError: The job failed (raised when the rows are iterated over).
        """
        return CloseableIterator(self._rows(), self._execution)

    def _rows(self) -> Iterator[Row]:
        for frame, kinds in self.batches():
            yield from rows_of(frame, kinds, self._schema, self._time_zone)

    @located
    def print(self) -> None:
        """Prints all rows as a table, as they come when they are changes."""
        print_result(self._schema, self.batches(), self._time_zone, self._style, self._max_width)

    @located
    def to_polars(self) -> pl.DataFrame:
        """All rows as a Polars frame; of changes the final rows."""
        return folded(list(self.batches()), self._schema)

    def to_arrow(self) -> pyarrow.Table:
        """All rows as an Arrow table; of changes the final rows."""
        import pyarrow as pa

        from tableapi.arrow_values import arrow_column

        frame = self.to_polars()
        columns = [arrow_column(c, f.type) for c, f in zip(frame.get_columns(), self._schema, strict=True)]
        return pa.Table.from_arrays(columns, names=self._schema.names)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The Arrow PyCapsule protocol, so that Polars, pyarrow, DuckDB and pandas can read the rows. Takes them."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        """The columns, for the Arrow PyCapsule protocol. Takes no rows."""
        from tableapi.arrow_values import arrow_schema

        return arrow_schema(self._schema).__arrow_c_schema__()

    def to_pandas(self) -> pandas.DataFrame:
        """All rows as a pandas frame; of changes the final rows. Text is kept as Python objects, NULL as None (PyFlink)."""
        frame = self.to_polars()
        result = frame.to_pandas()
        for name, dtype in frame.schema.items():
            if dtype == pl.String:
                result[name] = result[name].astype(object).where(frame[name].is_not_null().to_numpy(), None)
        return result

    def __iter__(self) -> Iterator[Row]:
        return iter(self.collect())

    def __repr__(self) -> str:
        return f"TableResult{self._schema}"

    def _repr_html_(self) -> str:
        from tableapi.notebook.display import result_html

        return result_html(self)


def rows_of(frame: pl.DataFrame, kinds: pl.Series | None, schema: RowSchema, time_zone: str) -> Iterator[Row]:
    """The rows of a batch as `Row`s, values in Python's types."""
    from tableapi.runtime.udf_values import to_python

    names = schema.names
    columns = [to_python(c, f.type, time_zone) for c, f in zip(frame.get_columns(), schema, strict=True)]
    values = zip(*columns, strict=True) if columns else iter([()] * frame.height)
    if kinds is None:
        for row in values:
            yield Row.from_values(names, list(row))
        return
    by_number = list(RowKind)
    for row, kind in zip(values, kinds.to_list(), strict=True):
        yield Row.from_values(names, list(row), by_number[kind])


def folded(batches: Sequence[Batch], schema: RowSchema) -> pl.DataFrame:
    """The rows that are there after all changes, in the order in which they came."""
    empty = pl.DataFrame(schema=schema.to_polars())
    frames = [f for f, _ in batches if f.height]
    if not frames:
        return empty
    rows = pl.concat(frames)
    if all(kinds is None or not (kinds != 0).any() for _, kinds in batches):
        return rows
    weights = [pl.Series([1] * f.height, dtype=pl.Int64) if k is None else _weights(k) for f, k in batches if f.height]
    names = rows.columns
    counted = rows.with_columns(pl.concat(weights).alias("$weight")).with_row_index("$place")
    keys: list[Any] = names or [pl.lit(0)]
    kept = (
        counted.group_by(keys).agg(pl.col("$weight").sum(), pl.col("$place").max()).filter(pl.col("$weight") > 0).sort("$place")
    )
    if (kept["$weight"] > 1).any():
        return kept.select(pl.col(names).repeat_by("$weight").explode())
    return kept.select(names)


def _weights(kinds: pl.Series) -> pl.Series:
    return ((kinds == RowKind.INSERT) | (kinds == RowKind.UPDATE_AFTER)).cast(pl.Int64) * 2 - 1
