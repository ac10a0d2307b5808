"""Bounded jobs read and compute no more than they need: partitions, shared results, what a notebook shows."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tableapi import EnvironmentSettings, ExplainDetail, TableEnvironment
from tableapi.connectors import datagen


@pytest.fixture
def env() -> TableEnvironment:
    return TableEnvironment.create(EnvironmentSettings.in_batch_mode())


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows that each call of a datagen reader handed over."""
    counted: list[int] = []
    original = datagen.DatagenReader.read

    def read(self: datagen.DatagenReader, max_rows: int):
        result = original(self, max_rows)
        counted.append(0 if result.frame is None else result.frame.height)
        return result

    monkeypatch.setattr(datagen.DatagenReader, "read", read)
    return counted


TEN_MILLION = "CREATE TABLE t (id BIGINT, v BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '10000000')"


@pytest.mark.parametrize("query", ["SELECT * FROM t", "SELECT id + 1 AS n FROM t WHERE v IS NOT NULL"])
def test_a_notebook_shows_the_first_of_ten_million_rows_without_reading_the_rest(
    env: TableEnvironment, rows_read: list[int], query: str
) -> None:
    env.execute_sql(TEN_MILLION)
    shown = env.sql_query(query)._repr_html_()
    assert "first 10 rows" in shown
    assert 10 <= sum(rows_read) <= 1_000_000


def test_a_plain_preview_reads_just_what_it_shows(env: TableEnvironment, rows_read: list[int]) -> None:
    env.execute_sql(TEN_MILLION)
    env.sql_query("SELECT v, id FROM t")._repr_html_()
    assert sum(rows_read) == 10


@pytest.mark.parametrize("format_name", ["parquet", "csv", "json"])
def test_files_of_other_partitions_are_not_opened(env: TableEnvironment, tmp_path: Path, format_name: str) -> None:
    env.execute_sql(
        f"CREATE TABLE p (x INT, d STRING, h INT) PARTITIONED BY (d, h) "
        f"WITH ('connector' = 'filesystem', 'path' = '{tmp_path}', 'format' = '{format_name}')"
    )
    rows = "(1, 'a', 1), (2, 'a', 2), (3, 'b', 1), (4, CAST(NULL AS STRING), 3)"
    env.execute_sql(f"INSERT INTO p VALUES {rows}").wait()
    (tmp_path / "d=b" / "h=1" / f"broken.{format_name}").write_text("{nonsense")
    assert env.sql_query("SELECT x FROM p WHERE UPPER(d) = 'A' AND x > 1").to_polars()["x"].to_list() == [2]
    assert env.sql_query("SELECT x, h FROM p WHERE d IS NULL").to_polars().rows() == [(4, 3)]
    assert env.sql_query("SELECT x FROM p WHERE h + 1 = 3").to_polars()["x"].to_list() == [2]
    assert env.sql_query("SELECT x FROM p WHERE d = 'nothing'").to_polars().height == 0


def test_what_several_statements_share_is_computed_once(env: TableEnvironment, rows_read: list[int], tmp_path: Path) -> None:
    env.execute_sql("CREATE TABLE t (k BIGINT, v BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '1000')")
    for name, columns in (("totals", "k BIGINT, s BIGINT"), ("largest", "m BIGINT")):
        options = f"'connector' = 'filesystem', 'path' = '{tmp_path / name}', 'format' = 'parquet'"
        env.execute_sql(f"CREATE TABLE {name} ({columns}) WITH ({options})")
    env.execute_sql("CREATE VIEW sums AS SELECT k, SUM(v) AS s FROM t GROUP BY k")
    together = env.create_statement_set()
    together.add_insert_sql("INSERT INTO totals SELECT k, s FROM sums")
    together.add_insert_sql("INSERT INTO largest SELECT MAX(s) FROM sums")
    assert together.explain().count("Aggregate(by=[k], SUM") == 3, "twice in the logical plan, once in the optimised one"
    together.execute().wait()
    assert sum(rows_read) == 1000
    assert env.from_path("largest").to_polars()["m"][0] == env.from_path("totals").to_polars()["s"].max()


def test_what_one_query_reads_twice_is_computed_once(env: TableEnvironment, rows_read: list[int]) -> None:
    env.execute_sql("CREATE TABLE t (k BIGINT, v BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '1000')")
    query = "WITH s AS (SELECT k, MAX(v) AS m FROM t GROUP BY k) SELECT k FROM s WHERE m = (SELECT MAX(m) FROM s)"
    assert env.sql_query(query).to_polars().height == 1
    assert sum(rows_read) == 1000


def test_explain_estimates_from_what_files_say(env: TableEnvironment, tmp_path: Path) -> None:
    pl.DataFrame({"id": range(1000), "v": range(1000)}).write_parquet(tmp_path / "t.parquet")
    options = f"'connector' = 'filesystem', 'path' = '{tmp_path}', 'format' = 'parquet'"
    env.execute_sql(f"CREATE TABLE t (id BIGINT, v BIGINT) WITH ({options})")
    text = env.explain_sql("SELECT id FROM t WHERE v < 250", ExplainDetail.ESTIMATED_COST)
    assert "Scan(t, columns=[id], filter=[(v < 250)])  rows=250, cost=250" in text
