"""Joins rows of the same window.

Imports the plan and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tableapi.plan.nodes import JoinKind
from tableapi.plan.rex import Rex
from tableapi.runtime.state.hashing import key_groups
from tableapi.runtime.state.snapshots import SavedRows, load_time, save_time, untagged
from tableapi.runtime.stream.batch import MIN_WATERMARK, Batch
from tableapi.runtime.stream.calc import compile_filter
from tableapi.runtime.stream.emit import emit_in_pieces
from tableapi.runtime.stream.join_rows import JoinKeys
from tableapi.runtime.stream.match import join_frames, pairs
from tableapi.runtime.stream.operator import Operator, OperatorContext, SnapshotReader, SnapshotWriter
from tableapi.runtime.stream.time_buffer import TimeBuffer
from tableapi.runtime.stream.window_time import Millis, WindowZone, to_ms
from tableapi.tablespec import RowSchema, TimeKind


@dataclass(frozen=True)
class WindowJoinSpec:
    """Fields as in `plan.nodes.WindowJoin`. `keys`: pairs of equal columns besides the window. Insert-only inputs.

    Emits at window end.
    """

    left: RowSchema
    right: RowSchema
    kind: JoinKind
    keys: tuple[tuple[str, str], ...]
    condition: Rex | None
    left_window: tuple[str, str]
    right_window: tuple[str, str]

    def create(self) -> Operator:
        """A new operator."""
        return WindowJoin(self)


class WindowJoin(Operator):
    """Keeps rows until the watermark passes their window's end, then joins the rows of the closed windows; +I only.

    Late rows are dropped and counted. State: the waiting rows of both sides. Cost: O(rows); on closing a hash join.
    """

    def __init__(self, spec: WindowJoinSpec) -> None:
        self._spec = spec
        windows = tuple(zip(spec.left_window, spec.right_window, strict=True))
        self._keys = JoinKeys(spec.left, spec.right, tuple(dict.fromkeys((*spec.keys, *windows))))
        self._schemas = (spec.left, spec.right)
        self._ends = (spec.left_window[1], spec.right_window[1])
        self._waiting = (TimeBuffer(), TimeBuffer())
        self._watermark = MIN_WATERMARK

    def open(self, context: OperatorContext) -> None:
        super().open(context)
        times = [f.type for f in self._spec.left if f.time is TimeKind.ROWTIME]
        self._zone = WindowZone.of(times[0], context.session.time_zone) if times else WindowZone(None)
        condition = self._spec.condition
        self._condition = None if condition is None else compile_filter(condition, context)

    def _last_ms(self, input: int, frame: pl.DataFrame) -> Millis:
        return self._zone.to_instants(to_ms(frame[self._ends[input]])) - 1

    def process(self, input: int, batch: Batch) -> None:
        last = self._last_ms(input, batch.frame)
        late = last <= self._watermark
        batch = self.leave_out(batch, late, last, self._watermark, input)
        if batch.height:
            self._waiting[input].add(batch, last[~late])

    def on_watermark(self, watermark_ms: int) -> int:
        self._watermark = max(self._watermark, watermark_ms)
        ready = [buffer.take(watermark_ms) for buffer in self._waiting]
        if ready[0] is None and ready[1] is None:
            return watermark_ms
        left, right = (
            pl.DataFrame(schema=s.to_polars()) if b is None else b.frame for b, s in zip(ready, self._schemas, strict=True)
        )
        matched = pairs(*self._keys.of_left(left), *self._keys.of_right(right))
        joined = join_frames(left, right, matched, self._spec.kind, self._condition)
        emit_in_pieces(self.context.emit, Batch(joined), self.context.max_batch_rows)
        return watermark_ms

    def snapshot(self, writer: SnapshotWriter) -> None:
        for number, name in enumerate(("left", "right")):
            rows = self._waiting[number].rows(self._schemas[number].to_polars()).frame
            pairs_of = self._spec.keys or tuple(zip(self._spec.left_window, self._spec.right_window, strict=True))
            groups = key_groups(rows, [pair[number] for pair in pairs_of])
            writer.frame(name, SavedRows(self.context.subtask, groups).tag(rows))
        save_time(writer, self._watermark)

    def restore(self, reader: SnapshotReader) -> None:
        for number, name in enumerate(("left", "right")):
            frame = reader.frame(name)
            if frame is not None and frame.height:
                rows = untagged(frame)
                self._waiting[number].add(Batch(rows), self._last_ms(number, rows))
        self._watermark = load_time(reader)

    def state(self) -> dict[str, pl.DataFrame]:
        names = ("left", "right")
        return {n: b.rows(s.to_polars()).frame for n, b, s in zip(names, self._waiting, self._schemas, strict=True)}
