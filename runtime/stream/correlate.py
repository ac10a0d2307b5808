"""Rows times the rows of a table function.

Imports the plan, Python functions and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from tableapi.errors import UnsupportedError
from tableapi.plan.nodes import NamedRex
from tableapi.plan.rex import Rex
from tableapi.runtime.stream.batch import KIND_DTYPE, Batch
from tableapi.runtime.stream.calc import compile_columns, compile_filter
from tableapi.runtime.stream.emit import emit_in_pieces
from tableapi.runtime.stream.join_rows import take_or_null
from tableapi.runtime.stream.operator import Operator, OperatorContext
from tableapi.tablespec import Field, RowSchema


@dataclass(frozen=True)
class CorrelateSpec:
    """Fields as in `plan.nodes.Correlate`. Row kinds pass to the rows made."""

    input: RowSchema
    function: Any
    args: tuple[Rex, ...]
    outputs: tuple[Field, ...]
    is_outer: bool = False
    condition: Rex | None = None

    def __post_init__(self) -> None:
        if isinstance(self.function, str):
            raise UnsupportedError(f"table function {self.function} is not supported yet on a stream")

    def create(self) -> Operator:
        """A new operator."""
        return Correlate(self)


class Correlate(Operator):
    """Emits each row once per row that the Python table function returns for it; without any, not at all, or once with NULLs
    (outer).

    No state. The function is opened once per worker and called once per input row.
    """

    def __init__(self, spec: CorrelateSpec) -> None:
        self._spec = spec

    def open(self, context: OperatorContext) -> None:
        super().open(context)
        from tableapi.runtime.udf_table import TableTask

        spec = self._spec
        self._task = TableTask(spec.function, tuple(a.type for a in spec.args), spec.outputs, context.session.time_zone)
        columns = [NamedRex(f"__arg_{i}", rex) for i, rex in enumerate(self._spec.args)]
        self._arguments = compile_columns(columns, context) if columns else None
        condition = self._spec.condition
        self._condition = None if condition is None else compile_filter(condition, context)

    def process(self, input: int, batch: Batch) -> None:
        from tableapi.runtime.udf_table import SOURCE

        spec = self._spec
        arguments = pl.DataFrame(height=batch.height) if self._arguments is None else self._arguments(batch.frame)
        found = self.context.functions.run(self._task, arguments)
        rows, results = found[SOURCE].to_numpy().astype(np.int64), np.arange(found.height)
        found = found.drop(SOURCE)
        if self._condition is not None and len(rows):
            joined = batch.frame[rows].with_columns(found.get_columns())
            met = self._condition(joined).to_numpy()
            rows, results = rows[met], results[met]
        if spec.is_outer:
            alone = np.flatnonzero(np.bincount(rows, minlength=batch.height) == 0)
            rows, results = np.concatenate([rows, alone]), np.concatenate([results, np.full(len(alone), -1)])
            order = np.argsort(rows, kind="stable")
            rows, results = rows[order], results[order]
        if not len(rows):
            return
        frame = batch.frame[rows].with_columns(take_or_null(found, results).get_columns())
        kinds = None if batch.is_insert_only else pl.Series("kind", batch.kind_values()[rows], dtype=KIND_DTYPE)
        emit_in_pieces(self.context.emit, Batch(frame, kinds), self.context.max_batch_rows)
