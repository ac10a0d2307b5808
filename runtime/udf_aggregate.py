"""Evaluates Python aggregates: the accumulate / retract / merge / get_value protocol, and pandas aggregates of whole groups.

Shared by batch and stream. May import plan, types and the sibling udf files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import polars as pl

from tableapi.errors import UnsupportedError
from tableapi.plan.rex import AggCall
from tableapi.runtime import last_words
from tableapi.runtime.udf import RESULT, ROW_CUT, column_argument
from tableapi.runtime.udf_scope import FunctionRunner, FunctionScope, failure, row_text
from tableapi.runtime.udf_values import from_python, to_python
from tableapi.types import DataType

T = TypeVar("T")


@dataclass(frozen=True)
class AggregateRunner:
    """Drives one Python aggregate.

    Args:
        wrapper: The `tableapi.udf` wrapper.
        arg_types: Types of the arguments.
        result_type: Type of the result.
        time_zone: Session zone, in which TIMESTAMP_LTZ values are shown to the function.
        scope: Where it is opened.
    """

    wrapper: Any
    arg_types: tuple[DataType, ...]
    result_type: DataType
    time_zone: str
    scope: FunctionScope

    @property
    def is_columnar(self) -> bool:
        """Whether the function takes whole columns of a group, not rows."""
        return (getattr(self.wrapper, "func_type", "general") or "general") != "general"

    @property
    def can_retract(self) -> bool:
        """Whether rows can be taken out of an accumulator."""
        return not self.is_columnar and _overrides(self.wrapper.func, "retract")

    @property
    def can_merge(self) -> bool:
        """Whether accumulators can be merged."""
        return not self.is_columnar and _overrides(self.wrapper.func, "merge")

    def rows(self, args: Sequence[pl.Series]) -> list[tuple[Any, ...]]:
        """The argument rows as Python values."""
        columns = [to_python(a, t, self.time_zone) for a, t in zip(args, self.arg_types, strict=True)]
        return list(zip(*columns, strict=True))

    def create(self) -> Any:
        """A new accumulator."""
        return self._guard(self.scope.function(self.wrapper).create_accumulator)

    def accumulate(self, accumulator: Any, rows: Iterable[tuple[Any, ...]]) -> Any:
        """Adds rows to an accumulator, which the function changes in place; returns it."""
        return self._each("accumulate", accumulator, rows)

    def retract(self, accumulator: Any, rows: Iterable[tuple[Any, ...]]) -> Any:
        """Takes rows out of an accumulator; returns it.

        Raises:
            UnsupportedError: The function has no `retract`.
        """
        if not self.can_retract:
            raise UnsupportedError(
                f"Python aggregate '{self.wrapper.name}' cannot take rows back", fix="define retract(accumulator, *args)"
            )
        return self._each("retract", accumulator, rows)

    def merge(self, accumulator: Any, others: Sequence[Any]) -> Any:
        """Merges accumulators into the first; returns it."""
        if not self.can_merge:
            raise UnsupportedError(
                f"Python aggregate '{self.wrapper.name}' cannot merge groups", fix="define merge(accumulator, accumulators)"
            )
        function = self.scope.function(self.wrapper)
        self._guard(lambda: function.merge(accumulator, others))
        return accumulator

    def value(self, accumulator: Any) -> Any:
        """The result of an accumulator, as a Python value."""
        function = self.scope.function(self.wrapper)
        return self._guard(lambda: function.get_value(accumulator))

    def column(self, values: Sequence[Any], name: str = "") -> pl.Series:
        """The Polars column of results."""
        try:
            return from_python(values, self.result_type, name)
        except Exception as error:
            raise failure(self.wrapper, error, None, None) from error

    def whole_group(self, args: Sequence[pl.Series]) -> Any:
        """The result for a group given as columns."""
        if not self.is_columnar:
            return self.value(self.accumulate(self.create(), self.rows(args)))
        kind = self.wrapper.func_type
        columns = [column_argument(a, t, kind, self.time_zone) for a, t in zip(args, self.arg_types, strict=True)]
        function = self.scope.function(self.wrapper)
        return self._guard(lambda: _of_columns(function, columns))

    def _each(self, method: str, accumulator: Any, rows: Iterable[tuple[Any, ...]]) -> Any:
        step = getattr(self.scope.function(self.wrapper), method)
        row: tuple[Any, ...] | None = None
        try:
            with self.scope.lock:
                for row in rows:
                    step(accumulator, *row)
        except (Exception, SystemExit) as error:
            raise failure(self.wrapper, error, row, None) from error
        return accumulator

    def _guard(self, call: Callable[[], T]) -> T:
        # Polars must not be called under a lock: its threads may wait for each other.
        is_polars = getattr(self.wrapper, "func_type", None) == "polars"
        try:
            with nullcontext() if is_polars else self.scope.lock:
                return call()
        except (Exception, SystemExit) as error:
            raise failure(self.wrapper, error, None, None) from error


def _of_columns(function: Any, columns: Sequence[Any]) -> Any:
    if not hasattr(function, "accumulate"):
        return _scalar(function(*columns))
    accumulator = function.create_accumulator()
    function.accumulate(accumulator, *columns)
    return _scalar(function.get_value(accumulator))


def _overrides(function: Any, method: str) -> bool:
    """Whether a user's class defines a method that its base in this library only declares."""
    own = getattr(type(function), method, None)
    return own is not None and not getattr(own, "__module__", "").startswith("tableapi.")


def _scalar(value: Any) -> Any:
    """A pandas or NumPy scalar as a plain Python value; NaN of a missing result stays NaN."""
    if value is None or type(value).__name__ in ("NaTType", "NAType"):
        return None
    if hasattr(value, "as_py"):
        return value.as_py()
    if type(value).__name__ == "Timestamp":
        return value.to_pydatetime()
    return value


@dataclass(frozen=True)
class GroupsTask:
    """The results of an aggregate for groups: the frame's one column holds each group's arguments as a list of structs."""

    function: Any
    arg_types: tuple[DataType, ...]
    result_type: DataType
    time_zone: str = "UTC"

    def run(self, frame: pl.DataFrame, scope: FunctionScope) -> pl.DataFrame:
        """The results, as the one column of a frame."""
        runner = AggregateRunner(self.function, self.arg_types, self.result_type, self.time_zone, scope)
        groups = frame.to_series()
        args = groups.explode(empty_as_null=False, keep_nulls=False).struct.unnest().get_columns()[: len(self.arg_types) or 1]
        ends = groups.list.len().fill_null(0).cum_sum().to_list()
        values: list[Any] = []

        def doing() -> str:
            size, first = len(args[0]), [a[0] if len(a) else None for a in args]
            name = self.function.name
            return f"Python function '{name}' was working on {len(ends)} groups of {size} rows, the first of them {row_text(first)}"

        with last_words.doing(doing):
            start = 0
            for end in ends:
                values.append(runner.whole_group([a[start:end] for a in args]))
                start = end
        return pl.DataFrame([runner.column(values, RESULT)])

    def cut(self, frame: pl.DataFrame, workers: int) -> list[pl.DataFrame]:
        """Groups can be worked on apart; a part has about as many rows as another."""
        lengths = frame.to_series().list.len().fill_null(0).cast(pl.Int64()).to_numpy()
        ends = np.cumsum(lengths)
        total = int(ends[-1]) if len(ends) else 0
        size = max(1, min(ROW_CUT, -(-total // (4 * workers))))
        marks = np.unique(np.searchsorted(ends, np.arange(size, total, size)) + 1)
        cuts = [0, *(m for m in marks.tolist() if 0 < m < frame.height), frame.height]
        return [frame[a:b] for a, b in pairwise(cuts)]

    def join(self, parts: Sequence[pl.DataFrame], results: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """One below the other."""
        return pl.concat(results)


@dataclass(frozen=True)
class FramesTask:
    """The results of an aggregate for frames of sorted rows, each as long as or longer than the one before or elsewhere.

    The frame has one row: a list of each argument's values, and the lists `low` and `high` of where the frames begin and end.
    """

    function: Any
    arg_types: tuple[DataType, ...]
    result_type: DataType
    time_zone: str = "UTC"

    @staticmethod
    def frame(args: Sequence[pl.Series], low: Sequence[int], high: Sequence[int]) -> pl.DataFrame:
        """What `run` takes."""
        lists = [a.implode().alias(f"a{i}") for i, a in enumerate(args)]
        bounds = {"low": low, "high": high}
        return pl.DataFrame([*lists, *(pl.Series(n, [v], dtype=pl.List(pl.Int64())) for n, v in bounds.items())])

    def run(self, frame: pl.DataFrame, scope: FunctionScope) -> pl.DataFrame:
        """The results, one a frame, as the one column of a frame."""
        runner = AggregateRunner(self.function, self.arg_types, self.result_type, self.time_zone, scope)
        args = [frame[f"a{i}"][0] for i in range(len(self.arg_types))]
        bounds = list(zip(frame["low"][0].to_list(), frame["high"][0].to_list(), strict=True))
        name = self.function.name
        with last_words.doing(lambda: f"Python function '{name}' was working on {len(bounds)} frames of an OVER window"):
            if runner.is_columnar:
                values = [runner.whole_group([a[low:high] for a in args]) for low, high in bounds]
            else:
                values = list(_growing(runner, runner.rows(args), bounds))
        return pl.DataFrame([runner.column(values, RESULT)])

    def cut(self, frame: pl.DataFrame, workers: int) -> list[pl.DataFrame]:
        """A frame continues the accumulator of the one before."""
        return [frame]

    def join(self, parts: Sequence[pl.DataFrame], results: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """The one result."""
        return results[0]


def _growing(runner: AggregateRunner, rows: list[tuple[object, ...]], bounds: Sequence[tuple[int, int]]) -> Iterator[object]:
    """The values of the frames; frames that only grow continue one accumulator."""
    accumulator, low, high = None, -1, -1
    for first, last in bounds:
        if accumulator is None or first != low or last < high:
            accumulator, low, high = runner.create(), first, first
        accumulator = runner.accumulate(accumulator, rows[high:last])
        high = last
        yield runner.value(accumulator)


def udaf_expression(column: str, call: AggCall, time_zone: str, functions: FunctionRunner) -> pl.Expr:
    """The results of a Python aggregate over `column`, which holds each group's arguments as a list of structs."""
    task = GroupsTask(call.udaf, tuple(arg.type for arg in call.args), call.type, time_zone)

    def run(groups: pl.Series) -> pl.Series:
        return functions.run(task, groups.to_frame())[RESULT]

    return pl.col(column).map_batches(run, return_dtype=call.type.to_polars(), is_elementwise=True)
