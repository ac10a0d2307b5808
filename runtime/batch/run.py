"""Runs lowered plans on Polars' streaming engine: whole results, and results batch by batch."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from tableapi.functions.registry import SessionContext
from tableapi.plan.nodes import Node
from tableapi.runtime.batch.context import Lowering, Sources
from tableapi.runtime.batch.lowering import dispatch, lower_with
from tableapi.runtime.failures import clean_failures

OPTIMIZATIONS = pl.QueryOptFlags(check_order_observe=False)
"""Polars' pass `check_order_observe` takes the choice between two constants for an expression that has no order, and drops the sort
below it. Plans keep only sorts that matter, so nothing is lost without the pass."""


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
        lowering.functions.close()


def collect(lazy: pl.LazyFrame) -> pl.DataFrame:
    """The rows of a lazy frame."""
    with clean_failures():
        return lazy.collect(engine="streaming", optimizations=OPTIMIZATIONS)


def stream_batch(
    node: Node, session: SessionContext, sources: Sources, versions: Sources | None = None, max_rows: int = 65_536
) -> Iterator[pl.DataFrame]:
    """Like `run_batch`, but hands over the rows as they become ready, in frames of at most about `max_rows` rows."""
    lowering = Lowering(session, sources, versions, dispatch)
    try:
        yield from iter_batches(lower_with(lowering, node), max_rows)
    finally:
        lowering.functions.close()


def iter_batches(lazy: pl.LazyFrame, max_rows: int = 65_536) -> Iterator[pl.DataFrame]:
    """The rows of a lazy frame in order, in frames of at most about `max_rows` rows, without holding them all."""
    with clean_failures():
        for batch in lazy.collect_batches(
            chunk_size=max_rows, maintain_order=True, engine="streaming", optimizations=OPTIMIZATIONS
        ):
            if batch.height:
                yield batch
