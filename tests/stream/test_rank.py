from collections import Counter

import numpy as np
import polars as pl
import pytest
from helpers import schema

from tableapi.errors import UnsupportedError
from tableapi.plan.nodes import RankKind
from tableapi.plan.rex import SortKey
from tableapi.runtime.stream.batch import KIND_DTYPE, Batch
from tableapi.runtime.stream.rank import RankSpec
from tableapi.testing import OperatorHarness, assert_changelog, fold

INPUT = schema("k STRING, v BIGINT, t STRING")


BY_VALUE = (SortKey("v", False, False),)


def harness(end, start=1, order=BY_VALUE, **flags):
    return OperatorHarness(RankSpec(INPUT, flags.pop("partition_by", ("k",)), order, start, end, **flags), INPUT)


def test_rows_enter_and_leave():
    h = harness(2)
    assert_changelog(h.feed("a 1 x\nb 5 x\na 3 x"), "+I a 3 x\n+I a 1 x\n+I b 5 x")
    assert_changelog(h.feed("a 2 y\na 0 y"), "-D a 1 x\n+I a 2 y")
    assert_changelog(h.feed("a 2 z"), "")
    assert h.operator.state()["rows"].height == 3


def test_rank_number_updates_every_rank_behind():
    h = harness(3, rank_name="r")
    h.feed("a 1 x\na 3 y")
    assert_changelog(
        h.feed("a 2 z"),
        """
        -U a 1 x 2
        +U a 2 z 2
        +I a 1 x 3
        """,
    )
    h = harness(3, rank_name="r", generate_update_before=False)
    h.feed("a 1 x\na 3 y")
    assert_changelog(h.feed("a 9 z"), "+U a 9 z 1\n+U a 3 y 2\n+I a 1 x 3")


def test_limit_with_offset():
    h = harness(3, start=2, partition_by=())
    assert_changelog(h.feed("a 1 x\nb 5 x\na 3 x"), "+I a 3 x\n+I a 1 x")
    assert_changelog(h.feed("c 4 x\nc 6 x"), "-D a 3 x\n-D a 1 x\n+I b 5 x\n+I c 4 x")


def test_deleted_rows_are_replaced():
    h = harness(2, input_is_insert_only=False)
    h.feed("a 1 x\na 2 x\na 3 x\na 4 x")
    assert_changelog(h.feed("-D a 4 x"), "-D a 4 x\n+I a 2 x")
    assert_changelog(h.feed("-U a 1 x\n+U a 9 x"), "-D a 2 x\n+I a 9 x")
    assert_changelog(h.feed("-U a 9 x\n+U a 9 x"), "")
    h.feed("-D a 9 x\n-D a 2 x\n-D a 3 x")
    assert h.operator._index.count == 0
    assert not h.fold()


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (SortKey("t", True, False), ["a", "ab", "abcdefghijk", "b", None]),
        (SortKey("t", False, True), [None, "b", "abcdefghijk", "ab", "a"]),
        (SortKey("t", False, False), ["b", "abcdefghijk", "ab", "a", None]),
    ],
)
def test_strings_of_any_length_and_nulls_are_ordered(order, expected):
    h = harness(9, order=(order,), partition_by=(), rank_name="r")
    h.feed("k 1 b\nk 1 null")
    h.feed("k 1 ab\nk 1 abcdefghijk\nk 1 a")
    assert [row[2] for row, _ in sorted(h.fold().items(), key=lambda item: item[0][3])] == expected


def test_rank_functions_that_count_ties_are_refused():
    with pytest.raises(UnsupportedError, match="DENSE_RANK"):
        harness(2, kind=RankKind.DENSE_RANK)


def brute_force(rows, keys, ascending, nulls_last, start, end, has_rank):
    """Ranks of the rows that are left, from a sort of all of them."""
    frame = pl.DataFrame(rows, schema=INPUT.to_polars(), orient="row")
    by = [key.column for key in keys]
    ordered = frame.sort(by, descending=[not a for a in ascending], nulls_last=nulls_last, maintain_order=True)
    ranked = ordered.with_columns(pl.int_range(1, pl.len() + 1).over("k").alias("r"))
    chosen = ranked.filter(pl.col("r").is_between(start, end))
    return Counter((chosen if has_rank else chosen.drop("r")).iter_rows())


@pytest.mark.parametrize("has_rank", [False, True])
@pytest.mark.parametrize(("start", "end"), [(1, 1), (1, 3), (2, 5)])
@pytest.mark.parametrize("retracts", [False, True])
def test_equals_a_sort_of_all_rows(has_rank, start, end, retracts):
    """Random batches with random cuts, restarts from snapshots, inserts and deletes (enough to empty the sorted buffers)."""
    rng = np.random.default_rng(start * 10 + end)
    keys = (SortKey("v", False, False), SortKey("t", True, True))
    spec = RankSpec(INPUT, ("k",), keys, start, end, rank_name="r" if has_rank else None, input_is_insert_only=not retracts)
    h = OperatorHarness(spec, INPUT)
    emitted, live, serial = [], [], 0
    for step in range(60):
        rows, kinds = [], []
        shrinking = retracts and step % 20 > 9
        for _ in range(int(rng.integers(1, 25))):
            if live and retracts and rng.random() < (0.8 if shrinking else 0.3):
                rows.append(live.pop(int(rng.integers(len(live)))))
                kinds.append(3)
            else:
                serial += 1
                v = None if rng.random() < 0.1 else int(rng.integers(0, 40))
                rows.append(("abc"[int(rng.integers(3))], v, f"row{serial:05}" * (1 + serial % 2)))
                live.append(rows[-1])
                kinds.append(0)
        frame = pl.DataFrame(rows, schema=INPUT.to_polars(), orient="row")
        h.feed(Batch(frame, pl.Series(kinds, dtype=KIND_DTYPE) if any(kinds) else None))
        expected = brute_force(live, keys, [k.ascending for k in keys], [True, False], start, end, has_rank)
        assert fold(emitted + h.emitted) == expected
        if step % 13 == 12:
            emitted += h.emitted
            h = OperatorHarness(spec, INPUT, snapshot=h.snapshot())
