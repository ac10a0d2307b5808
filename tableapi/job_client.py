"""`JobClient`: what a program can ask of a job that it has started. Sees the runtime only through the object it is given."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tableapi.errors import UnsupportedError

if TYPE_CHECKING:
    import polars

    from tableapi.runtime.execute import Execution

T = TypeVar("T")


class JobStatus(Enum):
    """Where a job is in its life."""

    INITIALIZING = "INITIALIZING"
    CREATED = "CREATED"
    RUNNING = "RUNNING"
    FAILING = "FAILING"
    FAILED = "FAILED"
    CANCELLING = "CANCELLING"
    CANCELED = "CANCELED"
    FINISHED = "FINISHED"
    RESTARTING = "RESTARTING"
    SUSPENDED = "SUSPENDED"
    RECONCILING = "RECONCILING"

    def is_globally_terminal_state(self) -> bool:
        """Whether the job has ended for good."""
        return self in (JobStatus.FAILED, JobStatus.CANCELED, JobStatus.FINISHED)

    is_terminal_state = is_globally_terminal_state


class CompletableFuture(Generic[T]):
    """A value that is there already or is computed when it is asked for (PyFlink: `CompletableFuture`)."""

    def __init__(self, compute: Any) -> None:
        self._compute = compute

    def result(self) -> T:
        """The value; waits for it."""
        value: T = self._compute()
        return value

    def done(self) -> bool:
        """Whether `result` would not wait."""
        return True


class JobID:
    """Name of a job."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"JobID({self._text})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JobID) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


class JobExecutionResult:
    """What a job that has ended says of itself."""

    def __init__(self, job_id: JobID, net_runtime_ms: int, accumulators: dict[str, Any]) -> None:
        self._job_id, self._net_runtime_ms, self._accumulators = job_id, net_runtime_ms, accumulators

    def get_job_id(self) -> JobID:
        """Name of the job."""
        return self._job_id

    def get_net_runtime(self) -> int:
        """How long it ran, in milliseconds."""
        return self._net_runtime_ms

    def get_all_accumulator_results(self) -> dict[str, Any]:
        """Counters of the job."""
        return dict(self._accumulators)

    def get_accumulator_result(self, accumulator_name: str) -> Any:
        """One counter of the job."""
        return self._accumulators[accumulator_name]

    def is_job_execution_result(self) -> bool:
        """Whether the job was run, not only submitted."""
        return True


class JobClient:
    """A started job."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    def __repr__(self) -> str:
        from tableapi.notebook.display import job_text

        return job_text(self)

    def get_job_id(self) -> JobID:
        """Name of the job."""
        return JobID(self._execution.job_id)

    def get_job_status(self) -> CompletableFuture[JobStatus]:
        """Where the job is in its life."""
        return CompletableFuture(lambda: JobStatus(self._execution.status()))

    def cancel(self) -> CompletableFuture[None]:
        """Stops the job."""
        self._execution.cancel()
        return CompletableFuture(lambda: None)

    def get_accumulators(self) -> CompletableFuture[dict[str, Any]]:
        """Counters of the job so far: rows in, rows out, late rows and how late the latest was (milliseconds), and the metrics of Python
        functions by dotted name."""
        return CompletableFuture(self._counters)

    def _counters(self) -> dict[str, Any]:
        summary = self._execution.summary()
        own = {name: getattr(summary, name) for name in ("rows_in", "rows_out", "late_rows", "late_max_ms")}
        return {**summary.functions, **own}

    def why_no_output(self) -> str:
        """What holds event time back, in words: which split or input, since when, and what would release it."""
        return self._execution.why_no_output()

    def late_rows(self) -> dict[str, polars.DataFrame]:
        """The rows that came too late for an operator, as a table per operator; its first column, `late_by_ms`, says how far behind the
        watermark a row was. All are counted, the newest some thousand kept."""
        return self._execution.late_rows()

    def state(self) -> dict[str, Any]:
        """The live state of every operator as tables: operator id to table name to frame."""
        return self._execution.state()

    def get_job_execution_result(self) -> CompletableFuture[JobExecutionResult]:
        """What the job says of itself; waits for its end."""

        def result() -> JobExecutionResult:
            self._execution.wait()
            runtime_ms = round(self._execution.summary().duration_s * 1000)
            return JobExecutionResult(self.get_job_id(), runtime_ms, self._counters())

        return CompletableFuture(result)

    def trigger_savepoint(self, savepoint_directory: str | None = None) -> CompletableFuture[str]:
        """Writes a savepoint.

        Raises:
            UnsupportedError: Always, for now.
        """
        raise UnsupportedError("savepoints are not supported yet")

    def stop_with_savepoint(
        self, advance_to_end_of_event_time: bool, savepoint_directory: str | None = None
    ) -> CompletableFuture[str]:
        """Stops the job with a savepoint.

        Raises:
            UnsupportedError: Always, for now.
        """
        raise UnsupportedError("savepoints are not supported yet", fix="cancel() stops the job")
