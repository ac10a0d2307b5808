"""Runs a job of parallelism 1 in the calling thread: no processes, no encoding."""

from __future__ import annotations

from contextlib import ExitStack

from tableapi.runtime.cluster.channels import ResultSender
from tableapi.runtime.cluster.handle import JobRecord, JobStatus
from tableapi.runtime.cluster.lifecycle import SinkSession, assign_splits, measure
from tableapi.runtime.cluster.protocol import failure_trace
from tableapi.runtime.cluster.task import Task
from tableapi.runtime.cluster.watermarks import GroupTimes
from tableapi.runtime.exchange.reactor import Reactor
from tableapi.runtime.failures import clean_failures
from tableapi.runtime.planner.graph import JobGraph


def run_local_job(graph: JobGraph, job: int, record: JobRecord) -> None:
    """Runs a job to its end, which the record then tells. Raises nothing."""
    try:
        with clean_failures():
            is_finished = _run(graph, job, record)
        record.end(JobStatus.FINISHED if is_finished else JobStatus.CANCELED)
    except BaseException as error:  # noqa: BLE001 - whatever the job fails with is the program's to see
        record.end(JobStatus.CANCELED if record.cancel_requested else JobStatus.FAILED, error, failure_trace(error))


def _run(graph: JobGraph, job: int, record: JobRecord) -> bool:
    reactor = Reactor()
    sinks, success = SinkSession(graph), False
    with ExitStack() as stack:
        stack.callback(reactor.close)
        record.wake = reactor.wake
        record.start()
        (splits,) = assign_splits(graph, 1)
        task = Task(graph, job, 0, splits, {}, reactor, lambda vertex_id: ResultSender(record))
        measure(graph, record, lambda: [task.metrics()], lambda: [task.note()])
        stack.callback(lambda: sinks.end(success))
        sinks.begin()
        stack.callback(lambda: task.close(success))
        task.open()
        alignment = GroupTimes(graph)
        while not task.is_done and not record.cancel_requested:
            task.step()
            record.notice_late(task.metrics())
            if alignment.is_needed:
                task.align(alignment.slowest([task.note()]))
            if inspection := record.next_inspection():
                record.answer(inspection, task.state(), task.late_rows())
        record.late_rows = task.late_rows()
        success = task.is_done and not record.cancel_requested
    return success
