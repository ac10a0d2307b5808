"""The way in: `LocalExecutor.submit` runs a job graph on this machine.

Parallelism 1 runs in a thread of the calling process, so that small queries start at once; more runs in warm worker processes,
and so does a job with Python functions that is not tiny. The functions of a batch job run in the same processes.
"""

from __future__ import annotations

import atexit
import itertools
import os
import threading
import uuid
from typing import TYPE_CHECKING

from tableapi.errors import StreamClosedError
from tableapi.runtime.cluster.handle import JobHandle, JobMetrics, JobRecord, JobStatus, VertexMetrics
from tableapi.runtime.cluster.lifecycle import measure
from tableapi.runtime.cluster.pool import WorkerPool
from tableapi.runtime.planner.graph import JobGraph

if TYPE_CHECKING:
    from tableapi.runtime.cluster.function_pool import FunctionPool
    from tableapi.runtime.udf_scope import FunctionSettings

__all__ = ["JobHandle", "JobMetrics", "JobStatus", "LocalExecutor", "VertexMetrics"]

CLOSE_GRACE_S = 3.0
"""How long running jobs may take to stop when the session ends."""


class LocalExecutor:
    """Runs jobs on this machine; one per session. Keeps its worker processes warm until `close` or the end of the process.

    Args:
        in_process: Whether a job of parallelism 1 runs in a thread of this process rather than in a worker.
    """

    def __init__(self, in_process: bool = True) -> None:
        self._in_process = in_process
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._jobs: dict[int, tuple[JobRecord, threading.Thread]] = {}
        self._pool = WorkerPool()
        self._process_id = os.getpid()
        self._is_closed = False
        atexit.register(self.close)

    def submit(self, graph: JobGraph) -> JobHandle:
        """Starts a job and returns at once. What goes wrong with it, its handle tells.

        Raises:
            StreamClosedError: The executor has been closed.
        """
        if self._is_closed or os.getpid() != self._process_id:
            raise StreamClosedError("the session has been closed", fix="make a new TableEnvironment")
        with self._lock:
            number = next(self._numbers)
            record = JobRecord(uuid.uuid4().hex, graph.config.name, graph.config.channel_bytes)
            measure(graph, record, list, list)
            thread = threading.Thread(
                target=self._run, args=(graph, number, record), name=f"tableapi-{graph.config.name}", daemon=True
            )
            self._jobs[number] = (record, thread)
        thread.start()
        return JobHandle(record)

    def _run(self, graph: JobGraph, number: int, record: JobRecord) -> None:
        try:
            if graph.config.parallelism == 1 and self._in_process and not graph.config.is_isolated:
                from tableapi.runtime.cluster.local_job import run_local_job

                run_local_job(graph, number, record)
            else:
                from tableapi.runtime.cluster.cluster_job import ClusterJob

                ClusterJob(graph, number, record, self._pool).run()
        finally:
            with self._lock:
                del self._jobs[number]

    def functions(self, workers: int, settings: FunctionSettings) -> FunctionPool:
        """Worker processes for the Python functions of a batch job, which start at once."""
        from tableapi.runtime.cluster.function_pool import FunctionPool

        pool = FunctionPool(self._pool, workers, settings)
        pool.start()
        return pool

    def warm_up(self, parallelism: int) -> None:
        """Starts workers for jobs of this parallelism, so that the first one need not wait for them. Returns at once."""
        if parallelism > 1 and not self._is_closed:
            self._pool.give_back(self._pool.lease(parallelism))

    def worker_process_ids(self) -> list[int]:
        """The process ids of the session's workers."""
        return self._pool.process_ids()

    def close(self) -> None:
        """Cancels what runs and ends the worker processes."""
        if os.getpid() != self._process_id or self._is_closed:
            return
        self._is_closed = True
        atexit.unregister(self.close)
        with self._lock:
            running = list(self._jobs.values())
        for record, _ in running:
            record.request_cancel()
        for _, thread in running:
            thread.join(CLOSE_GRACE_S)
        self._pool.close()
