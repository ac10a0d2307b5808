"""Python functions at run time: opening and closing them, where they may run, and how their failures look.

A piece of work for a function is a `FunctionTask`: plain picklable data with a `run` from a frame to a frame. A
`FunctionRunner` runs it: a `FunctionScope` in this process, `cluster.function_pool` in worker processes. May import types,
errors and the runtime's failures.
"""

from __future__ import annotations

import inspect
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from tableapi.errors import ExecutionError, JobCancelledError, Location, TableApiError
from tableapi.runtime.failures import remember

if TYPE_CHECKING:
    from tableapi.runtime.udf_async import EventLoop

PIECE_ROWS = 1024
"""Rows between two notes of what a row function works on."""


@dataclass(frozen=True)
class AsyncSettings:
    """How coroutine functions are awaited.

    Args:
        concurrency: Rows that are awaited at the same time.
        timeout_s: How long a row may take, over all its tries.
        attempts: How often a row is tried.
        delay_s: Time between two tries.
    """

    concurrency: int = 10
    timeout_s: float = 180.0
    attempts: int = 3
    delay_s: float = 0.1


class RowFailure(Exception):
    """The function failed for a row, with `reason`."""

    def __init__(self, index: int, reason: Exception) -> None:
        super().__init__(index)
        self.index, self.reason = index, reason


class FunctionTask(Protocol):
    """Work for one Python function on a frame."""

    @property
    def function(self) -> Any:
        """The `tableapi.udf` wrapper."""
        ...

    def run(self, frame: pl.DataFrame, scope: FunctionScope) -> pl.DataFrame:
        """Calls the function on all rows of the frame."""
        ...

    def cut(self, frame: pl.DataFrame, workers: int) -> list[pl.DataFrame]:
        """Parts of a frame that can be worked on apart, in order."""
        ...

    def join(self, parts: Sequence[pl.DataFrame], results: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """The result for the whole frame from those of its parts."""
        ...


class FunctionRunner(Protocol):
    """Where Python functions run."""

    def run(self, task: FunctionTask, frame: pl.DataFrame) -> pl.DataFrame:
        """The task's result for a frame. May be called from several threads."""
        ...

    def metrics(self) -> dict[str, int]:
        """What the functions have counted, by dotted name."""
        ...

    def close(self) -> None:
        """Closes the functions that were opened."""
        ...


@dataclass(frozen=True)
class FunctionSettings:
    """What a session says about its Python functions.

    Args:
        job_parameters: What `FunctionContext.get_job_parameter` knows.
        asynchronous: How coroutine functions are awaited (None: the defaults).
        job: The job's name, for `FunctionContext.get_task_name`.
        directory: Where functions run; None: where the program does.
    """

    job_parameters: Mapping[str, str] = field(default_factory=dict)
    asynchronous: AsyncSettings | None = None
    job: str | None = None
    directory: str | None = None


class FunctionScope:
    """The opened functions of one task: each is opened once, on first use, and closed with the scope.

    Args:
        settings: What the session says about functions.
        subtask, parallelism: Which of how many parts of the job this is.
    """

    def __init__(self, settings: FunctionSettings | None = None, subtask: int = 0, parallelism: int = 1) -> None:
        self._settings = settings or FunctionSettings()
        self._subtask, self._parallelism = subtask, parallelism
        self._open: dict[int, tuple[Any, Any]] = {}
        self._metrics: Any = None
        self._loop: EventLoop | None = None
        self._is_closed = False
        self.lock = threading.RLock()

    def run(self, task: FunctionTask, frame: pl.DataFrame) -> pl.DataFrame:
        """Runs a task in this process.

        Raises:
            JobCancelledError: The scope has been closed.
        """
        if self._is_closed:
            raise JobCancelledError("the job has been stopped")
        return task.run(frame, self)

    def function(self, wrapper: Any) -> Any:
        """The opened function object of a wrapper: a callable, or an object with `eval` or `accumulate`.

        Raises:
            ExecutionError: Its `open()` failed.
        """
        with self.lock:
            known = self._open.get(id(wrapper))
            if known is None:
                opened = wrapper.func() if inspect.isclass(wrapper.func) else wrapper.func
                if hasattr(opened, "open"):
                    try:
                        opened.open(self._context())
                    except (Exception, SystemExit) as error:
                        raise failure(wrapper, error, None, None, "failed in open()") from error
                known = self._open[id(wrapper)] = (wrapper, opened)
            return known[1]

    def callable(self, wrapper: Any) -> Callable[..., Any]:
        """What to call for a row of a scalar or table function."""
        function = self.function(wrapper)
        call: Callable[..., Any] = function.eval if hasattr(function, "eval") else function
        return call

    @property
    def loop(self) -> EventLoop:
        """Where coroutine functions run: one event loop for the life of the scope, so that they can keep connections."""
        from tableapi.runtime.udf_async import EventLoop

        with self.lock:
            if self._loop is None:
                self._loop = EventLoop(self._settings.asynchronous or AsyncSettings())
            return self._loop

    def metrics(self) -> dict[str, int]:
        """The functions' own counters and gauges, by dotted name."""
        return {} if self._metrics is None else self._metrics.values()

    def _context(self) -> Any:
        from tableapi.udf_base import FunctionContext, MetricGroup

        if self._metrics is None:
            self._metrics = MetricGroup()
        job = self._settings.job
        named = None if job is None else f"{job} ({self._subtask + 1}/{self._parallelism})"
        return FunctionContext(
            self._metrics, dict(self._settings.job_parameters), job, named, self._parallelism, 128, self._subtask, 0
        )

    def close(self) -> None:
        """Closes every function that was opened, also when another one fails to.

        Raises:
            ExecutionError: The first failure of a `close()`.
        """
        with self.lock:
            self._is_closed = True
            opened, self._open = list(self._open.values()), {}
            loop, self._loop = self._loop, None
        first: TableApiError | None = None
        for wrapper, function in opened:
            try:
                if hasattr(function, "close"):
                    function.close()
            except (Exception, SystemExit) as error:  # noqa: BLE001 - told below, when the others are closed
                first = first or failure(wrapper, error, None, None, "failed in close()")
        if loop is not None:
            loop.close()
        if first is not None:
            raise first


def failure(
    wrapper: Any, error: BaseException, row: tuple[Any, ...] | None, where: Location | None, how: str = "failed"
) -> TableApiError:
    """The error to raise when a user's function failed: it shows the user's frames and the row."""
    if isinstance(error, TableApiError):
        return error
    frames = _user_frames(error)
    last = frames[-1] if frames else None
    place = where or (Location(last.filename, last.lineno or 0) if last else None)
    on_row = "" if row is None else f" for the row {row_text(row)}"
    what = f"Python function '{wrapper.name}' {how}{on_row}: {type(error).__name__}: {error}"
    if frames:
        what += "\n" + "".join(traceback.format_list(frames)).rstrip("\n")
    fix = f"make '{wrapper.name}' accept this row, and return a value of its declared type"
    return remember(ExecutionError(what, where=place, fix=fix))


def row_text(row: Sequence[Any]) -> str:
    """A row of arguments for a message."""
    return f"({', '.join(map(_short, row))})"


def _short(value: Any, limit: int = 200) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


_OWN_FILES = tuple(str(p) for p in Path(__file__).parent.glob("udf*.py"))


def _user_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """The frames of the user's function and what it called: those below this library's."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f for f in frames if f.filename not in _OWN_FILES]


def rows_text(wrapper: Any, rows: range, total: int, first: Sequence[Any], last: Sequence[Any]) -> str:
    """Which rows a function is being called for."""
    span = f"row {rows.start}" if len(rows) == 1 else f"rows {rows.start} to {rows.stop - 1}"
    ends = row_text(first) if len(rows) == 1 else f"{row_text(first)} … {row_text(last)}"
    return f"Python function '{wrapper.name}' was working on {span} of a batch of {total}: {ends}"
