"""Typed columns addressed by row id: growable arrays that are read by gather and written by scatter.

Fixed-width types are NumPy arrays (plus a validity array once there is a NULL); other types are in `heap.py`.
Imports Polars and NumPy only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

if TYPE_CHECKING:
    from tableapi.runtime.state.heap import HeapColumn

Ids = npt.NDArray[np.int64]


def grown(array: npt.NDArray[Any], size: int, fill: Any = 0) -> npt.NDArray[Any]:
    """The array, or a larger copy that holds at least `size` elements (growth is geometric)."""
    if len(array) >= size:
        return array
    shape = (max(size, 2 * len(array), 16), *array.shape[1:])
    larger = np.full(shape, fill, dtype=array.dtype) if fill else np.zeros(shape, dtype=array.dtype)
    larger[: len(array)] = array
    return larger


def as_run(ids: Ids) -> Ids | slice:
    """The ids as a slice, which is faster to write to, when they follow each other."""
    if not len(ids) or int(ids[-1]) - int(ids[0]) != len(ids) - 1 or (np.diff(ids) != 1).any():
        return ids
    return slice(int(ids[0]), int(ids[-1]) + 1)


def writable(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array, copied when it is read-only: the kernels are compiled for writable arrays only."""
    return array if array.flags.writeable and array.flags.c_contiguous else array.copy()


def storage_dtype(dtype: pl.DataType) -> np.dtype[Any] | None:
    """The NumPy type that values of a Polars type are kept in, None when they go to a heap."""
    if dtype == pl.Boolean:
        return np.dtype(np.bool_)
    if dtype.is_integer() or dtype.is_float():
        return _NUMPY.get(dtype.base_type())
    if isinstance(dtype, (pl.Datetime, pl.Duration)) or dtype == pl.Time:
        return np.dtype(np.int64)
    if dtype == pl.Date:
        return np.dtype(np.int32)
    return None


_NUMPY: dict[Any, np.dtype[Any]] = {
    pl.Int8: np.dtype(np.int8),
    pl.Int16: np.dtype(np.int16),
    pl.Int32: np.dtype(np.int32),
    pl.Int64: np.dtype(np.int64),
    pl.UInt8: np.dtype(np.uint8),
    pl.UInt16: np.dtype(np.uint16),
    pl.UInt32: np.dtype(np.uint32),
    pl.UInt64: np.dtype(np.uint64),
    pl.Float32: np.dtype(np.float32),
    pl.Float64: np.dtype(np.float64),
}

_ALL_VALID = np.empty(0, dtype=np.bool_)


def to_arrays(series: pl.Series) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Values of a fixed-width series and their validity (an empty array when none is NULL)."""
    if not series.null_count():
        return _values(series), _ALL_VALID
    valid = series.is_not_null().to_numpy()
    zero: Any = False if series.dtype == pl.Boolean else 0
    return _values(series.to_physical().fill_null(zero)), valid


def _values(series: pl.Series) -> npt.NDArray[Any]:
    """The stored numbers of a series without NULL. Goes around `to_physical` where it can, which costs more than the copy."""
    dtype = series.dtype
    if isinstance(dtype, (pl.Datetime, pl.Duration)):
        return series.to_numpy().view(np.int64)
    return series.to_physical().to_numpy() if dtype.is_temporal() else series.to_numpy()


def pick(frame: pl.DataFrame, names: Iterable[str]) -> pl.DataFrame:
    """Some columns of a frame, as `select` gives them but without its overhead. At least one name."""
    return pl.DataFrame([frame[name] for name in names])


def from_arrays(name: str, values: npt.NDArray[Any], valid: npt.NDArray[np.bool_], dtype: pl.DataType) -> pl.Series:
    """A series of a fixed-width type from values and validity (empty: all valid)."""
    series = pl.Series(name, values)
    if series.dtype != dtype:
        series = series.cast(dtype)
    if len(valid) and not valid.all():
        series = series.set(pl.Series(~valid), None)
    return series


class FixedColumn:
    """A column of a fixed-width type."""

    def __init__(self, name: str, dtype: pl.DataType, storage: np.dtype[Any]) -> None:
        self.name, self.dtype = name, dtype
        self.values: npt.NDArray[Any] = np.zeros(0, dtype=storage)
        self.valid: npt.NDArray[np.bool_] | None = None

    def reserve(self, size: int) -> None:
        """Makes room for row ids below `size`."""
        self.values = grown(self.values, size)
        if self.valid is not None:
            self.valid = grown(self.valid, len(self.values), True)

    def scatter(self, ids: Ids | slice, series: pl.Series) -> None:
        """Writes the values at `ids`."""
        values, valid = to_arrays(series)
        self.values[ids] = values
        if self.valid is None:
            if not len(valid):
                return
            self.valid = np.ones(len(self.values), dtype=np.bool_)
        self.valid[ids] = valid if len(valid) else True

    def gather(self, ids: Ids) -> pl.Series:
        """The values at `ids`."""
        valid = _ALL_VALID if self.valid is None else self.valid[ids]
        return from_arrays(self.name, self.values[ids], valid, self.dtype)

    def free(self, ids: Ids) -> None:
        """The values at `ids` are no longer needed."""

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        return self.values.nbytes + (0 if self.valid is None else self.valid.nbytes)


def make_column(name: str, dtype: pl.DataType) -> FixedColumn | HeapColumn:
    """The column class that fits the type."""
    from tableapi.runtime.state.heap import HeapColumn

    storage = storage_dtype(dtype)
    return HeapColumn(name, dtype) if storage is None else FixedColumn(name, dtype, storage)
