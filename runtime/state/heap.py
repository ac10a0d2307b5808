"""Columns of types that have no fixed width (text, decimals, nested), addressed by row id: positions into append-only chunks.

All such columns of a store share the positions and the chunks. Imports Polars, NumPy and the growable arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from tableapi.runtime.state.columns import Ids, grown

_MIN_GARBAGE = 8192
_GROWTH = 4
"""Each chunk is at least so many times as long as the next, so that there are few. A row's text is not copied when chunks are joined,
only its 16 bytes of view."""


class Heap:
    """Columns in chunks of rows, newest last.

    Reading costs O(rows read), also with several chunks: Polars' own gather over more than eight chunks joins them first, which
    costs as much as there is in the state.

    >>> heap = Heap({"s": pl.String()})
    >>> heap.reserve(2); heap.scatter(np.array([1, 0]), pl.DataFrame({"s": ["x", "y"]}))
    >>> heap.gather(np.array([0, 1, 0]))["s"].to_list()
    ['y', 'x', 'y']
    """

    def __init__(self, schema: Mapping[str, pl.DataType]) -> None:
        self._schema = dict(schema)
        self._positions: Ids | None = None
        """Where each row is; None as long as each row's id is its position."""
        self._reserved = 0
        self._chunks: list[pl.DataFrame] = []
        self._length = 0
        self._garbage = 0

    def reserve(self, size: int) -> None:
        """Makes room for row ids below `size`."""
        self._reserved = max(self._reserved, size)
        if self._positions is not None:
            self._positions = grown(self._positions, size, -1)

    def scatter(self, ids: Ids, rows: pl.DataFrame) -> None:
        """Writes rows at `ids` (distinct)."""
        if self._positions is None and not _follows(ids, self._length):
            self._keep_positions()
        if self._positions is not None:
            self._garbage += int(np.count_nonzero(self._positions[ids] >= 0))
            self._positions[ids] = np.arange(self._length, self._length + len(ids))
        self._append(rows)
        self._compact_if_worthwhile()

    def _keep_positions(self) -> Ids:
        if self._positions is None:
            self._positions = np.full(max(16, self._reserved), -1, dtype=np.int64)
            self._positions[: self._length] = np.arange(self._length)
        return self._positions

    def _append(self, rows: pl.DataFrame) -> None:
        if not rows.height:
            return
        joined = [pl.DataFrame([_owned(rows[name]).cast(dtype) for name, dtype in self._schema.items()])]
        while self._chunks and self._chunks[-1].height < _GROWTH * sum(chunk.height for chunk in joined):
            joined.insert(0, self._chunks.pop())
        self._chunks.append(pl.concat(joined, rechunk=True) if len(joined) > 1 else joined[0])
        self._length += rows.height

    def gather(self, ids: Ids, names: Sequence[str] | None = None) -> pl.DataFrame:
        """The columns (None: all) of the rows at `ids`."""
        chosen = list(self._schema if names is None else names)
        chunks = [chunk.select(chosen) if names is not None else chunk for chunk in self._chunks]
        if not len(ids):
            return pl.DataFrame(schema={name: self._schema[name] for name in chosen})
        at = ids if self._positions is None else self._positions[ids]
        if len(chunks) == 1:
            return chunks[0][at]
        starts = np.cumsum([0, *(chunk.height for chunk in chunks)])
        chunk_of = np.zeros(len(at), dtype=np.uint8)
        for start in starts[1:-1]:
            chunk_of += at >= start
        counts = np.bincount(chunk_of, minlength=len(chunks))
        if counts.max() == len(at):
            number = int(chunk_of[0])
            return chunks[number][at - starts[number]]
        order = np.argsort(chunk_of, kind="stable")
        at, ends = at[order], np.cumsum(counts)
        parts = [chunks[i][at[ends[i] - n : ends[i]] - starts[i]] for i, n in enumerate(counts.tolist()) if n]
        back = np.empty(len(order), dtype=np.int64)
        back[order] = np.arange(len(order))
        return pl.concat(parts, rechunk=True)[back]

    def free(self, ids: Ids) -> None:
        """The rows at `ids` are no longer needed."""
        if not len(ids):
            return
        positions = self._keep_positions()
        self._garbage += int(np.count_nonzero(positions[ids] >= 0))
        positions[ids] = -1
        self._compact_if_worthwhile()

    def _compact_if_worthwhile(self) -> None:
        if self._garbage < _MIN_GARBAGE or self._garbage * 2 < self._length:
            return
        positions = self._keep_positions()
        live = np.flatnonzero(positions >= 0)
        kept = self.gather(live)
        self._chunks, self._length, self._garbage = [], 0, 0
        self._append(kept)
        positions[live] = np.arange(len(live))

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        return (0 if self._positions is None else self._positions.nbytes) + int(sum(c.estimated_size() for c in self._chunks))


def _follows(ids: Ids, length: int) -> bool:
    """Whether `ids` are the next positions, in order."""
    if not len(ids):
        return True
    return bool(ids[0] == length and ids[-1] == length + len(ids) - 1 and (np.diff(ids) == 1).all())


def _owned(series: pl.Series) -> pl.Series:
    """A copy with text of its own.

    Filtering or gathering text keeps all of the buffers that the rows came from alive; state that keeps one row of a batch
    would keep the whole batch in memory.
    """
    if series.dtype == pl.String:
        return (series + "").rechunk()
    if series.dtype == pl.Binary or series.dtype.is_nested():
        return pl.Series(series.name, series.to_arrow(compat_level=pl.CompatLevel.oldest()), dtype=series.dtype)
    return series.rechunk()


class HeapColumn:
    """One column of such a type."""

    def __init__(self, name: str, dtype: pl.DataType) -> None:
        self.name, self.dtype = name, dtype
        self._heap = Heap({name: dtype})

    def reserve(self, size: int) -> None:
        """Makes room for row ids below `size`."""
        self._heap.reserve(size)

    def scatter(self, ids: Ids, series: pl.Series) -> None:
        """Writes the values at `ids` (distinct)."""
        self._heap.scatter(ids, series.alias(self.name).to_frame())

    def gather(self, ids: Ids) -> pl.Series:
        """The values at `ids`."""
        return self._heap.gather(ids)[self.name]

    def free(self, ids: Ids) -> None:
        """The values at `ids` are no longer needed."""
        self._heap.free(ids)

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        return self._heap.size_bytes
