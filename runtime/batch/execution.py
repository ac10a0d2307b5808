"""Runs optimised bounded plans: opens their tables, lowers them to Polars, hands the rows over or writes them to sinks."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

from tableapi.errors import JobCancelledError, UnsupportedError
from tableapi.plan import nodes as n
from tableapi.plan.traits import INSERT_ONLY
from tableapi.row import RowKind
from tableapi.runtime.batch.changelog import fold
from tableapi.runtime.batch.context import KIND_COLUMN, Lowering
from tableapi.runtime.batch.lowering import dispatch, lower_with
from tableapi.runtime.batch.reading import read_changes, read_lazily
from tableapi.runtime.batch.run import stream_batch
from tableapi.runtime.batch.shared import Spool, shared_by_several
from tableapi.runtime.cluster.handle import added
from tableapi.runtime.constraints import Constraints
from tableapi.runtime.planner.tables import Tables, read_columns
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.udf_scope import FunctionRunner, FunctionScope

if TYPE_CHECKING:
    from tableapi.connectors.base import Sink
    from tableapi.runtime.execute import ExecutionSettings, Summary
    from tableapi.runtime.stream.lookup_join import LookupJoinSpec


class BatchExecution:
    """A batch job. A plan that ends in Collect runs as its rows are taken; sinks are written by a background thread at once."""

    def __init__(
        self,
        plans: Sequence[n.Node],
        settings: ExecutionSettings,
        tables: Tables,
        functions: Callable[[], FunctionRunner] = FunctionScope,
    ) -> None:
        self.job_id = uuid.uuid4().hex
        self.plans, self.settings = list(plans), settings
        self.tables = tables
        self.session = settings.session()
        self.tables.session = self.session
        self._make_functions = functions
        self._functions: dict[str, int] = {}
        self._spool: Spool | None = None
        self._rows_out = 0
        self._status = "CREATED"
        self._started_s = time.monotonic()
        self._ended_s: float | None = None
        self._cancelled = threading.Event()
        self._error: BaseException | None = None
        self._check_bounded()
        self._thread: threading.Thread | None = None
        if any(isinstance(p, n.Sink) for p in self.plans):
            self._sinks = [self.tables.sink(p.table) for p in self.plans if isinstance(p, n.Sink)]
            for plan, sink in zip(self.plans, self._sinks, strict=True):
                if isinstance(plan, n.Sink) and plan.change is not None:
                    _check_changes(plan, sink)
            self._thread = threading.Thread(target=self._run_sinks, name=f"batch-{self.job_id[:8]}", daemon=True)
            self._status = "RUNNING"
            self._thread.start()

    def _check_bounded(self) -> None:
        for plan in self.plans:
            for scan in n.walk(plan):
                if isinstance(scan, n.Scan) and not self.tables.source(scan).is_bounded:
                    raise UnsupportedError(
                        f"table '{scan.table.identifier.name}' never ends, a batch job would not either",
                        fix="run in streaming mode, or bound the table (for a log: 'scan.bounded.mode' = 'latest-offset')",
                    )

    def batches(self) -> Iterator[tuple[pl.DataFrame, pl.Series | None]]:
        """The rows of the one plan that ends in Collect."""
        self._status = "RUNNING"
        try:
            for frame in self._stream(self.plans[0]):
                self._rows_out += frame.height
                yield frame, None
            self._end("FINISHED")
        except GeneratorExit:
            self._end("CANCELED")
            raise
        except BaseException:
            self._end("FAILED")
            raise

    def lazy_frame(self) -> pl.LazyFrame:
        """The Polars query of the one plan that ends in Collect, without running it. Python functions in it stay open."""
        return lower_with(self._lowering({}), self.plans[0])

    def _lowering(self, shared: Mapping[int, pl.LazyFrame]) -> Lowering:
        functions = self._make_functions()
        return Lowering(self.session, self._table, self._versions, dispatch, functions, self._lookup, shared=dict(shared))

    def _stream(self, plan: n.Node) -> Iterator[pl.DataFrame]:
        lowering = self._lowering({} if self._spool is None else self._spool.results)
        yield from stream_batch(plan, lowering, self.settings.max_batch_rows)
        self._functions = added((self._functions, lowering.functions.metrics()))

    def _compute_shared(self) -> None:
        """Computes what several statements read."""
        parts = shared_by_several(self.plans)
        if not parts:
            return
        self._spool = Spool()
        for part in parts:
            lowering = self._lowering(self._spool.results)
            try:
                self._spool.write(part, lowering)
            finally:
                lowering.close()
            self._functions = added((self._functions, lowering.functions.metrics()))

    def _lookup(self, node: n.LookupJoin) -> LookupJoinSpec | None:
        from tableapi.runtime.lookup.asked import KeyedTable, asked_table
        from tableapi.runtime.planner.lookups import lookup_join_spec

        asked = asked_table(node, self.tables, self.session, self.settings.options)
        return lookup_join_spec(node, node.input.schema, asked) if isinstance(asked, KeyedTable) else None

    def _run_sinks(self) -> None:
        try:
            self._compute_shared()
            for plan, sink in zip(self.plans, self._sinks, strict=True):
                assert isinstance(plan, n.Sink)
                self._write(plan, sink)
            self._end("FINISHED")
        except BaseException as error:  # noqa: BLE001 - kept for wait(), which raises it in the caller
            self._error = error
            self._end("CANCELED" if self._cancelled.is_set() else "FAILED")
        finally:
            if self._spool is not None:
                self._spool.close()

    def _write(self, plan: n.Sink, sink: Sink) -> None:
        success = False
        sink.begin(plan.overwrite, {name: literal.value for name, literal in plan.static_partition})
        writer = sink.writer(0, 1)
        constraints = Constraints.of(plan.table.identifier.name, plan.table.persisted, self.settings.options)
        try:
            rows, change = self._checked(plan, constraints), plan.change
            for frame in rows if change is None else list(rows):
                if self._cancelled.is_set():
                    raise JobCancelledError("the job was cancelled")
                kinds = None if change is None else pl.repeat(int(change), frame.height, dtype=pl.Int8(), eager=True)
                writer.write(frame, kinds)
                self._rows_out += frame.height
            success = True
        finally:
            writer.close(success)
            sink.end(success)

    def _checked(self, plan: n.Sink, constraints: Constraints) -> Iterator[pl.DataFrame]:
        rows = self._stream(plan)
        if not constraints.needed(plan.input.schema):
            return rows
        return (constraints.apply(Batch(frame)).frame for frame in rows)

    def _end(self, status: str) -> None:
        self._status, self._ended_s = status, time.monotonic()

    def _table(self, scan: n.Scan) -> pl.LazyFrame:
        """The rows of a table, changes folded."""
        source = self.tables.source(scan)
        if source.changelog == INSERT_ONLY:
            lazy = source.lazy_frame()
            return lazy if lazy is not None else read_lazily(source, _types(scan))
        key = () if RowKind.UPDATE_BEFORE in source.changelog else scan.table.primary_key
        return fold(self._versions(scan), None, key).select(list(_types(scan)))

    def _versions(self, scan: n.Scan) -> pl.LazyFrame:
        """Every change of a table in order, with a kind column."""
        whole = n.Scan(scan.table)
        source = self.tables.source(whole)
        if source.changelog == INSERT_ONLY:
            lazy = source.lazy_frame()
            rows = lazy if lazy is not None else read_lazily(source, whole.schema.to_polars())
            return rows.with_columns(pl.lit(0, dtype=pl.Int8()).alias(KIND_COLUMN))
        return read_changes(source, whole.schema.to_polars())

    def wait(self, timeout_s: float | None = None) -> bool:
        """Waits for the sinks to be written. A plan that ends in Collect runs now if nobody has taken its rows."""
        if self._thread is None:
            if self._status == "CREATED":
                for _ in self.batches():
                    continue
            return True
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            return False
        if self._error is not None:
            raise self._error
        return True

    def cancel(self) -> None:
        """Stops writing at the next batch."""
        self._cancelled.set()
        if self._thread is not None:
            self._thread.join()
        elif self._ended_s is None:
            self._end("CANCELED")

    def status(self) -> str:
        """CREATED, RUNNING, FINISHED, FAILED or CANCELED."""
        return self._status

    def why_no_output(self) -> str:
        """A batch job has no event time to wait for."""
        return f"a batch job gives its rows when it has them; it is {self._status}"

    def late_rows(self) -> dict[str, pl.DataFrame]:
        """No row is late in batch."""
        return {}

    def state(self) -> dict[str, dict[str, pl.DataFrame]]:
        """A batch job keeps no state of ours."""
        return {}

    def summary(self) -> Summary:
        """What the job has done so far. Polars does not say how many rows it read."""
        from tableapi.runtime.execute import Summary

        end = self._ended_s if self._ended_s is not None else time.monotonic()
        return Summary(None, self._rows_out, 0, 0, end - self._started_s, self._functions)


def _check_changes(plan: n.Sink, sink: Sink) -> None:
    """Fails for a connector that cannot change the rows of an UPDATE or DELETE in place: one that does not keep rows by key."""
    if plan.change is not None and sink.key and plan.change in sink.accepts:
        return
    table = plan.table
    raise UnsupportedError(
        f"connector '{table.options.get('connector')}' of table '{table.identifier.name}' cannot update or delete rows",
        fix="use a connector that keeps rows by key (filelog or jdbc with a PRIMARY KEY), or write the table anew: INSERT OVERWRITE",
    )


def _types(scan: n.Scan) -> dict[str, pl.DataType]:
    """The columns that the scan's reader hands over."""
    names = read_columns(scan)
    produced = scan.table.produced.to_polars()
    return produced if names is None else {name: produced[name] for name in names}
