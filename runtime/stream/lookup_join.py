"""Each row asks an external table for the rows with its key.

Imports the plan, the connector contract and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from tableapi.connectors.base import Source
from tableapi.errors import UnsupportedError
from tableapi.plan.nodes import JoinKind
from tableapi.plan.rex import Rex
from tableapi.runtime.stream.batch import KIND_DTYPE, Batch
from tableapi.runtime.stream.calc import compile_filter
from tableapi.runtime.stream.emit import emit_in_pieces, hstack
from tableapi.runtime.stream.join_rows import JoinKeys, take_or_null
from tableapi.runtime.stream.match import pairs
from tableapi.runtime.stream.operator import Operator, OperatorContext
from tableapi.tablespec import RowSchema

_READ_ROWS = 65_536


@dataclass(frozen=True)
class LookupJoinSpec:
    """Fields as in `plan.nodes.LookupJoin`; `right` has the output names.

    Reads the bounded `source` again when its cache is older than `cache_ms` (None: reads it once).
    """

    input: RowSchema
    right: RowSchema
    source: Source
    kind: JoinKind
    keys: tuple[tuple[str, str], ...]
    condition: Rex | None = None
    cache_ms: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in (JoinKind.INNER, JoinKind.LEFT):
            raise UnsupportedError(f"a {self.kind.value} lookup join is not supported", fix="use an INNER or LEFT join")
        if not self.source.is_bounded:
            raise UnsupportedError("a lookup join needs a bounded table", fix="join with a table of files")

    def create(self) -> Operator:
        """A new operator."""
        return LookupJoin(self)


class LookupJoin(Operator):
    """Joins each batch with the table as it was last read; kinds pass. No state: the table is read again after a restart.

    Cost of a batch: a hash join with the table's rows.
    """

    def __init__(self, spec: LookupJoinSpec) -> None:
        self._spec = spec
        self._keys = JoinKeys(spec.input, spec.right, spec.keys)
        self._table: pl.DataFrame | None = None
        self._read_at_ms = 0

    def open(self, context: OperatorContext) -> None:
        super().open(context)
        condition = self._spec.condition
        self._condition = None if condition is None else compile_filter(condition, context)

    def process(self, input: int, batch: Batch) -> None:
        table = self._current_table()
        rows, found = pairs(*self._keys.of_left(batch.frame), *self._keys.of_right(table))
        if self._condition is not None and len(rows):
            met = self._condition(hstack([batch.frame[rows], table[found]])).to_numpy()
            rows, found = rows[met], found[met]
        if self._spec.kind is JoinKind.LEFT:
            alone = np.flatnonzero(np.bincount(rows, minlength=batch.height) == 0)
            rows, found = np.concatenate([rows, alone]), np.concatenate([found, np.full(len(alone), -1)])
            order = np.argsort(rows, kind="stable")
            rows, found = rows[order], found[order]
        if len(rows):
            kinds = None if batch.is_insert_only else pl.Series("kind", batch.kind_values()[rows], dtype=KIND_DTYPE)
            joined = hstack([batch.frame[rows], take_or_null(table, found)])
            emit_in_pieces(self.context.emit, Batch(joined, kinds), self.context.max_batch_rows)

    def _current_table(self) -> pl.DataFrame:
        now = self.context.clock.now_ms()
        is_old = self._spec.cache_ms is not None and now - self._read_at_ms >= self._spec.cache_ms
        if self._table is None or is_old:
            self._table, self._read_at_ms = read_all(self._spec.source, self._spec.right), now
        return self._table


def read_all(source: Source, schema: RowSchema) -> pl.DataFrame:
    """All rows of a bounded source, under the names of `schema`."""
    frames = []
    for split in source.splits():
        reader = source.reader(split)
        try:
            while True:
                result = reader.read(_READ_ROWS)
                if result.frame is not None and result.frame.height:
                    frames.append(result.frame)
                if result.finished or result.frame is None:
                    break
        finally:
            reader.close()
    types = schema.to_polars()
    if not frames:
        return pl.DataFrame(schema=types)
    table = pl.concat(frames)
    return table.rename(dict(zip(table.columns, types, strict=True)))
