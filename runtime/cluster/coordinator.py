"""The way in: `LocalExecutor.submit` runs a job graph on this machine.

Parallelism 1 runs in a thread of the calling process, so that small queries start at once; more runs in warm worker processes.
"""

from __future__ import annotations

from tableapi.errors import UnsupportedError
from tableapi.runtime.cluster.handle import JobHandle, JobMetrics, JobStatus, VertexMetrics
from tableapi.runtime.planner.graph import JobGraph

__all__ = ["JobHandle", "JobMetrics", "JobStatus", "LocalExecutor", "VertexMetrics"]


class LocalExecutor:
    """Runs jobs on this machine; one per session. Keeps its worker processes warm until `close` or the end of the process."""

    def submit(self, graph: JobGraph) -> JobHandle:
        """Starts a job and returns at once.

        Raises:
            UnsupportedError: The graph has a shape that cannot run.
        """
        raise UnsupportedError("running jobs is not supported yet")

    def close(self) -> None:
        """Cancels what runs and ends the worker processes."""
