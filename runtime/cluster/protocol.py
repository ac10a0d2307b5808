"""What the processes of a session say to each other besides rows. Plain picklable values; both ends inherited their socket."""

from __future__ import annotations

import pickle
import traceback
from dataclasses import dataclass, field
from typing import Any

from tableapi.errors import ExecutionError
from tableapi.runtime.cluster.diagnosis import WorkerNote
from tableapi.runtime.cluster.handle import StateTables, VertexMetrics
from tableapi.runtime.exchange.messages import Message

COORDINATOR = -1
"""The coordinator's place in `peers` and links."""


@dataclass(frozen=True, slots=True)
class ChannelMessage:
    """A message other than rows on a channel of a job."""

    job: int
    channel: int
    message: Message


@dataclass(frozen=True, slots=True)
class Credit:
    """So many bytes of a channel have been taken."""

    job: int
    channel: int
    cost: int


@dataclass(frozen=True, slots=True)
class Hello:
    """A worker is up."""

    pid: int


@dataclass(frozen=True, slots=True)
class Printed:
    """What user functions and sinks of a worker have written to its standard output or error."""

    text: str
    is_error: bool


@dataclass(frozen=True, slots=True)
class Peer:
    """Comes with the descriptor of a socket to another worker."""

    worker_id: int


@dataclass(frozen=True, slots=True)
class Submit:
    """Build this job.

    Args:
        job: Number of the job, unique in the session.
        graph: The job graph, cloudpickled.
        splits: What this subtask reads, by vertex; cloudpickled.
        subtask: Which part this worker runs.
        workers: The ids of all workers of the job, in the order of subtasks.
        directory, sys_path: Working directory of the program, and where it finds modules.
    """

    job: int
    graph: bytes
    splits: bytes
    subtask: int
    workers: tuple[int, ...]
    directory: str
    sys_path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Serve:
    """Run Python functions for this job: what is sent next are definitions and rows.

    Args:
        job: Number of the job, unique in the session.
        settings: `FunctionSettings`, pickled.
        subtask, parallelism: Which of how many workers that serve this job.
        directory, sys_path: Working directory of the program, and where it finds modules.
    """

    job: int
    settings: bytes
    subtask: int
    parallelism: int
    directory: str
    sys_path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Define:
    """A task for a Python function.

    Args:
        job: The job that is served.
        number: The channel on which rows for this task come and results go.
        task: The task without its function, pickled.
        function_number: Which of the job's functions.
        function: The function's wrapper, pickled; None when it has been sent before.
    """

    job: int
    number: int
    task: bytes
    function_number: int
    function: bytes | None


@dataclass(frozen=True, slots=True)
class Ready:
    """The job has been built; rows may be sent to this worker."""

    job: int


@dataclass(frozen=True, slots=True)
class Start:
    """All workers are ready: open and run."""

    job: int


@dataclass(frozen=True, slots=True)
class Report:
    """How far a worker has come, and where it stands."""

    job: int
    metrics: list[VertexMetrics]
    note: WorkerNote


@dataclass(frozen=True, slots=True)
class Inspect:
    """Show your state."""

    job: int


@dataclass(frozen=True, slots=True)
class Inspected:
    """The state of the operators of one worker, and their late rows."""

    job: int
    tables: StateTables
    late: StateTables


@dataclass(frozen=True, slots=True)
class Align:
    """How far the slowest split of each alignment group has come; groups without an active split are left out."""

    job: int
    groups: dict[str, int]


@dataclass(frozen=True, slots=True)
class Done:
    """All inputs of this worker have ended; `late`: the rows that came too late for its operators."""

    job: int
    metrics: list[VertexMetrics]
    late: StateTables


@dataclass(frozen=True, slots=True)
class Close:
    """End the job on this worker: with success after all are done, without to stop it as it is."""

    job: int
    success: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """An error on its way to the program."""

    error: bytes
    trace: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The job has failed on this worker, which waits for `Close`."""

    job: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class Closed:
    """The job has ended on this worker; `failure` says what went wrong while it closed."""

    job: int
    failure: Failure | None = None
    metrics: dict[str, int] = field(default_factory=dict)
    """What the Python functions counted that were served."""


def failure_trace(error: BaseException) -> str:
    """The stack of an exception as text."""
    return "".join(traceback.format_exception(error))


def pack_failure(error: BaseException) -> Failure:
    """An exception in a form that survives the way to the program: itself where it can be pickled, its text otherwise."""
    import cloudpickle

    trace = failure_trace(error)
    try:
        packed: bytes = cloudpickle.dumps(error)
        same: Any = pickle.loads(packed)
        if type(same).__name__ == type(error).__name__ and str(same) == str(error):
            return Failure(packed, trace)
    except Exception as reason:  # noqa: BLE001 - an exception class may do anything when it is pickled
        trace += f"\n(sent as text: {reason})"
    return Failure(pickle.dumps(ExecutionError(f"{type(error).__name__}: {error}")), trace)


def unpack_failure(failure: Failure) -> BaseException:
    """The exception that `pack_failure` was given."""
    try:
        error = pickle.loads(failure.error)
    except Exception as reason:  # noqa: BLE001 - an exception class may do anything when it is unpickled
        return ExecutionError(f"a worker failed, and its error cannot be shown here ({reason})\n{failure.trace}")
    assert isinstance(error, BaseException)
    return error
