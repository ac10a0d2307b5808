"""What all joins share: the key columns of both sides under common names, and right rows that may be absent.

Imports Polars, NumPy and `runtime.state`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from tableapi.runtime.state.columns import Ids
from tableapi.runtime.state.row_store import RowStore
from tableapi.tablespec import RowSchema

Mask = npt.NDArray[np.bool_]


class JoinKeys:
    """The equal columns of two inputs, as frames with common names and types.

    Args:
        pairs: (left column, right column).
        null_safe: Which pairs take NULL as equal to NULL; () means none.
    """

    def __init__(
        self, left: RowSchema, right: RowSchema, pairs: Sequence[tuple[str, str]], null_safe: Sequence[bool] = ()
    ) -> None:
        left_types, right_types = left.to_polars(), right.to_polars()
        self._pairs = tuple(pairs)
        self._strict = [i for i in range(len(pairs)) if not (null_safe and null_safe[i])]
        self.schema = {f"k{i}": _common(left_types[a], right_types[b]) for i, (a, b) in enumerate(pairs)}

    def of_left(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, Mask]:
        """The keys of left rows, and which rows can have a partner (no NULL where NULL equals nothing)."""
        return self._of(frame, [a for a, _ in self._pairs])

    def of_right(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, Mask]:
        """The keys of right rows, and which rows can have a partner."""
        return self._of(frame, [b for _, b in self._pairs])

    def of(self, side: int, frame: pl.DataFrame) -> tuple[pl.DataFrame, Mask]:
        """The keys of rows of one side (0: left)."""
        return self.of_left(frame) if side == 0 else self.of_right(frame)

    def _of(self, frame: pl.DataFrame, names: list[str]) -> tuple[pl.DataFrame, Mask]:
        if not names:
            return pl.DataFrame(height=frame.height), np.ones(frame.height, dtype=np.bool_)
        columns = [frame[name].cast(dtype).alias(key) for name, (key, dtype) in zip(names, self.schema.items(), strict=True)]
        known = np.ones(frame.height, dtype=np.bool_)
        for i in self._strict:
            if columns[i].null_count():
                known &= columns[i].is_not_null().to_numpy()
        return pl.DataFrame(columns), known


def _common(left: pl.DataType, right: pl.DataType) -> pl.DataType:
    """The type in which values of both can be compared."""
    if left == right:
        return left
    both = [pl.DataFrame(schema={"x": left}), pl.DataFrame(schema={"x": right})]
    return pl.concat(both, how="vertical_relaxed").schema["x"]


def gather_or_null(store: RowStore, ids: Ids) -> pl.DataFrame:
    """The rows at `ids`; all NULL where the id is -1."""
    present = ids >= 0
    if present.all():
        return store.gather(ids)
    rows = store.gather(ids[present])
    return take_or_null(rows, np.where(present, np.cumsum(present) - 1, -1))


def take_or_null(frame: pl.DataFrame, positions: Ids) -> pl.DataFrame:
    """Rows of a frame by position; all NULL where the position is -1."""
    absent = positions < 0
    if not absent.any():
        return frame[positions]
    if not frame.height:
        return pl.DataFrame(
            [pl.Series(name, [None], dtype=t).new_from_index(0, len(positions)) for name, t in frame.schema.items()]
        )
    where = pl.Series(np.where(absent, 0, positions)).set(pl.Series(absent), None)
    return pl.DataFrame([column.gather(where) for column in frame])
