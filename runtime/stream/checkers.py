"""Checks of what flows over an edge, for tests: columns and types, possible changes, watermarks that only grow, rows in place.

Imports `runtime.state` and the batch type.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from tableapi.row import RowKind
from tableapi.runtime.state.columns import grown
from tableapi.runtime.state.hashing import key_groups, worker_of
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.stream.batch import MIN_WATERMARK, Batch
from tableapi.tablespec import RowSchema


class EdgeCheckError(AssertionError):
    """An operator or an exchange has broken a rule that all others rely on."""


class EdgeChecker:
    """Follows one edge of one worker and fails at the first thing that cannot be.

    Args:
        name: The edge, for messages.
        schema: The columns of its rows.
        keys: Columns by which its rows are spread over workers (None: not by key).
        subtask, parallelism: The worker that receives.
        follows_rows: Remember all rows, so that taking back a row that is not there is noticed. Not for upserts, whose
            deletes may hold the key only. After every batch no row may be there less than zero times.
        pairs_updates: Every -U is followed by its +U.
    """

    def __init__(
        self,
        name: str,
        schema: RowSchema,
        keys: tuple[str, ...] | None = None,
        subtask: int = 0,
        parallelism: int = 1,
        follows_rows: bool = True,
        pairs_updates: bool = False,
    ) -> None:
        self._name, self._types, self._keys = name, schema.to_polars(), keys
        self._subtask, self._parallelism = subtask, parallelism
        self._pairs_updates = pairs_updates
        self._rows = KeyIndex(self._types) if follows_rows and self._types else None
        self._counts = np.zeros(0, dtype=np.int64)
        self._watermark = MIN_WATERMARK

    def batch(self, batch: Batch) -> None:
        """Checks rows.

        Raises:
            EdgeCheckError: With the edge, the rule and the guilty rows.
        """
        if dict(batch.frame.schema) != self._types:
            self._fail(f"columns {dict(batch.frame.schema)} instead of {self._types}")
        if batch.kinds is not None:
            self._check_kinds(batch)
        if self._keys:
            workers = worker_of(key_groups(batch.frame, self._keys), self._parallelism)
            if (workers != self._subtask).any():
                self._fail(f"rows of other workers: {_some(batch.frame.filter(pl.Series(workers != self._subtask)))}")
        if self._rows is not None:
            self._count(batch, self._rows)

    def _check_kinds(self, batch: Batch) -> None:
        kinds = batch.kind_values()
        if len(kinds) != batch.height:
            self._fail(f"{len(kinds)} kinds for {batch.height} rows")
        if ((kinds < RowKind.INSERT) | (kinds > RowKind.DELETE)).any():
            self._fail(f"kinds {np.unique(kinds).tolist()}")
        if self._pairs_updates:
            follows = np.append(kinds[1:] == RowKind.UPDATE_AFTER, False)
            torn = (kinds == RowKind.UPDATE_BEFORE) & ~follows
            if torn.any():
                self._fail(f"-U without +U: {_some(batch.frame.filter(pl.Series(torn)))}")

    def _count(self, batch: Batch, rows: KeyIndex) -> None:
        slots, _ = rows.insert(batch.frame)
        self._counts = grown(self._counts, rows.bound)
        np.add.at(self._counts, slots, np.where(batch.adds(), 1, -1))
        touched = np.unique(slots)
        missing = touched[self._counts[touched] < 0]
        if len(missing):
            self._fail(f"rows taken back that were not there: {_some(rows.keys(missing))}")
        rows.free(touched[self._counts[touched] == 0])

    def watermark(self, time_ms: int) -> None:
        """Checks a watermark.

        Raises:
            EdgeCheckError: It is smaller than the one before.
        """
        if time_ms < self._watermark:
            self._fail(f"watermark {time_ms} after {self._watermark}")
        self._watermark = time_ms

    def _fail(self, what: str) -> None:
        raise EdgeCheckError(f"edge {self._name}: {what}")


def _some(frame: pl.DataFrame) -> str:
    rows = ", ".join(map(str, frame.head(3).rows()))
    return rows if frame.height <= 3 else f"{rows}, … ({frame.height} rows)"
