"""Evaluates Python functions on columns: scalar and table functions, and the splitting of expressions around them.

Shared by batch and stream. Aggregates are in `udf_aggregate.py`, value conversion in `udf_values.py`. May import plan,
types and the runtime's expression lowering. Functions run in the calling process; the calls of one
task never overlap, except those of `polars` functions.
"""

from __future__ import annotations

import inspect
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import polars as pl

from tableapi.errors import ExecutionError, Location
from tableapi.functions.registry import SessionContext
from tableapi.plan.nodes import Correlate
from tableapi.plan.rex import Ref, Rex, UdfCall, transform, walk
from tableapi.row import Row
from tableapi.runtime.failures import remember
from tableapi.runtime.udf_values import from_python, to_python
from tableapi.tablespec import Field
from tableapi.types import DataType, RowType

Stage = list[tuple[str, UdfCall]]
"""Calls that can be evaluated together, with the names of the columns that they become."""


class FunctionScope:
    """The opened functions of one task: each is opened once, on first use, and closed with the scope.

    Args:
        context: What `open()` of a function gets (a `FunctionContext`); None makes the default one.
    """

    def __init__(self, context: Any = None) -> None:
        self._context = context
        self._open: dict[int, tuple[Any, Callable[..., Any]]] = {}
        self.lock = threading.RLock()

    def function(self, wrapper: Any) -> Any:
        """The opened function object of a wrapper: a callable, or an object with `eval` or `accumulate`."""
        with self.lock:
            known = self._open.get(id(wrapper))
            if known is None:
                opened = _instantiate(wrapper.func)
                if hasattr(opened, "open"):
                    opened.open(self._context if self._context is not None else _default_context())
                known = self._open[id(wrapper)] = (wrapper, opened)
            return known[1]

    def callable(self, wrapper: Any) -> Callable[..., Any]:
        """What to call for a row of a scalar or table function."""
        function = self.function(wrapper)
        call: Callable[..., Any] = function.eval if hasattr(function, "eval") else function
        return call

    def close(self) -> None:
        """Closes every function that was opened."""
        opened, self._open = [f for _, f in self._open.values()], {}
        for function in opened:
            if hasattr(function, "close"):
                function.close()


def _instantiate(function: Any) -> Any:
    return function() if inspect.isclass(function) else function


def _default_context() -> Any:
    from tableapi import udf as public

    return public.FunctionContext(None, {})


_SHARED = FunctionScope()


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


def udf_expression(call: UdfCall, session: SessionContext, scope: FunctionScope | None = None) -> pl.Expr:
    """The Polars expression of a Python call whose arguments contain no further Python calls."""
    from tableapi.runtime.expressions import lower

    arguments = [lower(arg, session).alias(f"a{i}") for i, arg in enumerate(call.args)]
    if not any(isinstance(r, Ref) for arg in call.args for r in walk(arg)):
        # Without a column the call would be evaluated for one row only.
        arguments.append(pl.int_range(pl.len()).alias("row"))
    count = len(call.args)
    types = [arg.type for arg in call.args]

    def run(rows: pl.Series) -> pl.Series:
        columns = rows.struct.unnest().get_columns()[:count]
        return evaluate_scalar(
            call.function,
            columns,
            call.type,
            arg_types=types,
            height=len(rows),
            time_zone=session.time_zone,
            scope=scope,
            where=call.where,
        )

    return pl.struct(arguments).map_batches(run, return_dtype=call.type.to_polars(), is_elementwise=True)


def evaluate_scalar(
    wrapper: Any,
    args: Sequence[pl.Series],
    result_type: DataType,
    *,
    arg_types: Sequence[DataType] | None = None,
    height: int | None = None,
    time_zone: str = "UTC",
    scope: FunctionScope | None = None,
    where: Location | None = None,
) -> pl.Series:
    """The results of a scalar function, one a row.

    Args:
        wrapper: The `tableapi.udf` wrapper; its `func_type` says what the function takes: `general` values of one row,
            `pandas`, `arrow` or `polars` columns.
        args: Argument columns of equal length.
        result_type: Type of the result.
        arg_types: Types of the arguments (None: Python values are Polars' own).
        height: Number of rows, needed when there are no arguments.
        time_zone: Session zone, in which TIMESTAMP_LTZ values are shown to the function.
        scope: Where opened functions are kept (None: one for the whole process).
        where: The call's place in the user's program.

    Raises:
        ExecutionError: The function failed or returned something that does not fit the declared type.
    """
    scope = scope or _SHARED
    rows = len(args[0]) if args else int(height or 0)
    if rows == 0:
        return pl.Series("", [], dtype=result_type.to_polars())
    types = list(arg_types) if arg_types is not None else [None] * len(args)
    kind = getattr(wrapper, "func_type", "general") or "general"
    if kind == "general":
        return _rowwise(wrapper, scope, args, types, result_type, rows, time_zone, where)
    return _columnar(wrapper, kind, scope, args, types, result_type, rows, time_zone, where)


def _rowwise(
    wrapper: Any,
    scope: FunctionScope,
    args: Sequence[pl.Series],
    types: Sequence[DataType | None],
    result_type: DataType,
    rows: int,
    time_zone: str,
    where: Location | None,
) -> pl.Series:
    function = scope.callable(wrapper)
    columns = [to_python(column, data_type, time_zone) for column, data_type in zip(args, types, strict=True)]
    argument_rows = zip(*columns, strict=True) if columns else iter([()] * rows)
    results: list[Any] = []
    try:
        with scope.lock:
            if inspect.iscoroutinefunction(function):
                results = _run_async(function, list(argument_rows))
            else:
                # The loop that the user asked for: a `general` function takes one row.
                for row in argument_rows:
                    results.append(function(*row))
    except Exception as error:
        failing = tuple(c[len(results)] for c in columns) if len(results) < rows else None
        raise failure(wrapper, error, failing, where) from error
    return _checked(wrapper, results, result_type, columns, where)


def _checked(
    wrapper: Any, results: list[Any], result_type: DataType, columns: list[list[Any]], where: Location | None
) -> pl.Series:
    try:
        return from_python(results, result_type)
    except Exception as error:
        failing = None
        for index, value in enumerate(results):
            if not _fits(value, result_type):
                failing = tuple(c[index] for c in columns)
                break
        raise failure(wrapper, error, failing, where) from error


def _fits(value: Any, data_type: DataType) -> bool:
    try:
        from_python([value], data_type)
    except (TypeError, OverflowError, ValueError, pl.exceptions.PolarsError):
        return False
    return True


def _run_async(function: Callable[..., Any], rows: list[tuple[Any, ...]], concurrency: int = 10) -> list[Any]:
    """Awaits a coroutine function for each row, a few at a time, on an event loop of its own."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    async def gather() -> list[Any]:
        gate = asyncio.Semaphore(concurrency)

        async def one(row: tuple[Any, ...]) -> Any:
            async with gate:
                return await function(*row)

        return list(await asyncio.gather(*(one(row) for row in rows)))

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(gather())).result()


def _columnar(
    wrapper: Any,
    kind: str,
    scope: FunctionScope,
    args: Sequence[pl.Series],
    types: Sequence[DataType | None],
    result_type: DataType,
    rows: int,
    time_zone: str,
    where: Location | None,
) -> pl.Series:
    dtype, function = result_type.to_polars(), scope.callable(wrapper)
    columns = [_column_argument(a, t, kind, time_zone) for a, t in zip(args, types, strict=True)]
    # Polars must not be called under a lock: its threads may wait for each other.
    gate = nullcontext() if kind == "polars" else scope.lock
    try:
        with gate:
            result = function(*columns)
        series = column_result(result, dtype, time_zone)
        if len(series) != rows:
            raise ValueError(f"returned {len(series)} values for {rows} rows")
        return series
    except Exception as error:
        raise failure(wrapper, error, None, where) from error


def _column_argument(column: pl.Series, data_type: DataType | None, kind: str, time_zone: str) -> Any:
    if kind == "polars":
        return column
    if kind == "arrow":
        return column.to_arrow()
    return to_pandas(column, data_type, time_zone)


def to_pandas(column: pl.Series, data_type: DataType | None, time_zone: str) -> Any:
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


def call_table_function(
    wrapper: Any,
    args: Sequence[pl.Series],
    outputs: Sequence[Field],
    *,
    arg_types: Sequence[DataType] | None = None,
    height: int | None = None,
    time_zone: str = "UTC",
    scope: FunctionScope | None = None,
    where: Location | None = None,
) -> tuple[pl.Series, pl.DataFrame]:
    """The rows that a table function returns.

    Args:
        outputs: Names and types of the returned columns. The others are as for `evaluate_scalar`.

    Returns:
        How many rows each input row gave (UInt32), and all returned rows in order.

    Raises:
        ExecutionError: The function failed or returned something that does not fit the declared types.
    """
    scope = scope or _SHARED
    rows = len(args[0]) if args else int(height or 0)
    types = list(arg_types) if arg_types is not None else [None] * len(args)
    columns = [to_python(column, data_type, time_zone) for column, data_type in zip(args, types, strict=True)]
    argument_rows = zip(*columns, strict=True) if columns else iter([()] * rows)
    counts: list[int] = []
    found: list[list[Any]] = []
    function = scope.callable(wrapper)
    try:
        with scope.lock:
            for row in argument_rows:
                returned = _table_rows(function(*row), len(outputs))
                found.extend(returned)
                counts.append(len(returned))
    except Exception as error:
        raise failure(wrapper, error, tuple(c[len(counts)] for c in columns), where) from error
    by_column = list(zip(*found, strict=True)) if found else [()] * len(outputs)
    try:
        series = [from_python(values, f.type, f.name) for values, f in zip(by_column, outputs, strict=True)]
    except Exception as error:
        raise failure(wrapper, error, None, where) from error
    return pl.Series("count", counts, dtype=pl.UInt32()), pl.DataFrame(series)


def _table_rows(returned: Any, width: int) -> list[list[Any]]:
    """The rows in what a table function returned: None, one row, or a list, range or generator of rows (PyFlink)."""
    if returned is None:
        return []
    several = returned if isinstance(returned, list | range) or inspect.isgenerator(returned) else [returned]
    rows = [list(r) if isinstance(r, tuple | Row) else [r] for r in several]
    for row in rows:
        if len(row) != width:
            raise TypeError(f"returned a row of {len(row)} values, but {width} columns are declared")
    return rows


def expand(
    frame: pl.DataFrame,
    node: Correlate,
    arguments: Sequence[str],
    *,
    is_outer: bool | None = None,
    time_zone: str = "UTC",
    scope: FunctionScope | None = None,
) -> pl.DataFrame:
    """Each row of `frame` times the rows that the table function of `node` returns for it.

    Args:
        frame: Rows with the function's arguments in the columns `arguments`.
        is_outer: Whether a row without results is kept with NULLs (None: as the node says).
    """
    counts, found = call_table_function(
        node.function,
        [frame[name] for name in arguments],
        node.outputs,
        arg_types=[arg.type for arg in node.args],
        height=frame.height,
        time_zone=time_zone,
        scope=scope,
    )
    is_outer = node.is_outer if is_outer is None else is_outer
    source = pl.Series("row", range(frame.height), dtype=pl.UInt32())
    left = source.gather(source.repeat_by(counts).explode(empty_as_null=False)) if frame.height else source
    positions = pl.Series("found", range(found.height), dtype=pl.UInt32())
    if is_outer:
        empty = source.filter(counts == 0)
        pairs = pl.DataFrame([left, positions])
        pairs = pl.concat([pairs, pl.DataFrame({"row": empty, "found": pl.Series([None] * len(empty), dtype=pl.UInt32())})])
        pairs = pairs.sort("row", maintain_order=True)
        left, positions = pairs["row"], pairs["found"]
    taken = [column.gather(positions) for column in found.get_columns()]
    return frame[left].with_columns(taken) if frame.width else pl.DataFrame(taken)


def failure(wrapper: Any, error: Exception, row: tuple[Any, ...] | None, where: Location | None) -> ExecutionError:
    """The error to raise when a user's function failed: it shows the user's frames and the row."""
    frames = _user_frames(error)
    last = frames[-1] if frames else None
    place = where or (Location(last.filename, last.lineno or 0) if last else None)
    on_row = "" if row is None else f" for the row ({', '.join(map(_short, row))})"
    what = f"Python function '{wrapper.name}' failed{on_row}: {type(error).__name__}: {error}"
    if frames:
        what += "\n" + "".join(traceback.format_list(frames)).rstrip("\n")
    fix = f"make '{wrapper.name}' accept this row, and return a value of its declared type"
    return remember(ExecutionError(what, where=place, fix=fix))


def _short(value: Any, limit: int = 200) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _user_frames(error: Exception) -> list[traceback.FrameSummary]:
    """The frames below this file: those of the user's function and what it called."""
    frames = traceback.extract_tb(error.__traceback__)
    own = (__file__, to_python.__code__.co_filename)
    first = next((i for i, f in enumerate(frames) if f.filename not in own), len(frames))
    return [f for f in frames[first:] if f.filename not in own]


def row_fields(data_type: DataType) -> list[DataType]:
    """The types of the columns that a function with this result type makes: a ROW is spread."""
    return data_type.field_types() if isinstance(data_type, RowType) else [data_type]
