"""CSV lines to rows and back. What is accepted and what is refused was looked up in Apache Flink 2.3.0."""

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
from tableapi.errors import OptionError, UnsupportedError
from tableapi.tablespec import Field, RowSchema
from tableapi.types import DataType
from tableapi.types import DataTypes as D

CSV = find_format("csv")


def schema(**columns: DataType) -> RowSchema:
    return RowSchema(tuple(Field(n, t) for n, t in columns.items()))


def options(given: dict[str, str]) -> dict[str, Any]:
    return CSV.read_options({"csv." + k.replace("_", "-"): v for k, v in given.items()})


def decode(columns: RowSchema, data: str | bytes, wanted: list[str] | None = None, **given: str) -> Decoded:
    data = data.encode() if isinstance(data, str) else data
    return CSV.decoder(columns, wanted or columns.names, options(given)).decode(data)


def encode(columns: RowSchema, frame: pl.DataFrame, **given: str) -> str:
    return CSV.encoder(columns, options(given)).encode(frame, None).decode()


AB = schema(a=D.INT(), b=D.STRING())
ABC = schema(a=D.INT(), b=D.STRING(), c=D.INT())
PAIR = D.ROW([D.FIELD("x", D.INT()), D.FIELD("y", D.STRING())])


@pytest.mark.parametrize(
    ("columns", "given", "data", "rows"),
    [
        (AB, {}, '1,abc\n2,"q,uo""te"\n3,\n4,""', [(1, "abc"), (2, 'q,uo"te'), (3, ""), (4, "")]),
        (AB, {}, "1,x\r\n2,y\r\n", [(1, "x"), (2, "y")]),
        (AB, {}, '1, "x"\n2,x"y\n3,"a\nb"\n', [(1, ' "x"'), (2, 'x"y'), (3, "a\nb")]),
        (AB, {}, "1,x,\n2,y\n", [(1, "x"), (2, "y")]),
        (AB, {}, "1,x\n\n2,y\n", [(1, "x"), (2, "y")]),
        (AB, {"null_literal": "NULL"}, '1,x\nNULL,NULL\n2,"NULL"\n', [(1, "x"), (None, None), (2, None)]),
        (AB, {"null_literal": ""}, "1,\n,y\n", [(1, None), (None, "y")]),
        (AB, {"empty_string_as_null": "true"}, "1,x\n,\n", [(1, "x"), (None, None)]),
        (AB, {"trim_spaces": "true"}, "1, x \n", [(1, "x")]),
        (AB, {"allow_comments": "true"}, "#c\n1,x\n", [(1, "x")]),
        (AB, {"quote_character": "'"}, "1,'x,1'\n", [(1, "x,1")]),
        (AB, {"disable_quote_character": "true"}, '1,"x\n', [(1, '"x')]),
        (AB, {"field_delimiter": ";"}, "1;x\n", [(1, "x")]),
        (AB, {"field_delimiter": "\\t"}, "1\tx\n", [(1, "x")]),
        (AB, {"escape_character": "\\"}, "1,x\\,y\n", [(1, "x,y")]),
        (AB, {"ignore_trailing_unmappable": "true"}, "1,x,3\n2,y\n", [(1, "x"), (2, "y")]),
        (AB, {"ignore_parse_errors": "true"}, "1,x\nbad,y\n2\n", [(1, "x"), (None, "y"), (2, None)]),
        (schema(a=D.INT(), b=D.BOOLEAN()), {}, " 1 , true\n2,TRUE\n3,abc\n", [(1, True), (2, True), (3, False)]),
        (schema(a=D.DECIMAL(5, 2), b=D.DOUBLE()), {}, "1.755,1e3\n99999,-3\n", [(Decimal("1.76"), 1000.0), (None, -3.0)]),
        (schema(a=D.ARRAY(D.INT()), b=PAIR), {}, "1;2;3,4;z\n,5;q\n", [([1, 2, 3], {"x": 4, "y": "z"}), ([], {"x": 5, "y": "q"})]),
        (schema(a=D.BYTES()), {}, "aGk=\n", [(b"hi",)]),
        (
            schema(a=D.TIMESTAMP(3), b=D.DATE(), c=D.TIME(), d=D.TIMESTAMP_LTZ(3)),
            {},
            "2024-01-01 10:00:00.1239,2024-01-02,10:00:01.5,2024-01-01 10:00:00.5Z\n",
            [(datetime(2024, 1, 1, 10, 0, 0, 123000), date(2024, 1, 2), time(10, 0, 1, 500000), datetime(2024, 1, 1, 10, 0, 0, 500000, UTC))],
        ),
    ],
)  # fmt: skip
def test_lines_that_flink_accepts(columns: RowSchema, given: dict[str, str], data: str, rows: list[Any]) -> None:
    decoded = decode(columns, data, **given)
    assert decoded.bad == ()
    assert decoded.frame.rows() == rows
    assert decoded.frame.schema == columns.to_polars()


@pytest.mark.parametrize(
    ("columns", "given", "line", "reason"),
    [
        (AB, {}, ",y", "field 'a': '' is not an INT"),
        (AB, {"null_literal": "NULL"}, ",y", "field 'a': '' is not an INT"),
        (AB, {}, "1.7,y", "field 'a': '1.7' is not an INT"),
        (AB, {}, "1,x,3", "the line has 3 fields, the table has 2"),
        (ABC, {}, "1,x", "the line has 2 fields, the table has 3"),
        (AB, {}, "1", "the line has 1 fields, the table has 2"),
        (schema(a=D.INT(), b=D.TIMESTAMP(3)), {}, "1,2024-01-01 10:00", "field 'b': '2024-01-01 10:00' is not a TIMESTAMP(3)"),
        (schema(a=D.INT(), b=D.TIMESTAMP_LTZ(3)), {}, "1,2024-01-01 10:00:00", "is not a TIMESTAMP_LTZ(3)"),
        (schema(a=D.INT(), b=PAIR), {}, "1,2;x;y", "field 'b': field 'value' does not have 2 elements"),
    ],
)
def test_lines_that_flink_refuses(columns: RowSchema, given: dict[str, str], line: str, reason: str) -> None:
    first = {"b": "7,x\n", "c": "7,x,8\n"}.get(columns.names[-1], "7,x\n")
    if not isinstance(columns.fields[1].type, type(D.STRING())):
        first = {"TIMESTAMP(3)": "7,2024-01-01 00:00:00\n", "TIMESTAMP_LTZ(3)": "7,2024-01-01 00:00:00Z\n"}.get(
            str(columns.fields[1].type), "7,1;a\n"
        )
    decoded = decode(columns, first + line + "\n" + first, **given)
    assert decoded.frame["a"].to_list() == [7, 7]
    assert [(b.line, b.offset, b.raw) for b in decoded.bad] == [(1, len(first), line.encode())]
    assert reason in decoded.bad[0].reason


def test_text_that_is_not_utf8() -> None:
    decoded = decode(AB, b'1,x\nzz,"\xff"\n')
    assert decoded.frame.rows() == [(1, "x")]
    assert decoded.bad[0].reason == "the line is not UTF-8"


def test_short_lines_among_quoted_delimiters_are_found() -> None:
    data = "".join(f'{i},"a,b",{i}\n' for i in range(100)) + "100,x\n" + "".join(f"{i},c,{i}\n" for i in range(101, 200))
    decoded = decode(ABC, data)
    assert [b.line for b in decoded.bad] == [100]
    assert decoded.frame.height == 199


def test_columns_in_the_order_asked_for() -> None:
    assert decode(ABC, "1,x,2\n", ["c", "a"]).frame.select("c", "a").rows() == [(2, 1)]


def test_a_block_ends_outside_quotes() -> None:
    decoder = CSV.decoder(AB, AB.names, options({}))
    assert decoder.boundary(b'1,x\n2,"a\nb') == 4
    assert decoder.boundary(b'1,x\n2,"a\nb"\n3') == 12
    assert decoder.boundary(b"1,x") == 0


@pytest.mark.parametrize("key", ["csv.field-delimiter", "csv.quote-character", "csv.escape-character"])
def test_single_characters(key: str) -> None:
    with pytest.raises(OptionError, match="one character"):
        CSV.read_options({key: "ab"})


def test_maps_are_refused_when_the_table_is_planned() -> None:
    with pytest.raises(UnsupportedError, match="'csv' cannot hold column 'm'"):
        decode(schema(m=D.MAP(D.STRING(), D.INT())), "")


def test_encoding_quotes_what_flink_quotes() -> None:
    columns = schema(a=D.STRING(), b=D.STRING())
    frame = pl.DataFrame({"a": ["", None, "a" * 24, "a+b", "a;b", "x\ny"], "b": ["x", 'a"b', "a" * 25, "a-b", "é", "z"]})
    expected = [",x", ',"a""b"', "a" * 24 + ',"' + "a" * 25 + '"', '"a+b",a-b', "a;b,é", '"x', 'y",z', ""]
    assert encode(columns, frame).split("\n") == expected
    assert encode(columns, frame[:2], null_literal="n/a", disable_quote_character="true") == ',x\nn/a,a"b\n'


def test_encoding_of_other_types() -> None:
    columns = schema(
        d=D.DATE(), e=D.TIME(), g=D.TIMESTAMP(3), h=D.TIMESTAMP_LTZ(3), i=D.BYTES(), j=D.BOOLEAN(), l=D.ARRAY(D.INT()), n=PAIR
    )
    lines = '2024-01-02,01:02:03,"2024-01-02 03:04:00","2024-01-02 03:04:05.12Z",aGk=,true,1;2,5;q\n'
    assert encode(columns, decode(columns, lines).frame) == lines


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"))


@given(st.lists(st.tuples(st.integers(-(2**31), 2**31 - 1), TEXT, st.floats(allow_nan=False), TEXT), max_size=20))
def test_what_is_written_is_read_back(rows: list[tuple[Any, ...]]) -> None:
    columns = schema(i=D.INT(), s=D.STRING(), d=D.DOUBLE(), t=D.STRING())
    frame = pl.DataFrame(rows, schema=columns.to_polars(), orient="row")
    decoded = decode(columns, encode(columns, frame))
    assert decoded.bad == ()
    assert decoded.frame.equals(frame)
