"""Rows that wait for event time: handed out in order of arrival once the watermark has reached them.

Imports Polars, NumPy and the batch type.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from tableapi.runtime.stream.batch import KIND_DTYPE, Batch, concat
from tableapi.runtime.stream.window_time import Millis

_MAX_CHUNKS = 64


@dataclass
class _Chunk:
    """Rows sorted by time, with their times and serial numbers of arrival."""

    batch: Batch
    times: Millis
    serials: Millis


class TimeBuffer:
    """A buffer of rows by time. Adding costs a sort of the batch; taking costs O(rows taken) plus a look at each chunk."""

    def __init__(self) -> None:
        self._chunks: list[_Chunk] = []
        self._serial = 0

    @property
    def height(self) -> int:
        """Number of rows that wait."""
        return sum(chunk.batch.height for chunk in self._chunks)

    def add(self, batch: Batch, times: Millis) -> None:
        """Keeps rows until their times (milliseconds) are reached."""
        serials = np.arange(self._serial, self._serial + batch.height)
        self._serial += batch.height
        if (np.diff(times) < 0).any():
            order = np.argsort(times, kind="stable")
            batch, times, serials = batch.gather(order), times[order], serials[order]
        self._chunks.append(_Chunk(batch, times, serials))
        if len(self._chunks) > _MAX_CHUNKS:
            self._chunks = [_merged(self._chunks)]

    def take(self, until_ms: int) -> Batch | None:
        """Removes and returns the rows with times up to `until_ms`, in order of arrival; None when there are none."""
        ready: list[_Chunk] = []
        waiting: list[_Chunk] = []
        for chunk in self._chunks:
            cut = int(np.searchsorted(chunk.times, until_ms, side="right"))
            if cut:
                ready.append(_part(chunk, 0, cut))
            if cut < len(chunk.times):
                waiting.append(_part(chunk, cut, len(chunk.times)))
        self._chunks = waiting
        if not ready:
            return None
        batch = concat([chunk.batch for chunk in ready])
        serials = np.concatenate([chunk.serials for chunk in ready])
        return batch if (np.diff(serials) > 0).all() else batch.gather(np.argsort(serials))

    def rows(self, schema: dict[str, pl.DataType]) -> Batch:
        """All waiting rows in order of arrival (for snapshots)."""
        if not self._chunks:
            return Batch(pl.DataFrame(schema=schema))
        batch = concat([chunk.batch for chunk in self._chunks])
        return batch.gather(np.argsort(np.concatenate([chunk.serials for chunk in self._chunks])))


def _part(chunk: _Chunk, start: int, end: int) -> _Chunk:
    if start == 0 and end == len(chunk.times):
        return chunk
    batch = chunk.batch
    cut = Batch(batch.frame[start:end], None if batch.kinds is None else batch.kinds[start:end])
    return _Chunk(cut, chunk.times[start:end], chunk.serials[start:end])


def _merged(chunks: list[_Chunk]) -> _Chunk:
    times = np.concatenate([c.times for c in chunks])
    order = np.argsort(times, kind="stable")
    batch = concat([c.batch for c in chunks]).gather(order)
    return _Chunk(batch, times[order], np.concatenate([c.serials for c in chunks])[order])


def with_kind_column(batch: Batch, name: str = "__kind") -> pl.DataFrame:
    """The rows with their kinds as a column, as snapshots hold them."""
    return batch.frame.with_columns(pl.Series(name, batch.kind_values(), dtype=KIND_DTYPE))


def from_kind_column(frame: pl.DataFrame, name: str = "__kind") -> Batch:
    """The batch that `with_kind_column` was given."""
    kinds = frame[name]
    return Batch(frame.drop(name), kinds if (kinds != 0).any() else None)
