"""Results: rows with kinds, values in Python's types, folding, printing; and rows that the program holds."""

from __future__ import annotations

import array
import datetime
from decimal import Decimal

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tableapi import DataTypes, JobStatus, Row, RowKind
from tableapi.elements import infer_type, type_of_polars
from tableapi.errors import ExecutionError, TypeMismatchError, ValidationError
from tableapi.expressions import col, lit
from tableapi.printing import display_width, fit
from tableapi.result import folded
from tableapi.tablespec import Field, RowSchema
from tableapi.udf import udf


def field(name, data_type):
    return DataTypes.FIELD(name, data_type)


def test_collect_gives_rows_with_kinds(stream):
    t = stream.from_elements([("a", 1), ("a", 2)], ["k", "v"])
    stream.get_config().set("pipeline.max-batch-rows", "1")
    with t.group_by(col("k")).select(col("k"), col("v").sum.alias("s")).execute().collect() as rows:
        found = list(rows)
    assert found == [
        Row.of_kind(RowKind.INSERT, k="a", s=1),
        Row.of_kind(RowKind.UPDATE_BEFORE, k="a", s=1),
        Row.of_kind(RowKind.UPDATE_AFTER, k="a", s=3),
    ]


def test_values_have_python_types(env):
    types = [
        ("i", DataTypes.INT(), 1),
        ("d", DataTypes.DECIMAL(8, 2), Decimal("1.25")),
        ("s", DataTypes.STRING(), "x"),
        ("y", DataTypes.BYTES(), b"ab"),
        ("day", DataTypes.DATE(), datetime.date(2024, 2, 29)),
        ("tm", DataTypes.TIME(3), datetime.time(1, 2, 3, 4000)),
        ("ts", DataTypes.TIMESTAMP(6), datetime.datetime(2024, 2, 29, 1, 2, 3, 456)),
        ("arr", DataTypes.ARRAY(DataTypes.INT()), [1, None]),
        ("m", DataTypes.MAP(DataTypes.STRING(), DataTypes.INT()), {"k": 7}),
        ("r", DataTypes.ROW([field("x", DataTypes.INT()), field("z", DataTypes.STRING())]), Row(x=5, z="q")),
    ]
    schema = DataTypes.ROW([field(n, t) for n, t, _ in types])
    values = tuple(v for _, _, v in types)
    t = env.from_elements([values, (None,) * len(types)], schema)
    first, second = t.execute().collect()
    assert list(first) == list(values)
    assert isinstance(first["r"], Row)
    assert list(second) == [None] * len(types)


def test_instants_are_shown_in_the_session_zone(batch):
    batch.get_config().set_local_timezone("Europe/Berlin")
    schema = DataTypes.ROW([field("t", DataTypes.TIMESTAMP_LTZ(3))])
    t = batch.from_elements([(datetime.datetime(2024, 7, 1, 12, 0),)], schema)
    (row,) = t.execute().collect()
    assert row[0].utcoffset() == datetime.timedelta(hours=2)
    assert row[0].hour == 12


def test_closing_the_rows_stops_the_job(stream):
    stream.execute_sql("CREATE TABLE g (a INT) WITH ('connector' = 'datagen', 'rows-per-second' = '1000')")
    result = stream.from_path("g").execute()
    rows = result.collect()
    assert isinstance(rows.next()[0], int)
    rows.close()
    assert result.get_job_client().get_job_status().result() in (JobStatus.CANCELED, JobStatus.FINISHED)
    assert list(rows) == []


def test_errors_of_a_job_reach_the_program(env):
    @udf(result_type="BIGINT")
    def broken(x):
        raise RuntimeError("no luck")

    t = env.from_elements([(1,)], ["a"])
    with pytest.raises(ExecutionError, match="no luck"):
        list(t.select(broken(col("a"))).execute().collect())


def test_print_of_changes(stream, capsys):
    t = stream.from_elements(
        [(1, "x", True), (None, None, None), (3, "界" * 40, False)],
        DataTypes.ROW([field("a", DataTypes.INT()), field("b", DataTypes.STRING()), field("c", DataTypes.BOOLEAN())]),
    )
    t.execute().print()
    assert capsys.readouterr().out.splitlines() == [
        "+----+-------------+--------------------------------+--------+",
        "| op |           a |                              b |      c |",
        "+----+-------------+--------------------------------+--------+",
        "| +I |           1 |                              x |   TRUE |",
        "| +I |      <NULL> |                         <NULL> | <NULL> |",
        "| +I |           3 |  界界界界界界界界界界界界界... |  FALSE |",
        "+----+-------------+--------------------------------+--------+",
        "3 rows in set",
    ]


def test_print_of_rows_statements_and_nothing(batch, capsys):
    batch.from_elements([(1, 1.5)], ["a", "b"]).execute().print()
    batch.execute_sql("CREATE TEMPORARY VIEW v AS SELECT 1 AS a").print()
    batch.execute_sql("SHOW TABLES").print()
    batch.sql_query("SELECT * FROM v WHERE a > 1").execute().print()
    assert capsys.readouterr().out.splitlines() == [
        "+----------------------+--------------------------------+",
        "|                    a |                              b |",
        "+----------------------+--------------------------------+",
        "|                    1 |                            1.5 |",
        "+----------------------+--------------------------------+",
        "1 row in set",
        "OK",
        "+------------+",
        "| table name |",
        "+------------+",
        "|          v |",
        "+------------+",
        "1 row in set",
        "Empty set",
    ]


def test_cells_are_fitted():
    assert display_width("e\u0301界") == 3
    assert fit("界界界", 5) == "界..."
    assert fit("ab", 4) == "  ab"


def test_folding_keeps_what_is_left():
    schema = RowSchema((Field("a", DataTypes.INT()), Field("l", DataTypes.ARRAY(DataTypes.INT()))))
    frame = pl.DataFrame({"a": [1, 2, 1, 3, 3], "l": [[1], [2], [1], None, None]}, schema=schema.to_polars())
    kinds = pl.Series([0, 0, 3, 0, 2], dtype=pl.Int8)
    assert folded([(frame, kinds)], schema).rows() == [(2, [2]), (3, None), (3, None)]
    assert folded([], schema).schema == frame.schema
    assert folded([(frame, None)], schema).height == 5


def test_frames_out(batch):
    t = batch.from_elements([(1, {"k": 2}), (2, {})], ["a", "m"])
    assert t.to_pandas()["a"].tolist() == [1, 2]
    assert pa.types.is_map(t.to_arrow().schema.field("m").type)
    assert t.to_polars().columns == ["a", "m"]


def test_wait_of_a_query_keeps_its_rows(env):
    result = env.from_elements([(1,), (2,)], ["a"]).execute()
    result.wait()
    assert [r[0] for r in result.collect()] == [1, 2]


# Rows that the program holds.


def types(table):
    return [str(t) for t in table.get_resolved_schema().get_column_data_types()]


def test_inference(batch):
    t = batch.from_elements([(1, 1.5, "x", True, b"y", Decimal("1.5"), datetime.date(2024, 1, 1), [1], {"k": 1}, (1, "a"))])
    assert t.get_resolved_schema().get_column_names()[:3] == ["_1", "_2", "_3"]
    assert types(t) == [
        "BIGINT",
        "DOUBLE",
        "STRING",
        "BOOLEAN",
        "BYTES",
        "DECIMAL(38, 18)",
        "DATE",
        "ARRAY<BIGINT>",
        "MAP<STRING, BIGINT>",
        "ROW<`_1` BIGINT, `_2` STRING>",
    ]
    assert infer_type(datetime.datetime(2024, 1, 1)) == DataTypes.TIMESTAMP_LTZ(6)
    assert infer_type(array.array("i", [1])) == DataTypes.ARRAY(DataTypes.INT())


def test_names_come_from_rows_and_lists(batch):
    assert batch.from_elements([Row(a=1, b="x")]).get_resolved_schema().get_column_names() == ["a", "b"]
    assert batch.from_elements([{"a": 1, "b": "x"}]).get_resolved_schema().get_column_names() == ["a", "b"]
    assert batch.from_elements([(1, "x")], ["a"]).get_resolved_schema().get_column_names() == ["a", "_2"]
    assert batch.from_elements([1, 2], DataTypes.INT()).to_polars().rows() == [(1,), (2,)]


def test_elements_that_do_not_fit(batch):
    with pytest.raises(TypeMismatchError, match="can not merge"):
        batch.from_elements([(1,), ("x",)])
    with pytest.raises(TypeMismatchError, match="row 1, column 'a': 'x'"):
        batch.from_elements([(1,), ("x",)], DataTypes.ROW([field("a", DataTypes.INT())]))
    with pytest.raises(TypeMismatchError, match="only None"):
        batch.from_elements([(None,)], ["a"])
    with pytest.raises(ValidationError, match="no rows"):
        batch.from_elements([])
    with pytest.raises(TypeMismatchError, match="not a row"):
        batch.from_elements([1, 2])
    assert batch.from_elements([], DataTypes.ROW([field("a", DataTypes.INT())])).to_polars().rows() == []
    loose = batch.from_elements([("1",)], DataTypes.ROW([field("a", DataTypes.INT())]), verify_schema=False)
    assert loose.to_polars().rows() == [(1,)]


def test_frames_in(batch):
    frame = pl.DataFrame({"a": [1, None], "b": ["x", "y"], "c": [[1], []]})
    assert types(batch.from_polars(frame)) == ["BIGINT", "STRING", "ARRAY<BIGINT>"]
    assert batch.from_polars(frame.lazy()).to_polars().equals(frame)
    pandas_frame = pd.DataFrame({"k": ["p", None], "v": [1, 2], "t": pd.to_datetime(["2024-01-01", None])})
    t = batch.from_pandas(pandas_frame)
    assert types(t)[:2] == ["STRING", "BIGINT"]
    assert t.to_polars()["t"].null_count() == 1
    arrow = pa.table({"a": pa.array([1, 2], pa.int32())})
    assert types(batch.from_arrow(arrow)) == ["INT"]
    assert types(batch.from_arrow(arrow, [DataTypes.BIGINT()])) == ["BIGINT"]
    assert batch.from_pandas(pandas_frame, ["x", "y", "z"]).get_resolved_schema().get_column_names() == ["x", "y", "z"]
    with pytest.raises(TypeMismatchError):
        batch.from_arrow(pa.table({"a": ["x"]}), [DataTypes.INT()])
    batch.create_temporary_view("frame", frame)
    assert batch.sql_query("SELECT SUM(a) FROM frame").to_polars().rows() == [(1,)]


def test_polars_types():
    assert type_of_polars(pl.Struct({"x": pl.Int32})) == DataTypes.ROW([field("x", DataTypes.INT())])
    assert type_of_polars(pl.Datetime("ns")) == DataTypes.TIMESTAMP(9)
    assert type_of_polars(pl.Datetime("ms", "UTC")) == DataTypes.TIMESTAMP_LTZ(3)
    assert type_of_polars(pl.Decimal(10, 2)) == DataTypes.DECIMAL(10, 2)


def test_literals(batch):
    t = batch.from_elements([(1,)], ["a"])
    result = t.select(
        lit(1).alias("i"),
        lit(2**40).alias("l"),
        lit("x").alias("s"),
        lit(1, DataTypes.BIGINT()).alias("b"),
        lit(datetime.date(2024, 1, 1)).alias("d"),
        lit(Decimal("1.50")).alias("n"),
        lit([1, 2]).alias("arr"),
        lit(None, DataTypes.STRING()).alias("z"),
    )
    assert [str(t.nullable()) for t in result.get_resolved_schema().get_column_data_types()] == [
        "INT",
        "BIGINT",
        "CHAR(1)",
        "BIGINT",
        "DATE",
        "DECIMAL(3, 2)",
        "ARRAY<INT NOT NULL>",
        "STRING",
    ]
    (row,) = result.to_polars().rows()
    assert row == (1, 2**40, "x", 1, datetime.date(2024, 1, 1), Decimal("1.50"), [1, 2], None)
    with pytest.raises(ValidationError, match="needs a type"):
        lit(None)
    with pytest.raises(TypeMismatchError):
        lit(object())


def test_nested_maps_become_arrow_maps(batch):
    schema = DataTypes.ROW(
        [
            field("m", DataTypes.MAP(DataTypes.STRING(), DataTypes.ARRAY(DataTypes.INT()))),
            field("r", DataTypes.ROW([field("x", DataTypes.MAP(DataTypes.INT(), DataTypes.STRING()))])),
            field("a", DataTypes.ARRAY(DataTypes.MAP(DataTypes.INT(), DataTypes.INT()))),
        ]
    )
    t = batch.from_elements([({"a": [1]}, Row({1: "x"}), [{1: 2}, None]), (None, None, None), ({}, Row(None), [])], schema)
    assert t.to_arrow().to_pylist() == [
        {"m": [("a", [1])], "r": {"x": [(1, "x")]}, "a": [[(1, 2)], None]},
        {"m": None, "r": None, "a": None},
        {"m": [], "r": {"x": None}, "a": []},
    ]
