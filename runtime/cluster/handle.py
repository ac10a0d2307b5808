"""What a program holds of a job that it has submitted: status, results, metrics, cancellation.

The executing side (a thread for parallelism 1, a coordinator of worker processes otherwise) fills a `JobRecord`;
`JobHandle` is the user's view of it. Imports the batch type and errors only.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from operator import add

import polars as pl

from tableapi.errors import ExecutionError, JobCancelledError, StreamClosedError
from tableapi.runtime.stream.batch import MIN_WATERMARK, Batch

WAIT_SLICE_S = 0.2
"""Waits are cut into pieces: with Polars' signal handler the system restarts an endless wait, so Ctrl-C would be lost."""

INSPECTION_S = 10.0
"""How long `state` waits for an answer."""

CANCEL_GRACE_S = 10.0
"""How long `cancel` waits for a job to stop by itself."""


class JobStatus(Enum):
    """Where a job is in its life (Flink: JobStatus)."""

    CREATED = "CREATED"
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended, one way or another."""
        return self in (JobStatus.FINISHED, JobStatus.FAILED, JobStatus.CANCELED)


FUNCTION = "function."
"""Begins the names of counters that Python functions keep."""


@dataclass
class VertexMetrics:
    """What one step of the job has done, over all its workers.

    Args:
        uid, name: The step, as in the job graph.
        rows_in, rows_out: Rows taken and handed on; `batches_in` says in how many batches they came.
        watermark_ms: The lowest event time that any of its workers has reached.
        busy_s: Seconds spent in the step itself, summed over workers.
        counters: The operator's own counters (`late_rows`, `keys`, `state_bytes`, …), summed; `*_max_*` are maxima.
    """

    uid: str
    name: str
    rows_in: int = 0
    rows_out: int = 0
    watermark_ms: int = MIN_WATERMARK
    busy_s: float = 0.0
    batches_in: int = 0
    counters: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class JobMetrics:
    """The job's summary.

    Args:
        rows_in: Rows read by the sources.
        rows_out: Rows handed to sinks and to the program.
        late_rows: Rows that came after their window had closed; `late_max_ms` says how late the latest was.
        duration_s: Seconds since the start, or until the end.
        state_bytes: Memory held by operator state.
        vertices: One entry per step, in the order of the graph.
        functions: The metrics of Python functions, by dotted name.
    """

    rows_in: int
    rows_out: int
    late_rows: int
    late_max_ms: int
    duration_s: float
    state_bytes: int
    vertices: tuple[VertexMetrics, ...]
    functions: Mapping[str, int] = field(default_factory=dict)


def added(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Counters of several workers or steps together: sums, but the largest of maxima and the smallest of minima."""
    total: dict[str, int] = {}
    for part in parts:
        for name, value in list(part.items()):
            words = name.replace(".", "_").split("_")
            together = max if "max" in words else min if "min" in words else add
            total[name] = together(total[name], value) if name in total else value
    return total


StateTables = dict[str, dict[str, pl.DataFrame]]
"""The state of a job's steps: uid, then name of the table."""


class Inspection:
    """A request for the state (and the late rows) of a running job, answered by the side that runs it."""

    def __init__(self) -> None:
        self.tables: StateTables | None = None
        self.late: StateTables = {}


class JobRecord:
    """State of one job, shared by the side that runs it and the side that watches it. Methods may be called from any thread.

    Args:
        job_id: Name of the job, unique in the session.
        name: What people call it.
        result_bytes: Room for results that the program has not taken yet.
    """

    def __init__(self, job_id: str, name: str, result_bytes: int) -> None:
        self.job_id, self.name, self.result_bytes = job_id, name, result_bytes
        self.status = JobStatus.CREATED
        self.error: BaseException | None = None
        self.error_trace = ""
        self.cancel_requested = False
        self.wake: Callable[[], None] = lambda: None
        self.explain: Callable[[], str] = str
        self.late_rows: StateTables = {}
        self._warned: set[str] = set()
        self._metrics: Callable[[], list[VertexMetrics]] = list
        self._sources: frozenset[str] = frozenset()
        self._outputs: frozenset[str] = frozenset()
        self._inspections: deque[Inspection] = deque()
        self._results: deque[tuple[Batch, int]] = deque()
        self._queued_bytes = 0
        self._started_s = time.monotonic()
        self._ended_s: float | None = None
        self._changed = threading.Condition()

    def start(self) -> None:
        """The job runs from now on."""
        with self._changed:
            self._started_s = time.monotonic()
            self.status = JobStatus.RUNNING
            self._changed.notify_all()

    def measure(self, read: Callable[[], list[VertexMetrics]], sources: frozenset[str], outputs: frozenset[str]) -> None:
        """Says where metrics come from, and the uids of the vertices that count as the job's input and output."""
        self._metrics, self._sources, self._outputs = read, sources, outputs

    def end(self, status: JobStatus, error: BaseException | None = None, trace: str = "") -> None:
        """The job has ended; the first call counts."""
        with self._changed:
            if self.status.is_terminal:
                return
            self.status, self.error, self.error_trace = status, error, trace
            self._ended_s = time.monotonic()
            if status is not JobStatus.FINISHED:
                self._results.clear()
            self._changed.notify_all()

    def has_room(self) -> bool:
        """Whether the program has taken enough results that more may be made."""
        return self._queued_bytes < self.result_bytes

    def put(self, batch: Batch) -> None:
        """Adds a result; callers look at `has_room` first, and may exceed it by what they have already made."""
        size = int(batch.frame.estimated_size())
        with self._changed:
            if self.cancel_requested:
                return
            self._results.append((batch, size))
            self._queued_bytes += size
            self._changed.notify_all()

    def take(self) -> Batch | None:
        """Waits for the next result; None once there are no more. Raises the job's error."""
        with self._changed:
            while not self._results:
                if self.status.is_terminal:
                    self.raise_error()
                    return None
                self._changed.wait(WAIT_SLICE_S)
            batch, size = self._results.popleft()
            was_full = not self.has_room()
            self._queued_bytes -= size
            if was_full and self.has_room():
                self.wake()
            return batch

    def wait(self, timeout_s: float | None) -> JobStatus:
        """Waits for the end of the job; the status then, or when the time is up."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            while not self.status.is_terminal:
                left_s = WAIT_SLICE_S if deadline_s is None else min(WAIT_SLICE_S, deadline_s - time.monotonic())
                if left_s <= 0:
                    break
                self._changed.wait(left_s)
            return self.status

    def notice_late(self, vertices: Iterable[VertexMetrics]) -> None:
        """Warns, once a step, that rows come too late for it."""
        for vertex in vertices:
            if vertex.counters.get("late_rows") and vertex.uid not in self._warned:
                self._warned.add(vertex.uid)
                logging.getLogger("tableapi").warning(
                    "job '%s': rows come too late for %s and are left out (so far up to %g s behind the watermark); late_rows() shows "
                    "them, a larger delay of the watermark keeps them",
                    self.name,
                    vertex.name,
                    vertex.counters.get("late_max_ms", 0) / 1000,
                )

    def inspect(self, timeout_s: float) -> Inspection:
        """Asks the running side for its state and waits for the answer.

        Raises:
            StreamClosedError: The job has ended.
            ExecutionError: No answer came in time.
        """
        inspection, deadline_s = Inspection(), time.monotonic() + timeout_s
        self._inspections.append(inspection)
        self.wake()
        with self._changed:
            while inspection.tables is None and not self.status.is_terminal and time.monotonic() < deadline_s:
                self._changed.wait(WAIT_SLICE_S)
        if inspection.tables is not None:
            return inspection
        if self.status.is_terminal:
            raise StreamClosedError(f"job '{self.name}' has ended and has no live state")
        raise ExecutionError(
            f"job '{self.name}' did not show its state within {timeout_s:g} s", fix="try again when it is less busy"
        )

    def next_inspection(self) -> Inspection | None:
        """A request that waits for an answer."""
        return self._inspections.popleft() if self._inspections else None

    def answer(self, inspection: Inspection, tables: StateTables, late: StateTables) -> None:
        """Answers a request."""
        with self._changed:
            inspection.late, inspection.tables = late, tables
            self._changed.notify_all()

    def request_cancel(self) -> None:
        """Asks the running side to stop."""
        with self._changed:
            self.cancel_requested = True
            self._results.clear()
            self._queued_bytes = 0
        self.wake()

    def raise_error(self) -> None:
        """Raises what the job ended with, if that was not success."""
        if self.status is JobStatus.FAILED:
            assert self.error is not None
            raise self.error
        if self.status is JobStatus.CANCELED:
            raise JobCancelledError(f"job '{self.name}' was cancelled")

    def metrics(self) -> JobMetrics:
        """The summary as of now."""
        vertices = self._metrics()
        late = [v.counters for v in vertices]
        return JobMetrics(
            rows_in=sum(v.rows_out for v in vertices if v.uid in self._sources),
            rows_out=sum(v.rows_in for v in vertices if v.uid in self._outputs),
            late_rows=sum(c.get("late_rows", 0) for c in late),
            late_max_ms=max((c.get("late_max_ms", 0) for c in late), default=0),
            duration_s=(time.monotonic() if self._ended_s is None else self._ended_s) - self._started_s,
            state_bytes=sum(c.get("state_bytes", 0) for c in late),
            vertices=tuple(vertices),
            functions=added({n.removeprefix(FUNCTION): v for n, v in c.items() if n.startswith(FUNCTION)} for c in late),
        )


class JobHandle:
    """A submitted job. Made by `LocalExecutor.submit`."""

    def __init__(self, record: JobRecord) -> None:
        self._record = record

    @property
    def job_id(self) -> str:
        """Name of the job, unique in the session."""
        return self._record.job_id

    @property
    def name(self) -> str:
        """What people call the job."""
        return self._record.name

    def status(self) -> JobStatus:
        """Where the job is in its life."""
        return self._record.status

    def error(self) -> BaseException | None:
        """What the job failed with, or None."""
        return self._record.error

    def error_trace(self) -> str:
        """The stack of the failed worker as text, for people who look for a bug of the engine; empty when there is none."""
        return self._record.error_trace

    def wait(self, timeout_s: float | None = None) -> JobStatus:
        """Waits until the job has ended, or the time is up. An interrupt (Ctrl-C) meanwhile cancels the job.

        A job that hands rows to the program does not end before `batches` has taken them.

        Args:
            timeout_s: Seconds; None waits for as long as the job runs.

        Returns:
            FINISHED, or the status when the time was up.

        Raises:
            The original exception of a failed job; JobCancelledError for one that was cancelled.
        """
        try:
            status = self._record.wait(timeout_s)
        except KeyboardInterrupt:
            self.cancel()
            raise
        self._record.raise_error()
        return status

    def cancel(self, timeout_s: float = CANCEL_GRACE_S) -> JobStatus:
        """Stops the job and waits until it has stopped. Does nothing to a job that has ended.

        Raises:
            ExecutionError: The job did not stop in time (a function of the user's that never returns).
        """
        self._record.request_cancel()
        status = self._record.wait(timeout_s)
        if not status.is_terminal:
            raise ExecutionError(
                f"job '{self.name}' did not stop within {timeout_s:g} s",
                fix="a Python function of the job does not return; end the process",
            )
        return status

    def batches(self) -> Iterator[Batch]:
        """The rows that the job hands to the program, as they come. Take them once.

        A slow consumer slows the job down. Closing the iterator early cancels the job, as does an interrupt (Ctrl-C).

        Raises:
            The original exception of a failed job; JobCancelledError for one that was cancelled.
        """
        try:
            while (batch := self._record.take()) is not None:
                yield batch
        finally:
            if not self._record.status.is_terminal:
                self.cancel()

    def metrics(self) -> JobMetrics:
        """What the job has done so far."""
        return self._record.metrics()

    def state(self, timeout_s: float = INSPECTION_S) -> StateTables:
        """The live state of the job's steps as tables: `state()[uid][table]`, over all workers, taken between two batches.

        Steps without state are left out.

        Raises:
            StreamClosedError: The job has ended.
            ExecutionError: The job did not answer in time.
        """
        tables = self._record.inspect(timeout_s).tables
        assert tables is not None
        return tables

    def late_rows(self, timeout_s: float = INSPECTION_S) -> dict[str, pl.DataFrame]:
        """The rows that came too late, by the uid of the step that left them out (`.right`: from its second input); of each the newest some
        thousand a worker. The first column says how far behind the watermark a row was.

        Raises:
            ExecutionError: The job did not answer in time.
        """
        tables = None
        if not self._record.status.is_terminal:
            with suppress(StreamClosedError):
                tables = self._record.inspect(timeout_s).late
        by_side = self._record.late_rows if tables is None else tables
        return {
            uid if side == "left" else f"{uid}.{side}": frame for uid, named in by_side.items() for side, frame in named.items()
        }

    def why_no_output(self) -> str:
        """Says in words what the job waits for: which split holds event time back, since when, and what would release it."""
        if self.status().is_terminal:
            return f"the job has ended: {self.status().value}"
        return self._record.explain()

    def __repr__(self) -> str:
        return f"JobHandle({self.job_id}, {self.name!r}, {self.status().value})"
