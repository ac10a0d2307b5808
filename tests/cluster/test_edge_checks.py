"""With `check_edges`, whoever breaks a rule of the edges fails the job."""

from __future__ import annotations

import polars as pl
import pytest
from jobs import Apply, GraphBuilder, ListSource, frame, hash_on, rows_of

from tableapi.runtime.cluster.coordinator import LocalExecutor
from tableapi.runtime.planner.graph import Edge, JobConfig
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.changelog import DropUpdateBeforeSpec
from tableapi.runtime.stream.checkers import EdgeCheckError


def job(process, parallelism, *steps):
    builder = GraphBuilder(JobConfig(parallelism=parallelism, check_edges=True, max_batch_rows=100))
    last = builder.source(ListSource(((frame(500),), (frame(500, 500),))))
    last = builder.add(Apply(process), Edge(last, hash_on("k")), name="Guilty")
    for step in steps:
        last = builder.add(step, Edge(last))
    return builder.collect(last, hash_on("n"))


def delete_unknown(op, input, batch):
    op.context.emit(Batch(batch.frame, pl.Series("kind", [3] * batch.height, dtype=pl.Int8)))


def update_without_before(op, input, batch):
    op.context.emit(Batch(batch.frame, pl.Series("kind", [0] * batch.height, dtype=pl.Int8)))
    op.context.emit(Batch(batch.frame, pl.Series("kind", [2] * batch.height, dtype=pl.Int8)))
    op.context.emit(
        Batch(batch.frame.with_columns(n=pl.lit(None, pl.Int64)), pl.Series("kind", [3] * batch.height, dtype=pl.Int8))
    )


def wrong_type(op, input, batch):
    op.context.emit(Batch(batch.frame.with_columns(n=pl.col("n").cast(pl.Int32))))


@pytest.mark.parametrize("parallelism", [1, 2, 3])
def test_honest_jobs_pass(executor: LocalExecutor, parallelism):
    assert rows_of(executor.submit(job(lambda op, i, batch: op.context.emit(batch), parallelism))).height == 1000


@pytest.mark.parametrize("parallelism", [1, 2])
@pytest.mark.parametrize(
    ("process", "message"), [(delete_unknown, "taken back that were not there"), (wrong_type, "columns .* instead of")]
)
def test_broken_rules_are_named_with_their_edge(executor: LocalExecutor, parallelism, process, message):
    with pytest.raises(EdgeCheckError, match=f"edge Guilty -> CollectSpec: .*{message}"):
        executor.submit(job(process, parallelism)).wait(20)


def test_upserts_need_not_take_rows_back(executor: LocalExecutor):
    with pytest.raises(EdgeCheckError, match="Guilty -> DropUpdateBeforeSpec"):
        executor.submit(job(update_without_before, 1, DropUpdateBeforeSpec())).wait(20)
    builder = GraphBuilder(JobConfig(check_edges=True))
    source = builder.source(ListSource(((frame(10),),)))
    dropped = builder.add(DropUpdateBeforeSpec(), Edge(source))
    upserts = builder.add(Apply(update_without_before), Edge(dropped))
    assert rows_of(executor.submit(builder.collect(upserts))).height == 30
