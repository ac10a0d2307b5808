"""The matcher against a brute-force reference, and a stream in random batches against batch."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from match_reference import Part, matches

from tableapi.functions.registry import SessionContext
from tableapi.plan.match_node import Match, PatternAgg, PatternDefine, PatternElement, PatternRef, Skip, SkipKind
from tableapi.plan.nodes import Inline, InlineFrame, NamedRex
from tableapi.plan.rex import AggCall, Call, Literal, Ref, SortKey
from tableapi.runtime.match.kernel import search_partitions
from tableapi.runtime.match.matcher import Matcher, Rows
from tableapi.runtime.match.search import KernelSearch, find_matches, searcher
from tableapi.runtime.state.jit import PLAIN_ROWS, Kernel
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.pattern_match import PatternMatchSpec
from tableapi.tablespec import Field, RowSchema, TimeKind
from tableapi.testing import OperatorHarness, fold
from tableapi.types import BigIntType, BooleanType, IntType, TimestampType, VarCharType

INT, BOOL = IntType(), BooleanType()


def last(variable, offset=0):
    return PatternRef(INT, "v", variable, False, offset)


def call(name, *args):
    return Call(BOOL, name, args)


def number(value):
    return Literal(INT, value)


# name -> (the typed condition, its meaning); None: no condition.
CONDITIONS = {
    "any": (None, lambda taken, row: True),
    "low": (lambda x: call("LESS", last(x), number(3)), lambda taken, row: row < 3),
    "high": (lambda x: call("GREATER_OR_EQUAL", last(x), number(2)), lambda taken, row: row >= 2),
    "rises": (
        lambda x: call("OR", call("IS_NULL", last(x, 1)), call("GREATER", last(x), last(x, 1))),
        None,
    ),
    "above A": (lambda x: call("GREATER", last(x), last("A")), None),
    "small sum": (
        lambda x: call("LESS", PatternAgg(INT, AggCall("SUM", (Ref(INT, "v"),), INT), x), number(5)),
        None,
    ),
}


def meaning(name, variable):
    def rises(taken, row):
        return len(taken[variable]) < 2 or row > taken[variable][-2]

    def above(taken, row):
        return bool(taken["A"]) and row > taken["A"][-1]

    def small(taken, row):
        return sum(taken[variable]) < 5

    return CONDITIONS[name][1] or {"rises": rises, "above A": above, "small sum": small}[name]


QUANTIFIERS = [(1, 1, True), (0, 1, True), (1, None, True), (0, None, True), (1, None, False), (0, None, False)]
QUANTIFIERS += [(2, 2, True), (1, 2, True), (1, 2, False), (2, None, False), (0, 2, False)]


@st.composite
def patterns(draw, conditions=tuple(CONDITIONS)):
    """Three variables with conditions that Flink would accept."""
    parts = []
    for name in "ABC":
        low, high, greedy = draw(st.sampled_from(QUANTIFIERS))
        if name == "C":
            low, high, greedy = 1, 1, True
        element = PatternElement(name, low, high, greedy)
        if parts and parts[-1][0].keeps_rows and low == 0:
            element = PatternElement(name, 1, high, greedy)
        parts.append((element, draw(st.sampled_from(conditions))))
    return parts


def compiled(parts, skip, within_ms=None, *, use_flags):
    """The matcher's clauses; with `use_flags`, conditions on the row alone are columns of the input."""
    defines = []
    for element, name in parts:
        make = CONDITIONS[name][0]
        if make is not None:
            flag = f"is_{name}" if use_flags and name in ("low", "high") else None
            defines.append(PatternDefine(element.variable, make(element.variable), flag))
    return tuple(e for e, _ in parts), tuple(defines), skip, within_ms


def with_flags(frame):
    return frame.with_columns((pl.col("v") < 3).alias("is_low"), (pl.col("v") >= 2).alias("is_high"))


def expected(parts, values, skip):
    plain = [Part(e.variable, e.minimum, e.maximum, e.is_greedy, meaning(name, e.variable)) for e, name in parts]
    found = []
    for start, lengths in matches(plain, values, skip):
        found.append((start, *(start + np.cumsum(lengths)).tolist()))
    return found


@given(parts=patterns(), values=st.lists(st.integers(0, 4), max_size=8), is_past=st.booleans(), use_flags=st.booleans())
def test_the_matcher_agrees_with_brute_force(parts, values, is_past, use_flags):
    skip = Skip(SkipKind.PAST_LAST_ROW if is_past else SkipKind.NEXT_ROW)
    matcher = Matcher(*compiled(parts, skip, use_flags=use_flags), SessionContext())
    frame = with_flags(pl.DataFrame({"v": values}, schema={"v": pl.Int32()}))
    found = []
    alive = matcher.search(Rows(matcher, frame, None), 0, len(values), None, None, found)
    answer = expected(parts, values, "past" if is_past else "next")
    if alive is not None:
        # A run that could go on holds back what begins after it.
        answer = [m for m in answer if m[0] < alive.start]
    assert found == answer


@pytest.mark.parametrize("is_compiled", [False, True])
@given(
    parts=patterns(),
    values=st.lists(st.lists(st.integers(0, 4), max_size=8), max_size=3),
    is_past=st.booleans(),
    use_flags=st.booleans(),
)
def test_the_kernel_agrees_with_brute_force(is_compiled, parts, values, is_past, use_flags):
    skip = Skip(SkipKind.PAST_LAST_ROW if is_past else SkipKind.NEXT_ROW)
    matcher = Matcher(*compiled(parts, skip, use_flags=use_flags), SessionContext())
    search = searcher(matcher)
    assert isinstance(search, KernelSearch)
    values = [v for v in values if v]
    frame = with_flags(pl.DataFrame({"v": [v for part in values for v in part]}, schema={"v": pl.Int32()}))
    owners = np.repeat(np.arange(len(values)), [len(v) for v in values])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kernel, "rows_seen", PLAIN_ROWS if is_compiled else -(10**9))
        patch.setattr(search_partitions, "compiled", search_partitions.compile() if is_compiled else None)
        found = search.search(Rows(matcher, frame, None), owners, None)
    answer, low = [], 0
    for part, start in zip(values, found.alive.tolist(), strict=True):
        matches_of_part = [tuple(low + b for b in m) for m in expected(parts, part, "past" if is_past else "next")]
        answer += [m for m in matches_of_part if start < 0 or m[0] < start]
        low += len(part)
    assert [tuple(m) for m in found.bounds.tolist()] == answer


KEYED = RowSchema(
    (
        Field("k", VarCharType()),
        Field("v", INT),
        Field("ts", TimestampType(3), TimeKind.ROWTIME),
        Field("is_low", BOOL),
        Field("is_high", BOOL),
    )
)
MEASURES = (
    NamedRex("a", PatternRef(INT, "v", "A", True)),
    NamedRex("c", last("C")),
    NamedRex("n", PatternAgg(BigIntType(is_nullable=False), AggCall("COUNT", (), BigIntType(is_nullable=False)))),
    NamedRex("b", PatternAgg(INT, AggCall("SUM", (Ref(INT, "v"),), INT), "B")),
)
ORDER = (SortKey("ts"),)


def keyed_rows(rows):
    frame = pl.DataFrame(
        [(k, v, t * 1000) for k, v, t in rows], schema={"k": pl.String(), "v": pl.Int32(), "ts": pl.Int64()}, orient="row"
    )
    return with_flags(frame.with_columns(pl.col("ts").cast(pl.Datetime("ms"))))


@pytest.mark.parametrize("within_ms", [None, 4000])
@given(
    parts=patterns(),
    rows=st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 4), st.integers(0, 15)), max_size=20),
    cuts=st.lists(st.integers(0, 20), max_size=3),
    is_past=st.booleans(),
    snapshot_at=st.integers(0, 3),
)
def test_a_stream_agrees_with_batch(within_ms, parts, rows, cuts, is_past, snapshot_at):
    """Rows come sorted in random batches with a watermark after each; half way the operator is restored from a snapshot."""
    rows = sorted(rows, key=lambda r: r[2])
    skip = Skip(SkipKind.PAST_LAST_ROW if is_past else SkipKind.NEXT_ROW)
    clauses = compiled(parts, skip, within_ms, use_flags=True)
    pattern, defines, skip, within_ms = clauses
    frame = keyed_rows(rows)
    node = Match(Inline(InlineFrame(frame), KEYED), ("k",), ORDER, pattern, defines, MEASURES, skip, within_ms)
    answer = fold(Batch(find_matches(frame.sort("k", "ts", maintain_order=True), node, SessionContext())))
    spec = PatternMatchSpec(KEYED, ("k",), ORDER, pattern, defines, MEASURES, skip, within_ms)
    harness = OperatorHarness(spec, KEYED)
    emitted = []
    edges = sorted({0, len(rows), *(c for c in cuts if c < len(rows))})
    for number_, (low, high) in enumerate(pairwise(edges)):
        harness.feed(Batch(frame[low:high]))
        if high < len(rows):
            harness.advance(min(rows[high][2] * 1000, rows[high - 1][2] * 1000 + 999) - 1)
        if number_ == snapshot_at:
            emitted += harness.emitted
            harness = OperatorHarness(spec, KEYED, snapshot=harness.snapshot())
    harness.end()
    assert fold(emitted + harness.emitted) == answer
