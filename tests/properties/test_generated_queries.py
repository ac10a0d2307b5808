"""Promise 1 for queries nobody wrote: the folded output of a generated streaming query equals the batch query, over tables with inserts, updates
and deletes, however the input is cut into batches and spread over workers, and however close the watermark follows. Edge checkers are on.

    HYPOTHESIS_PROFILE=nightly pytest tests/properties/test_generated_queries.py -m "slow or not slow" --hypothesis-seed=1     # 5,250 examples
"""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS
from query_grammar import keyed_queries, queries, timed_queries
from streams_and_batch import OPTIONS, changes, facts, keyed_sink_equals_batch, stream_equals_batch, versions

INDEPENDENT = "tableapi-independent"
"""Hypothesis' own choices, without its variations of the case before: five cases of six would be almost that case again."""
AVAILABLE_PROVIDERS[INDEPENDENT] = AVAILABLE_PROVIDERS["hypothesis"]

IS_NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
if IS_NIGHTLY:
    pytestmark = pytest.mark.timeout(3_600)


def cases(sql: st.SearchStrategy[str], normal: int, nightly: int):
    """A property over queries, with so many examples."""

    def decorate(test):
        over = given(
            sql=sql,
            fact_rows=facts,
            version_rows=versions,
            change_rows=changes,
            max_batch_rows=st.integers(1, 9),
            parallelism=st.integers(1, 3),
            is_tight=st.booleans(),
            options=OPTIONS,
        )
        return settings(max_examples=nightly if IS_NIGHTLY else normal, backend=INDEPENDENT)(over(test))

    return decorate


@cases(queries(depth=1), normal=50, nightly=500)
def test_simple_streams_equal_batch(**case) -> None:
    stream_equals_batch(**case)


@cases(queries(depth=2), normal=60, nightly=2_000)
def test_nested_streams_equal_batch(**case) -> None:
    stream_equals_batch(**case)


@cases(timed_queries(), normal=90, nightly=1_500)
def test_timed_streams_equal_batch(**case) -> None:
    stream_equals_batch(**case)


@cases(keyed_queries(), normal=20, nightly=250)
def test_keyed_sinks_equal_batch(**case) -> None:
    keyed_sink_equals_batch(**case)


@pytest.mark.slow
@cases(queries(depth=3), normal=200, nightly=1_000)
def test_deeply_nested_streams_equal_batch(**case) -> None:
    stream_equals_batch(**case)
