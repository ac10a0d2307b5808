"""Aggregation in two phases gives what one phase gives; when it is planned; when it folds."""

import datetime as dt
import random

import polars as pl
import pytest
from helpers import agg, grouped, schema

from tableapi import EnvironmentSettings, TableEnvironment
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.group_aggregate import GroupAggregateSpec
from tableapi.runtime.stream.partial import LocalAggregateSpec, partial_schema
from tableapi.testing import OperatorHarness

INPUT = schema("k STRING, v INT, b BIGINT, t TIMESTAMP(3), f BOOLEAN")
CALLS = (
    agg(INPUT, "n", "COUNT"),
    agg(INPUT, "nf", "COUNT", filter="f"),
    agg(INPUT, "nv", "COUNT", "v", filter="f"),
    agg(INPUT, "s", "SUM", "b"),
    agg(INPUT, "a", "AVG", "v", filter="f"),
    agg(INPUT, "lo", "MIN", "t"),
    agg(INPUT, "hi", "MAX", "v", filter="f"),
)


def rows(rng, count, keys):
    start = dt.datetime(2024, 1, 1)
    return [
        (
            rng.choice([None, *(f"k{i}" for i in range(keys))]),
            rng.choice([None, rng.randrange(100)]),
            rng.randrange(-(2**40), 2**40),
            rng.choice([None, start + dt.timedelta(milliseconds=rng.randrange(10**6))]),
            rng.choice([None, True, False]),
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("keys", [("k",), ()])
@pytest.mark.parametrize(("batch_rows", "distinct"), [(2000, 5), (2000, 3000), (100, 5)])
def test_partial_values_add_up_to_the_rows(keys, batch_rows, distinct):
    """Goal: folded, passed on one by one (many groups, or few rows), and mixed: always the result over the rows."""
    rng = random.Random(batch_rows + distinct)
    partial = partial_schema(INPUT, keys, CALLS)
    local = OperatorHarness(LocalAggregateSpec(INPUT, keys, CALLS), INPUT)
    last = OperatorHarness(GroupAggregateSpec(partial, keys, CALLS, is_partial=True), partial)
    given, sent = [], []
    local.operator.context.emit = sent.append
    for _ in range(3):
        new = rows(rng, batch_rows, distinct)
        given += new
        local.operator.process(0, Batch(pl.DataFrame(new, schema=INPUT.to_polars(), orient="row")))
        for batch in sent:
            assert batch.frame.schema == partial.to_polars()
            last.feed(batch)
        sent.clear()
        assert last.fold() == grouped(given, INPUT, keys, CALLS)
    is_folding = batch_rows >= 1000 and (distinct < 1000 or not keys)
    assert (local.operator.context.metrics.get("rows_folded", 0) > 0.9 * len(given)) == is_folding


def steps(sql, parallelism="2", **options):
    env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    env.get_config().set("parallelism.default", parallelism)
    for key, value in options.items():
        env.get_config().set(f"table.optimizer.{key.replace('_', '-')}", value)
    env.execute_sql("CREATE TABLE t (k STRING, n INT, d DOUBLE) WITH ('connector' = 'datagen', 'number-of-rows' = '5')")
    return env.sql_query(sql).explain().split("== Optimized Execution Plan ==")[1]


SQL = "SELECT k, COUNT(*), SUM(n), MAX(n) FROM t GROUP BY k"


def test_when_there_are_two_phases():
    assert "LocalAggregate[k]" in steps(SQL)
    assert "LocalAggregate" in steps("SELECT COUNT(*) FROM t")
    assert "LocalAggregate" not in steps(SQL, parallelism="1")
    assert "LocalAggregate" in steps(SQL, parallelism="1", agg_phase_strategy="TWO_PHASE")
    assert "LocalAggregate" not in steps(SQL, agg_phase_strategy="ONE_PHASE")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT k, COUNT(DISTINCT n) FROM t GROUP BY k",
        "SELECT k, SUM(d) FROM t GROUP BY k",
        "SELECT k, FIRST_VALUE(n) FROM t GROUP BY k",
        "SELECT DISTINCT k FROM t",
    ],
)
def test_where_partial_values_would_not_give_exactly_the_same_there_is_one_phase(sql):
    assert "LocalAggregate" not in steps(sql, agg_phase_strategy="TWO_PHASE")


def test_changes_are_aggregated_in_one_phase():
    text = steps("SELECT c, COUNT(*) FROM (SELECT k, COUNT(*) AS c FROM t GROUP BY k) GROUP BY c")
    assert "LocalAggregate[k]" in text
    assert text.count("LocalAggregate") == 1
