"""How tables, results and jobs show themselves in a notebook cell."""

from __future__ import annotations

import pytest

from tableapi import EnvironmentSettings, TableEnvironment
from tableapi.errors import UnknownNameError


@pytest.fixture
def stream() -> TableEnvironment:
    env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    env.execute_sql("CREATE TABLE numbers (a INT) WITH ('connector' = 'datagen', 'number-of-rows' = '1000')")
    return env


def test_a_definition_and_a_list_show_their_rows(stream: TableEnvironment) -> None:
    assert stream.execute_sql("CREATE DATABASE d")._repr_html_() == "<pre>OK</pre>"
    shown = stream.execute_sql("SHOW TABLES")._repr_html_()
    assert "numbers</td>" in shown
    assert "1 row<" in shown


def test_a_batch_result_shows_its_first_rows_and_keeps_them() -> None:
    env = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
    result = env.execute_sql("SELECT * FROM (VALUES (1, '<a>'), (2, 'b')) AS t (x, y)")
    assert "&lt;a&gt;</td>" in result._repr_html_()
    assert result._repr_html_() == result._repr_html_()
    assert result.to_polars().rows() == [(1, "<a>"), (2, "b")]
    assert "were taken" in result._repr_html_()


def test_a_streaming_result_shows_its_job_and_takes_no_rows(stream: TableEnvironment) -> None:
    result = stream.execute_sql("SELECT COUNT(*) AS c FROM numbers")
    assert f"job {result.get_job_client().get_job_id()}: " in result._repr_html_()
    assert result.to_polars().item() == 1000
    assert "FINISHED, 1,000 rows in" in result._repr_html_()


def test_a_job_says_what_it_has_done(stream: TableEnvironment) -> None:
    stream.execute_sql("CREATE TABLE nothing (a INT) WITH ('connector' = 'blackhole')")
    result = stream.execute_sql("INSERT INTO nothing SELECT a FROM numbers")
    result.wait()
    job = result.get_job_client()
    assert repr(job) == f"job {job.get_job_id()}: FINISHED, 1,000 rows in, 1,000 rows out"
    assert repr(job) in result._repr_html_()


def test_a_stream_that_comes_row_by_row_shows_what_is_there(stream: TableEnvironment) -> None:
    assert "first 10 rows" in stream.sql_query("SELECT a + 1 FROM numbers WHERE a IS NOT NULL")._repr_html_()


@pytest.mark.parametrize("query", ["SELECT COUNT(*) FROM numbers", "SELECT a FROM endless"])
def test_a_stream_that_would_need_a_job_shows_its_columns(stream: TableEnvironment, query: str) -> None:
    stream.execute_sql("CREATE TABLE endless (a INT) WITH ('connector' = 'datagen')")
    assert "rows are computed by execute()" in stream.sql_query(query)._repr_html_()


def test_frames_that_only_place_an_error_are_hidden(stream: TableEnvironment) -> None:
    with pytest.raises(UnknownNameError) as raised:
        stream.sql_query("SELECT nme FROM numbers")
    frame = raised.value.__traceback__.tb_next.tb_frame
    assert frame.f_locals["__tracebackhide__"]
