"""The unit that flows through a streaming job: a Polars frame and, when not all rows are inserts, their kinds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from tableapi.row import RowKind

KIND_DTYPE = pl.Int8()

MIN_WATERMARK = -(2**63)
"""No row has been seen: nothing is closed."""

MAX_WATERMARK = 2**63 - 1
"""The input has ended: everything is closed."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows and their kinds.

    Args:
        frame: The rows.
        kinds: Int8 series of `RowKind` values, as long as the frame; None when every row is an insert.
    """

    frame: pl.DataFrame
    kinds: pl.Series | None = None

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.frame.height

    @property
    def is_insert_only(self) -> bool:
        """Whether every row is known to be an insert."""
        return self.kinds is None

    def kind_values(self) -> np.ndarray:
        """The kinds as an Int8 array (zeros when all are inserts)."""
        if self.kinds is None:
            return np.zeros(self.frame.height, dtype=np.int8)
        return self.kinds.to_numpy()

    def adds(self) -> np.ndarray:
        """Boolean array: TRUE where the row is added (+I, +U), FALSE where it is taken away (-U, -D)."""
        values = self.kind_values()
        return (values == RowKind.INSERT) | (values == RowKind.UPDATE_AFTER)

    def filter(self, mask: pl.Series) -> Batch:
        """The rows where `mask` is TRUE."""
        return Batch(filter_rows(self.frame, mask), None if self.kinds is None else self.kinds.filter(mask))

    def slice(self, offset: int, length: int) -> Batch:
        """`length` rows from `offset` on."""
        return Batch(self.frame.slice(offset, length), None if self.kinds is None else self.kinds.slice(offset, length))

    def gather(self, indices: np.ndarray | pl.Series) -> Batch:
        """The rows at `indices`, in that order."""
        return Batch(gather_rows(self.frame, indices), None if self.kinds is None else self.kinds.gather(indices))

    def with_frame(self, frame: pl.DataFrame) -> Batch:
        """The same kinds on other columns."""
        return Batch(frame, self.kinds)


SMALL_ROWS = 32_768
"""Up to so many rows a frame is filtered column by column: a query costs more than it saves by working on columns side by side."""


def filter_rows(frame: pl.DataFrame, mask: pl.Series) -> pl.DataFrame:
    """`frame.filter(mask)`, without its overhead where the frame is small."""
    if frame.height > SMALL_ROWS or not frame.width:
        return frame.filter(mask)
    return pl.DataFrame([column.filter(mask) for column in frame.get_columns()])


def gather_rows(frame: pl.DataFrame, indices: np.ndarray | pl.Series) -> pl.DataFrame:
    """`frame[indices]`, without its overhead where few rows are taken."""
    if len(indices) > SMALL_ROWS // 2 or not frame.width:
        return frame[indices]
    rows = indices if isinstance(indices, pl.Series) else pl.Series(indices.astype(np.uint32))
    return pl.DataFrame([column[rows] for column in frame.get_columns()])


def concat(batches: Sequence[Batch]) -> Batch:
    """All rows of `batches` (at least one), in order."""
    if len(batches) == 1:
        return batches[0]
    # Not `pl.concat`, which goes through Polars' threads: where cores are busy, waiting for one of them takes longer than the rows do.
    frame = batches[0].frame.clone()
    for batch in batches[1:]:
        frame.vstack(batch.frame, in_place=True)
    if all(b.kinds is None for b in batches):
        return Batch(frame)
    return Batch(frame, pl.concat([pl.Series("kind", b.kind_values(), dtype=KIND_DTYPE) for b in batches]))
