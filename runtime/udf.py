"""Evaluates Python scalar functions on columns, and splits expressions around their calls.

Shared by batch and stream. Where functions run is `udf_scope.py`'s subject; table functions are in `udf_table.py`, aggregates in
`udf_aggregate.py`, value conversion in `udf_values.py`. May import plan, types and the runtime's expression lowering. The calls
of one task in one process never overlap, except those of `polars` functions.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any

import polars as pl

from tableapi.errors import Location
from tableapi.functions.registry import SessionContext
from tableapi.plan.rex import Ref, Rex, UdfCall, transform, walk
from tableapi.runtime import last_words
from tableapi.runtime.udf_scope import PIECE_ROWS, FunctionRunner, FunctionScope, RowFailure, failure, rows_text
from tableapi.runtime.udf_values import from_python, to_python
from tableapi.types import DataType

Stage = list[tuple[str, UdfCall]]
"""Calls that can be evaluated together, with the names of the columns that they become."""

RESULT = "r"

ROW_CUT = 16_384
"""Most rows of a row function that go to a worker process at a time."""

COLUMN_CUT = 65_536
"""Fewest rows of a column function that are worth a second worker process."""


def split_udfs(rexes: Sequence[Rex], fresh: Callable[[str], str]) -> tuple[list[Stage], list[Rex]]:
    """Takes the Python calls out of expressions.

    Args:
        rexes: Expressions that may contain `UdfCall`s, nested too.
        fresh: Makes a new column name from a hint.

    Returns:
        The stages to evaluate in order, each adding columns that later ones may read, and the expressions with column
        references in place of the calls. A deterministic call that occurs twice is evaluated once.
    """
    stages: list[Stage] = []
    known: list[tuple[UdfCall, Ref, int]] = []

    def depth(rex: Rex) -> int:
        levels = {ref.name: level for _, ref, level in known}
        return max((levels[r.name] + 1 for r in walk(rex) if isinstance(r, Ref) and r.name in levels), default=0)

    def take(rex: Rex) -> Rex | None:
        if not isinstance(rex, UdfCall):
            return None
        if getattr(rex.function, "deterministic", True):
            for call, ref, _ in known:
                if call.function is rex.function and call == rex:
                    return ref
        level = depth(rex)
        ref = Ref(rex.type, fresh("udf"))
        known.append((rex, ref, level))
        while len(stages) <= level:
            stages.append([])
        stages[level].append((ref.name, rex))
        return ref

    return stages, [transform(rex, take) for rex in rexes]


def udf_expression(call: UdfCall, session: SessionContext, functions: FunctionRunner) -> pl.Expr:
    """The Polars expression of a Python call whose arguments contain no further Python calls."""
    from tableapi.runtime.expressions import lower

    arguments = [lower(arg, session).alias(f"a{i}") for i, arg in enumerate(call.args)]
    if not any(isinstance(r, Ref) for arg in call.args for r in walk(arg)):
        # Without a column the call would be evaluated for one row only.
        arguments.append(pl.int_range(pl.len()).alias("row"))
    types = tuple(arg.type for arg in call.args)
    task = ScalarTask(call.function, types, call.type, session.time_zone, call.where)

    def run(rows: pl.Series) -> pl.Series:
        return functions.run(task, rows.struct.unnest())[RESULT]

    return pl.struct(arguments).map_batches(run, return_dtype=call.type.to_polars(), is_elementwise=True)


@dataclass(frozen=True)
class ScalarTask:
    """The results of a scalar function for the rows of a frame, whose first columns are the arguments.

    Args:
        function: The `tableapi.udf` wrapper; its `func_type` says what the function takes: `general` values of one row,
            `pandas`, `arrow` or `polars` columns.
        arg_types: Types of the arguments.
        result_type: Type of the result.
        time_zone: Session zone, in which TIMESTAMP_LTZ values are shown to the function.
        where: The call's place in the user's program.
    """

    function: Any
    arg_types: tuple[DataType, ...]
    result_type: DataType
    time_zone: str = "UTC"
    where: Location | None = None

    @property
    def is_rowwise(self) -> bool:
        """Whether the function takes the values of one row."""
        return (getattr(self.function, "func_type", "general") or "general") == "general"

    def run(self, frame: pl.DataFrame, scope: FunctionScope) -> pl.DataFrame:
        """The results, as the one column of a frame.

        Raises:
            ExecutionError: The function failed or returned something that does not fit the declared type.
        """
        if not frame.height:
            result = pl.Series([], dtype=self.result_type.to_polars())
        else:
            args = frame.get_columns()[: len(self.arg_types)]
            result = (_rowwise if self.is_rowwise else _columnar)(self, scope, args, frame.height)
        return pl.DataFrame([result.alias(RESULT)])

    def cut(self, frame: pl.DataFrame, workers: int) -> list[pl.DataFrame]:
        """A row function's rows can be dealt out in small parts; a column function wants long columns."""
        if self.is_rowwise:
            size = min(ROW_CUT, max(PIECE_ROWS, -(-frame.height // (4 * workers))))
        else:
            size = -(-frame.height // max(1, min(workers, frame.height // COLUMN_CUT)))
        return [frame.slice(at, size) for at in range(0, frame.height, size)] if frame.height > size else [frame]

    def join(self, parts: Sequence[pl.DataFrame], results: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """One below the other."""
        return pl.concat(results)


def _rowwise(task: ScalarTask, scope: FunctionScope, args: Sequence[pl.Series], height: int) -> pl.Series:
    function = scope.callable(task.function)
    columns = [to_python(column, t, task.time_zone) for column, t in zip(args, task.arg_types, strict=True)]
    if inspect.iscoroutinefunction(function):
        return _checked(task, _awaited(task, scope, columns, height), columns)
    argument_rows = zip(*columns, strict=True) if columns else iter([()] * height)
    results: list[Any] = []
    append = results.append
    try:
        with scope.lock:
            for start in range(0, height, PIECE_ROWS):
                stop = min(start + PIECE_ROWS, height)
                with last_words.doing(lambda s=start, e=stop: _on_rows(task, columns, range(s, e), height)):  # type: ignore[misc]
                    # The loop that the user asked for: a `general` function takes one row.
                    for row in islice(argument_rows, stop - start):
                        append(function(*row))
    except (Exception, SystemExit) as error:
        failing = tuple(c[len(results)] for c in columns) if len(results) < height else None
        raise failure(task.function, error, failing, task.where) from error
    return _checked(task, results, columns)


def _awaited(task: ScalarTask, scope: FunctionScope, columns: list[list[Any]], height: int) -> list[Any]:
    rows = list(zip(*columns, strict=True)) if columns else [()] * height
    try:
        with last_words.doing(lambda: _on_rows(task, columns, range(height), height)):
            return scope.loop.map(scope.callable(task.function), rows)
    except RowFailure as error:
        raise failure(task.function, error.reason, rows[error.index], task.where) from error.reason


def _on_rows(task: ScalarTask, columns: Sequence[Any], rows: range, total: int) -> str:
    first, last = ([c[i] for c in columns] for i in (rows.start, rows.stop - 1))
    return rows_text(task.function, rows, total, first, last)


def _checked(task: ScalarTask, results: list[Any], columns: list[list[Any]]) -> pl.Series:
    try:
        return from_python(results, task.result_type)
    except Exception as error:
        failing = None
        for index, value in enumerate(results):
            if not _fits(value, task.result_type):
                failing = tuple(c[index] for c in columns)
                break
        raise failure(task.function, error, failing, task.where) from error


def _fits(value: Any, data_type: DataType) -> bool:
    try:
        from_python([value], data_type)
    except (TypeError, OverflowError, ValueError, pl.exceptions.PolarsError):
        return False
    return True


def _columnar(task: ScalarTask, scope: FunctionScope, args: Sequence[pl.Series], height: int) -> pl.Series:
    kind, dtype = task.function.func_type, task.result_type.to_polars()
    function = scope.callable(task.function)
    columns = [column_argument(a, t, kind, task.time_zone) for a, t in zip(args, task.arg_types, strict=True)]
    # Polars must not be called under a lock: its threads may wait for each other.
    gate = nullcontext() if kind == "polars" else scope.lock
    try:
        with gate, last_words.doing(lambda: _on_rows(task, args, range(height), height)):
            result = function(*columns)
        series = column_result(result, dtype, task.time_zone)
        if len(series) != height:
            raise ValueError(f"returned {len(series)} values for {height} rows")
        return series
    except (Exception, SystemExit) as error:
        raise failure(task.function, error, None, task.where) from error


def column_argument(column: pl.Series, data_type: DataType | None, kind: str, time_zone: str) -> Any:
    """The column in the form that a function of this kind takes."""
    if kind == "polars":
        return column
    if kind == "arrow":
        return column.to_arrow()
    return _to_pandas(column, time_zone)


def _to_pandas(column: pl.Series, time_zone: str) -> Any:
    """The column as pandas sees it: a ROW is a DataFrame, an instant is on the session's wall clock (PyFlink)."""
    if isinstance(column.dtype, pl.Struct):
        return column.struct.unnest().to_arrow().to_pandas(date_as_object=True)
    if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone:
        column = column.dt.convert_time_zone(time_zone).dt.replace_time_zone(None)
    return column.to_arrow().to_pandas(date_as_object=True)


def column_result(result: Any, dtype: pl.DataType, time_zone: str) -> pl.Series:
    """The Polars column of what a pandas, Arrow or Polars function returned."""
    if isinstance(result, pl.Series):
        series = result
    elif type(result).__module__.startswith("pandas"):
        series = _from_pandas(result)
    elif type(result).__module__.startswith("pyarrow"):
        series = pl.Series("", pl.from_arrow(result))
    else:
        series = pl.Series("", result)
    if (
        isinstance(dtype, pl.Datetime)
        and dtype.time_zone
        and isinstance(series.dtype, pl.Datetime)
        and not series.dtype.time_zone
    ):
        series = series.dt.replace_time_zone(time_zone).dt.convert_time_zone("UTC")
    if isinstance(dtype, pl.Struct) and isinstance(series.dtype, pl.Struct):
        series = series.struct.rename_fields([f.name for f in dtype.fields])
    return series.cast(dtype, strict=True).alias("")


def _from_pandas(result: Any) -> pl.Series:
    frame = pl.from_pandas(result if result.ndim == 2 else result.rename("").to_frame(), nan_to_null=True)
    return frame.to_struct("") if result.ndim == 2 else frame.to_series()
