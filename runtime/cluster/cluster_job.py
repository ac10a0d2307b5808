"""Runs a job in worker processes: ships it, takes its results, and sees to it that it ends everywhere.

One thread per job. A job goes through: submitted, ready, started, done, closed - each step on all workers before the next
one. When anything fails, or the program cancels, all workers close without success; a worker that does not in time is
killed.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from tableapi.errors import ExecutionError, StreamClosedError
from tableapi.runtime.cluster.diagnosis import WorkerNote
from tableapi.runtime.cluster.handle import Inspection, JobRecord, JobStatus, StateTables, VertexMetrics
from tableapi.runtime.cluster.lifecycle import SinkSession, assign_splits, measure, merged_state
from tableapi.runtime.cluster.pool import WorkerPool, WorkerProcess
from tableapi.runtime.cluster.protocol import (
    Align,
    Close,
    Closed,
    Credit,
    Done,
    Failed,
    Inspect,
    Inspected,
    Printed,
    Ready,
    Report,
    Start,
    Submit,
    failure_trace,
    unpack_failure,
)
from tableapi.runtime.cluster.watermarks import GroupTimes
from tableapi.runtime.exchange.link import Delivery
from tableapi.runtime.exchange.reactor import Reactor
from tableapi.runtime.planner.graph import JobGraph

STOP_GRACE_S = 5.0
"""How long a worker may take to close a job that is stopped."""


class _Cancelled(Exception):
    """The program has asked to stop."""


class ClusterJob:
    """A job in worker processes.

    Args:
        graph: The job.
        job: Its number in the session.
        record: Where its state is told.
        pool: Where workers come from.
    """

    def __init__(self, graph: JobGraph, job: int, record: JobRecord, pool: WorkerPool) -> None:
        self._graph, self._job, self._record, self._pool = graph, job, record, pool
        self._reactor = Reactor()
        self._workers: list[WorkerProcess] = []
        self._metrics: dict[int, list[VertexMetrics]] = {}
        self._notes: dict[int, WorkerNote] = {}
        self._inspection: Inspection | None = None
        self._states: dict[int, tuple[StateTables, StateTables]] = {}
        self._late: dict[int, StateTables] = {}
        self._alignment = GroupTimes(graph)
        self._told_groups: dict[str, int] | None = None
        self._reached: dict[type, set[int]] = {Ready: set(), Done: set(), Closed: set()}
        self._error: BaseException | None = None
        self._trace = ""
        self._dead: set[int] = set()
        self._owed: list[tuple[WorkerProcess, Credit]] = []

    def run(self) -> None:
        """Runs the job to its end, which the record then tells. Raises nothing."""
        self._record.wake = self._reactor.wake
        sinks = SinkSession(self._graph)
        try:
            try:
                self._run(sinks)
            finally:
                self._release()
        except _Cancelled:
            self._record.end(JobStatus.CANCELED)
        except BaseException as error:  # noqa: BLE001 - whatever the job fails with is the program's to see
            self._record.end(JobStatus.FAILED, error, self._trace or failure_trace(error))
        else:
            self._record.end(JobStatus.FINISHED)

    def _run(self, sinks: SinkSession) -> None:
        import cloudpickle

        parallelism = self._graph.config.parallelism
        self._record.start()
        graph = cloudpickle.dumps(self._graph)
        splits = [cloudpickle.dumps(part) for part in assign_splits(self._graph, parallelism)]
        measure(self._graph, self._record, lambda: list(self._metrics.values()), lambda: list(self._notes.values()))
        self._workers = self._pool.lease(parallelism)
        for subtask, worker in enumerate(self._workers):
            self._reactor.add_link(worker.link, lambda w=worker, s=subtask: self._ready(w, s))  # type: ignore[misc]
        success = False
        try:
            self._submit(graph, splits)
            self._wait_for(Ready)
            sinks.begin()
            self._tell(Start(self._job))
            self._wait_for(Done)
            self._tell(Close(self._job, success=True))
            self._wait_for(Closed)
            success = True
        except BaseException as error:
            self._stop()
            if isinstance(error, StreamClosedError) and self._error is not None:
                raise self._error from None
            raise
        finally:
            sinks.end(success)

    def _submit(self, graph: bytes, splits: list[bytes]) -> None:
        ids = tuple(w.id for w in self._workers)
        directory = self._graph.config.functions.directory or os.getcwd()
        for subtask, (worker, part) in enumerate(zip(self._workers, splits, strict=True)):
            worker.link.send(Submit(self._job, graph, part, subtask, ids, directory, tuple(sys.path)))

    def _tell(self, order: Any) -> None:
        for subtask, worker in enumerate(self._workers):
            if subtask not in self._dead:
                worker.link.send(order)

    def _wait_for(self, stage: type) -> None:
        while len(self._reached[stage]) < len(self._workers):
            self._reactor.poll(None)
            if self._error is not None:
                raise self._error
            if self._record.cancel_requested:
                raise _Cancelled
            self._pay_credits()
            if stage is Done:
                self._inspect()

    def _inspect(self) -> None:
        if self._inspection is None:
            self._inspection, self._states = self._record.next_inspection(), {}
            if self._inspection is not None:
                self._tell(Inspect(self._job))
        elif self._inspection is not None and len(self._states) == len(self._workers):
            state, late = zip(*self._states.values(), strict=True)
            self._record.answer(self._inspection, merged_state(state), merged_state(late))
            self._inspection = None

    def _stop(self) -> None:
        """Closes the job everywhere without success."""
        waiting = {s for s in range(len(self._workers)) if s not in self._dead and s not in self._reached[Closed]}
        for subtask in waiting:
            try:
                self._workers[subtask].link.send(Close(self._job, success=False))
            except StreamClosedError:
                self._died(subtask)
        deadline_s = time.monotonic() + STOP_GRACE_S
        while waiting - self._reached[Closed] - self._dead and time.monotonic() < deadline_s:
            self._reactor.poll(max(0.0, deadline_s - time.monotonic()))
        for subtask in waiting - self._reached[Closed]:
            self._dead.add(subtask)

    def _release(self) -> None:
        for worker in self._workers:
            if worker.link.fileno() >= 0:
                self._reactor.remove_link(worker.link)
        for subtask in self._dead:
            self._pool.discard(self._workers[subtask])
        self._pool.give_back([w for s, w in enumerate(self._workers) if s not in self._dead])
        self._record.wake = lambda: None
        self._reactor.close()

    def _ready(self, worker: WorkerProcess, subtask: int) -> None:
        try:
            received = worker.link.receive()
        except StreamClosedError:
            self._died(subtask)
            return
        for message in received:
            if isinstance(message, Printed):
                print(message.text, end="", file=sys.stderr if message.is_error else sys.stdout, flush=True)
            elif getattr(message, "job", None) == self._job:
                self._take(message, worker, subtask)

    def _take(self, message: Any, worker: WorkerProcess, subtask: int) -> None:
        match message:
            case Delivery():
                self._record.put(message.batch)
                self._owed.append((worker, Credit(self._job, message.channel, message.cost)))
            case Report(metrics=metrics, note=note):
                self._metrics[subtask], self._notes[subtask] = metrics, note
                self._record.notice_late(metrics)
                self._align()
            case Inspected(tables=tables, late=late):
                self._states[subtask] = tables, late
            case Ready():
                self._reached[Ready].add(subtask)
            case Done(metrics=metrics, late=late):
                self._metrics[subtask], self._late[subtask] = metrics, late
                self._notes[subtask] = WorkerNote(subtask, (), ())
                self._align()
                self._record.notice_late(metrics)
                self._record.late_rows = merged_state(self._late.values())
                self._reached[Done].add(subtask)
            case Failed(failure=failure):
                self._failed(unpack_failure(failure), failure.trace)
            case Closed(failure=failure):
                self._reached[Closed].add(subtask)
                if failure is not None:
                    self._failed(unpack_failure(failure), failure.trace)

    def _align(self) -> None:
        """Tells all workers how far alignment groups have come, once every worker has said where it stands."""
        if not self._alignment.is_needed or len(self._notes) < len(self._workers):
            return
        groups = self._alignment.slowest(list(self._notes.values()))
        if groups != self._told_groups:
            self._told_groups = groups
            self._tell(Align(self._job, groups))

    def _failed(self, error: BaseException, trace: str) -> None:
        if self._error is None:
            self._error, self._trace = error, trace

    def _died(self, subtask: int) -> None:
        worker = self._workers[subtask]
        self._reactor.remove_link(worker.link)
        worker.link.close()
        self._dead.add(subtask)
        doing = worker.last_words()
        error = ExecutionError(
            f"a worker process of job '{self._record.name}' died ({worker.how_it_ended()})" + (f": {doing}" if doing else ""),
            fix="look for the reason in its output; a process killed by signal 9 may have been out of memory",
        )
        if self._error is None or isinstance(self._error, StreamClosedError):
            # Other workers notice that their peer is gone; this is why.
            self._error, self._trace = error, ""

    def _pay_credits(self) -> None:
        if self._owed and self._record.has_room():
            for worker, credit in self._owed:
                worker.link.send_urgent(credit)
            self._owed.clear()
