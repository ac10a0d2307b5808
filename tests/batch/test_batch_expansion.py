"""UNNEST, table functions, temporal and lookup joins, window and interval joins, and folding of changelogs."""

from __future__ import annotations

from datetime import datetime

import polars as pl
import pytest
from batch_plans import BIGINT, INT, STRING, TIME, asc, call, col, desc, lit, rows, run, table

from tableapi.errors import ExecutionError
from tableapi.plan.nodes import (
    Correlate,
    Filter,
    IntervalJoin,
    JoinKind,
    LookupJoin,
    NamedRex,
    Project,
    Rank,
    RankKind,
    Scan,
    TemporalJoin,
    Unnest,
    WatermarkAssigner,
    WindowJoin,
)
from tableapi.runtime.batch.changelog import fold
from tableapi.runtime.batch.context import KIND_COLUMN
from tableapi.tablespec import ColumnKind, Field, ObjectIdentifier, TableColumn, TableSpec
from tableapi.types import DataTypes
from tableapi.udf import udtf

NESTED = table(
    {
        "id": INT,
        "nums": DataTypes.ARRAY(INT),
        "pairs": DataTypes.ARRAY(DataTypes.ROW([DataTypes.FIELD("x", INT), DataTypes.FIELD("y", STRING)])),
        "m": DataTypes.MAP(STRING, INT),
        "bag": DataTypes.MULTISET(STRING),
    },
    [
        (1, [10, None, 30], [{"x": 1, "y": "a"}, None], [{"key": "k", "value": 1}], [{"key": "p", "value": 2}]),
        (2, [], [], [], []),
        (3, None, None, None, None),
    ],
)


@pytest.mark.parametrize(
    ("is_outer", "expected"),
    [
        (False, [(1, 10, 1), (1, 30, 3), (1, None, 2)]),
        (True, [(1, 10, 1), (1, 30, 3), (1, None, 2), (2, None, None), (3, None, None)]),
    ],
)
def test_unnest_with_ordinality(is_outer, expected):
    node = Unnest(NESTED, col(NESTED, "nums"), (Field("n", INT),), is_outer, "o")
    out = Project(node, tuple(NamedRex(c, col(node, c)) for c in ("id", "n", "o")))
    assert rows(out) == expected


def test_unnest_of_rows_maps_and_multisets():
    node = Unnest(NESTED, col(NESTED, "pairs"), (Field("x", INT), Field("y", STRING)))
    assert run(node).select("id", "x", "y").rows() == [(1, 1, "a"), (1, None, None)]
    node = Unnest(NESTED, col(NESTED, "m"), (Field("k", STRING), Field("v", INT)))
    assert run(node).select("id", "k", "v").rows() == [(1, "k", 1)]
    node = Unnest(NESTED, col(NESTED, "bag"), (Field("e", STRING),))
    assert run(node).select("id", "e").rows() == [(1, "p"), (1, "p")]


WORDS = table({"id": INT, "text": STRING}, [(1, "a bc"), (2, ""), (3, None), (4, "d")])


@udtf(result_types=[STRING, INT])
def words(text):
    for word in (text or "").split():
        yield word, len(word)


@udtf(result_types=[STRING])
def broken(text):
    return [text.upper()]


OUTPUTS = (Field("word", STRING), Field("size", INT))


def test_table_function():
    node = Correlate(WORDS, words, (col(WORDS, "text"),), OUTPUTS)
    assert rows(node) == [(1, "a bc", "a", 1), (1, "a bc", "bc", 2), (4, "d", "d", 1)]


def test_outer_table_function_keeps_rows_without_results():
    node = Correlate(WORDS, words, (col(WORDS, "text"),), OUTPUTS, is_outer=True)
    assert [(r[0], r[2]) for r in rows(node)] == [(1, "a"), (1, "bc"), (2, None), (3, None), (4, "d")]


def test_outer_table_function_with_condition():
    inner = Correlate(WORDS, words, (col(WORDS, "text"),), OUTPUTS)
    long = call("GREATER", col(inner, "size"), lit(1, INT))
    node = Correlate(WORDS, words, (col(WORDS, "text"),), OUTPUTS, is_outer=True, condition=long)
    assert sorted((r[0], r[2]) for r in run(node).rows()) == [(1, "bc"), (2, None), (3, None), (4, None)]
    node = Correlate(WORDS, words, (col(WORDS, "text"),), OUTPUTS, condition=long)
    assert [(r[0], r[2]) for r in run(node).rows()] == [(1, "bc")]


def test_failing_table_function_names_the_row():
    node = Correlate(WORDS, broken, (col(WORDS, "text"),), (Field("w", STRING),))
    with pytest.raises(ExecutionError, match=r"'broken' failed for the row \(None\): AttributeError") as caught:
        run(node)
    assert "return [text.upper()]" in str(caught.value)


def at(second: int) -> datetime:
    return datetime(2024, 1, 1, 0, 0, second)


ORDERS = table(
    {"oid": INT, "cur": STRING, "ts": TIME},
    [(1, "EUR", at(1)), (2, "EUR", at(5)), (3, "EUR", at(9)), (4, "X", at(9)), (5, None, at(9))],
)
RATES = table(
    {"c": STRING, "rate": INT, "rts": TIME}, [("EUR", 10, at(2)), ("EUR", 11, at(5)), ("USD", 1, at(0)), (None, 7, at(0))]
)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(JoinKind.INNER, [(2, 11), (3, 11)]), (JoinKind.LEFT, [(1, None), (2, 11), (3, 11), (4, None), (5, None)])],
)
def test_temporal_join_takes_the_version_valid_at_the_time(kind, expected):
    node = TemporalJoin(ORDERS, RATES, kind, (("cur", "c"),), "ts", "rts")
    assert sorted(run(node).select("oid", "rate").rows()) == expected


def test_temporal_join_with_condition_and_deduplicated_versions():
    versions = Rank(WatermarkAssigner(RATES, "rts", col(RATES, "rts")), ("c",), (desc("rts"),), RankKind.ROW_NUMBER, 1, 1)
    big = call("GREATER", col(RATES, "rate"), lit(10, INT))
    node = TemporalJoin(ORDERS, versions, JoinKind.LEFT, (("cur", "c"),), "ts", "rts", big)
    assert sorted(run(node).select("oid", "rate").rows()) == [(1, None), (2, 11), (3, 11), (4, None), (5, None)]


def table_spec(name: str, types: dict) -> TableSpec:
    columns = tuple(TableColumn(n, t, ColumnKind.PHYSICAL) for n, t in types.items())
    return TableSpec(ObjectIdentifier("c", "d", name), columns)


RATE_TABLE = table_spec("rates", {"c": STRING, "rate": INT, "rts": TIME})
CHANGES = pl.DataFrame(
    {
        "c": ["EUR", "EUR", "EUR", "EUR"],
        "rate": [10, 10, 11, 11],
        "rts": [at(1), at(4), at(4), at(8)],
        KIND_COLUMN: [0, 1, 2, 3],
    },
    schema={"c": pl.String(), "rate": pl.Int32(), "rts": pl.Datetime("ms"), KIND_COLUMN: pl.Int8()},
)


def test_temporal_join_with_a_changelog_sees_deletions_and_filters():
    scan = Scan(RATE_TABLE)
    node = TemporalJoin(ORDERS, scan, JoinKind.LEFT, (("cur", "c"),), "ts", "rts")
    options = {"sources": lambda s: CHANGES.lazy().drop(KIND_COLUMN), "versions": lambda s: CHANGES.lazy()}
    found = sorted(run(node, **options).select("oid", "rate").rows())
    assert found == [(1, 10), (2, 11), (3, None), (4, None), (5, None)]
    filtered = Filter(scan, call("LESS", col(scan, "rate"), lit(11, INT)))
    node = TemporalJoin(ORDERS, filtered, JoinKind.LEFT, (("cur", "c"),), "ts", "rts")
    assert sorted(run(node, **options).select("oid", "rate").rows())[:2] == [(1, 10), (2, None)]


def test_lookup_join():
    node = LookupJoin(ORDERS, Scan(RATE_TABLE), JoinKind.LEFT, (("cur", "c"),))
    table_now = CHANGES.lazy().drop(KIND_COLUMN).slice(2, 1)
    found = sorted(run(node, sources=lambda s: table_now).select("oid", "rate").rows())
    assert found == [(1, 11), (2, 11), (3, 11), (4, None), (5, None)]


def test_interval_join():
    left = table({"a": INT, "lt": TIME}, [(1, at(5)), (1, at(20)), (None, at(5))])
    right = table({"b": INT, "rt": TIME}, [(1, at(4)), (1, at(5)), (1, at(9)), (None, at(5))])
    same = call("EQUALS", col(left, "a"), col(right, "b"))
    node = IntervalJoin(left, right, JoinKind.LEFT, same, "lt", "rt", -4_000, 0)
    assert run(node).select("lt", "rt").sort("lt", "rt").rows() == [
        (at(5), None),
        (at(5), at(5)),
        (at(5), at(9)),
        (at(20), None),
    ]


def test_window_join_matches_windows_and_condition():
    left = table({"a": INT, "ls": TIME, "le": TIME}, [(1, at(0), at(10)), (1, at(10), at(20)), (2, at(0), at(10))])
    right = table({"b": INT, "rs": TIME, "re": TIME}, [(1, at(0), at(10)), (2, at(10), at(20))])
    same = call("EQUALS", col(left, "a"), col(right, "b"))
    node = WindowJoin(left, right, JoinKind.FULL, same, ("ls", "le"), ("rs", "re"))
    found = run(node).select("a", "ls", "b", "rs").sort("a", "ls", "rs", nulls_last=True).rows()
    assert found == [(1, at(0), 1, at(0)), (1, at(10), None, None), (2, at(0), None, None), (None, None, 2, at(10))]


def test_fold_by_key_keeps_the_last_change():
    changes = pl.DataFrame({"id": [1, 2, 1, 2, 3], "v": ["a", "b", "c", "b", "d"]})
    kinds = pl.Series([0, 0, 2, 3, 0], dtype=pl.Int8)
    assert fold(changes, kinds, ["id"]).sort("id").collect().rows() == [(1, "c"), (3, "d")]


def test_fold_without_key_counts_equal_rows():
    changes = pl.DataFrame({"v": ["a", "a", None, "a", None, "b", "b"]})
    kinds = pl.Series([0, 0, 0, 1, 3, 0, 3], dtype=pl.Int8)
    assert fold(changes, kinds).collect().rows() == [("a",)]
    assert fold(changes, None).collect().height == 7


def test_sorted_rows_stay_in_order_batch_by_batch():
    from tableapi.functions.registry import SessionContext
    from tableapi.plan.nodes import Sort
    from tableapi.runtime.batch.context import Lowering
    from tableapi.runtime.batch.lowering import dispatch
    from tableapi.runtime.batch.run import stream_batch

    numbers = table({"n": BIGINT}, [(i * 7 % 100,) for i in range(100)])
    lowering = Lowering(SessionContext(), lambda s: None, None, dispatch)
    batches = list(stream_batch(Sort(numbers, (asc("n"),)), lowering, max_rows=30))
    assert [n for b in batches for n in b["n"].to_list()] == list(range(100))
    assert len(batches) > 1
