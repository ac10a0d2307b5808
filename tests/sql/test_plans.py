"""Queries to plans, as text; and errors of meaning with their place."""

from __future__ import annotations

from textwrap import dedent

import pytest

from tableapi.errors import TableApiError, TypeMismatchError, UnknownNameError, ValidationError
from tableapi.plan.builder import Builder
from tableapi.plan.explain import plan_text
from tableapi.plan.rules import optimize
from tests.sql.helpers import MemoryCatalog, catalog

ORDERS = "Watermark(ts AS (ts - INTERVAL 0:00:05))\n  Scan(orders)"


@pytest.fixture
def made() -> MemoryCatalog:
    return catalog()


def below(text: str, depth: int) -> str:
    return "\n".join("  " * depth + line for line in text.splitlines())


def test_select_where(made: MemoryCatalog) -> None:
    assert made.plan("SELECT oid AS a, o.qty + 1 FROM orders AS o WHERE o.qty > 3") == (
        "Project(oid AS a, (qty + 1) AS EXPR$1)\n  Filter((qty > 3))\n" + below(ORDERS, 2)
    )


def test_group_having_order_limit(made: MemoryCatalog) -> None:
    query = "SELECT cust, COUNT(*) AS n FROM orders GROUP BY cust HAVING COUNT(*) > 1 ORDER BY n DESC, cust LIMIT 3"
    assert made.plan(query) == dedent(
        """\
        Limit(fetch=3)
          Sort(n DESC, cust ASC)
            Project(cust, $agg0 AS n)
              Filter(($agg0 > 1))
                Aggregate(by=[cust], COUNT(*) AS $agg0)
                  Project(cust)
        """
    ) + below(ORDERS, 6)


@pytest.mark.parametrize(
    ("group", "sets"),
    [
        ("GROUPING SETS ((cust, item), cust, ())", "[(cust, item), (cust), ()]"),
        ("ROLLUP (cust, item)", "[(cust, item), (cust), ()]"),
        ("CUBE (cust, item)", "[(cust, item), (cust), (item), ()]"),
        ("cust, ROLLUP (item)", "[(cust, item), (cust)]"),
        ("GROUPING SETS (ROLLUP (cust, item), cust)", "[(cust, item), (cust), (), (cust)]"),
        ("ROLLUP (cust), ROLLUP (item)", "[(cust, item), (cust), (item), ()]"),
    ],
)
def test_grouping_sets(made: MemoryCatalog, group: str, sets: str) -> None:
    assert f"Aggregate(by=[cust, item], sets={sets}" in made.plan(f"SELECT cust, item, COUNT(*) FROM orders GROUP BY {group}")


def test_equal_queries_give_equal_plans(made: MemoryCatalog) -> None:
    for left, right in [
        (
            "SELECT oid FROM orders ORDER BY oid LIMIT 2 OFFSET 1",
            "SELECT oid FROM orders ORDER BY 1 OFFSET 1 ROWS FETCH NEXT 2 ROWS ONLY",
        ),
        ("SELECT COUNT(*) FROM orders", "SELECT COUNT(*) FROM orders GROUP BY ()"),
        ("SELECT * FROM orders o, customers c WHERE TRUE", "SELECT * FROM orders o CROSS JOIN customers c WHERE TRUE"),
        (
            "SELECT cust FROM orders WHERE cust IN (SELECT cust FROM customers)",
            "SELECT cust FROM orders WHERE cust = ANY (SELECT cust FROM customers)",
        ),
        ("WITH x AS (SELECT oid FROM orders) SELECT oid FROM x", "SELECT oid FROM (SELECT oid FROM orders) AS x"),
        (
            "SELECT SUM(qty) OVER (PARTITION BY cust ORDER BY ts) FROM orders",
            "SELECT SUM(qty) OVER (w ORDER BY ts) FROM orders WINDOW w AS (PARTITION BY cust)",
        ),
        (
            "SELECT * FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '1' MINUTE))",
            "SELECT * FROM TABLE(TUMBLE(TIMECOL => DESCRIPTOR(ts), SIZE => INTERVAL '60' SECOND, DATA => TABLE orders))",
        ),
        ("SELECT nest.info.* FROM nest", "SELECT nest.info.a, nest.info.b FROM nest"),
    ]:
        assert made.plan(left) == made.plan(right)


@pytest.mark.parametrize(
    ("call", "window"),
    [
        ("TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '1' MINUTE)", "TUMBLE(ts, size=1 min)"),
        (
            "TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '1' MINUTE, INTERVAL '-10' SECOND)",
            "TUMBLE(ts, size=1 min, offset=-10 s)",
        ),
        ("HOP(TABLE orders, DESCRIPTOR(ts), INTERVAL '30' SECOND, INTERVAL '1' MINUTE)", "HOP(ts, size=1 min, step=30 s)"),
        (
            "CUMULATE(TABLE orders, DESCRIPTOR(ts), INTERVAL '20' SECOND, INTERVAL '1' MINUTE)",
            "CUMULATE(ts, size=1 min, step=20 s)",
        ),
        (
            "SESSION(TABLE orders PARTITION BY cust, item, DESCRIPTOR(ts), INTERVAL '9' SECOND)",
            "SESSION(ts, gap=9 s, partition=[cust, item])",
        ),
    ],
)
def test_window_functions(made: MemoryCatalog, call: str, window: str) -> None:
    assert made.plan(f"SELECT * FROM TABLE({call})") == f"WindowTable({window})\n" + below(ORDERS, 1)


def test_group_windows(made: MemoryCatalog) -> None:
    plan = made.plan(
        "SELECT usr, SESSION_START(ts, INTERVAL '9' SECOND) AS s FROM act GROUP BY usr, SESSION(ts, INTERVAL '9' SECOND)"
    )
    assert plan.splitlines()[0] == "Project(usr, window_start AS s)"
    assert "WindowTable(SESSION(ts, gap=9 s, partition=[usr]))" in plan
    with pytest.raises(ValidationError, match="TUMBLE_END needs the same window in GROUP BY"):
        made.plan("SELECT TUMBLE_END(ts, INTERVAL '1' HOUR) FROM act GROUP BY usr")


def test_joins(made: MemoryCatalog) -> None:
    plan = made.plan("SELECT o.oid, region FROM orders o LEFT JOIN customers c ON o.cust = c.cust AND c.region <> 'x'")
    assert "Join(LEFT, ((cust = cust0) AND (region <> 'x')))" in plan
    using = made.plan("SELECT * FROM orders JOIN customers USING (cust)")
    assert using.splitlines()[0] == "Project(cust, oid, item, qty, price, ts, region)"
    assert made.plan("SELECT * FROM orders NATURAL JOIN customers") == using
    temporal = made.plan("SELECT pid, rate FROM pay p JOIN rates FOR SYSTEM_TIME AS OF p.ts AS r ON p.cur = r.cur")
    assert "TemporalJoin(INNER, cur = cur0, ts AS OF ts0)" in temporal


def test_unnest(made: MemoryCatalog) -> None:
    assert made.plan("SELECT id, t FROM nest CROSS JOIN UNNEST(tags) AS u(t)").splitlines()[1] == "  Unnest(tags AS (t))"
    assert made.plan("SELECT id, k, v FROM nest LEFT JOIN UNNEST(attrs) AS u(k, v) ON TRUE").splitlines()[1] == (
        "  Unnest(LEFT, attrs AS (k, v))"
    )


def test_lateral_query_becomes_a_join(made: MemoryCatalog) -> None:
    plan = made.plan("SELECT c.region, t.oid FROM customers c, LATERAL (SELECT oid FROM orders o WHERE o.cust = c.cust) AS t")
    assert "Join(INNER, (cust0 = cust))" in plan
    counted = made.plan(
        "SELECT c.region, t.n FROM customers c CROSS JOIN LATERAL (SELECT COUNT(*) AS n FROM orders o WHERE o.cust = c.cust) AS t"
    )
    assert "Join(LEFT" in counted
    assert "COALESCE" in counted


@pytest.mark.parametrize(
    "query",
    [
        "SELECT oid, y FROM orders, LATERAL (SELECT oid * 2 AS y) AS t",
        "SELECT oid, (SELECT MAX(x.qty) + o.oid FROM orders x WHERE x.cust = o.cust) FROM orders o",
        "SELECT oid, (SELECT x.qty + o.oid FROM orders x WHERE x.cust = o.cust) FROM orders o",
        "SELECT oid FROM orders o WHERE oid IN (SELECT x.qty + o.oid FROM orders x)",
    ],
)
def test_outer_columns_in_the_list_of_a_correlated_query_become_joins(made: MemoryCatalog, query: str) -> None:
    plan = plan_text(optimize(Builder(made.context).collect(made.parse(query).relation), is_streaming=False))
    assert "Join(" in plan
    assert "Correlate" not in plan


def test_exists_may_select_outer_columns(made: MemoryCatalog) -> None:
    query = "SELECT oid FROM orders o WHERE EXISTS (SELECT oid + 1 FROM customers c WHERE c.cust = o.cust)"
    assert "SEMI" in plan_text(optimize(Builder(made.context).collect(made.parse(query).relation), is_streaming=False)).upper()


def test_qualify(made: MemoryCatalog) -> None:
    plan = made.plan("SELECT oid FROM orders QUALIFY ROW_NUMBER() OVER (PARTITION BY cust ORDER BY ts) = 1 ORDER BY oid")
    assert plan.splitlines()[:4] == [
        "Sort(oid ASC)",
        "  Project(oid)",
        "    Filter(($qualify0 = 1))",
        "      Project(oid, $over0 AS $qualify0)",
    ]


def test_qualify_comes_before_distinct(made: MemoryCatalog) -> None:
    plan = made.plan("SELECT DISTINCT cust FROM orders QUALIFY ROW_NUMBER() OVER (PARTITION BY item ORDER BY ts) = 1")
    assert plan.splitlines()[:3] == ["Aggregate(by=[cust])", "  Project(cust)", "    Filter(($qualify0 = 1))"]


def test_set_operations_of_one_kind_are_flat(made: MemoryCatalog) -> None:
    plan = made.plan("SELECT oid FROM orders UNION ALL SELECT qty FROM orders UNION ALL SELECT 1")
    assert plan.splitlines()[0].startswith("SetOp(UNION ALL") or plan.splitlines()[0].startswith("Union")
    assert plan.count("Scan(orders)") == 2
    assert sum(line.startswith("  ") and not line.startswith("   ") for line in plan.splitlines()) == 3


def test_hints(made: MemoryCatalog) -> None:
    assert made.plan("SELECT /*+ BROADCAST(c) */ c.cust FROM customers c") == made.plan("SELECT c.cust FROM customers c")
    made.parse("SELECT * FROM customers /*+ OPTIONS('a' = 'b') */")


@pytest.mark.parametrize(
    ("query", "kind", "message", "column"),
    [
        ("SELECT nope FROM orders", UnknownNameError, "column 'nope' does not exist", 8),
        ("SELECT o.oid FROM orders", UnknownNameError, "column 'o.oid' does not exist", 8),
        ("SELECT * FROM ordrs", UnknownNameError, "table 'ordrs' does not exist", 15),
        ("SELECT NOPE(oid) FROM orders", UnknownNameError, "function 'NOPE' does not exist", 8),
        ("SELECT cust FROM orders, customers", ValidationError, "'cust' is ambiguous", 8),
        ("SELECT oid, COUNT(*) FROM orders", ValidationError, "neither grouped by", 8),
        ("SELECT COUNT(*) FROM orders WHERE COUNT(*) > 1", ValidationError, "COUNT cannot stand here", 35),
        ("SELECT oid FROM orders WHERE oid", TypeMismatchError, "WHERE needs a BOOLEAN", 30),
        ("SELECT cust + 1 FROM orders", TypeMismatchError, "", 8),
        ("SELECT oid FROM orders UNION ALL SELECT oid, cust FROM orders", ValidationError, "columns", 1),
        ("SELECT oid FROM orders ORDER BY 5", ValidationError, "position 5", 33),
        ("SELECT x.* FROM orders", UnknownNameError, "table 'x' is not in this query", 8),
        ("SELECT oid.* FROM orders", ValidationError, "takes a table alias or a ROW", 8),
        ("SELECT *", ValidationError, "needs a FROM clause", 8),
        ("SELECT SUM(qty) OVER w FROM orders", UnknownNameError, "window 'w' does not exist", 22),
        ("SELECT * FROM orders o, customers o", ValidationError, "two tables are called 'o'", 25),
        ("SELECT * FROM (VALUES (1, 2)) AS t(a)", ValidationError, "1 column names are given for 2 columns", 15),
        ("SELECT * FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(nope), INTERVAL '1' DAY))", UnknownNameError, "'nope'", 42),
        (
            "SELECT * FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(oid), INTERVAL '1' DAY))",
            TypeMismatchError,
            "time attribute",
            42,
        ),
        ("SELECT * FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts)))", ValidationError, "TUMBLE needs SIZE", 15),
        ("SELECT * FROM TABLE(TUMBEL(TABLE orders))", UnknownNameError, "table function 'TUMBEL'", 15),
        ("SELECT * FROM orders, LATERAL TABLE(f(oid)) AS t(x)", UnknownNameError, "table function 'f'", 23),
        ("SELECT * FROM orders WHERE oid IN (SELECT cust, region FROM customers)", ValidationError, "IN compares 1 values", 28),
        ("VALUES (1, 2), (3)", ValidationError, "rows of 2 and of 1 columns", 1),
        ("SELECT COUNT(*) FILTER (WHERE NULL) FROM orders", ValidationError, "NULL has no type", 31),
        (
            "SELECT SUM(oid) OVER (ORDER BY ts ROWS BETWEEN -1 PRECEDING AND CURRENT ROW) FROM orders",
            ValidationError,
            "not negative",
            48,
        ),
        (
            "SELECT SUM(oid) OVER (ORDER BY ts ROWS BETWEEN 1.5 PRECEDING AND CURRENT ROW) FROM orders",
            ValidationError,
            "whole number",
            48,
        ),
        (
            "SELECT * FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '1' DAY, INTERVAL '-25' HOUR))",
            ValidationError,
            "offset of a TUMBLE window",
            42,
        ),
    ],
)
def test_errors_of_meaning_have_a_place(
    made: MemoryCatalog, query: str, kind: type[TableApiError], message: str, column: int
) -> None:
    with pytest.raises(kind) as caught:
        made.plan(query)
    assert message in caught.value.what
    assert caught.value.where is not None
    assert (caught.value.where.line, caught.value.where.column) == (1, column)


def test_suggestions(made: MemoryCatalog) -> None:
    with pytest.raises(UnknownNameError) as caught:
        made.plan("SELECT regon FROM customers")
    assert caught.value.fix == "did you mean 'region'?"
    with pytest.raises(UnknownNameError) as caught:
        made.plan("SELECT * FROM custmers")
    assert caught.value.fix == "did you mean 'customers'?"
