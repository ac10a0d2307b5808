"""Reads the splits of one source on one worker, and makes watermarks of what was read.

Of the splits that have rows, the one whose event time is furthest behind is read first, so that splits advance together. A
split that had nothing is asked again when its descriptor says so, or after a few milliseconds. Rows that come after a pause
are handed on at once; while small batches follow each other, they are joined, so that there is at most one per linger time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from tableapi.connectors.base import ReadResult, Split, SplitReader
from tableapi.errors import ExecutionError
from tableapi.runtime.cluster.diagnosis import SourceNote, SplitNote
from tableapi.runtime.cluster.event_time import EventTimes, cuts
from tableapi.runtime.cluster.vertex import Emitter, Stopwatch
from tableapi.runtime.exchange.messages import EndOfInput, IdleStatus, Watermark
from tableapi.runtime.exchange.reactor import Reactor
from tableapi.runtime.planner.graph import JobConfig, SourceSpec, Vertex
from tableapi.runtime.stream.batch import MAX_WATERMARK, MIN_WATERMARK, Batch, concat
from tableapi.runtime.stream.operator import Clock, OperatorContext

POLL_S = 0.005
"""How long a split without a descriptor rests after it had nothing."""

LISTEN_S = 0.25
"""How long a split whose descriptor is watched rests at most."""


@dataclass
class SplitState:
    """A split at work."""

    split: Split
    reader: SplitReader
    position: object = None
    watermark_ms: int = MIN_WATERMARK
    has_finished: bool = False
    is_idle: bool = False
    dry_since_ms: int | None = None
    next_poll_s: float = 0.0
    watched_fd: int | None = None
    was_woken: bool = False


class SourceRun(Emitter):
    """The part of a source that one worker reads.

    Args:
        vertex: A vertex whose step is a SourceSpec.
        splits: The splits of this worker.
        times_of: Evaluates event times and watermarks; None when the source has no watermark of its own.
        reactor: Where descriptors of readers are watched.
    """

    def __init__(
        self,
        vertex: Vertex,
        splits: Sequence[Split],
        config: JobConfig,
        clock: Clock,
        stopwatch: Stopwatch,
        times_of: Callable[[pl.DataFrame], EventTimes] | None,
        reactor: Reactor,
    ) -> None:
        super().__init__(vertex, stopwatch)
        assert isinstance(vertex.step, SourceSpec)
        self._spec = vertex.step
        self._assigned = splits
        self._config, self._clock, self._times_of = config, clock, times_of
        self._reactor = reactor
        self._full_rows = max(1, config.max_batch_rows // 2)
        self.splits: list[SplitState] = []
        self._pending: list[Batch] = []
        self._pending_rows = 0
        self._flushed_s = 0.0
        self._watermark_ms = self._firm_ms = MIN_WATERMARK
        self.alignment = None if vertex.step.watermark is None else vertex.step.watermark.alignment
        self._limit_ms = MAX_WATERMARK if self.alignment is None else MIN_WATERMARK
        self._emit_interval_ms = 200 if vertex.step.watermark is None else vertex.step.watermark.emit_interval_ms
        self._is_idle = False
        self.has_ended = False
        self._prepare: Callable[[Batch], Iterator[Batch]] = lambda batch: iter((batch,))

    def open(self, context: OperatorContext) -> None:
        """Opens the readers, and the steps that come before the watermark."""
        if self._spec.before_watermark is not None:
            operator, made = self._spec.before_watermark.create(), list[Batch]()
            context.emit = made.append
            operator.open(context)

            def prepare(batch: Batch) -> Iterator[Batch]:
                operator.process(0, batch)
                yield from made
                made.clear()

            self._prepare = prepare
        for split in self._assigned:
            self.splits.append(SplitState(split, self._spec.source.reader(split)))

    def step(self) -> bool:
        """Reads once or hands on what was read. False when there is nothing to do now."""
        if self.has_ended:
            return False
        before = self.stopwatch.switch(self.metrics)
        try:
            has_read = self._read_one()
            if self._pending and self._is_time_to_flush():
                self._flush()
                return True
            return self._notice_end_or_idleness() or has_read
        finally:
            self.stopwatch.switch(before)

    def next_step_s(self) -> float | None:
        """When (monotonic seconds) `step` may have something to do without a descriptor saying so; None: never."""
        if self.has_ended:
            return None
        times = [s.next_poll_s for s in self.splits if not s.has_finished and s.watermark_ms <= self._limit_ms]
        if self._pending:
            times.append(self._flushed_s + self._config.linger_ms / 1000)
        return min(times, default=0.0 if self._limit_ms == MAX_WATERMARK else None)

    def align(self, group_ms: int | None) -> None:
        """The slowest split of the alignment group has reached `group_ms` (None: the group has no active split)."""
        assert self.alignment is not None
        self._limit_ms = MAX_WATERMARK if group_ms is None else group_ms + self.alignment.max_drift_ms

    def note(self) -> SourceNote:
        """Where the splits stand."""
        splits = tuple(
            SplitNote(s.split.id, s.watermark_ms, s.dry_since_ms, s.is_idle, s.watermark_ms > self._limit_ms)
            for s in self.splits
            if not s.has_finished
        )
        return SourceNote(self.vertex.id, splits, not self.has_ended and not self.has_credit)

    def close(self) -> None:
        """Closes the readers."""
        for state in self.splits:
            self._unwatch(state)
            state.reader.close()

    def _read_one(self) -> bool:
        now_s = time.monotonic()
        due = [s for s in self.splits if not s.has_finished and s.next_poll_s <= now_s and s.watermark_ms <= self._limit_ms]
        due.sort(key=lambda s: s.watermark_ms)
        for state in due:
            result = state.reader.read(self._config.max_batch_rows)
            state.position = result.position
            has_rows = result.frame is not None and result.frame.height > 0
            if has_rows:
                self._take(state, result)
            elif not result.finished:
                self._rest(state, now_s)
            if result.watermark_ms is not None:
                state.watermark_ms = max(state.watermark_ms, result.watermark_ms)
            if result.finished:
                state.has_finished = True
                self._unwatch(state)
            if has_rows or result.finished:
                self._update_time()
                return True
            if result.watermark_ms is not None:
                self._update_time()
        return False

    def _rest(self, state: SplitState, now_s: float) -> None:
        if state.dry_since_ms is None:
            state.dry_since_ms = self._clock.now_ms()
        fd = state.reader.fileno()
        if fd is None or state.was_woken:
            # A descriptor that has just announced rows which then were not there is not asked again at once.
            state.was_woken = False
            state.next_poll_s = now_s + POLL_S
            return
        state.next_poll_s = now_s + LISTEN_S
        if state.watched_fd != fd:
            self._unwatch(state)
            state.watched_fd = fd
            self._reactor.add_reader(fd, lambda: self._wake(state))

    def _wake(self, state: SplitState) -> None:
        self._unwatch(state)
        state.was_woken = True
        state.next_poll_s = 0.0

    def _unwatch(self, state: SplitState) -> None:
        if state.watched_fd is not None:
            self._reactor.remove_reader(state.watched_fd)
            state.watched_fd = None

    def _take(self, state: SplitState, result: ReadResult) -> None:
        assert result.frame is not None
        state.dry_since_ms, state.next_poll_s = None, 0.0
        state.is_idle = False
        limit = self._config.max_batch_rows
        for at in range(0, result.frame.height, limit):
            kinds = None if result.kinds is None else result.kinds.slice(at, limit)
            for batch in self._prepare(Batch(result.frame.slice(at, limit), kinds)):
                if self._times_of is None:
                    self._add(batch)
                else:
                    self._add_timed(state, batch, self._times_of(batch.frame))

    def _add_timed(self, state: SplitState, batch: Batch, rows: EventTimes) -> None:
        self._check_times(batch, rows)
        others = (s.watermark_ms for s in self.splits if not (s is state or s.has_finished or s.is_idle))
        start, ceiling_ms = 0, min(others, default=MAX_WATERMARK)
        if self._firm_ms < self._watermark_ms and int(rows.times.min()) < self._watermark_ms:
            self._firm_ms = self._watermark_ms
            self.forward(Watermark(self._firm_ms, is_firm=True))
        for end in (*cuts(rows, state.watermark_ms, self._watermark_ms, ceiling_ms, self._emit_interval_ms), batch.height):
            if end > start:
                self._add(batch.slice(start, end - start))
                state.watermark_ms = max(state.watermark_ms, int(rows.watermarks[start:end].max()))
            if end < batch.height and self._pending:
                self._flush(is_firm=True)
            start = end

    def _check_times(self, batch: Batch, rows: EventTimes) -> None:
        """Fails for a row without event time; rows that only take others back may lack it (a tombstone holds just its key)."""
        is_missing = rows.times == MAX_WATERMARK
        if is_missing.any() and (is_missing & batch.adds()).any():
            assert self._spec.watermark is not None
            column = self._spec.watermark.column
            raise ExecutionError(
                f"a row has no event time: column '{column}' is NULL",
                fix=f"declare the watermark on a computed column that is never NULL, such as COALESCE({column}, …)",
            )

    def _add(self, batch: Batch) -> None:
        if self._pending and self._pending_rows + batch.height > self._config.max_batch_rows:
            self._flush()
        self._pending.append(batch)
        self._pending_rows += batch.height

    def _is_time_to_flush(self) -> bool:
        if all(s.has_finished for s in self.splits):
            return True
        if self._pending_rows >= self._full_rows:
            return True
        return time.monotonic() >= self._flushed_s + self._config.linger_ms / 1000

    def _flush(self, is_firm: bool = False) -> None:
        self._set_idle(False)
        batch = concat(self._pending)
        self._pending, self._pending_rows = [], 0
        self._flushed_s = time.monotonic()
        self.emit(batch)
        self._update_time(is_firm)

    def _update_time(self, is_firm: bool = False) -> None:
        if self._pending:
            return
        open_splits = [s for s in self.splits if not s.has_finished]
        active = [s.watermark_ms for s in open_splits if not s.is_idle]
        # When all are idle, time is what the furthest has reached, as where channels meet: it must not depend on which worker reads what.
        reached_ms = min(active) if active else max((s.watermark_ms for s in open_splits), default=MIN_WATERMARK)
        if reached_ms > self._watermark_ms:
            self._watermark_ms = self.metrics.watermark_ms = reached_ms
            self._firm_ms = self._watermark_ms if is_firm else self._firm_ms
            self.forward(Watermark(self._watermark_ms, is_firm))
        self._set_idle(bool(open_splits) and not active)

    def _set_idle(self, is_idle: bool) -> None:
        if is_idle != self._is_idle:
            self._is_idle = is_idle
            self.forward(IdleStatus(is_idle))

    def _notice_end_or_idleness(self) -> bool:
        if self._pending:
            return False
        if all(s.has_finished for s in self.splits):
            self.has_ended = True
            self.forward(EndOfInput())
            return True
        if self._times_of is None or self._spec.watermark is None or self._spec.watermark.idle_timeout_ms <= 0:
            return False
        return self._notice_idle_splits(self._spec.watermark.idle_timeout_ms)

    def _notice_idle_splits(self, timeout_ms: int) -> bool:
        now_ms, has_changed = self._clock.now_ms(), False
        for state in self.splits:
            if state.has_finished or state.is_idle or state.dry_since_ms is None:
                continue
            if now_ms - state.dry_since_ms >= timeout_ms:
                state.is_idle = has_changed = True
        if has_changed:
            self._update_time()
        return has_changed
