"""Promise 1: the folded output of a streaming query equals the batch query, for every shape of query that exists, however the input is
cut into batches and spread over workers. Edge checkers are on."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams_and_batch import SHAPES, environment, facts, fold, versions, write_streams


@pytest.mark.parametrize("shape", SHAPES)
@given(fact_rows=facts, version_rows=versions, max_batch_rows=st.integers(1, 9), parallelism=st.integers(1, 3))
def test_stream_equals_batch(shape: str, fact_rows, version_rows, max_batch_rows: int, parallelism: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "log")
        write_streams(path, fact_rows, version_rows)
        batch = environment(path, is_streaming=False)
        stream = environment(path, is_streaming=True, parallelism=parallelism, max_batch_rows=max_batch_rows)
        stream.get_config().set("pipeline.check-edges", "true")
        expected = fold(batch.sql_query(SHAPES[shape]).execute().collect())
        assert fold(stream.sql_query(SHAPES[shape]).execute().collect()) == expected
