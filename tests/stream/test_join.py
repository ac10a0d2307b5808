from collections import Counter

import numpy as np
import polars as pl
import pytest
from helpers import schema

from tableapi.plan.nodes import JoinKind
from tableapi.plan.rex import Call, Ref
from tableapi.runtime.stream.batch import KIND_DTYPE, Batch
from tableapi.runtime.stream.join import JoinSpec
from tableapi.testing import OperatorHarness, assert_changelog, fold
from tableapi.types import DataTypes

LEFT = schema("a INT, x STRING")
RIGHT = schema("b INT, y STRING")
LESS = Call(DataTypes.BOOLEAN(), "LESS", (Ref(DataTypes.STRING(), "x"), Ref(DataTypes.STRING(), "y")))


def harness(kind, keys=(("a", "b"),), **flags):
    flags = {"left_is_insert_only": False, "right_is_insert_only": False, **flags}
    return OperatorHarness(JoinSpec(LEFT, RIGHT, JoinKind[kind], keys, **flags), LEFT, RIGHT)


def test_inner():
    h = harness("INNER")
    assert h.feed("1 l1\n2 l2\nnull l3") == ""
    assert_changelog(h.feed("1 r1\n1 r2\nnull r3", 1), "+I 1 l1 1 r1\n+I 1 l1 1 r2")
    assert_changelog(h.feed("-U 1 l1\n+U 1 L1"), "-U 1 l1 1 r1\n-U 1 l1 1 r2\n+U 1 L1 1 r1\n+U 1 L1 1 r2")
    assert_changelog(h.feed("-U 1 r1\n+U 2 r1", 1), "-D 1 L1 1 r1\n+I 2 l2 2 r1")
    assert_changelog(h.feed("+I 1 r9\n-D 1 r9", 1), "")


def test_left_pads_until_the_first_partner_comes():
    h = harness("LEFT")
    assert_changelog(h.feed("1 l1\nnull l2"), "+I null l2 null null\n+I 1 l1 null null")
    assert_changelog(h.feed("1 r1", 1), "-D 1 l1 null null\n+I 1 l1 1 r1")
    assert_changelog(h.feed("-U 1 r1\n+U 1 r2", 1), "-D 1 l1 1 r1\n+I 1 l1 1 r2")
    assert_changelog(h.feed("-D 1 r2", 1), "-D 1 l1 1 r2\n+I 1 l1 null null")
    assert_changelog(h.feed("-D 1 l1\n-D null l2"), "-D null l2 null null\n-D 1 l1 null null")


def test_right_and_full():
    h = harness("RIGHT")
    assert_changelog(h.feed("1 r1", 1), "+I null null 1 r1")
    assert_changelog(h.feed("1 l1"), "-D null null 1 r1\n+I 1 l1 1 r1")
    h = harness("FULL")
    assert_changelog(h.feed("1 r1", 1), "+I null null 1 r1")
    assert_changelog(h.feed("2 l2\n1 l1"), "-D null null 1 r1\n+I 1 l1 1 r1\n+I 2 l2 null null")
    assert_changelog(h.feed("-D 1 r1", 1), "-D 1 l1 1 r1\n+I 1 l1 null null")


def test_semi_and_anti():
    h = harness("SEMI")
    h.feed("1 l1\n2 l2")
    assert_changelog(h.feed("1 r1\n1 r2", 1), "+I 1 l1")
    assert_changelog(h.feed("-D 1 r1", 1), "")
    assert_changelog(h.feed("-D 1 r2\n+I 2 r3", 1), "-D 1 l1\n+I 2 l2")
    assert_changelog(h.feed("+I 2 l4\n-D 2 l2\n+I 1 l5"), "-D 2 l2\n+I 2 l4")
    h = harness("ANTI")
    assert_changelog(h.feed("1 l1\nnull l2"), "+I null l2\n+I 1 l1")
    assert_changelog(h.feed("1 r1", 1), "-D 1 l1")
    assert_changelog(h.feed("-D 1 r1", 1), "+I 1 l1")


def test_condition_and_cross():
    h = harness("LEFT", condition=LESS)
    h.feed("1 b\n1 c")
    assert_changelog(h.feed("1 c", 1), "-D 1 b null null\n+I 1 b 1 c")
    h = harness("INNER", keys=(), condition=LESS)
    h.feed("1 b\nnull c")
    assert_changelog(h.feed("3 d\n4 a", 1), "+I 1 b 3 d\n+I null c 3 d")


def test_null_safe_keys():
    h = harness("INNER", null_safe=(True,))
    h.feed("null l1")
    assert_changelog(h.feed("null r1", 1), "+I null l1 null r1")


def test_old_rows_are_forgotten():
    h = harness("INNER", ttl_ms=(1000, 1000))
    h.feed("1 l1")
    h.set_clock(600)
    h.feed("1 l2")
    h.set_clock(1000)
    assert_changelog(h.feed("1 r1", 1), "+I 1 l2 1 r1")


def brute_force(kind, left, right, condition):
    met = [
        (i, j)
        for i, (a, x) in enumerate(left)
        for j, (b, y) in enumerate(right)
        if a is not None and a == b and (condition is None or x < y)
    ]
    left_has, right_has = {i for i, _ in met}, {j for _, j in met}
    if kind in ("SEMI", "ANTI"):
        return Counter(row for i, row in enumerate(left) if (i in left_has) == (kind == "SEMI"))
    rows = [left[i] + right[j] for i, j in met]
    if kind in ("LEFT", "FULL"):
        rows += [(*row, None, None) for i, row in enumerate(left) if i not in left_has]
    if kind in ("RIGHT", "FULL"):
        rows += [(None, None, *row) for j, row in enumerate(right) if j not in right_has]
    return Counter(rows)


@pytest.mark.parametrize("kind", ["INNER", "LEFT", "RIGHT", "FULL", "SEMI", "ANTI"])
@pytest.mark.parametrize("condition", [None, LESS], ids=["equal", "condition"])
def test_equals_a_nested_loop(kind, condition):
    """Random inserts and deletes on both sides in random batches, with restarts from snapshots."""
    rng = np.random.default_rng(5)
    spec = JoinSpec(LEFT, RIGHT, JoinKind[kind], (("a", "b"),), condition, False, False)
    h, emitted, live = OperatorHarness(spec, LEFT, RIGHT), [], ([], [])
    for step in range(40):
        side = int(rng.integers(2))
        rows, kinds = [], []
        for _ in range(int(rng.integers(1, 15))):
            if live[side] and rng.random() < 0.4:
                rows.append(live[side].pop(int(rng.integers(len(live[side])))))
                kinds.append(3)
            else:
                key = int(rng.integers(0, 8))
                rows.append((key or None, "abcd"[int(rng.integers(4))]))
                live[side].append(rows[-1])
                kinds.append(0)
        frame = pl.DataFrame(rows, schema=(LEFT, RIGHT)[side].to_polars(), orient="row")
        h.feed(Batch(frame, pl.Series(kinds, dtype=KIND_DTYPE) if any(kinds) else None), side)
        assert fold(emitted + h.emitted) == brute_force(kind, *live, condition)
        if step % 9 == 8:
            emitted += h.emitted
            h = OperatorHarness(spec, LEFT, RIGHT, snapshot=h.snapshot())
