"""Every operator with state shows it: as tables, in bytes, and in live keys."""

import numpy as np
import polars as pl
import pytest
from helpers import schema
from test_rescale import LEFT, RIGHT, SPECS

from tableapi import EnvironmentSettings, TableEnvironment
from tableapi.runtime.state.columns import make_column
from tableapi.runtime.stream.accounting import live_keys, state_bytes
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.changelog import ChangelogNormalizeSpec
from tableapi.testing import OperatorHarness


def rows(source, count, start=0):
    frame = pl.DataFrame({"n": pl.int_range(start, start + count, eager=True)})
    columns = [
        (pl.col("n") * 1_000).cast(pl.Datetime("ms")) if dtype.is_temporal() else pl.col("n").cast(dtype)
        for dtype in source.to_polars().values()
    ]
    return Batch(frame.select([c.alias(name) for c, name in zip(columns, source.names, strict=True)]))


@pytest.mark.parametrize("name", SPECS)
def test_state_is_shown_and_measured(name):
    spec, inputs = SPECS[name]
    h = OperatorHarness(spec, *(LEFT, RIGHT)[:inputs])
    empty = state_bytes(h.operator)
    for input in range(inputs):
        h.feed(rows((LEFT, RIGHT)[input], 20_000), input)
    assert sum(frame.height for frame in h.operator.state().values()) >= 20_000
    assert state_bytes(h.operator) > empty + 20_000 * 4
    keys = live_keys(h.operator)
    assert keys is None or keys in (0, 20_000)


def test_bytes_are_those_of_the_columns():
    """A row of two BIGINTs under a key of one: 16 bytes of values, 8 of the key, and what growth and the hash table add."""
    source = schema("k BIGINT, v BIGINT")
    h = OperatorHarness(ChangelogNormalizeSpec(source, ("k",)), source)
    count = 1 << 16
    h.feed(rows(source, count))
    per_key = state_bytes(h.operator) / count
    assert 24 <= per_key <= 100
    column = make_column("v", pl.Int64())
    column.reserve(count)
    assert column.size_bytes == np.zeros(count, dtype=np.int64).nbytes


def test_a_job_tells_bytes_and_keys_of_each_step():
    env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    env.get_config().set("parallelism.default", "1")
    frame = pl.DataFrame({"k": pl.int_range(0, 5_000, eager=True), "v": pl.int_range(0, 5_000, eager=True)})
    env.create_temporary_view("t", env.from_polars(frame))
    query = "SELECT a.k, COUNT(*) FROM t AS a JOIN t AS b ON a.k = b.v GROUP BY a.k"
    handle = env.sql_query(query).execute()
    assert len(list(handle.collect())) == 5_000
    metrics = handle._execution.handle.metrics()
    counters = {v.name.split("[")[0]: v.counters for v in metrics.vertices}
    for step in ("GroupAggregate", "Join"):
        assert counters[step]["keys"] == 5_000
        assert counters[step]["state_bytes"] > 5_000 * 8
    assert metrics.state_bytes == sum(c.get("state_bytes", 0) for c in counters.values())
