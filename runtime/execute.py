"""The runtime's front door: runs logical plans, as batch through Polars or as a stream through the incremental engine.

`execute` is what the environment calls; everything else in the runtime is behind it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import polars as pl

from tableapi.errors import TableApiError
from tableapi.functions.registry import SessionContext
from tableapi.plan import nodes as n
from tableapi.plan.rex import Literal, Rex
from tableapi.plan.rules import optimize, optimize_bounded
from tableapi.plan.rules.fields import note_read_fields
from tableapi.plan.rules.share import share_sources

if TYPE_CHECKING:
    from tableapi.row import RowKind
    from tableapi.runtime.batch.execution import BatchExecution
    from tableapi.runtime.cluster.coordinator import LocalExecutor
    from tableapi.runtime.cluster.handle import JobHandle
    from tableapi.runtime.planner.graph import JobGraph
    from tableapi.runtime.planner.tables import Tables
    from tableapi.runtime.udf_scope import FunctionRunner


@dataclass(frozen=True)
class ExecutionSettings:
    """How to run.

    Args:
        is_streaming: Incremental engine, or one Polars query.
        parallelism: Number of workers of a streaming job.
        time_zone: Session time zone.
        name: What people call the job.
        max_batch_rows: Rows per batch at most; 1 gives a row-by-row changelog.
        linger_ms: How long a source may wait to make a batch larger.
        idle_timeout_ms: After so long without rows a split no longer holds the watermark back; 0: never.
        state_ttl_ms: How long state of unbounded operators is kept; None: for ever.
        check_edges: Check every edge of the job (tests).
        options: The whole session configuration as text.
        database: The current database.
    """

    is_streaming: bool = True
    parallelism: int = 1
    time_zone: str = "UTC"
    name: str = "query"
    max_batch_rows: int = 65_536
    linger_ms: int = 2
    idle_timeout_ms: int = 5_000
    state_ttl_ms: int | None = None
    check_edges: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    database: str = "default_database"

    def session(self) -> SessionContext:
        """What expressions may depend on."""
        return SessionContext(self.time_zone, time.time_ns() // 1000, self.database)


@dataclass(frozen=True)
class Summary:
    """What a job did.

    Args:
        rows_in: Rows read by the sources (None where Polars does not say).
        rows_out: Rows written or handed over.
        late_rows, late_max_ms: Rows that came too late, and how late the latest was.
        duration_s: Seconds.
        functions: The metrics of Python functions, by dotted name.
    """

    rows_in: int | None
    rows_out: int
    late_rows: int
    late_max_ms: int
    duration_s: float
    functions: Mapping[str, int] = field(default_factory=dict)


class Execution(Protocol):
    """A running or finished job."""

    job_id: str

    def batches(self) -> Iterator[tuple[pl.DataFrame, pl.Series | None]]:
        """The rows of a plan that ends in Collect, as they come, with their kinds (None: all inserts)."""
        ...

    def wait(self, timeout_s: float | None = None) -> bool:
        """Waits for the end; False when the time was up first. Raises the job's error."""
        ...

    def cancel(self) -> None:
        """Stops the job."""
        ...

    def status(self) -> str:
        """CREATED, RUNNING, FINISHED, FAILED or CANCELED."""
        ...

    def summary(self) -> Summary:
        """What the job has done so far."""
        ...

    def why_no_output(self) -> str:
        """What holds event time back, in words."""
        ...

    def late_rows(self) -> dict[str, pl.DataFrame]:
        """The rows that came too late: operator id to frame."""
        ...

    def state(self) -> dict[str, dict[str, pl.DataFrame]]:
        """The live state of the operators: operator id to table name to frame."""
        ...


def execute(plans: Sequence[n.Node], settings: ExecutionSettings) -> Execution:
    """Starts a job.

    Args:
        plans: Plans as the builder made them: one Collect, or any number of Sinks.
        settings: How to run.

    Raises:
        TableApiError: A plan cannot run: unknown connector, wrong option, a sink that cannot take the changes, …
    """
    if not settings.is_streaming:
        return prepare_batch(plans, settings)
    return StreamExecution(submit(plan_stream(plans, settings)))


def prepare_batch(plans: Sequence[n.Node], settings: ExecutionSettings) -> BatchExecution:
    """A batch job, planned. Sinks are written from now on; a query runs when its rows are taken."""
    from tableapi.runtime.batch.execution import BatchExecution
    from tableapi.runtime.planner.tables import Tables

    tables = Tables(is_streaming=False)
    final = optimized(plans, settings, tables)
    return BatchExecution(final, settings, tables, function_runner(final, settings, tables))


def function_runner(plans: Sequence[n.Node], settings: ExecutionSettings, tables: Tables) -> Callable[[], FunctionRunner]:
    """What makes the place where a bounded plan's Python functions run."""
    from tableapi.runtime.udf_scope import FunctionScope
    from tableapi.runtime.udf_settings import function_settings, runs_in_processes

    of_session = function_settings(settings.options, settings.name)
    if not runs_in_processes(plans, settings.options, lambda: _is_small(plans, tables)):
        return lambda: FunctionScope(of_session)
    return lambda: _shared_executor().functions(settings.parallelism, of_session)


def optimized(plans: Sequence[n.Node], settings: ExecutionSettings, tables: Tables) -> list[n.Node]:
    """The plans that are run."""
    from tableapi.plan.spec import check_plan
    from tableapi.runtime.constants import evaluated
    from tableapi.runtime.planner.emit import emit_policy

    session = settings.session()

    def evaluate(rex: Rex) -> Literal | None:
        return evaluated(rex, session)

    if settings.is_streaming:
        emit = emit_policy(settings.options)
        final = [optimize(plan, is_streaming=True, emit=emit, facts=tables.facts, evaluate=evaluate) for plan in plans]
    else:
        final = optimize_bounded(plans, statistics=tables.statistics, evaluate=evaluate)
    for plan in final:
        check_plan(plan, is_final=True)
    return final


def plan_stream(plans: Sequence[n.Node], settings: ExecutionSettings) -> JobGraph:
    """The job graph of a streaming job."""
    from tableapi.runtime.planner.graph import JobConfig
    from tableapi.runtime.planner.physical import plan_job
    from tableapi.runtime.planner.settings import PlannerSettings
    from tableapi.runtime.planner.tables import Tables
    from tableapi.runtime.udf_settings import function_settings, runs_in_processes

    tables = Tables(is_streaming=True)
    shared = note_read_fields(share_sources(optimized(plans, settings, tables)))
    config = JobConfig(
        parallelism=1 if _is_tiny(shared) else settings.parallelism,
        max_batch_rows=settings.max_batch_rows,
        linger_ms=settings.linger_ms,
        session=settings.session(),
        check_edges=settings.check_edges,
        name=settings.name,
        clock_file=settings.options.get("pipeline.clock-file") or None,
        functions=function_settings(settings.options, settings.name),
        is_isolated=runs_in_processes(shared, settings.options, lambda: _is_small(shared, tables)),
    )
    planner = PlannerSettings(settings.idle_timeout_ms, settings.state_ttl_ms, settings.options)
    return plan_job(shared, tables, config, planner)


TINY_ROWS = 10_000


def _is_small(plans: Sequence[n.Node], tables: Tables) -> bool:
    """Whether there are few rows, in the plans and in bounded tables that know how many they have."""
    rows = 0.0
    for node in (node for plan in plans for node in n.walk(plan)):
        if isinstance(node, n.Scan):
            known = tables.statistics(node).rows if tables.source(node).is_bounded else None
            if known is None:
                return False
            rows += known
        elif isinstance(node, n.LookupJoin):
            return False
        else:
            rows += _rows_in(node)
    return rows <= TINY_ROWS


def _rows_in(node: n.Node) -> int:
    if isinstance(node, n.Inline):
        return node.data.frame.height
    return len(node.rows) if isinstance(node, n.Values) else 0


def _is_tiny(plans: Sequence[n.Node]) -> bool:
    """Whether all rows are in the plans themselves and so few that worker processes would take longer to start than to work."""
    rows = 0
    for plan in plans:
        for node in n.walk(plan):
            if isinstance(node, n.Scan | n.LookupJoin):
                return False
            rows += _rows_in(node)
    return rows <= TINY_ROWS


_executor_lock = threading.Lock()
_executor: LocalExecutor | None = None


def _shared_executor() -> LocalExecutor:
    from tableapi.runtime.cluster.coordinator import LocalExecutor

    global _executor
    with _executor_lock:
        if _executor is None:
            _executor = LocalExecutor()
        return _executor


def submit(graph: JobGraph) -> JobHandle:
    """Hands a job graph to this process's executor, which is made on first use and keeps its workers warm."""
    return _shared_executor().submit(graph)


def close() -> None:
    """Ends this process's worker processes. Jobs that still run are cancelled; the next job starts new workers."""
    global _executor
    with _executor_lock:
        executor, _executor = _executor, None
    if executor is not None:
        executor.close()


class StreamExecution:
    """A streaming job, seen through its handle."""

    def __init__(self, handle: JobHandle) -> None:
        self.handle = handle
        self.job_id = handle.job_id

    def batches(self) -> Iterator[tuple[pl.DataFrame, pl.Series | None]]:
        for batch in self.handle.batches():
            yield batch.frame, batch.kinds

    def wait(self, timeout_s: float | None = None) -> bool:
        return self.handle.wait(timeout_s).is_terminal

    def cancel(self) -> None:
        self.handle.cancel()

    def status(self) -> str:
        return self.handle.status().value

    def summary(self) -> Summary:
        metrics = self.handle.metrics()
        return Summary(
            metrics.rows_in,
            metrics.rows_out,
            metrics.late_rows,
            metrics.late_max_ms,
            metrics.duration_s,
            metrics.functions,
        )

    def why_no_output(self) -> str:
        return self.handle.why_no_output()

    def late_rows(self) -> dict[str, pl.DataFrame]:
        return self.handle.late_rows()

    def state(self) -> dict[str, dict[str, pl.DataFrame]]:
        return self.handle.state()


def warm_up(parallelism: int) -> None:
    """Starts worker processes in the background, for a job that will come soon."""
    _shared_executor().warm_up(parallelism)


def explain(
    plans: Sequence[n.Node], settings: ExecutionSettings, *, with_changelog: bool = False, with_cost: bool = False
) -> str:
    """The logical plan, the optimised plan and, for a stream, the steps of the job.

    Args:
        plans, settings: As for `execute`.
        with_changelog: Show which kinds of changes each step hands on.
        with_cost: Show how many rows each step is expected to give, and how many it and all steps below it handle.
    """
    from tableapi.plan.estimates import Estimator
    from tableapi.plan.explain import changelog_text, plan_text
    from tableapi.plan.traits import changelog
    from tableapi.runtime.planner.tables import Tables

    tables = Tables(settings.is_streaming)
    final = optimized(plans, settings, tables)
    estimator = Estimator(tables.statistics)

    def details(node: n.Node) -> str:
        parts = [f"changelogMode={changelog_text(changelog(node, tables.facts))}"] if with_changelog else []
        return ", ".join([*parts, estimator.text(node)] if with_cost else parts)

    sections = ["== Abstract Syntax Tree ==", *(plan_text(p) for p in plans)]
    seen: set[int] = set()
    sections += ["", "== Optimized Physical Plan ==", *(plan_text(p, details, seen) for p in final)]
    sections += ["", "== Optimized Execution Plan =="]
    if settings.is_streaming:
        try:
            sections += [graph_text(plan_stream(plans, settings))]
        except TableApiError as error:
            sections += [f"cannot run: {error}"]
    else:
        sections += ["one Polars query for each result"]
    return "\n".join(sections) + "\n"


def changes_of(plan: n.Node, settings: ExecutionSettings) -> frozenset[RowKind]:
    """The kinds of changes that a plan gives."""
    from tableapi.plan.traits import INSERT_ONLY, changelog
    from tableapi.runtime.planner.tables import Tables

    if not settings.is_streaming:
        return INSERT_ONLY
    tables = Tables(settings.is_streaming)
    (final,) = optimized([plan], settings, tables)
    return changelog(final, tables.facts)


def graph_text(graph: JobGraph) -> str:
    """The steps of a job, one a line, with the edges that they read from."""
    lines = []
    for vertex in graph.vertices:
        inputs = ", ".join(f"{e.source} {e.exchange}" for e in vertex.inputs)
        lines.append(f"{vertex.id}: {vertex.name}" + (f" <- {inputs}" if inputs else ""))
    return "\n".join(lines)
