"""Leaves, projection, filter, order, limit, rank and set operations on small tables."""

from __future__ import annotations

import polars as pl
import pytest
from batch_plans import BIGINT, INT, STRING, asc, call, col, desc, lit, rows, run, table

from tableapi.errors import UnsupportedError
from tableapi.plan.nodes import (
    Filter,
    Limit,
    NamedRex,
    Node,
    Project,
    Rank,
    RankKind,
    Scan,
    SetKind,
    SetOp,
    Sort,
    Values,
)
from tableapi.tablespec import ColumnKind, Field, ObjectIdentifier, RowSchema, TableColumn, TableSpec

T = table({"id": INT, "v": STRING}, [(1, "a"), (2, None), (None, "c"), (2, "a")])


def test_values_and_one_row_without_columns():
    schema = RowSchema((Field("a", INT), Field("b", STRING)))
    assert run(Values(((lit(1, INT), lit("x", STRING)), (lit(None, INT), lit("y", STRING))), schema)).rows() == [
        (1, "x"),
        (None, "y"),
    ]
    one = Values(((),), RowSchema(()))
    assert run(Project(one, (NamedRex("a", lit(7, INT)),))).rows() == [(7,)]
    assert run(Values((), schema)).rows() == []


def test_constants_are_repeated_for_each_row():
    assert run(Project(T, (NamedRex("one", lit(1, INT)),))).rows() == [(1,)] * 4


def test_projection_to_nothing_keeps_the_number_of_rows():
    from batch_plans import agg

    from tableapi.plan.nodes import Aggregate

    assert run(Aggregate(Project(T, ()), (), (agg("n", "COUNT"),))).rows() == [(4,)]


def test_filter_keeps_true_only():
    assert rows(Filter(T, call("EQUALS", col(T, "v"), lit("a", STRING)))) == [(1, "a"), (2, "a")]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ((asc("id"), asc("v")), [(None, "c"), (1, "a"), (2, None), (2, "a")]),
        ((desc("id"), desc("v")), [(2, "a"), (2, None), (1, "a"), (None, "c")]),
    ],
)
def test_sort_has_nulls_lowest(keys, expected):
    assert run(Sort(T, keys)).rows() == expected


def test_limit_with_offset():
    assert run(Limit(Sort(T, (asc("id"), asc("v"))), 2, 1)).rows() == [(1, "a"), (2, None)]
    assert run(Limit(Sort(T, (asc("id"), asc("v"))), None, 3)).rows() == [(2, "a")]


RANKED = table({"k": STRING, "v": INT}, [("a", 3), ("a", 3), ("a", 1), ("b", 5), (None, 2), (None, 1), ("a", 2)])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (RankKind.ROW_NUMBER, [("a", 2, 3), ("a", 3, 2), (None, 1, 2)]),
        (RankKind.RANK, [("a", 2, 3), (None, 1, 2)]),
        (RankKind.DENSE_RANK, [("a", 1, 3), ("a", 2, 2), (None, 1, 2)]),
    ],
)
def test_rank_in_partitions(kind, expected):
    node = Rank(RANKED, ("k",), (desc("v"),), kind, 2, 3, "rn")
    assert rows(node) == expected


def test_rank_without_partition_is_a_slice():
    node = Rank(RANKED, (), (desc("v"),), RankKind.ROW_NUMBER, 1, 2, "rn")
    assert rows(node) == [("a", 3, 2), ("b", 5, 1)]


A = table({"x": INT, "y": STRING}, [(1, "a"), (1, "a"), (1, "a"), (2, None), (2, None), (3, "c")])
B = table({"p": INT, "q": STRING}, [(1, "a"), (2, None), (2, None), (2, None), (4, "d")])


@pytest.mark.parametrize(
    ("kind", "is_all", "expected"),
    [
        (SetKind.UNION, False, [(1, "a"), (2, None), (3, "c"), (4, "d")]),
        (SetKind.UNION, True, sorted([(1, "a")] * 4 + [(3, "c"), (4, "d")]) + [(2, None)] * 5),
        (SetKind.INTERSECT, False, [(1, "a"), (2, None)]),
        (SetKind.INTERSECT, True, [(1, "a"), (2, None), (2, None)]),
        (SetKind.EXCEPT, False, [(3, "c")]),
        (SetKind.EXCEPT, True, [(1, "a"), (1, "a"), (3, "c")]),
    ],
)
def test_set_operations_count_nulls_as_equal(kind, is_all, expected):
    found = rows(SetOp(kind, is_all, (A, B)))
    assert sorted(found, key=repr) == sorted(expected, key=repr)


def test_scan_applies_pushed_filter_and_limit():
    spec = TableSpec(
        ObjectIdentifier("c", "d", "t"),
        (TableColumn("a", BIGINT, ColumnKind.PHYSICAL), TableColumn("b", STRING, ColumnKind.PHYSICAL)),
    )
    frame = pl.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})
    whole = Scan(spec)
    node = Scan(spec, ("a",), call("GREATER", col(whole, "a"), lit(1, BIGINT)), 1)
    assert run(node, sources=lambda scan: frame.lazy().select(scan.schema.names)).rows() == [(2,)]


def test_unknown_nodes_are_refused():
    class Strange(Node):
        schema = RowSchema(())

    with pytest.raises(UnsupportedError, match="Strange is not supported yet in batch mode"):
        run(Strange())
