"""Grouping sets: repeats each row once per set, with the absent keys NULL.

Imports the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tableapi.plan.nodes import grouping_set_ids
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.operator import Operator
from tableapi.tablespec import RowSchema


@dataclass(frozen=True)
class ExpandSpec:
    """Each row once per grouping set.

    Output: the input's columns, the keys that are not in the set being NULL, then `group_id` (BIGINT: `grouping_set_ids`).
    An aggregate that reads a key column must read a copy of it projected below. The aggregation above
    groups by the keys and `group_id`.
    """

    input: RowSchema
    keys: tuple[str, ...]
    grouping_sets: tuple[tuple[str, ...], ...]
    group_id: str

    def create(self) -> Operator:
        """A new operator."""
        return Expand(self)


class Expand(Operator):
    """Emits each batch once per grouping set; no state."""

    def __init__(self, spec: ExpandSpec) -> None:
        types = spec.input.to_polars()
        self._sets: list[list[pl.Expr]] = []
        for present, set_id in zip(spec.grouping_sets, grouping_set_ids(spec.keys, spec.grouping_sets), strict=True):
            absent = [key for key in spec.keys if key not in present]
            nulls = [pl.lit(None, dtype=types[key]).alias(key) for key in absent]
            self._sets.append([*nulls, pl.lit(set_id, dtype=pl.Int64).alias(spec.group_id)])

    def process(self, input: int, batch: Batch) -> None:
        for expressions in self._sets:
            self.context.emit(batch.with_frame(batch.frame.with_columns(expressions)))
