"""JSON lines to rows and back. What is accepted and what is refused was looked up in Apache Flink 2.3.0."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tableapi.connectors.formats.base import Decoded
from tableapi.connectors.registry import find_format
from tableapi.errors import OptionError, RecordError
from tableapi.tablespec import Field, RowSchema
from tableapi.types import DataType
from tableapi.types import DataTypes as D

JSON = find_format("json")


def schema(**columns: DataType) -> RowSchema:
    return RowSchema(tuple(Field(n, t) for n, t in columns.items()))


def decode(columns: RowSchema, data: str | bytes, wanted: list[str] | None = None, **options: str) -> Decoded:
    read = JSON.read_options({"json." + k.replace("__", ".").replace("_", "-"): v for k, v in options.items()})
    data = data.encode() if isinstance(data, str) else data
    return JSON.decoder(columns, wanted or columns.names, read).decode(data)


def encode(columns: RowSchema, frame: pl.DataFrame, **options: str) -> str:
    read = JSON.read_options({"json." + k.replace("__", ".").replace("_", "-"): v for k, v in options.items()})
    return JSON.encoder(columns, read).encode(frame, None).decode()


ROW = D.ROW([D.FIELD("x", D.INT()), D.FIELD("y", D.MAP(D.STRING(), D.INT()))])


@pytest.mark.parametrize(
    ("data_type", "texts", "values"),
    [
        (D.INT(), ["1", '" 5 "', "null", '"-7"'], [1, 5, None, -7]),
        (D.BIGINT(), ["9223372036854775807", "-1.7", "2.5e3"], [9223372036854775807, -1, 2500]),
        (D.DOUBLE(), ["3", "1e3", '"1.25"', '"Infinity"'], [3.0, 1000.0, 1.25, float("inf")]),
        (D.BOOLEAN(), ["true", '"TRUE"', '"yes"'], [True, True, False]),
        (D.STRING(), ["1.50", "1e3", '{"x": [1, 2.0]}', "true", '"{}"', "12"], ["1.50", "1e3", '{"x":[1,2.0]}', "true", "{}", "12"]),
        (D.DECIMAL(5, 2), ["1.755", '"1.755"', "99999", "1e2", '"1.745"'], [Decimal("1.76"), Decimal("1.76"), None, Decimal(100), Decimal("1.75")]),
        (D.DECIMAL(30, 2), ["12345678901234567890.12"], [Decimal("12345678901234567890.12")]),
        (D.DATE(), ['"2024-02-29"'], [date(2024, 2, 29)]),
        (D.TIME(3), ['"10:00:01.234"', '"23:59:59"'], [time(10, 0, 1, 234000), time(23, 59, 59)]),
        (D.TIMESTAMP(3), ['"2024-01-01 10:00:00.1239"', '"1969-12-31 23:59:59"'], [datetime(2024, 1, 1, 10, 0, 0, 123000), datetime(1969, 12, 31, 23, 59, 59)]),
        (D.TIMESTAMP_LTZ(3), ['"2024-01-01 10:00:00.5Z"'], [datetime(2024, 1, 1, 10, 0, 0, 500000, UTC)]),
        (D.BYTES(), ['"aGk="'], [b"hi"]),
        (D.ARRAY(D.TIMESTAMP(3)), ['["2024-01-01 10:00:00", null]', "[]", "null"], [[datetime(2024, 1, 1, 10), None], [], None]),
        (D.MAP(D.STRING(), D.ARRAY(D.INT())), ['{"k": [1, 2], "z": null}', "{}"], [[{"key": "k", "value": [1, 2]}, {"key": "z", "value": None}], []]),
        (ROW, ['{"x": "1", "y": {"k": "3"}}', "{}", "null"], [{"x": 1, "y": [{"key": "k", "value": 3}]}, {"x": None, "y": None}, None]),
    ],
)  # fmt: skip
def test_values_that_flink_accepts(data_type: DataType, texts: list[str], values: list[Any]) -> None:
    columns = schema(a=data_type)
    decoded = decode(columns, "".join(f'{{"a": {t}}}\n' for t in texts))
    assert decoded.bad == ()
    assert decoded.frame["a"].to_list() == values
    assert decoded.frame.schema == columns.to_polars()


@pytest.mark.parametrize(
    ("data_type", "text", "reason"),
    [
        (D.SMALLINT(), "1.7", "field 'a': 1.7 is not a SMALLINT"),
        (D.INT(), "1e10", "is not an INT"),
        (D.BIGINT(), "1e999999999", "is not a BIGINT"),
        (D.INT(), '""', "field 'a': '' is not an INT"),
        (D.INT(), "2147483648", "is not an INT"),
        (D.TINYINT(), "300", "is not a TINYINT"),
        (D.DOUBLE(), '"x1"', "'x1' is not a DOUBLE"),
        (D.DECIMAL(5, 2), '"abc"', "'abc' is not a DECIMAL(5, 2)"),
        (D.DATE(), '"2024-1-1"', "is not a DATE"),
        (D.DATE(), '"2023-02-29"', "is not a DATE"),
        (D.TIMESTAMP(3), '"2024-01-01 10:00"', "is not a TIMESTAMP(3)"),
        (D.TIMESTAMP(3), '"2024-01-01T10:00:00"', "is not a TIMESTAMP(3)"),
        (D.TIMESTAMP_LTZ(3), '"2024-01-01 10:00:00"', "is not a TIMESTAMP_LTZ(3)"),
        (D.ARRAY(D.INT()), "7", "is not a JSON array"),
        (ROW, "[1]", "is not a JSON object"),
        (D.DOUBLE(), "NaN", "not JSON"),
        (D.INT(), "1}{", "not JSON"),
    ],
)
def test_values_that_flink_refuses(data_type: DataType, text: str, reason: str) -> None:
    good = '{"a": null}\n'
    decoded = decode(schema(a=data_type), good + f'{{"a": {text}}}\n' + good)
    assert decoded.frame["a"].to_list() == [None, None]
    assert [(b.line, b.offset) for b in decoded.bad] == [(1, len(good))]
    assert reason in decoded.bad[0].reason


def test_bad_lines_are_found_among_many_good_ones() -> None:
    lines = [f'{{"i": {i}, "s": "v{i}"}}' for i in range(5000)]
    lines[10], lines[3000], lines[4999] = "nope", '{"i": "x"}', "[1]"
    decoded = decode(schema(i=D.INT(), s=D.STRING()), "\n".join(lines) + "\n")
    assert [b.line for b in decoded.bad] == [10, 3000, 4999]
    assert [b.raw for b in decoded.bad] == [b"nope", b'{"i": "x"}', b"[1]"]
    assert decoded.frame["i"].to_list() == [i for i in range(5000) if i not in (10, 3000, 4999)]


def test_an_error_names_file_line_and_reason() -> None:
    bad = decode(schema(i=D.INT()), '{"i": 1}\n{"i": "x"}\n').bad[0]
    error = bad.error("json", "/data/a.json", first_line=7)
    assert isinstance(error, RecordError)
    assert str(error).splitlines()[:3] == [
        "cannot read a json record: field 'i': 'x' is not an INT",
        "  at: /data/a.json:8",
        '  exists: the record: {"i": "x"}',
    ]


def test_ignore_parse_errors_nulls_fields_and_drops_lines() -> None:
    data = '{"a":1,"b":[1,"q",3]}\n{"a":"q","b":null}\n{"a":5,"b":{"a":\nnope\n'
    decoded = decode(schema(a=D.INT(), b=D.ARRAY(D.INT())), data, ignore_parse_errors="true")
    assert decoded.frame.rows() == [(1, [1, None, 3]), (None, None)]
    assert decoded.bad == ()


def test_missing_fields() -> None:
    columns = schema(a=D.INT(), b=D.STRING())
    assert decode(columns, '{"a": 1}\n').frame.rows() == [(1, None)]
    strict = decode(columns, '{"a": 1, "b": null}\n{"a": 1}\n', fail_on_missing_field="true")
    assert strict.frame.rows() == [(1, None)]
    assert strict.bad[0].reason == "field 'b' is missing"


def test_options_that_exclude_each_other() -> None:
    with pytest.raises(OptionError, match="exclude each other"):
        JSON.read_options({"json.fail-on-missing-field": "true", "json.ignore-parse-errors": "true"})


def test_iso_timestamps() -> None:
    columns = schema(t=D.TIMESTAMP(3), z=D.TIMESTAMP_LTZ(3))
    line = '{"t":"2024-01-01T10:00:00.5","z":"2024-01-01T10:00:00Z"}\n'
    decoded = decode(columns, line, timestamp_format__standard="ISO-8601")
    assert decoded.frame.rows() == [(datetime(2024, 1, 1, 10, 0, 0, 500000), datetime(2024, 1, 1, 10, tzinfo=UTC))]
    assert encode(columns, decoded.frame, timestamp_format__standard="ISO-8601") == line


def test_arrays_of_objects_blank_lines_and_projection() -> None:
    columns = schema(a=D.INT(), b=D.STRING())
    assert decode(columns, '[{"a":1},{"a":2}]\n\n  \n{"a":3}', ["a"]).frame.rows() == [(1,), (2,), (3,)]
    assert decode(columns, "").frame.height == 0


EVERYTHING = schema(
    a=D.DOUBLE(), f=D.FLOAT(), c=D.DECIMAL(12, 8), d=D.DATE(), e=D.TIME(), g=D.TIMESTAMP(3), h=D.TIMESTAMP_LTZ(3), i=D.BYTES(),
    j=D.BOOLEAN(), k=D.STRING(), l=D.ARRAY(D.STRING()), m=D.MAP(D.STRING(), D.INT()), n=D.ROW([D.FIELD("x", D.INT()), D.FIELD("t", D.DATE())]),
)  # fmt: skip


def test_encoding_is_flinks_text() -> None:
    lines = (
        '{"a":1.5,"f":0.1,"c":1.20000000,"d":"2024-01-02","e":"01:02:03","g":"2024-01-02 03:04:00","h":"2024-01-02 03:04:05.12Z",'
        '"i":"aGk=","j":true,"k":"a \\"é","l":["x",null,"\\n"],"m":{"k":1,"z":null},"n":{"x":1,"t":"2024-01-01"}}\n'
        '{"a":"NaN","f":null,"c":null,"d":null,"e":null,"g":null,"h":null,"i":null,"j":null,"k":null,"l":[],"m":{},"n":{"x":null,"t":null}}\n'
        '{"a":null,"f":null,"c":null,"d":null,"e":null,"g":null,"h":null,"i":null,"j":null,"k":null,"l":null,"m":null,"n":null}\n'
    )
    frame = decode(EVERYTHING, lines).frame
    assert encode(EVERYTHING, frame) == lines
    assert encode(EVERYTHING, frame, encode__ignore_null_fields="true").splitlines()[2] == "{}"


def test_null_map_keys() -> None:
    columns = schema(m=D.MAP(D.STRING(), D.INT()))
    frame = pl.DataFrame({"m": [[{"key": None, "value": 1}, {"key": "a", "value": 2}]]}, schema=columns.to_polars())
    with pytest.raises(RecordError, match="NULL key"):
        encode(columns, frame)
    assert encode(columns, frame, map_null_key__mode="DROP") == '{"m":{"a":2}}\n'
    assert encode(columns, frame, map_null_key__mode="LITERAL", map_null_key__literal="-") == '{"m":{"-":1,"a":2}}\n'


@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(-(2**31), 2**31 - 1),
            st.none() | st.text(st.characters(codec="utf-8")),
            st.none() | st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)),
            st.none() | st.floats(),
            st.none() | st.decimals(-(10**8), 10**8, places=2),
        )
    )
)
def test_what_is_written_is_read_back(rows: list[tuple[Any, ...]]) -> None:
    columns = schema(i=D.INT(), s=D.STRING(), t=D.TIMESTAMP(6), d=D.DOUBLE(), p=D.DECIMAL(12, 2))
    frame = pl.DataFrame(rows, schema=columns.to_polars(), orient="row")
    decoded = decode(columns, encode(columns, frame))
    assert decoded.bad == ()
    assert decoded.frame.equals(frame)
