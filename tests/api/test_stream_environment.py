"""`StreamTableEnvironment`: tables as streams of rows and back."""

from __future__ import annotations

import pytest

from tableapi import ChangelogMode, DataTypes, EnvironmentSettings, Row, RowKind, Schema, StreamTableEnvironment
from tableapi.errors import TypeMismatchError, UnsupportedError, ValidationError
from tableapi.expressions import col

ADD, UB, UA, DEL = RowKind


@pytest.fixture
def env():
    env = StreamTableEnvironment.create(environment_settings=EnvironmentSettings.in_streaming_mode())
    env.get_config().set("parallelism.default", "1").set("pipeline.max-batch-rows", "1")
    return env


def totals(env):
    return env.from_data_stream([("a", 1), ("a", 2)], "k", "v").group_by(col("k")).select(col("k"), col("v").sum.alias("s"))


def test_create():
    assert StreamTableEnvironment.create().from_data_stream([(1,)], "a").to_polars().rows() == [(1,)]
    batch = StreamTableEnvironment.create(environment_settings=EnvironmentSettings.in_batch_mode())
    assert batch.from_data_stream([(1,)], "a").to_polars().rows() == [(1,)]
    with pytest.raises(UnsupportedError, match="there is no DataStream API here"):
        StreamTableEnvironment.create(object())


def test_tables_of_rows(env):
    schema = Schema.new_builder().column("a", DataTypes.SMALLINT()).column("b", "STRING").build()
    table = env.from_data_stream([(1, "x")], schema)
    assert [str(t) for t in table.get_schema().get_field_data_types()] == ["SMALLINT", "STRING"]
    selected = env.from_data_stream([(1, "x")], col("_2").alias("b"), (col("_1") + 1).alias("a"))
    assert selected.to_polars().rows() == [("x", 2)]
    again = env.from_data_stream(env.to_data_stream(table), "c", "d")
    assert (again.to_polars().columns, again.to_polars().rows()) == (["c", "d"], [(1, "x")])
    wide = env.from_data_stream(
        env.to_data_stream(table), Schema.new_builder().column("n", "BIGINT").column("t", "STRING").build()
    )
    assert [str(t) for t in wide.get_schema().get_field_data_types()] == ["BIGINT", "STRING"]
    env.create_temporary_view("v", env.to_data_stream(table), "e", "f")
    assert env.sql_query("SELECT f, e FROM v").to_polars().rows() == [("x", 1)]
    with pytest.raises(TypeMismatchError, match="int is no stream of rows"):
        env.from_data_stream(7)
    timed = Schema.new_builder().column("a", "TIMESTAMP(3)").watermark("a", "a - INTERVAL '1' SECOND").build()
    with pytest.raises(UnsupportedError, match="physical columns only"):
        env.from_data_stream([], timed)


def test_a_growing_table_as_rows(env):
    table = env.from_data_stream([(1, "x"), (2, "y")], "a", "b")
    for stream in (env.to_data_stream(table), env.to_append_stream(table, None)):
        assert list(stream) == [Row.of_kind(ADD, a=1, b="x"), Row.of_kind(ADD, a=2, b="y")]
        assert stream.execute_and_collect(limit=1) == [Row.of_kind(ADD, a=1, b="x")]
        with stream.execute_and_collect("job") as rows:
            assert len(list(rows)) == 2


def test_a_changing_table_as_rows(env):
    changes = [Row.of_kind(ADD, k="a", s=1), Row.of_kind(UB, k="a", s=1), Row.of_kind(UA, k="a", s=3)]
    assert list(env.to_changelog_stream(totals(env))) == changes
    assert list(env.to_retract_stream(totals(env), None)) == list(zip([True, False, True], changes, strict=True))
    schema = Schema.new_builder().column("key", "STRING").column("total", "DOUBLE").build()
    assert list(env.to_changelog_stream(totals(env), schema))[-1] == Row.of_kind(UA, key="a", total=3.0)
    for method in (env.to_data_stream, lambda t: env.to_append_stream(t, None)):
        with pytest.raises(ValidationError, match=r"changes of kind -U, \+U"):
            method(totals(env))
    with pytest.raises(ValidationError, match="changes of kind -U"):
        env.to_changelog_stream(totals(env), None, ChangelogMode.upsert())


def test_changes_as_a_table(env):
    rows = [
        Row.of_kind(ADD, "a", 1),
        Row.of_kind(ADD, "b", 2),
        Row.of_kind(UB, "a", 1),
        Row.of_kind(UA, "a", 5),
        Row.of_kind(DEL, "b", 2),
    ]
    schema = Schema.new_builder().column("k", "STRING").column("v", "BIGINT").build()
    table = env.from_changelog_stream(rows, schema)
    assert table.to_polars().rows() == [("a", 5)]
    assert table.select(col("v").sum.alias("s")).to_polars().rows() == [(5,)]
    assert env.from_changelog_stream(env.to_changelog_stream(totals(env))).to_polars().rows() == [("a", 3)]
    with pytest.raises(ValidationError, match="row 2 is of kind -U"):
        env.from_changelog_stream(rows, schema, ChangelogMode.insert_only())


def test_tables_of_other_sessions_are_refused(env):
    other = StreamTableEnvironment.create()
    table = other.from_data_stream([(1,)], "a")
    with pytest.raises(ValidationError, match="another environment"):
        env.to_data_stream(table)
    with pytest.raises(ValidationError, match="another environment"):
        env.from_data_stream(other.to_data_stream(table))
