"""Promise 1 for queries nobody wrote: the folded output of a generated streaming query equals the batch query, over tables with inserts, updates
and deletes, however the input is cut into batches and spread over workers. Edge checkers are on."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from query_grammar import queries
from streams_and_batch import changes, facts, stream_equals_batch, versions

NORMAL, LONG = (None, None) if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else (60, 200)

cases = given(
    sql=queries(),
    fact_rows=facts,
    version_rows=versions,
    change_rows=changes,
    max_batch_rows=st.integers(1, 9),
    parallelism=st.integers(1, 3),
)


def examples(count: int | None):
    """So many examples, or as many as the profile says."""
    return settings(max_examples=count) if count else settings()


@cases
@examples(NORMAL)
def test_generated_stream_equals_batch(
    sql: str, fact_rows, version_rows, change_rows, max_batch_rows: int, parallelism: int
) -> None:
    stream_equals_batch(sql, fact_rows, version_rows, change_rows, max_batch_rows, parallelism)


@pytest.mark.slow
@cases
@examples(LONG)
def test_many_generated_streams_equal_batch(
    sql: str, fact_rows, version_rows, change_rows, max_batch_rows: int, parallelism: int
) -> None:
    stream_equals_batch(sql, fact_rows, version_rows, change_rows, max_batch_rows, parallelism)
