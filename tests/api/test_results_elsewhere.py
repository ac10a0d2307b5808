"""Results in other libraries, through the Arrow PyCapsule protocol both ways; printed text of every script."""

from __future__ import annotations

import datetime
from decimal import Decimal

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tableapi import DataTypes as D
from tableapi import Row
from tableapi.errors import TypeMismatchError
from tableapi.expressions import col
from tableapi.printing import display_width, fit

FIELDS = {
    "a": D.BIGINT(),
    "s": D.STRING(),
    "d": D.DECIMAL(10, 2),
    "l": D.ARRAY(D.INT()),
    "m": D.MAP(D.STRING(), D.INT()),
    "t": D.TIMESTAMP(3),
    "z": D.TIMESTAMP_LTZ(6),
    "r": D.ROW([D.FIELD("x", D.INT()), D.FIELD("y", D.STRING())]),
}
INSTANT = datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
ROWS = [
    (1, "界", Decimal("1.50"), [1, None], {"k": 1}, datetime.datetime(2024, 1, 2, 3), INSTANT, Row(x=1, y="x")),
    (2, None, None, None, None, None, None, None),
]


@pytest.fixture
def wide(env):
    return env.from_elements(ROWS, D.ROW([D.FIELD(n, t) for n, t in FIELDS.items()]))


@pytest.fixture(params=["table", "result"])
def source(request, wide):
    return wide if request.param == "table" else wide.execute()


def test_polars_reads_it(source):
    frame = pl.DataFrame(source)
    assert frame.columns == list(FIELDS)
    assert frame["a"].to_list() == [1, 2]
    assert frame["d"].dtype == pl.Decimal(10, 2)
    assert frame["z"].to_list() == [INSTANT, None]
    assert frame["r"].to_list() == [{"x": 1, "y": "x"}, None]


def test_pyarrow_reads_it(source):
    table = pa.table(source)
    assert table.schema.field("m").type == pa.map_(pa.string(), pa.int32())
    assert table.schema.field("d").type == pa.decimal128(10, 2)
    assert table.to_pylist()[0]["m"] == [("k", 1)]
    assert table.to_pylist()[1]["s"] is None


def test_pyarrow_reads_the_schema_alone(wide):
    assert pa.schema(wide) == pa.table(wide).schema
    result = wide.execute()
    assert pa.schema(result).names == list(FIELDS)
    assert pa.table(result).num_rows == 2


def test_duckdb_reads_it_by_name(source):
    found = duckdb.sql("SELECT a, s, m, l FROM source ORDER BY a").fetchall()
    assert found == [(1, "界", {"k": 1}, [1, None]), (2, None, None, None)]


def test_pandas_reads_it(source):
    frame = source.to_pandas()
    assert frame["a"].tolist() == [1, 2]
    assert frame["s"].tolist() == ["界", None]
    assert frame["m"].tolist()[1] is None


def test_a_changing_table_gives_its_final_rows(stream):
    table = stream.from_elements([("a", 1), ("b", 5), ("a", 2)], ["k", "v"])
    totals = table.group_by(col("k")).select(col("k"), col("v").sum.alias("s"))
    assert sorted(pl.DataFrame(totals).rows()) == [("a", 3), ("b", 5)]
    assert sorted(duckdb.sql("SELECT * FROM totals").fetchall()) == [("a", 3), ("b", 5)]


class Streamed:
    def __init__(self, data):
        self.data = data

    def __arrow_c_stream__(self, requested_schema=None):
        return self.data.__arrow_c_stream__(requested_schema)


class Arrayed:
    def __init__(self, data):
        self.data = data

    def __arrow_c_array__(self, requested_schema=None):
        return self.data.__arrow_c_array__(requested_schema)


ARROW = pa.table({"a": [1, 2], "s": ["x", None]})
OBJECTS = {
    "polars": lambda: pl.DataFrame(ARROW),
    "lazy": lambda: pl.DataFrame(ARROW).lazy(),
    "arrow table": lambda: ARROW,
    "record batch": lambda: ARROW.to_batches()[0],
    "reader": lambda: ARROW.to_reader(),
    "duckdb": lambda: duckdb.sql("SELECT CAST(1 AS BIGINT) AS a, 'x' AS s UNION ALL SELECT 2, NULL ORDER BY a"),
    "pandas": lambda: pd.DataFrame({"a": [1, 2], "s": ["x", None]}),
    "stream capsule": lambda: Streamed(ARROW),
    "array capsule": lambda: Arrayed(ARROW.to_batches()[0]),
}


@pytest.mark.parametrize("make", OBJECTS.values(), ids=OBJECTS)
def test_tables_from_what_speaks_arrow(env, make):
    table = env.from_arrow(make())
    assert [str(t) for t in table.get_schema().get_field_data_types()] == ["BIGINT", "STRING"]
    assert table.to_polars().rows() == [(1, "x"), (2, None)]


def test_a_table_of_another_session_is_read_too(env, stream):
    other = stream.from_elements([(1, "x"), (2, None)], D.ROW([D.FIELD("a", D.BIGINT()), D.FIELD("s", D.STRING())]))
    assert env.from_arrow(other).to_polars().rows() == [(1, "x"), (2, None)]


def test_other_objects_are_refused(env):
    with pytest.raises(TypeMismatchError, match="int is not a table"):
        env.from_arrow(7)


WIDTHS = {
    "abc": 3,
    "日本語": 6,
    "ｱｲｳ": 3,
    "Ａ１": 4,
    "한국어": 6,
    "e\u0301": 1,
    "नमस्ते": 4,
    "\u200bx": 1,
    "😀": 2,
    "👍🏽": 2,
    "👩‍🚀": 2,
    "👨‍👩‍👧": 2,
    "❤️": 2,
    "❤": 1,
    "🇩🇪🇫🇷": 4,
    "": 0,
}


@pytest.mark.parametrize(("text", "width"), WIDTHS.items(), ids=[ascii(t) for t in WIDTHS])
def test_width_of_text(text, width):
    assert display_width(text) == width
    assert display_width(fit(text, 10)) == 10


@pytest.mark.parametrize("text", ["日本語日本語", "👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧", "e\u0301" * 12])
def test_text_is_cut_between_what_is_seen_as_one_character(text):
    cut = fit(text, 7)
    assert cut.endswith("...")
    assert display_width(cut) == 7
    assert text.startswith(cut.strip().removesuffix("..."))
    assert not cut.removesuffix("...").endswith("\u200d")
    assert cut.count("\u0301") == cut.count("e")


def test_printed_columns_stand_below_each_other(batch, capsys):
    batch.from_elements([(t, 1) for t in WIDTHS], ["text", "n"]).execute().print()
    lines = capsys.readouterr().out.splitlines()
    assert {display_width(line) for line in lines[:-1]} == {display_width(lines[0])}
    assert lines[-1] == f"{len(WIDTHS)} rows in set"
