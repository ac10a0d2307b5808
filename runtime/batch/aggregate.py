"""Lowers grouping: plain, global, grouping sets, Python aggregates, and the aggregate calls that windows share.

A built-in aggregate call becomes one Polars aggregation, or is computed from totals that it shares with others. A Python aggregate
collects its arguments as a list per group, which is then reduced in Python.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tableapi.functions.registry import Accumulator, AccumulatorKind, SessionContext
from tableapi.plan.nodes import Aggregate, NamedAgg, grouping_set_ids
from tableapi.plan.rex import AggCall, Literal
from tableapi.runtime.batch.context import Lowering
from tableapi.runtime.expressions import aggregate_of, finish_aggregate, prepared_arguments
from tableapi.runtime.expressions import lower as lower_rex
from tableapi.runtime.expressions import lower_aggregate as lower_aggregate_call
from tableapi.runtime.udf_aggregate import udaf_expression
from tableapi.types import DecimalType, IntegralType


def aggregated(frame: pl.LazyFrame, keys: Sequence[str], aggregates: Sequence[NamedAgg], lowering: Lowering) -> pl.LazyFrame:
    """One row a group: the keys, then the aggregates. Without keys exactly one row."""
    if not aggregates:
        return frame.select(keys).unique() if keys else pl.LazyFrame(height=1)
    outputs, later = [], {}
    totals = _Totals(lowering)
    for named in aggregates:
        if named.call.udaf is not None:
            bound = _bound_rows(named.call, lowering.session)
            outputs.append((bound if keys else bound.implode()).alias(named.name))
            later[named.name] = udaf_expression(named.name, named.call, lowering.session.time_zone, lowering.functions)
        elif (columns := totals.of(named.call)) is not None:
            later[named.name] = finish_aggregate(named.call, columns, lowering.session)
        else:
            outputs.append(lower_aggregate_call(named.call, lowering.session).alias(named.name))
    outputs += totals.outputs
    frame = frame.group_by(keys).agg(outputs) if keys else frame.select(outputs)
    return frame.with_columns(**later).select(*keys, *(a.name for a in aggregates)) if later else frame


class _Totals:
    """The exact sums and counts that several calls of one aggregation are made of: SUM(x), AVG(x) and COUNT(x) need two in all."""

    def __init__(self, lowering: Lowering) -> None:
        self._lowering = lowering
        self._known: dict[object, pl.Expr] = {}
        self.outputs: list[pl.Expr] = []

    def of(self, call: AggCall) -> list[pl.Expr] | None:
        """The columns from which a call's result is made; None for a call that is not made of sums and counts."""
        if not call.args or call.distinct or call.order_by:
            return None
        accumulators = aggregate_of(call.function).accumulators([a.type for a in call.args], call.type)
        return [self._column(a, call) for a in accumulators] if all(map(_is_exact_total, accumulators)) else None

    def _column(self, accumulator: Accumulator, call: AggCall) -> pl.Expr:
        key = accumulator, call.args, call.filter
        if key not in self._known:
            assert accumulator.input is not None
            args = prepared_arguments(call, [lower_rex(arg, self._lowering.session) for arg in call.args])
            name = self._lowering.fresh("total")
            self.outputs.append(_total(accumulator, accumulator.input(args)).alias(name))
            self._known[key] = pl.col(name)
        return self._known[key]


def _is_exact_total(accumulator: Accumulator) -> bool:
    kinds = (AccumulatorKind.SUM, AccumulatorKind.COUNT)
    return (
        accumulator.kind in kinds and isinstance(accumulator.type, IntegralType | DecimalType) and accumulator.input is not None
    )


def _total(accumulator: Accumulator, value: pl.Expr) -> pl.Expr:
    dtype = accumulator.type.to_polars()
    if accumulator.kind is AccumulatorKind.COUNT:
        return value.count().cast(dtype)
    # Polars adds decimals up with 38 digits whatever they have, integers in their own type.
    return value.sum().cast(dtype) if isinstance(accumulator.type, DecimalType) else value.cast(dtype).sum()


def _bound_rows(call: AggCall, session: SessionContext) -> pl.Expr:
    """The argument rows of a Python aggregate as structs; a constant argument is repeated, no argument counts rows."""
    arguments = prepared_arguments(call, [lower_rex(arg, session) for arg in call.args])
    if all(isinstance(arg, Literal) for arg in call.args):
        rows = pl.int_range(pl.len())
        arguments.append(rows.filter(pl.col(call.filter)) if call.filter else rows)
    return pl.struct([a.alias(str(i)) for i, a in enumerate(arguments)])


def lower_aggregate(node: Aggregate, lowering: Lowering) -> pl.LazyFrame:
    """Groups by columns, possibly several times (grouping sets)."""
    frame = lowering.lower(node.input)
    if node.grouping_sets is None:
        return aggregated(frame, node.keys, node.aggregates, lowering).select(node.schema.names or pl.all())
    types = node.schema.to_polars()
    parts = []
    for keys, set_id in zip(node.grouping_sets, grouping_set_ids(node.keys, node.grouping_sets), strict=True):
        part = _grouping_set(frame, keys, node, lowering)
        absent = [pl.lit(None, types[k]).alias(k) for k in node.keys if k not in keys]
        group_id = [pl.lit(set_id, pl.Int64()).alias(node.group_id)] if node.group_id else []
        parts.append(part.with_columns(*absent, *group_id).select(list(types)))
    return pl.concat(parts)


def _grouping_set(frame: pl.LazyFrame, keys: tuple[str, ...], node: Aggregate, lowering: Lowering) -> pl.LazyFrame:
    if keys or not node.keys:
        return aggregated(frame, keys, node.aggregates, lowering)
    # Flink expands each row once per set, so the empty set has no group when there are no rows.
    constant = lowering.fresh("set")
    return aggregated(frame.with_columns(pl.lit(True).alias(constant)), (constant,), node.aggregates, lowering)
