"""Lowers windows of time: the window table functions, and aggregation over windows.

Windows are aligned to the epoch on the wall clock: for TIMESTAMP_LTZ on the session's, so that a day's window is a local day
(Flink). Bounds are TIMESTAMP(3). Rows without a time are in no window.
"""

from __future__ import annotations

import polars as pl

from tableapi.plan.nodes import NamedAgg, WindowAggregate, WindowKind, WindowProperty, WindowSpec, WindowTable
from tableapi.runtime.batch.aggregate import aggregated
from tableapi.runtime.batch.context import Lowering
from tableapi.types import DataType, LocalZonedTimestampType

_BOUND = pl.Datetime("ms")


def lower_window_table(node: WindowTable, lowering: Lowering) -> pl.LazyFrame:
    """Each row once per window that it is in, with the window's bounds."""
    frame = lowering.lower(node.input)
    time_type = node.input.schema[node.window.time_column].type
    frame = assign(frame, node.window, node.window.partition_by, time_type, (node.start, node.end), lowering)
    last = window_time(node.end, time_type, lowering.session.time_zone)
    return frame.with_columns(last.alias(node.time)).select(node.schema.names)


def lower_window_aggregate(node: WindowAggregate, lowering: Lowering) -> pl.LazyFrame:
    """Groups by columns and window."""
    frame = lowering.lower(node.input)
    window = node.window
    if node.attached is None:
        time_type = node.input.schema[window.time_column].type
        bounds = (lowering.fresh("start"), lowering.fresh("end"))
        frame = assign(frame, window, window.partition_by or node.keys, time_type, bounds, lowering)
    else:
        bounds, time_type = node.attached, None
    keys = list(dict.fromkeys((*node.keys, *bounds)))
    frame = aggregated(frame, keys, _renamed_away(node.aggregates, keys), lowering)
    columns = [pl.col(k) for k in node.keys] + [pl.col(a.name) for a in node.aggregates]
    for name, what in node.properties:
        columns.append(_property(what, bounds, time_type, lowering.session.time_zone).alias(name))
    return frame.select(columns)


def _renamed_away(aggregates: tuple[NamedAgg, ...], keys: list[str]) -> tuple[NamedAgg, ...]:
    assert not {a.name for a in aggregates} & set(keys), "an aggregate has the name of a window bound"
    return aggregates


def _property(what: WindowProperty, bounds: tuple[str, str], time_type: DataType | None, time_zone: str) -> pl.Expr:
    if what is WindowProperty.START:
        return pl.col(bounds[0])
    if what is WindowProperty.END:
        return pl.col(bounds[1])
    if time_type is None:
        return pl.col(bounds[1]) - pl.duration(milliseconds=1)
    return window_time(bounds[1], time_type, time_zone)


def window_time(end: str, time_type: DataType, time_zone: str) -> pl.Expr:
    """The last millisecond of the window that ends at column `end`, in the type of the time attribute."""
    last = pl.col(end).cast(pl.Int64()) - 1
    local = last.cast(_BOUND)
    if isinstance(time_type, LocalZonedTimestampType):
        local = from_local(local, time_zone)
    return local.cast(time_type.to_polars())


def from_local(local: pl.Expr, time_zone: str) -> pl.Expr:
    """The instant of a wall-clock time; the earlier one where the clock is turned back, shifted where it skips."""
    zoned = local.dt.replace_time_zone(time_zone, ambiguous="earliest", non_existent="null")
    skipped = (local + pl.duration(hours=1)).dt.replace_time_zone(time_zone, ambiguous="earliest", non_existent="null")
    return zoned.fill_null(skipped).dt.convert_time_zone("UTC")


def local_ms(column: str, time_type: DataType, time_zone: str) -> pl.Expr:
    """A time column as wall-clock milliseconds since the epoch (Int64)."""
    value = pl.col(column)
    if isinstance(time_type, LocalZonedTimestampType):
        value = value.dt.convert_time_zone(time_zone).dt.replace_time_zone(None)
    per_ms = {"ms": 1, "us": 1_000, "ns": 1_000_000}[getattr(time_type.to_polars(), "time_unit", "ms")]
    return value.cast(pl.Int64()) // per_ms


def assign(
    frame: pl.LazyFrame,
    window: WindowSpec,
    partition_by: tuple[str, ...],
    time_type: DataType,
    bounds: tuple[str, str],
    lowering: Lowering,
) -> pl.LazyFrame:
    """The rows of `frame`, once per window, with the bounds in two more columns."""
    start, end = bounds
    time = local_ms(window.time_column, time_type, lowering.session.time_zone)
    frame = frame.filter(pl.col(window.time_column).is_not_null())
    if window.kind is WindowKind.SESSION:
        return _sessions(frame, window, partition_by, time, bounds, lowering)
    if window.kind is WindowKind.TUMBLE:
        first = _aligned(time, window.size_ms, window.offset_ms)
        return frame.with_columns(first.cast(_BOUND).alias(start), (first + window.size_ms).cast(_BOUND).alias(end))
    step = lowering.fresh("step")
    # Window number `step` of the few that a row can be in; those that do not hold it are dropped.
    if window.kind is WindowKind.HOP:
        count = -(-window.size_ms // window.step_ms)
        first = _aligned(time, window.step_ms, window.offset_ms) - pl.col(step) * window.step_ms
        last, holds = first + window.size_ms, first + window.size_ms > time
    else:
        count = window.size_ms // window.step_ms
        first = _aligned(time, window.size_ms, window.offset_ms)
        last = first + (pl.col(step) + 1) * window.step_ms
        holds = last > time
    steps = pl.lit(list(range(count)), pl.List(pl.Int64()))
    frame = frame.with_columns(steps.alias(step)).explode(step).filter(holds)
    return frame.with_columns(first.cast(_BOUND).alias(start), last.cast(_BOUND).alias(end)).drop(step)


def _aligned(time: pl.Expr, size_ms: int, offset_ms: int) -> pl.Expr:
    return time - (time - offset_ms) % size_ms


def _sessions(
    frame: pl.LazyFrame,
    window: WindowSpec,
    partition_by: tuple[str, ...],
    time: pl.Expr,
    bounds: tuple[str, str],
    lowering: Lowering,
) -> pl.LazyFrame:
    """Flink: the windows [t, t + gap] of neighbouring rows merge when they touch."""
    at, session = lowering.fresh("at"), lowering.fresh("session")
    keys = list(partition_by)

    def within(expression: pl.Expr, groups: list[str]) -> pl.Expr:
        return expression.over(groups) if groups else expression

    opens = (pl.col(at) - pl.col(at).shift(1) > window.gap_ms).fill_null(False)
    frame = frame.with_columns(time.alias(at)).sort(at, maintain_order=True)
    frame = frame.with_columns(within(opens.cum_sum(), keys).alias(session))
    groups = [*keys, session]
    first, last = within(pl.col(at).min(), groups), within(pl.col(at).max(), groups) + window.gap_ms
    frame = frame.with_columns(first.cast(_BOUND).alias(bounds[0]), last.cast(_BOUND).alias(bounds[1]))
    return frame.drop(at, session)
