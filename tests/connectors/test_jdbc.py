"""SQLite tables: scans, lookups in one query per batch, appending and upserting."""

from __future__ import annotations

import datetime as dt
import pickle
import sqlite3
from dataclasses import replace
from decimal import Decimal

import polars as pl
import pytest
from connector_driving import make_table, read_all, read_split, sink_of, source_of

from tableapi.connectors.registry import find_connector
from tableapi.errors import ExecutionError, OptionError, UnsupportedError
from tableapi.row import RowKind
from tableapi.types import DataTypes as D

COLUMNS = {
    "id": D.BIGINT(),
    "name": D.STRING(),
    "price": D.DECIMAL(10, 2),
    "at": D.TIMESTAMP(3),
    "day": D.DATE(),
    "ok": D.BOOLEAN(),
    "share": D.DOUBLE(),
    "raw": D.BYTES(),
    "zoned": D.TIMESTAMP_LTZ(3),
    "hour": D.TIME(),
}
ROW = (
    1,
    "a'b",
    Decimal("1.50"),
    dt.datetime(2024, 1, 2, 3, 4, 5, 678_000),
    dt.date(2024, 1, 2),
    True,
    0.25,
    b"\x00x",
    dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
    dt.time(3, 4, 5),
)
NULLS = (2, *[None] * 9)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE things ({', '.join(COLUMNS)}, PRIMARY KEY (id))")
    return make_table(COLUMNS, connector="jdbc", url=f"jdbc:sqlite:{path}", table_name="things")


def write(spec, frame, kinds=None):
    writer = sink_of(spec).writer(0, 1)
    writer.write(frame, None if kinds is None else pl.Series("kind", kinds, dtype=pl.Int8))
    writer.close(success=True)


def frame_of(*rows):
    return pl.DataFrame(rows, schema={n: t.to_polars() for n, t in COLUMNS.items()}, orient="row")


def lookup(spec, keys, key_columns=("id",), columns=("id", "name")):
    source = pickle.loads(pickle.dumps(find_connector("jdbc").lookup(spec, key_columns, columns)))
    reader = source.reader()
    found = reader.lookup(keys)
    reader.close()
    return found


def test_every_type_goes_there_and_back(table):
    write(table, frame_of(ROW, NULLS))
    assert read_all(source_of(table)).rows() == [ROW, NULLS]
    assert read_all(source_of(table, columns=("name", "id"), limit=1)).rows() == [("a'b", 1)]


def test_a_reader_goes_on_where_it_was(table):
    write(table, frame_of(*[(i, *NULLS[1:]) for i in range(10)]))
    source = source_of(table, columns=("id",))
    results = read_split(source, source.splits()[0], max_rows=4)
    assert [r.frame.height for r in results] == [4, 4, 2]
    rest = read_split(source, source.splits()[0], position=results[0].position)
    assert [i for r in rest for i in r.frame["id"]] == list(range(4, 10))


def test_partitioned_scan(table):
    write(table, frame_of(*[(i, *NULLS[1:]) for i in range(10)]))
    options = {"column": "id", "num": "3", "lower-bound": "0", "upper-bound": "8"}
    parts = replace(table, options={**table.options, **{f"scan.partition.{k}": v for k, v in options.items()}})
    source = source_of(parts, columns=("id",))
    found = [[i for r in read_split(source, split) if r.frame is not None for i in r.frame["id"]] for split in source.splits()]
    assert found == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    with pytest.raises(OptionError, match=r"scan\.partition\.num"):
        source_of(replace(table, options={**table.options, "scan.partition.column": "id"}))


def test_keys_are_pushed_into_one_query(table):
    write(table, frame_of(*[(i, f"n{i % 7}", *NULLS[2:]) for i in range(100)]))
    keys = pl.DataFrame({"id": [3, 50, 1_000]})
    assert sorted(lookup(table, keys).rows()) == [(3, "n3"), (50, "n1")]
    both = pl.DataFrame({"id": [3, 3], "name": ["n3", "n4"]})
    assert lookup(table, both, ("id", "name")).rows() == [(3, "n3")]
    many = pl.DataFrame({"id": range(70_000)})
    assert lookup(table, many).height == 100
    source = find_connector("jdbc").lookup(table, ("id",), ("id",))
    reader, queries = source.reader(), []
    reader.lookup(keys)
    reader._connection.set_trace_callback(queries.append)
    reader.lookup(keys)
    assert len(queries) == 1
    reader.close()


def test_upserts_and_deletes(table):
    keyed = replace(table, primary_key=("id",))
    assert sink_of(keyed).accepts == {RowKind.INSERT, RowKind.UPDATE_AFTER, RowKind.DELETE}
    assert sink_of(table).accepts == {RowKind.INSERT}
    row = frame_of((1, "a", *NULLS[2:]), (2, "b", *NULLS[2:]), (1, "c", *NULLS[2:]), (2, "b", *NULLS[2:]), (3, "d", *NULLS[2:]))
    write(keyed, row, [0, 0, 2, 3, 0])
    write(keyed, frame_of((3, "e", *NULLS[2:])), [2])
    assert read_all(source_of(table, columns=("id", "name"))).rows() == [(1, "c"), (3, "e")]
    sink_of(keyed).begin(True, {})
    assert read_all(source_of(table)).is_empty()


def test_refusals(table):
    with pytest.raises(UnsupportedError, match="cannot open 'jdbc:postgresql"):
        source_of(replace(table, options={**table.options, "url": "jdbc:postgresql://h/d"}))
    missing = replace(table, options={**table.options, "table-name": "nothing"})
    with pytest.raises(ExecutionError, match="no such table"):
        read_all(source_of(missing))
    with pytest.raises(ExecutionError, match="no such table"):
        lookup(missing, pl.DataFrame({"id": [1]}))
    nested = make_table({"x": D.ARRAY(D.INT())}, connector="jdbc", url="jdbc:sqlite:x", table_name="t")
    with pytest.raises(UnsupportedError, match="cannot hold column 'x'"):
        source_of(nested)
