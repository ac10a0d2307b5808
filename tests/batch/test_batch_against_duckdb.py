"""Random small tables with NULLs and duplicates: the lowering must agree with DuckDB on joins, aggregates, set operations and OVER."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest
from batch_plans import BIGINT, BOOLEAN, DOUBLE, INT, STRING, agg, asc, call, col, desc, ordered, run, table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tableapi.plan.nodes import (
    Aggregate,
    FrameBound,
    FrameBoundKind,
    Inline,
    Join,
    JoinKind,
    NamedAgg,
    Node,
    Over,
    OverFrame,
    Rank,
    RankKind,
    SetKind,
    SetOp,
)
from tableapi.plan.rex import Rex

random = settings(derandomize=True, max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
few = settings(random, max_examples=12)
connection = duckdb.connect()

small = st.one_of(st.none(), st.integers(-2, 3))
word = st.one_of(st.none(), st.sampled_from(["a", "b", "c"]))
LEFT = {"k": INT, "s": STRING, "v": BIGINT, "d": DOUBLE, "b": BIGINT}
left_rows = st.lists(
    st.tuples(small, word, small, st.one_of(st.none(), st.sampled_from([0.5, -1.25, 2.0])), small), max_size=12
)
RIGHT = {"k2": INT, "s2": STRING, "w": BIGINT}
right_rows = st.lists(st.tuples(small, word, small), max_size=12)


def duck(query: str, **tables: Inline) -> list[tuple[Any, ...]]:
    for name, node in tables.items():
        connection.register(name, node.data.frame.to_arrow())
    return ordered(connection.execute(query).fetchall())


def same(node: Node, query: str, **tables: Inline) -> None:
    assert ordered(run(node).rows()) == duck(query, **tables)


def conditions(left: Inline, right: Inline) -> dict[str, tuple[Rex | None, str]]:
    key = call("EQUALS", col(left, "k"), col(right, "k2"))
    text = call("EQUALS", col(left, "s"), col(right, "s2"))
    safe = call("IS_NOT_DISTINCT_FROM", col(left, "s"), col(right, "s2"))
    less = call("LESS", col(left, "v"), col(right, "w"))
    left_only = call("GREATER", col(left, "v"), call("PLUS", col(left, "b"), col(left, "b")))
    right_only = call("IS_NOT_NULL", col(right, "w"))
    computed = call("EQUALS", call("PLUS", col(left, "v"), col(left, "b")), col(right, "w"))
    return {
        "key": (key, "k = k2"),
        "two keys": (call("AND", key, text), "k = k2 AND s = s2"),
        "same key twice": (call("AND", key, call("EQUALS", col(left, "k"), col(right, "w"))), "k = k2 AND k = w"),
        "null-safe": (safe, "s IS NOT DISTINCT FROM s2"),
        "mixed": (call("AND", key, safe), "k = k2 AND s IS NOT DISTINCT FROM s2"),
        "residual": (call("AND", key, less), "k = k2 AND v < w"),
        "range": (less, "v < w"),
        "one-sided": (call("AND", call("AND", key, left_only), right_only), "k = k2 AND v > b + b AND w IS NOT NULL"),
        "computed": (computed, "v + b = w"),
        "all pairs": (None, "TRUE"),
        "or": (call("OR", key, text), "k = k2 OR s = s2"),
    }


@pytest.mark.parametrize("kind", list(JoinKind))
@random
@given(left_rows, right_rows)
def test_joins(kind: JoinKind, one, two):
    left, right = table(LEFT, one), table(RIGHT, two)
    for name, (condition, sql) in conditions(left, right).items():
        node = Join(left, right, kind, condition)
        if kind is JoinKind.SEMI:
            query = f"SELECT * FROM l WHERE EXISTS (SELECT 1 FROM r WHERE {sql})"
        elif kind is JoinKind.ANTI:
            query = f"SELECT * FROM l WHERE NOT EXISTS (SELECT 1 FROM r WHERE {sql})"
        else:
            # DuckDB cannot do a FULL join on an inequality: it is the LEFT join and the right rows without a partner.
            full = (
                f"SELECT l.*, r.* FROM l LEFT JOIN r ON {sql} UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, r.* FROM r "
                f"WHERE NOT EXISTS (SELECT 1 FROM l WHERE {sql})"
            )
            query = full if kind is JoinKind.FULL else f"SELECT l.*, r.* FROM l {kind.value} JOIN r ON {sql}"
        assert ordered(run(node).rows()) == duck(query, l=left, r=right), name


@random
@given(left_rows, right_rows)
def test_not_in_is_three_valued(one, two):
    left, right = table(LEFT, one), table(RIGHT, two)
    equal = call("EQUALS", col(left, "v"), col(right, "w"))
    test = call("OR", call("OR", equal, call("IS_NULL", col(left, "v"))), call("IS_NULL", col(right, "w")))
    same(Join(left, right, JoinKind.ANTI, test), "SELECT * FROM l WHERE v NOT IN (SELECT w FROM r)", l=left, r=right)
    correlated = call("AND", call("EQUALS", col(left, "k"), col(right, "k2")), test)
    query = "SELECT * FROM l WHERE v NOT IN (SELECT w FROM r WHERE k2 = k)"
    same(Join(left, right, JoinKind.ANTI, correlated), query, l=left, r=right)


AGGREGATES = (
    ("count(*)", "COUNT", ()),
    ("count(v)", "COUNT", ("v",)),
    ("sum(v)", "SUM", ("v",)),
    ("sum(d)", "SUM", ("d",)),
    ("min(s)", "MIN", ("s",)),
    ("max(d)", "MAX", ("d",)),
    ("avg(d)", "AVG", ("d",)),
    ("stddev_samp(d)", "STDDEV_SAMP", ("d",)),
)


def calls(source: Inline, **options: Any) -> tuple[NamedAgg, ...]:
    return tuple(
        agg(f"a{i}", function, *(col(source, a) for a in args), **options) for i, (_, function, args) in enumerate(AGGREGATES)
    )


def rounded(found: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return ordered([tuple(round(v, 9) if isinstance(v, float) else v for v in row) for row in found])


@pytest.mark.parametrize("keys", [(), ("k",), ("k", "s")])
@random
@given(left_rows)
def test_aggregates(keys, one):
    source = table(LEFT, one)
    found = run(Aggregate(source, keys, calls(source))).rows()
    names = ", ".join((*keys, *(sql for sql, _, _ in AGGREGATES)))
    group = f"GROUP BY {', '.join(keys)}" if keys else ""
    assert rounded(found) == rounded(duck(f"SELECT {names} FROM l {group}", l=source))


@random
@given(left_rows)
def test_filtered_and_distinct_aggregates(one):
    source = table({**LEFT}, one)
    flagged = table({**LEFT, "f": BOOLEAN}, [(*r, None if r[2] is None else r[2] > 0) for r in one])
    wanted = (
        agg("a", "COUNT", filter="f"),
        agg("b", "SUM", col(flagged, "v"), filter="f"),
        agg("c", "COUNT", col(flagged, "s"), distinct=True),
        agg("e", "SUM", col(flagged, "v"), distinct=True, filter="f"),
    )
    sql = (
        "SELECT s, count(*) FILTER (v > 0), sum(v) FILTER (v > 0), count(DISTINCT s), sum(DISTINCT v) FILTER (v > 0) "
        "FROM l GROUP BY s"
    )
    same(Aggregate(flagged, ("s",), wanted), sql, l=source)


@random
@given(left_rows)
def test_grouping_sets(one):
    source = table(LEFT, one)
    sets = (("k", "s"), ("k",), ())
    node = Aggregate(source, ("k", "s"), (agg("n", "COUNT"), agg("t", "SUM", col(source, "v"))), sets, "g")
    having = "HAVING count(*) > 0"
    same(
        node,
        f"SELECT k, s, GROUPING(k, s), count(*), sum(v) FROM l GROUP BY GROUPING SETS ((k, s), (k), ()) {having}",
        l=source,
    )


@pytest.mark.parametrize("kind", [SetKind.INTERSECT, SetKind.EXCEPT, SetKind.UNION])
@pytest.mark.parametrize("is_all", [True, False])
@random
@given(right_rows, right_rows)
def test_set_operations(kind, is_all, one, two):
    left, right = table(RIGHT, one), table(RIGHT, two)
    same(
        SetOp(kind, is_all, (left, right)),
        f"SELECT * FROM l {kind.value} {'ALL' if is_all else ''} SELECT * FROM r",
        l=left,
        r=right,
    )


UNBOUNDED, CURRENT = FrameBound(FrameBoundKind.UNBOUNDED), FrameBound(FrameBoundKind.CURRENT_ROW)


def offset(count: int) -> FrameBound:
    return FrameBound(FrameBoundKind.OFFSET, count)


def bound_sql(bound: FrameBound, is_lower: bool) -> str:
    if bound.kind is FrameBoundKind.UNBOUNDED:
        return "UNBOUNDED PRECEDING" if is_lower else "UNBOUNDED FOLLOWING"
    if bound.kind is FrameBoundKind.CURRENT_ROW:
        return "CURRENT ROW"
    return f"{abs(bound.offset)} {'PRECEDING' if bound.offset < 0 else 'FOLLOWING'}"


FRAMES = [
    OverFrame(False, UNBOUNDED, CURRENT),
    OverFrame(False, UNBOUNDED, UNBOUNDED),
    OverFrame(False, CURRENT, UNBOUNDED),
    OverFrame(False, offset(-1), CURRENT),
    OverFrame(False, offset(-2), offset(1)),
    OverFrame(False, CURRENT, offset(2)),
    OverFrame(False, offset(1), offset(2)),
    OverFrame(True, UNBOUNDED, CURRENT),
    OverFrame(True, offset(-1), offset(1)),
    OverFrame(True, offset(-3), offset(-2)),
    OverFrame(True, offset(1), offset(2)),
    OverFrame(True, CURRENT, UNBOUNDED),
]


def frame_sql(frame: OverFrame) -> str:
    lower, upper = bound_sql(frame.lower, True), bound_sql(frame.upper, False)
    return f"{'ROWS' if frame.is_rows else 'RANGE'} BETWEEN {lower} AND {upper}"


@pytest.mark.parametrize("frame", FRAMES, ids=frame_sql)
@pytest.mark.parametrize("partition", [(), ("s",)])
@few
@given(left_rows)
def test_over_aggregates(frame, partition, one):
    rows = [(k, s, v, d, i) for i, (k, s, v, d, _) in enumerate(one)]
    source = table(LEFT, rows)
    order = "b" if frame.is_rows else "v"
    for direction in (asc, desc):
        wanted = (*calls(source), agg("f", "SUM", col(source, "v"), distinct=True))
        node = Over(source, partition, (direction(order),), frame, wanted)
        partition_sql = f"PARTITION BY {', '.join(partition)}" if partition else ""
        order_sql = f"ORDER BY {order} {'ASC NULLS FIRST' if direction is asc else 'DESC NULLS LAST'}"
        window = f"OVER ({partition_sql} {order_sql} {frame_sql(frame)})"
        columns = ", ".join(f"{sql} {window}" for sql in (*(sql for sql, _, _ in AGGREGATES), "sum(DISTINCT v)"))
        assert rounded(run(node).rows()) == rounded(duck(f"SELECT *, {columns} FROM l", l=source))


@pytest.mark.parametrize("partition", [(), ("s",)])
@random
@given(left_rows)
def test_ranking_functions(partition, one):
    from batch_plans import lit

    rows = [(k, s, v, d, i) for i, (k, s, v, d, _) in enumerate(one)]
    source = table(LEFT, rows)
    frame = OverFrame(True, UNBOUNDED, CURRENT)
    partition_sql = f"PARTITION BY {', '.join(partition)}" if partition else ""
    by_value, by_row = (f"OVER ({partition_sql} ORDER BY {c} NULLS FIRST)" for c in ("v", "b"))
    wanted = (agg("a", "RANK"), agg("c", "DENSE_RANK"), agg("e", "PERCENT_RANK"), agg("f", "CUME_DIST"))
    columns = ", ".join(f"{f}() {by_value}" for f in ("rank", "dense_rank", "percent_rank", "cume_dist"))
    found = run(Over(source, partition, (asc("v"),), frame, wanted)).rows()
    assert rounded(found) == rounded(duck(f"SELECT *, {columns} FROM l", l=source))
    default = lit(-9, BIGINT)
    wanted = (
        agg("a", "ROW_NUMBER"),
        agg("c", "NTILE", lit(3, INT)),
        agg("e", "LAG", col(source, "v")),
        agg("f", "LEAD", col(source, "v"), lit(2, INT), default),
    )
    columns = ", ".join(f"{f} {by_row}" for f in ("row_number()", "ntile(3)", "lag(v)", "lead(v, 2, -9)"))
    found = run(Over(source, partition, (asc("b"),), frame, wanted)).rows()
    assert rounded(found) == rounded(duck(f"SELECT *, {columns} FROM l", l=source))


@pytest.mark.parametrize("kind", list(RankKind))
@random
@given(left_rows)
def test_rank(kind, one):
    rows = [(k, s, v, d, i) for i, (k, s, v, d, _) in enumerate(one)]
    source = table(LEFT, rows)
    order, sql = ((asc("b"),), "b") if kind is RankKind.ROW_NUMBER else ((desc("v"),), "v DESC NULLS LAST")
    node = Rank(source, ("s",), order, kind, 2, 3, "n")
    query = (
        f"SELECT * FROM (SELECT *, {kind.value.lower()}() OVER (PARTITION BY s ORDER BY {sql}) AS n FROM l) WHERE n IN (2, 3)"
    )
    same(node, query, l=source)
