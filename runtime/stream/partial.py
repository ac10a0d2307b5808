"""Two-phase aggregation: each worker folds its own rows of a batch into partial values before they travel to the group's worker.

A group with most of the rows then costs its worker little more than any other. Imports the plan, the registry and the operator
contract.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from tableapi.functions.registry import Accumulator, AccumulatorKind, AggregateFunction, SessionContext, lookup
from tableapi.plan.nodes import NamedAgg
from tableapi.plan.rex import AggCall
from tableapi.runtime.expressions import aggregate_of, lower
from tableapi.runtime.state.columns import storage_dtype
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.emit import hstack
from tableapi.runtime.stream.operator import Operator, OperatorContext
from tableapi.tablespec import Field, RowSchema

MERGEABLE = frozenset({AccumulatorKind.COUNT, AccumulatorKind.SUM, AccumulatorKind.MIN, AccumulatorKind.MAX})

_FEW_ROWS = 512
"""Folding fewer rows costs more than sending them."""

_ROWS_PER_GROUP = 2
"""With fewer rows a group, folding does not pay."""

_BATCHES_BETWEEN_TRIALS = 16


@dataclass(frozen=True)
class Partial:
    """A column of partial values: one accumulator of one or several calls."""

    name: str
    call: AggCall
    accumulator: Accumulator


def partials_of(call: AggCall, number: int) -> tuple[Partial, ...]:
    """The partial values of the call at position `number` of an aggregation."""
    accumulators = aggregate_of(call.function).accumulators([a.type for a in call.args], call.type)
    return tuple(Partial(f"__partial_{number}_{i}", call, a) for i, a in enumerate(accumulators))


def is_mergeable(call: AggCall) -> bool:
    """Whether partial values give exactly what the rows give: counts, and sums and extremes of whole numbers and times."""
    if call.distinct or call.order_by or call.udaf is not None:
        return False
    function = lookup(call.function)
    if not isinstance(function, AggregateFunction):
        return False
    kinds = [p.accumulator for p in partials_of(call, 0)]
    return all(a.kind in MERGEABLE and _is_exact(a.type.to_polars()) for a in kinds)


def _is_exact(dtype: pl.DataType) -> bool:
    return storage_dtype(dtype) is not None and not dtype.is_float()


def partial_schema(input: RowSchema, keys: Sequence[str], aggregates: Sequence[NamedAgg]) -> RowSchema:
    """The columns that the first phase hands to the second: keys and partial values."""
    found = [p for number, a in enumerate(aggregates) for p in partials_of(a.call, number)]
    return RowSchema((*(input[key] for key in keys), *(Field(p.name, p.accumulator.type.nullable()) for p in found)))


@dataclass(frozen=True)
class LocalAggregateSpec:
    """The first phase of GROUP BY `keys` over rows that are only added. Output: `partial_schema`, for `GroupAggregateSpec.is_partial`."""

    input: RowSchema
    keys: tuple[str, ...]
    aggregates: tuple[NamedAgg, ...]

    def create(self) -> Operator:
        """A new operator."""
        return LocalAggregate(self)


class LocalAggregate(Operator):
    """Folds the rows of each batch by key and emits one row of partial values a group; no state.

    Where a batch has hardly fewer groups than rows, its rows go on one by one (as partial values of a single row), and so do
    those of the next few batches. Cost of a batch: one Polars aggregation.
    """

    def __init__(self, spec: LocalAggregateSpec) -> None:
        self._spec = spec
        self._batches_to_pass = 0

    def open(self, context: OperatorContext) -> None:
        super().open(context)
        found = [p for number, a in enumerate(self._spec.aggregates) for p in partials_of(a.call, number)]
        self._folds = [_expression(p, context.session, is_folded=True) for p in found]
        self._singles = [_expression(p, context.session, is_folded=False) for p in found]

    def process(self, input: int, batch: Batch) -> None:
        assert batch.is_insert_only, "an insert-only input took a row back"
        frame, keys = batch.frame, list(self._spec.keys)
        if not frame.width:
            frame = pl.DataFrame([pl.Series(_ROW, np.zeros(frame.height, dtype=np.int8))])
        if frame.height < _FEW_ROWS or self._batches_to_pass > 0:
            self._batches_to_pass = max(0, self._batches_to_pass - 1)
            values = frame.select(pl.int_range(pl.len()).alias(_NUMBER), *self._singles).drop(_NUMBER)
            self.context.emit(Batch(hstack([frame.select(keys), values])))
            return
        folded = frame.group_by(keys, maintain_order=True).agg(self._folds) if keys else frame.select(self._folds)
        if folded.height * _ROWS_PER_GROUP > frame.height:
            self._batches_to_pass = _BATCHES_BETWEEN_TRIALS
        self.context.metrics["rows_folded"] = self.context.metrics.get("rows_folded", 0) + frame.height - folded.height
        self.context.emit(Batch(folded))


_ROW, _NUMBER = "__row", "__number"


def _expression(partial: Partial, session: SessionContext, is_folded: bool) -> pl.Expr:
    """The partial value of a group of rows, or of each row for itself."""
    accumulator, call = partial.accumulator, partial.call
    dtype = accumulator.type.to_polars()
    counts = pl.lit(True) if call.filter is None else pl.col(call.filter).fill_null(False)
    value = None if accumulator.input is None else accumulator.input([lower(a, session) for a in call.args])
    if accumulator.kind is AccumulatorKind.COUNT:
        counts = counts if value is None else counts & value.is_not_null()
        if is_folded:
            made = pl.len() if value is None and call.filter is None else counts.sum()
        else:
            made = counts
        return made.cast(dtype).alias(partial.name)
    assert value is not None
    value = value.cast(dtype)
    if call.filter is not None:
        value = pl.when(counts).then(value)
    if is_folded:
        folds = {AccumulatorKind.SUM: value.sum(), AccumulatorKind.MIN: value.min(), AccumulatorKind.MAX: value.max()}
        value = folds[accumulator.kind]
    return value.cast(dtype).alias(partial.name)
