"""Incremental equals batch: whatever the changes and however they are cut into batches, what an operator has emitted folds to what
the batch engine makes of the rows that are left."""

from collections import Counter

import polars as pl
from helpers import agg, grouped, schema
from hypothesis import given, settings
from hypothesis import strategies as st

from tableapi.plan.nodes import WindowKind, WindowProperty, WindowSpec
from tableapi.runtime.stream.batch import KIND_DTYPE, Batch
from tableapi.runtime.stream.group_aggregate import GroupAggregateSpec
from tableapi.runtime.stream.window_aggregate import WindowAggregateSpec
from tableapi.testing import OperatorHarness, fold

INPUT = schema("k STRING, v BIGINT, t STRING, d DECIMAL(10;2), f BOOLEAN")
CALLS = (
    agg(INPUT, "n", "COUNT"),
    agg(INPUT, "nv", "COUNT", "v"),
    agg(INPUT, "s", "SUM", "v"),
    agg(INPUT, "a", "AVG", "v"),
    agg(INPUT, "lo", "MIN", "v"),
    agg(INPUT, "hi", "MAX", "t"),
    agg(INPUT, "ds", "SUM", "d"),
    agg(INPUT, "da", "AVG", "d"),
    agg(INPUT, "dv", "COUNT", "v", distinct=True),
    agg(INPUT, "sf", "SUM", "v", filter="f"),
    agg(INPUT, "df", "SUM", "v", distinct=True, filter="f"),
)
ROW = st.tuples(
    st.sampled_from([None, "a", "b", "c"]),
    st.one_of(st.none(), st.integers(-3, 3)),
    st.one_of(st.none(), st.sampled_from(["", "x", "yy", "a longer text than fits a word"])),
    st.one_of(st.none(), st.decimals("-9.99", "9.99", places=2)),
    st.one_of(st.none(), st.booleans()),
)
CHANGES = st.lists(st.tuples(ROW, st.integers(0, 5)), max_size=40)
"""Rows to add; after a row with number n > 2, the n-th row that is there from the end is taken away."""


def changelog(changes):
    """(row, is added) pairs in which only rows that are there are taken away, and the rows that are left."""
    steps, left = [], []
    for row, number in changes:
        steps.append((row, True))
        left.append(row)
        if number > 2 and len(left) >= number:
            steps.append((left.pop(-number), False))
    return steps, left


def feed(harness, steps, cut):
    for start in range(0, len(steps), cut):
        part = steps[start : start + cut]
        frame = pl.DataFrame([row for row, _ in part], schema=INPUT.to_polars(), orient="row")
        kinds = [0 if added else 3 for _, added in part]
        harness.feed(Batch(frame, pl.Series(kinds, dtype=KIND_DTYPE) if any(kinds) else None))


@settings(max_examples=60, deadline=None)
@given(CHANGES, st.integers(1, 12), st.sampled_from([("k",), ("k", "f"), ()]))
def test_group_aggregate(changes, cut, keys):
    steps, left = changelog(changes)
    h = OperatorHarness(GroupAggregateSpec(INPUT, keys, CALLS, input_is_insert_only=False), INPUT)
    feed(h, steps, cut)
    expected = grouped(left, INPUT, keys, CALLS) if left else Counter()
    assert h.fold() == expected


@settings(max_examples=40, deadline=None)
@given(CHANGES, st.integers(1, 12), st.integers(0, 40))
def test_a_restart_changes_nothing(changes, cut, at):
    steps, left = changelog(changes)
    spec = GroupAggregateSpec(INPUT, ("k",), CALLS, input_is_insert_only=False)
    first = OperatorHarness(spec, INPUT)
    feed(first, steps[:at], cut)
    second = OperatorHarness(spec, INPUT, snapshot=first.snapshot())
    feed(second, steps[at:], cut)
    assert fold(first.emitted + second.emitted) == grouped(left, INPUT, ("k",), CALLS)


TIMED = schema("k STRING, v BIGINT, ts TIMESTAMP(3)", ts="rowtime")
TIMED_CALLS = tuple(agg(TIMED, f.lower(), f, "v") for f in ("COUNT", "SUM", "MIN", "MAX"))
BOUNDS = (("ws", WindowProperty.START), ("we", WindowProperty.END))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(-5, 5), st.integers(-50, 50)), min_size=1, max_size=40),
    st.integers(1, 12),
    st.sampled_from([(12, 12), (12, 4), (9, 6), (4, 10)]),
    st.integers(-3, 3),
)
def test_hopping_windows(rows, cut, size_and_slide, offset):
    """Also windows that do not divide by their slide, and windows with gaps between them."""
    size, slide = size_and_slide
    spec = WindowSpec(WindowKind.HOP, "ts", True, size_ms=size, step_ms=slide, offset_ms=offset)
    h = OperatorHarness(WindowAggregateSpec(TIMED, spec, ("k",), TIMED_CALLS, BOUNDS), TIMED)
    expanded = []
    for k, v, t in rows:
        start = (t - offset) // slide * slide + offset
        while start + size > t:
            expanded.append((k, v, t, start, start + size))
            start -= slide
    for start in range(0, len(rows), cut):
        frame = pl.DataFrame(
            rows[start : start + cut], schema={"k": pl.String(), "v": pl.Int64(), "ts": pl.Int64()}, orient="row"
        )
        h.feed(Batch(frame.with_columns(pl.col("ts").cast(pl.Datetime("ms")))))
    h.end()
    source = schema("k STRING, v BIGINT, ts BIGINT, ws BIGINT, we BIGINT")
    expected = grouped(expanded, source, ("k", "ws", "we"), TIMED_CALLS)
    got = fold(b.with_frame(b.frame.with_columns(pl.col("ws", "we").to_physical())) for b in h.emitted)
    assert got == Counter({(r[0], *r[3:], r[1], r[2]): n for r, n in expected.items()})
