"""How frames of state refer to each other in a snapshot, so that the parts of several former workers can be put together.

Every row of state carries the key group that it belongs to (`__key_group`, by which rows are dealt out when a job is rescaled)
and the row number of its owner (`__row`, unique over all workers that wrote). Imports Polars, NumPy and the snapshot contract.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from tableapi.runtime.state.columns import Ids
from tableapi.runtime.state.hashing import KEY_GROUP_COLUMN
from tableapi.runtime.stream.batch import MIN_WATERMARK
from tableapi.runtime.stream.operator import SnapshotReader, SnapshotWriter

ROW_COLUMN = "__row"
_SUBTASK_SHIFT = 40


class SavedRows:
    """Owners (slots, rows) as they are written: position i has number `subtask * 2^40 + i`.

    Args:
        subtask: The writing worker.
        groups: Key group of each owner; None when the state is not keyed (then it has no key groups).
    """

    def __init__(self, subtask: int, groups: npt.NDArray[np.uint8] | None) -> None:
        self._base, self._groups = subtask << _SUBTASK_SHIFT, groups

    def tag(self, frame: pl.DataFrame, positions: Ids | None = None) -> pl.DataFrame:
        """The frame with the marks of its owners; `positions` are the owners of its rows (None: row i belongs to owner i)."""
        owners = np.arange(frame.height) if positions is None else positions
        tags = [pl.Series(ROW_COLUMN, owners + self._base)]
        if self._groups is not None:
            tags.append(pl.Series(KEY_GROUP_COLUMN, self._groups[owners]))
        return frame.with_columns(tags)


class LoadedRows:
    """Owners as they are after loading.

    Args:
        owners: A frame with the owners' `__row` numbers.
        ids: The slot or row id that each of them has now.
    """

    def __init__(self, owners: pl.DataFrame, ids: Ids) -> None:
        rows = owners[ROW_COLUMN].to_numpy()
        order = np.argsort(rows, kind="stable")
        self._rows, self._ids = rows[order], ids[order]

    def ids_of(self, frame: pl.DataFrame) -> Ids:
        """The id now of each row's owner."""
        found: Ids = self._ids[np.searchsorted(self._rows, frame[ROW_COLUMN].to_numpy())]
        return found


def untagged(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame without the marks."""
    return frame.drop(ROW_COLUMN, KEY_GROUP_COLUMN, strict=False)


def save_time(writer: SnapshotWriter, time_ms: int) -> None:
    """Writes how far event time has come for this worker."""
    writer.frame("event_time", pl.DataFrame({"time_ms": [time_ms]}))


def load_time(reader: SnapshotReader) -> int:
    """How far event time had come for all workers that wrote; before all times when nothing is known."""
    times = reader.frame("event_time")
    return MIN_WATERMARK if times is None or not times.height else int(times["time_ms"].min())  # type: ignore[arg-type]
