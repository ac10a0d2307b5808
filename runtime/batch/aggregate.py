"""Lowers grouping: plain, global, grouping sets, Python aggregates, and the aggregate calls that windows share.

A built-in aggregate call becomes one Polars aggregation. A Python aggregate collects its arguments as a list per group,
which is then reduced in Python.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tableapi.functions.registry import SessionContext
from tableapi.plan.nodes import Aggregate, NamedAgg, grouping_set_ids
from tableapi.plan.rex import AggCall, Literal
from tableapi.runtime.batch.context import Lowering
from tableapi.runtime.expressions import lower as lower_rex
from tableapi.runtime.expressions import lower_aggregate as lower_aggregate_call
from tableapi.runtime.expressions import prepared_arguments
from tableapi.runtime.udf_aggregate import udaf_expression


def aggregated(frame: pl.LazyFrame, keys: Sequence[str], aggregates: Sequence[NamedAgg], lowering: Lowering) -> pl.LazyFrame:
    """One row a group: the keys, then the aggregates. Without keys exactly one row."""
    if not aggregates:
        return frame.select(keys).unique() if keys else pl.LazyFrame(height=1)
    outputs, python = [], {}
    for named in aggregates:
        if named.call.udaf is None:
            outputs.append(lower_aggregate_call(named.call, lowering.session).alias(named.name))
        else:
            bound = _bound_rows(named.call, lowering.session)
            outputs.append((bound if keys else bound.implode()).alias(named.name))
            python[named.name] = udaf_expression(named.name, named.call, lowering.session.time_zone, lowering.functions)
    frame = frame.group_by(keys).agg(outputs) if keys else frame.select(outputs)
    return frame.with_columns(**python) if python else frame


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
