"""Arithmetic of windows of time: slices, the windows that cover them, and the session time zone.

All times are milliseconds since the epoch, of the wall clock in which the window is aligned: for TIMESTAMP the value itself,
for TIMESTAMP_LTZ the session's local time. Pure functions; imports plan nodes, types, Polars and NumPy.
"""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import polars as pl

from tableapi.plan.nodes import WindowKind, WindowSpec
from tableapi.runtime.stream.batch import MIN_WATERMARK
from tableapi.types import DataType, LocalZonedTimestampType

Millis = npt.NDArray[np.int64]

_PER_MS = {"ms": 1, "us": 1_000, "ns": 1_000_000}


def to_ms(column: pl.Series) -> Millis:
    """A timestamp column as milliseconds, rounded down. The caller has dealt with NULL."""
    assert isinstance(column.dtype, pl.Datetime)
    values: Millis = column.to_physical().to_numpy()
    per_ms = _PER_MS[column.dtype.time_unit]
    return values if per_ms == 1 else np.floor_divide(values, per_ms)


def to_ms_or_min(column: pl.Series) -> Millis:
    """A timestamp column as milliseconds, with a time before all others where it is NULL."""
    if not column.null_count():
        return to_ms(column)
    is_null = column.is_null().to_numpy()
    filled = column.to_physical().fill_null(0).cast(column.dtype)
    return np.where(is_null, MIN_WATERMARK, to_ms(filled))


def from_ms(name: str, times: Millis, dtype: pl.DataType) -> pl.Series:
    """Milliseconds as a timestamp column."""
    assert isinstance(dtype, pl.Datetime)
    return pl.Series(name, times * _PER_MS[dtype.time_unit]).cast(dtype)


@dataclass(frozen=True)
class WindowZone:
    """Between instants and the wall clock of windows. `name` None: both are the same."""

    name: str | None

    @classmethod
    def of(cls, time_type: DataType, session_zone: str) -> WindowZone:
        """The zone of windows over a column of that type."""
        is_zoned = isinstance(time_type, LocalZonedTimestampType) and session_zone.upper() not in ("UTC", "Z", "GMT")
        return cls(session_zone if is_zoned else None)

    def to_local(self, instants: Millis) -> Millis:
        """Wall-clock time of instants."""
        if self.name is None:
            return instants
        local = pl.Series(instants).cast(pl.Datetime("ms", "UTC")).dt.convert_time_zone(self.name).dt.replace_time_zone(None)
        return local.to_physical().to_numpy()

    def to_instants(self, local: Millis) -> Millis:
        """Instants of wall-clock times. A time that a clock change skips counts as the instant after the gap, a repeated one is
        the earlier."""
        if self.name is None:
            return local
        return np.array([self.to_instant(int(t)) for t in local], dtype=np.int64)

    def to_instant(self, local: int) -> int:
        """The instant of one wall-clock time."""
        if self.name is None:
            return local
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=local)
        offset = moment.replace(tzinfo=ZoneInfo(self.name)).utcoffset()
        assert offset is not None
        return local - round(offset.total_seconds() * 1000)


@dataclass(frozen=True)
class Slices:
    """How TUMBLE, HOP and CUMULATE windows are made of slices that do not overlap.

    Each row belongs to one slice, whatever the number of windows that cover it. A slice is named by its end.
    """

    kind: WindowKind
    size_ms: int
    step_ms: int
    offset_ms: int
    length_ms: int
    """Length of a slice."""

    @classmethod
    def of(cls, window: WindowSpec) -> Slices:
        """The slices of a window specification."""
        match window.kind:
            case WindowKind.TUMBLE:
                length, step = window.size_ms, window.size_ms
            case WindowKind.HOP:
                length, step = math.gcd(window.size_ms, window.step_ms), window.step_ms
            case WindowKind.CUMULATE:
                length, step = window.step_ms, window.step_ms
            case WindowKind.SESSION:
                raise ValueError("sessions have no slices")
        return cls(window.kind, window.size_ms, step, window.offset_ms, length)

    @classmethod
    def carried(cls) -> Slices:
        """Windows that rows carry: each is one slice, wherever it ends."""
        return cls(WindowKind.TUMBLE, 1, 1, 0, 1)

    @property
    def is_shared(self) -> bool:
        """Whether a window is made of several slices, which it shares with other windows."""
        return self.kind is not WindowKind.TUMBLE

    @property
    def is_hopping(self) -> bool:
        """Whether windows begin within each other."""
        return self.kind is WindowKind.HOP

    @property
    def has_gaps(self) -> bool:
        """Whether there are slices that no window covers."""
        return self.kind is WindowKind.HOP and self.size_ms < self.step_ms

    def end_of(self, times: Millis) -> Millis:
        """The slice of each time."""
        return times - (times - self.offset_ms) % self.length_ms + self.length_ms

    def windows_of(self, slice_end: int, after: int = MIN_WATERMARK) -> list[int]:
        """Ends of the windows that cover a slice and end after `after`, ascending. Empty for slices between HOP windows."""
        first = self.next_window(slice_end, after)
        return [] if first is None else list(range(first, self._last(slice_end) + 1, self.step_ms))

    def next_window(self, slice_end: int, after: int) -> int | None:
        """The end of the first window that covers a slice and ends after `after`; None when there is none."""
        first = max(slice_end, after + 1)
        if self.is_shared:
            first += (self.offset_ms + self.size_ms - first) % self.step_ms
        return first if first <= self._last(slice_end) else None

    def block_of(self, window_end: int) -> int:
        """Where the block of the window's last slice begins. Blocks are as long as windows: a HOP window is the rest of one block and
        the beginning of the next, a CUMULATE window is the beginning of its own."""
        last_slice = window_end - self.length_ms
        return last_slice - (last_slice - self.offset_ms) % self.size_ms

    def last_window_of(self, slice_ends: Millis) -> Millis:
        """End of the last window that covers each slice (before the slice's own end: there is none)."""
        return self._last(slice_ends)

    def _last(self, slice_ends: Any) -> Any:
        if self.kind is WindowKind.TUMBLE:
            return slice_ends
        starts = slice_ends - self.length_ms
        aligned = self.size_ms if self.kind is WindowKind.CUMULATE else self.step_ms
        return starts - (starts - self.offset_ms) % aligned + self.size_ms

    def start_of_window(self, window_ends: Millis) -> Millis:
        """Starts of windows, given their ends."""
        if self.kind is WindowKind.CUMULATE:
            starts = window_ends - self.length_ms
            return starts - (starts - self.offset_ms) % self.size_ms
        return window_ends - self.size_ms
