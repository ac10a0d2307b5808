"""Runs lowered plans on Polars' streaming engine: whole results, and results batch by batch."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import polars as pl

from tableapi.errors import JobCancelledError
from tableapi.functions.registry import SessionContext
from tableapi.plan.nodes import Node
from tableapi.runtime.batch.context import Lowering, Sources
from tableapi.runtime.batch.leaving import QUERY_THREAD, ends_before_exit
from tableapi.runtime.batch.lowering import dispatch, lower_with
from tableapi.runtime.failures import clean_failures

OPTIMIZATIONS = pl.QueryOptFlags(check_order_observe=False)
"""Polars' pass `check_order_observe` takes the choice between two constants for an expression that has no order, and drops the sort
below it. Plans keep only sorts that matter, so nothing is lost without the pass."""

READY_FRAMES = 2
"""Frames that wait to be taken before the query waits."""

WAIT_SLICE_S = 0.2
"""Waits are cut into pieces, so that an interrupt is noticed."""


def run_batch(node: Node, session: SessionContext, sources: Sources, versions: Sources | None = None) -> pl.DataFrame:
    """The result of a bounded plan. Arguments are those of `lower_plan`.

    Raises:
        UnsupportedError: The plan has a node that cannot run in batch.
        ExecutionError: It failed while running: a value that does not fit, a Python function's exception, a bad file.
    """
    lowering = Lowering(session, sources, versions, dispatch)
    try:
        return collect(lower_with(lowering, node))
    finally:
        lowering.close()


def collect(lazy: pl.LazyFrame) -> pl.DataFrame:
    """The rows of a lazy frame."""
    with clean_failures():
        return lazy.collect(engine="streaming", optimizations=OPTIMIZATIONS)


def stream_batch(node: Node, lowering: Lowering, max_rows: int = 65_536) -> Iterator[pl.DataFrame]:
    """Like `run_batch`, but hands over the rows as they become ready, in frames of at most about `max_rows` rows.

    The lowering's Python functions, and what asks tables for keys, are closed at the end.
    """
    try:
        yield from iter_batches(lower_with(lowering, node), max_rows)
    finally:
        lowering.close()


def iter_batches(lazy: pl.LazyFrame, max_rows: int = 65_536) -> Iterator[pl.DataFrame]:
    """The rows of a lazy frame in order, in frames of at most about `max_rows` rows, without holding them all.

    The query runs in a thread of its own, so that Ctrl-C reaches the program at once. An interrupted query fails: Polars' own
    iterator would end as if it were complete. Leaving the iterator stops the query.
    """
    query = _Query(lazy, max_rows)
    with clean_failures():
        try:
            yield from query.frames()
        finally:
            query.stop()


class _Query:
    """A running query whose frames are taken one by one."""

    def __init__(self, lazy: pl.LazyFrame, max_rows: int) -> None:
        self._lazy, self._max_rows = lazy, max_rows
        self._found: queue.Queue[pl.DataFrame | BaseException | None] = queue.Queue(READY_FRAMES)
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, name=QUERY_THREAD, daemon=True)
        ends_before_exit(self)
        self._thread.start()

    def _run(self) -> None:
        end: BaseException | None = None
        try:
            self._lazy.sink_batches(
                self._put, chunk_size=self._max_rows, maintain_order=True, engine="streaming", optimizations=OPTIMIZATIONS
            )
        except KeyboardInterrupt:
            end = JobCancelledError("the query was interrupted")
        except BaseException as error:  # noqa: BLE001 - whatever the query fails with is the program's to see
            end = error
        self._put(end)

    def _put(self, found: pl.DataFrame | BaseException | None) -> bool:
        """Waits for room; TRUE when nobody wants more."""
        while not self._is_stopped:
            try:
                self._found.put(found, timeout=WAIT_SLICE_S)
            except queue.Full:
                continue
            return False
        return True

    def frames(self) -> Iterator[pl.DataFrame]:
        while True:
            try:
                found = self._found.get(timeout=WAIT_SLICE_S)
            except queue.Empty:
                if self._is_stopped:
                    raise JobCancelledError("the program has ended the query") from None
                continue
            if found is None:
                return
            if isinstance(found, BaseException):
                raise found
            if found.height:
                yield found

    def stop(self) -> None:
        """Lets the query end."""
        self._is_stopped = True
