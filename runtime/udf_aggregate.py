"""Evaluates Python aggregates: the accumulate / retract / merge / get_value protocol, and pandas aggregates of whole groups.

Shared by batch and stream. May import plan, types and the sibling udf files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import polars as pl

from tableapi.errors import UnsupportedError
from tableapi.plan.rex import AggCall
from tableapi.runtime.udf import _SHARED, FunctionScope, failure, to_pandas
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
    """

    wrapper: Any
    arg_types: tuple[DataType, ...]
    result_type: DataType
    time_zone: str = "UTC"
    scope: FunctionScope = _SHARED

    @property
    def is_columnar(self) -> bool:
        """Whether the function takes whole columns of a group, not rows."""
        return (getattr(self.wrapper, "func_type", "general") or "general") != "general"

    @property
    def can_retract(self) -> bool:
        """Whether rows can be taken out of an accumulator."""
        return not self.is_columnar and _overrides(self.scope.function(self.wrapper), "retract")

    @property
    def can_merge(self) -> bool:
        """Whether accumulators can be merged."""
        return not self.is_columnar and _overrides(self.scope.function(self.wrapper), "merge")

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
        if kind == "pandas":
            columns = [to_pandas(a, t, self.time_zone) for a, t in zip(args, self.arg_types, strict=True)]
        else:
            columns = [a.to_arrow() if kind == "arrow" else a for a in args]
        function = self.scope.function(self.wrapper)
        return self._guard(lambda: _of_columns(function, columns))

    def _each(self, method: str, accumulator: Any, rows: Iterable[tuple[Any, ...]]) -> Any:
        step = getattr(self.scope.function(self.wrapper), method)
        row: tuple[Any, ...] | None = None
        try:
            with self.scope.lock:
                for row in rows:
                    step(accumulator, *row)
        except Exception as error:
            raise failure(self.wrapper, error, row, None) from error
        return accumulator

    def _guard(self, call: Callable[[], T]) -> T:
        # Polars must not be called under a lock: its threads may wait for each other.
        is_polars = getattr(self.wrapper, "func_type", None) == "polars"
        try:
            with nullcontext() if is_polars else self.scope.lock:
                return call()
        except Exception as error:
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


def udaf_expression(column: str, call: AggCall, time_zone: str, scope: FunctionScope | None = None) -> pl.Expr:
    """The results of a Python aggregate over `column`, which holds each group's arguments as a list of structs."""
    types = tuple(arg.type for arg in call.args)
    runner = AggregateRunner(call.udaf, types, call.type, time_zone, scope or _SHARED)

    def run(groups: pl.Series) -> pl.Series:
        rows = groups.explode(empty_as_null=False, keep_nulls=False)
        args = rows.struct.unnest().get_columns()
        ends = groups.list.len().fill_null(0).cum_sum().to_list()
        starts = [0, *ends[:-1]]
        values = [runner.whole_group([a[s:e] for a in args]) for s, e in zip(starts, ends, strict=True)]
        return runner.column(values)

    return pl.col(column).map_batches(run, return_dtype=call.type.to_polars(), is_elementwise=True)
