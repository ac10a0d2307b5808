"""Views: their query with full names, and what they mean when their tables change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tableapi import EnvironmentSettings, TableEnvironment
from tableapi.errors import SqlParseError, TableApiError, UnknownNameError, ValidationError
from tableapi.sql import statements as st
from tests.sql.helpers import catalog

TABLES = (
    "CREATE TABLE b (a INT, c STRING, ts TIMESTAMP(3), r ROW<x INT, y STRING>, ar ARRAY<INT>) WITH ('connector' = 'blackhole')",
    "CREATE TABLE b2 (a INT, d STRING) WITH ('connector' = 'blackhole')",
)
B, B2 = (f"`default_catalog`.`default_database`.`{name}` AS `{name}`" for name in ("b", "b2"))


@pytest.fixture
def env() -> TableEnvironment:
    made = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
    for text in TABLES:
        made.execute_sql(text)
    return made


def rows(env: TableEnvironment, text: str) -> list[tuple[Any, ...]]:
    with env.execute_sql(text).collect() as found:
        return [tuple(row) for row in found]


def shown(env: TableEnvironment, name: str) -> str:
    return str(rows(env, f"SHOW CREATE VIEW {name}")[0][0]).split("\nAS ", 1)[1].rstrip("\n")


RECORDED = {
    "SELECT * FROM b": f"SELECT `b`.`a`, `b`.`c`, `b`.`ts`, `b`.`r`, `b`.`ar`\nFROM {B}",
    "TABLE b2": f"SELECT `b2`.`a`, `b2`.`d`\nFROM {B2}",
    "SELECT x.a, x.c AS cc FROM b AS x WHERE x.a > 1 AND c LIKE 'a%' OR NOT (a = 3)": (
        "SELECT `x`.`a`, `x`.`c` AS `cc`\nFROM `default_catalog`.`default_database`.`b` AS `x`\n"
        "WHERE `x`.`a` > 1 AND `x`.`c` LIKE 'a%' OR NOT `x`.`a` = 3"
    ),
    "SELECT b.a, d FROM b JOIN b2 ON b.a = b2.a": (
        f"SELECT `b`.`a`, `b2`.`d`\nFROM {B}\nINNER JOIN {B2} ON `b`.`a` = `b2`.`a`"
    ),
    "SELECT b.a, d FROM b LEFT JOIN b2 USING (a)": f"SELECT `b`.`a`, `b2`.`d`\nFROM {B}\nLEFT JOIN {B2} USING (`a`)",
    "SELECT b.r.x, r.y AS yy FROM b": f"SELECT `b`.`r`.`x`, `b`.`r`.`y` AS `yy`\nFROM {B}",
    "SELECT c, COUNT(*) AS n, SUM(a) FILTER (WHERE a > 1), COUNT(DISTINCT a) FROM b GROUP BY c HAVING COUNT(*) > 1": (
        "SELECT `b`.`c`, COUNT(*) AS `n`, SUM(`b`.`a`) FILTER (WHERE `b`.`a` > 1), COUNT(DISTINCT `b`.`a`)\n"
        f"FROM {B}\nGROUP BY `b`.`c`\nHAVING COUNT(*) > 1"
    ),
    "SELECT CASE WHEN a > 1 THEN 'x' ELSE 'y' END, CAST(a AS BIGINT), TRY_CAST(c AS INT), a IS NULL, a BETWEEN 1 AND 2, "
    "a IN (1, 2), c NOT LIKE 'b' FROM b": (
        "SELECT CASE WHEN `b`.`a` > 1 THEN 'x' ELSE 'y' END, CAST(`b`.`a` AS BIGINT), TRY_CAST(`b`.`c` AS INTEGER), "
        f"`b`.`a` IS NULL, `b`.`a` BETWEEN ASYMMETRIC 1 AND 2, `b`.`a` IN (1, 2), `b`.`c` NOT LIKE 'b'\nFROM {B}"
    ),
    "SELECT -a, a + 1 * 2, (a + 1) * 2, a - (1 - 2), c || 'x' FROM b": (
        f"SELECT - `b`.`a`, `b`.`a` + 1 * 2, (`b`.`a` + 1) * 2, `b`.`a` - (1 - 2), `b`.`c` || 'x'\nFROM {B}"
    ),
    "SELECT SUBSTRING(c FROM 1 FOR 2), TRIM(c), EXTRACT(DAY FROM ts), FLOOR(ts TO HOUR), POSITION('a' IN c) FROM b": (
        "SELECT SUBSTRING(`b`.`c`, 1, 2), TRIM(BOTH ' ' FROM `b`.`c`), EXTRACT(DAY FROM `b`.`ts`), "
        f"FLOOR(`b`.`ts` TO HOUR), POSITION('a' IN `b`.`c`)\nFROM {B}"
    ),
    "SELECT a FROM b WHERE a IN (SELECT a FROM b2)": (
        f"SELECT `b`.`a`\nFROM {B}\nWHERE `b`.`a` IN (SELECT `b2`.`a`\nFROM {B2})"
    ),
    "SELECT a FROM b WHERE EXISTS (SELECT 1 FROM b2 WHERE b2.a = b.a)": (
        f"SELECT `b`.`a`\nFROM {B}\nWHERE EXISTS (SELECT 1\nFROM {B2}\nWHERE `b2`.`a` = `b`.`a`)"
    ),
    "SELECT ar[1], CARDINALITY(ar), ARRAY[1, 2], MAP['a', 1], ROW(1, 'a') FROM b": (
        f"SELECT `b`.`ar`[1], CARDINALITY(`b`.`ar`), ARRAY[1, 2], MAP['a', 1], ROW(1, 'a')\nFROM {B}"
    ),
    "SELECT a, SUM(a) OVER (PARTITION BY c ORDER BY ts ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS s FROM b": (
        "SELECT `b`.`a`, SUM(`b`.`a`) OVER (PARTITION BY `b`.`c` ORDER BY `b`.`ts` ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) "
        f"AS `s`\nFROM {B}"
    ),
    "SELECT a FROM b ORDER BY a DESC LIMIT 3": f"SELECT `b`.`a`\nFROM {B}\nORDER BY `a` DESC\nFETCH NEXT 3 ROWS ONLY",
    "SELECT a FROM b ORDER BY c OFFSET 1 ROWS FETCH NEXT 2 ROWS ONLY": (
        f"SELECT `b`.`a`\nFROM {B}\nORDER BY `b`.`c`\nOFFSET 1 ROWS\nFETCH NEXT 2 ROWS ONLY"
    ),
    "SELECT a FROM b UNION ALL SELECT a FROM b2 ORDER BY a LIMIT 3": (
        f"SELECT `EXPR$0`.`a`\nFROM (SELECT `b`.`a`\nFROM {B}\nUNION ALL\nSELECT `b2`.`a`\nFROM {B2}) AS `EXPR$0`\n"
        "ORDER BY `a`\nFETCH NEXT 3 ROWS ONLY"
    ),
    "SELECT * FROM (SELECT a AS z FROM b)": f"SELECT `EXPR$0`.`z`\nFROM (SELECT `b`.`a` AS `z`\nFROM {B}) AS `EXPR$0`",
    "SELECT t.v FROM b CROSS JOIN UNNEST(ar) AS t(v)": f"SELECT `t`.`v`\nFROM {B}\nCROSS JOIN UNNEST(`b`.`ar`) AS `t` (`v`)",
    "WITH q AS (SELECT a FROM b), p (z) AS (SELECT a FROM q) SELECT * FROM p": (
        f"WITH `q` AS (SELECT `b`.`a`\nFROM {B}), `p` (`z`) AS (SELECT `q`.`a`\nFROM `q` AS `q`) SELECT `p`.`z`\nFROM `p` AS `p`"
    ),
    "SELECT c, a, COUNT(*) FROM b GROUP BY GROUPING SETS ((c), (a), ())": (
        f"SELECT `b`.`c`, `b`.`a`, COUNT(*)\nFROM {B}\nGROUP BY GROUPING SETS(`b`.`c`, `b`.`a`, ())"
    ),
    "VALUES (1, 'a'), (2, 'b')": "VALUES ROW(1, 'a'),\nROW(2, 'b')",
    "SELECT a FROM b /*+ OPTIONS('k'='v') */": (
        "SELECT `b`.`a`\nFROM `default_catalog`.`default_database`.`b`\n/*+ `OPTIONS`('k' = 'v') */"
    ),
    "SELECT `a` AS `select`, c AS `we``ird` FROM b": f"SELECT `b`.`a` AS `select`, `b`.`c` AS `we``ird`\nFROM {B}",
    "SELECT a AS z FROM b GROUP BY a ORDER BY z": f"SELECT `b`.`a` AS `z`\nFROM {B}\nGROUP BY `b`.`a`\nORDER BY `z`",
    "SELECT a FROM b WHERE c SIMILAR TO 'x' AND a IS DISTINCT FROM 2 AND ts > TIMESTAMP '2020-01-01 00:00:00' - INTERVAL '1' HOUR": (
        f"SELECT `b`.`a`\nFROM {B}\nWHERE `b`.`c` SIMILAR TO 'x' AND `b`.`a` IS DISTINCT FROM 2 "
        "AND `b`.`ts` > TIMESTAMP '2020-01-01 00:00:00' - INTERVAL '1' HOUR"
    ),
}


@pytest.mark.parametrize("query", RECORDED)
def test_the_text_with_full_names_is_flinks(env: TableEnvironment, query: str) -> None:
    env.execute_sql(f"CREATE VIEW v AS {query}")
    assert shown(env, "v") == RECORDED[query]


NOT_AGAIN = {"SELECT *, id FROM nest", "SELECT id, * FROM nest", "SELECT CURRENT_DATE()", "SELECT CURRENT_TIMESTAMP()"}
"""Two columns of one name, and a column whose name comes from how it was written."""


def test_the_text_with_full_names_means_the_same() -> None:
    """Goal: whatever the queries of the fixtures hold, the printed text makes the same view again."""
    fixtures = Path(__file__).parent / "fixtures"
    recorded = json.loads((fixtures / "recorded_validation.json").read_text())
    made, printed = catalog(), 0
    for query in (*(fixtures / "queries.sql").read_text().split(";\n"), *(c["query"] for c in recorded["cases"])):
        try:
            first = made.parse(f"CREATE VIEW v AS {query}")
        except TableApiError:
            continue
        if query in NOT_AGAIN or not isinstance(first, st.CreateView):
            continue
        assert first.view.query is not None
        text = first.view.query.expanded
        again = made.parse(f"CREATE VIEW v AS {text}")
        assert isinstance(again, st.CreateView)
        assert again.view.relation.node.schema == first.view.relation.node.schema, text
        assert again.view.query is not None
        assert again.view.query.expanded == text
        printed += text != query
    assert printed > 180


def test_star_columns_of_one_name_are_told_apart(env: TableEnvironment) -> None:
    env.execute_sql("CREATE VIEW v AS SELECT * FROM b2, b2 AS x")
    assert [r[0] for r in rows(env, "DESCRIBE v")] == ["a", "d", "a0", "d0"]
    with pytest.raises(ValidationError, match="stands twice"):
        env.execute_sql("CREATE VIEW w AS SELECT a, a FROM b2")


@pytest.fixture
def files(tmp_path: Path) -> str:
    (tmp_path / "f.json").write_text('{"a": 1, "b": "x"}\n{"a": 2, "b": "y"}\n')
    return f"WITH ('connector' = 'filesystem', 'path' = '{tmp_path}', 'format' = 'json')"


def test_a_view_reads_its_tables_as_they_are_now(env: TableEnvironment, files: str) -> None:
    """Flink: the same, also that new columns of a table are not the view's."""
    env.execute_sql(f"CREATE TABLE f (a INT, b STRING) {files}")
    env.execute_sql("CREATE VIEW v AS SELECT * FROM f")
    env.execute_sql("CREATE VIEW w (z) AS SELECT a + 1 FROM v")
    env.execute_sql("ALTER TABLE f ADD c INT FIRST")
    assert rows(env, "SELECT * FROM v") == [(1, "x"), (2, "y")]
    assert env.from_path("w").to_polars().rows() == [(2,), (3,)]
    env.execute_sql("ALTER TABLE f DROP b")
    with pytest.raises(UnknownNameError, match=r"view 'default_catalog.default_database.v' cannot be read: column 'b'"):
        rows(env, "SELECT a FROM v")
    env.execute_sql("DROP TABLE f")
    with pytest.raises(UnknownNameError, match=r"view .*w' cannot be read: view .*v' cannot be read: table 'f'"):
        rows(env, "SELECT * FROM w")
    assert [r[0] for r in rows(env, "DESCRIBE v")] == ["a", "b"]
    env.execute_sql(f"CREATE TABLE f (b STRING, a BIGINT) {files}")
    assert rows(env, "SELECT * FROM v") == [(1, "x"), (2, "y")]


def test_short_names_mean_what_they_meant_where_the_view_was_made(env: TableEnvironment, files: str) -> None:
    env.execute_sql(f"CREATE TABLE f (a INT, b STRING) {files}")
    env.execute_sql("CREATE VIEW v AS SELECT b FROM f")
    env.execute_sql("CREATE DATABASE d")
    env.execute_sql("USE d")
    env.execute_sql("CREATE TABLE f (b INT) WITH ('connector' = 'blackhole')")
    assert rows(env, "SELECT * FROM default_database.v") == [("x",), ("y",)]


def test_views_that_refer_to_themselves(env: TableEnvironment, files: str) -> None:
    env.execute_sql(f"CREATE TABLE f (a INT, b STRING) {files}")
    env.execute_sql("CREATE TEMPORARY VIEW f AS SELECT a FROM f WHERE a > 1")
    assert rows(env, "SELECT * FROM f") == [(2,)]
    env.execute_sql("CREATE VIEW v AS SELECT a FROM f")
    env.execute_sql("CREATE VIEW w AS SELECT a FROM v")
    env.execute_sql("ALTER VIEW v AS SELECT a FROM w")
    with pytest.raises(ValidationError, match="refers to itself"):
        rows(env, "SELECT * FROM v")


def test_replaced_views(env: TableEnvironment) -> None:
    env.execute_sql("CREATE VIEW v AS SELECT 1 AS x")
    env.execute_sql("CREATE VIEW w AS SELECT * FROM v")
    env.execute_sql("ALTER VIEW v AS SELECT 'b' AS y, 2 AS x")
    assert rows(env, "SELECT * FROM w") == [(2,)]
    assert shown(env, "v") == "SELECT 'b' AS `y`, 2 AS `x`"
    with pytest.raises(SqlParseError, match="REPLACE TABLE needs AS"):
        env.execute_sql("REPLACE TABLE b (a INT) WITH ('connector' = 'blackhole')")
