"""Parquet, Arrow, ORC and Avro files hold what was written, piece by piece, with the columns that a query wants."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from tableapi.connectors.formats.arrow_base import fit
from tableapi.connectors.formats.base import ColumnarFormat
from tableapi.connectors.registry import find_format
from tableapi.errors import OptionError, RecordError, UnsupportedError
from tableapi.tablespec import Field, RowSchema
from tableapi.types import DataType
from tableapi.types import DataTypes as D


def schema(**columns: DataType) -> RowSchema:
    return RowSchema(tuple(Field(n, t) for n, t in columns.items()))


COLUMNS = schema(
    i=D.INT(), b=D.BIGINT(), f=D.FLOAT(), d=D.DOUBLE(), p=D.DECIMAL(12, 2), s=D.STRING(), y=D.BYTES(), o=D.BOOLEAN(), t=D.DATE(),
    ts=D.TIMESTAMP(3), z=D.TIMESTAMP_LTZ(6), l=D.ARRAY(D.STRING()), m=D.MAP(D.STRING(), D.INT()), r=D.ROW([D.FIELD("x", D.INT())]),
)  # fmt: skip
FRAME = pl.DataFrame(
    [
        (1, 2, 0.5, 1.5, Decimal("12.34"), "a", b"\x00\xff", True, date(2024, 2, 29), datetime(2024, 1, 1, 10, 0, 0, 5000), datetime(2024, 1, 1, tzinfo=UTC), ["x", None], [{"key": "k", "value": None}], {"x": 1}),
        (None,) * 14,
        (3, 4, None, float("nan"), Decimal("-0.01"), "", b"", False, None, None, None, [], [], {"x": None}),
    ],
    schema=COLUMNS.to_polars(),
    orient="row",
)  # fmt: skip


def form(name: str) -> ColumnarFormat:
    if name == "avro":
        pytest.importorskip("fastavro")
    found = find_format(name)
    assert isinstance(found, ColumnarFormat)
    return found


def written(f: ColumnarFormat, columns: RowSchema, *frames: pl.DataFrame, **options: str) -> bytes:
    out = io.BytesIO()
    writer = f.writer(out, columns, f.read_options({f"{f.name}.{k}": v for k, v in options.items()}))
    for frame in frames:
        writer.write(frame)
    writer.close()
    return out.getvalue()


def read(f: ColumnarFormat, columns: RowSchema, data: bytes, wanted: list[str]) -> pl.DataFrame:
    file = f.open(io.BytesIO(data), columns, f.read_options({}))
    return pl.concat([fit(file.read(i, wanted), columns, wanted, "x") for i in range(file.pieces)])


NAMES = ["parquet", "arrow", "orc", "avro"]


@pytest.mark.parametrize("name", NAMES)
def test_all_types_come_back(name: str) -> None:
    f = form(name)
    back = read(f, COLUMNS, written(f, COLUMNS, FRAME, FRAME), COLUMNS.names)
    assert back.equals(pl.concat([FRAME, FRAME]))


@pytest.mark.parametrize("name", NAMES)
def test_columns_by_name_and_missing_ones(name: str) -> None:
    f = form(name)
    columns = schema(i=D.INT(), s=D.STRING())
    data = written(f, columns, FRAME.select("i", "s"))
    wider = schema(s=D.STRING(), i=D.INT(), extra=D.DATE())
    assert read(f, wider, data, ["extra", "s"]).rows() == [(None, "a"), (None, None), (None, "")]


@pytest.mark.parametrize("name", ["parquet", "arrow"])
def test_an_empty_file_has_no_rows(name: str) -> None:
    f = form(name)
    file = f.open(io.BytesIO(written(f, COLUMNS)), COLUMNS, {})
    assert sum(file.read(i, None).height for i in range(file.pieces)) == 0


@pytest.mark.parametrize(
    ("name", "key", "codec"), [("parquet", "compression", "zstd"), ("arrow", "compression", "lz4"), ("orc", "compress", "zstd")]
)
def test_codecs(name: str, key: str, codec: str) -> None:
    f = form(name)
    assert read(f, COLUMNS, written(f, COLUMNS, FRAME, **{key: codec}), ["s"]).height == 3
    with pytest.raises(OptionError, match="not one of"):
        f.read_options({f"{name}.{key}": "rar"})


@pytest.mark.parametrize("name", ["parquet", "arrow"])
def test_polars_scans_files_whose_types_are_the_tables(name: str, tmp_path: Path) -> None:
    f = form(name)
    columns = schema(i=D.INT(), ts=D.TIMESTAMP(3))
    path = tmp_path / "x"
    path.write_bytes(written(f, columns, FRAME.select("i", "ts")))
    scan = f.scan([str(path)], columns)
    assert scan is not None
    assert scan.collect().equals(FRAME.select("i", "ts"))
    assert f.scan([str(path)], schema(i=D.BIGINT())) is None


def test_types_that_do_not_fit_are_named() -> None:
    with pytest.raises(RecordError, match=r"column 's' of file 'f\.parquet' is String, which does not fit INT"):
        fit(pl.DataFrame({"s": ["x"]}), schema(s=D.INT()), ["s"], "f.parquet")


def test_orc_cannot_hold_times() -> None:
    columns = schema(t=D.TIME())
    with pytest.raises(UnsupportedError, match="'orc' cannot hold column 't'"):
        written(form("orc"), columns, pl.DataFrame({"t": [time(1)]}))
