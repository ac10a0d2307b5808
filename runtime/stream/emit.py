"""How a keyed operator says what changed: from the rows before and after a batch to a changelog.

Imports Polars, NumPy and the batch type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from tableapi.row import RowKind
from tableapi.runtime.stream.batch import KIND_DTYPE, Batch

Mask = npt.NDArray[np.bool_]


def differs(before: pl.DataFrame, after: pl.DataFrame) -> Mask:
    """Whether row i of both frames (same columns) is different; NULL equals NULL, NaN equals NaN."""
    if not before.width or not before.height:
        return np.zeros(before.height, dtype=np.bool_)
    changed: Mask = np.zeros(before.height, dtype=np.bool_)
    for old in before.get_columns():
        new = after[old.name]
        unequal = old.ne_missing(new) if old.null_count() or new.null_count() or old.dtype.is_nested() else old != new
        changed |= unequal.to_numpy()
    return changed


def changes(
    existed: Mask, exists: Mask, changed: Mask, generate_update_before: bool
) -> tuple[npt.NDArray[np.int64], pl.Series]:
    """The changelog of n rows that each may have been there before and may be there now.

    Returns:
        Row numbers into "all rows before, then all rows after" (i: row i before; n + i: row i after), and the kinds. The -U
        and the +U of a row are neighbours.
    """
    goes, comes = existed & ~exists, exists & ~existed
    updated = existed & exists & changed
    sides = np.empty((len(existed), 2), dtype=np.bool_)
    sides[:, 0] = goes | updated if generate_update_before else goes
    sides[:, 1] = comes | updated
    flat = np.flatnonzero(sides.ravel())
    row, is_after = flat >> 1, flat & 1
    before_kind = np.where(exists, RowKind.UPDATE_BEFORE, RowKind.DELETE).astype(np.int8)
    after_kind = np.where(existed, RowKind.UPDATE_AFTER, RowKind.INSERT).astype(np.int8)
    kinds = np.where(is_after, after_kind[row], before_kind[row])
    return row + is_after * len(existed), pl.Series("kind", kinds, dtype=KIND_DTYPE)


def kind_series(kinds: npt.NDArray[np.int8]) -> pl.Series | None:
    """The kinds as a series; None when all are inserts."""
    return pl.Series("kind", kinds, dtype=KIND_DTYPE) if kinds.any() else None


def constant_kinds(kind: RowKind, height: int) -> pl.Series | None:
    """`height` times the same kind; None for inserts."""
    if kind is RowKind.INSERT:
        return None
    return pl.Series("kind", np.full(height, kind, dtype=np.int8), dtype=KIND_DTYPE)


def emit_in_pieces(emit: Callable[[Batch], None], batch: Batch, max_rows: int) -> None:
    """Hands a result on in batches of at most about `max_rows`; nothing when it is empty. Update pairs are not torn apart."""
    if not batch.height:
        return
    if batch.height <= 2 * max_rows:
        emit(batch)
        return
    kinds = batch.kind_values()
    start = 0
    while start < batch.height:
        end = min(start + max_rows, batch.height)
        if end < batch.height and kinds[end - 1] == RowKind.UPDATE_BEFORE:
            end += 1
        emit(Batch(batch.frame[start:end], None if batch.kinds is None else batch.kinds[start:end]))
        start = end


def hstack(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Frames of the same height side by side; frames without columns are left out."""
    wide = [frame for frame in frames if frame.width]
    return pl.DataFrame([column for frame in wide for column in frame]) if wide else pl.DataFrame(height=frames[0].height)
