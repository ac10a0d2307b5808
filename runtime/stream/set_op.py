"""INTERSECT and EXCEPT (UNION ALL is several edges; UNION adds a distinct aggregate).

Imports the plan, `runtime.state` and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from tableapi.plan.nodes import SetKind
from tableapi.row import RowKind
from tableapi.runtime.state.columns import Ids, grown
from tableapi.runtime.state.hashing import key_groups
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.state.snapshots import SavedRows, untagged
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.emit import emit_in_pieces, kind_series
from tableapi.runtime.stream.idle import ExpiringOperator, IdleKeys
from tableapi.runtime.stream.operator import Operator, SnapshotReader, SnapshotWriter
from tableapi.tablespec import RowSchema


@dataclass(frozen=True)
class SetOpSpec:
    """INTERSECT or EXCEPT of `inputs` (2 or more, same types, columns matched by position).

    Output: the first input's columns.
    """

    inputs: tuple[RowSchema, ...]
    kind: SetKind
    is_all: bool
    ttl_ms: int | None = None
    """Rows whose number did not change for so long (processing time) are forgotten; None: never."""

    def create(self) -> Operator:
        """A new operator."""
        return SetOp(self)


class SetOp(ExpiringOperator):
    """Counts each distinct row per input; emits +I and -D as the number of times that it is in the result changes.

    NULL equals NULL. State: an index of rows, and a count per input by slot. Cost: O(rows of the batch).
    """

    def __init__(self, spec: SetOpSpec) -> None:
        self._spec = spec
        self._index = KeyIndex(spec.inputs[0].to_polars())
        self._names = spec.inputs[0].names
        self._counts = np.zeros((0, len(spec.inputs)), dtype=np.int64)
        self._idle = IdleKeys(spec.ttl_ms, self._index, self._expire)

    def _expire(self, slots: Ids) -> None:
        self._counts[slots] = 0
        self._index.free(slots)

    def process(self, input: int, batch: Batch) -> None:
        rows = batch.frame.select(
            [pl.col(a).alias(b) for a, b in zip(self._spec.inputs[input].names, self._names, strict=True)]
        )
        self._idle.enter(rows)
        slots, _ = self._index.insert(rows)
        self._counts = grown(self._counts, self._index.bound)
        _, touched = self._index.distinct(slots)
        before = self._result(touched)
        np.add.at(self._counts[:, input], slots, 1 if batch.is_insert_only else np.where(batch.adds(), 1, -1))
        change = self._result(touched) - before
        changed = np.flatnonzero(change)
        if len(changed):
            times = np.abs(change[changed])
            kinds = np.where(change[changed] > 0, RowKind.INSERT, RowKind.DELETE).astype(np.int8)
            frame = self._index.keys(np.repeat(touched[changed], times))
            emit_in_pieces(self.context.emit, Batch(frame, kind_series(np.repeat(kinds, times))), self.context.max_batch_rows)
        self._idle.touch(touched)
        self._index.free(touched[(self._counts[touched] == 0).all(axis=1)])
        self.context.metrics["keys"] = self._index.count

    def _result(self, slots: Ids) -> Ids:
        """How often each row is in the result."""
        counts = np.maximum(self._counts[slots], 0)
        if self._spec.kind is SetKind.INTERSECT:
            least: Ids = counts.min(axis=1)
            return least if self._spec.is_all else np.minimum(least, 1)
        others = counts[:, 1:].sum(axis=1)
        if self._spec.is_all:
            return np.maximum(counts[:, 0] - others, 0)
        return ((counts[:, 0] > 0) & (others == 0)).astype(np.int64)

    def snapshot(self, writer: SnapshotWriter) -> None:
        slots = self._index.live_slots()
        rows = self._index.keys(slots)
        counts = [pl.Series(f"__count_{i}", self._counts[slots, i]) for i in range(self._counts.shape[1])]
        writer.frame("rows", SavedRows(self.context.subtask, key_groups(rows)).tag(rows.with_columns(counts)))

    def restore(self, reader: SnapshotReader) -> None:
        frame = reader.frame("rows")
        if frame is None or not frame.height:
            return
        slots, _ = self._index.insert(untagged(frame))
        self._counts = grown(self._counts, self._index.bound)
        for i in range(self._counts.shape[1]):
            self._counts[slots, i] = frame[f"__count_{i}"].to_numpy()
        self._idle.touch(slots)

    def state(self) -> dict[str, pl.DataFrame]:
        slots = self._index.live_slots()
        counts = [pl.Series(f"input_{i}", self._counts[slots, i]) for i in range(self._counts.shape[1])]
        return {"rows": self._index.keys(slots).with_columns(counts)}
