"""Change records become rows with kinds, in order; what is written can be read back."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from tableapi.connectors.formats.base import Decoded, TextFormat
from tableapi.connectors.registry import find_format
from tableapi.errors import OptionError, UnknownNameError
from tableapi.row import RowKind
from tableapi.tablespec import Field, RowSchema
from tableapi.types import DataTypes as D

KV = RowSchema((Field("id", D.INT()), Field("v", D.STRING())))


def form(name: str) -> TextFormat:
    found = find_format(name)
    assert isinstance(found, TextFormat)
    return found


def decode(
    name: str, data: str, wanted: list[str] | None = None, metadata: dict[str, str] | None = None, **given: str
) -> Decoded:
    f = form(name)
    options = f.read_options({f"{name}." + k.replace("__", ".").replace("_", "-"): v for k, v in given.items()})
    return f.decoder(KV, wanted or KV.names, options, metadata).decode(data.encode())


def changes(decoded: Decoded) -> list[str]:
    assert decoded.kinds is not None
    return [f"{RowKind(k)}{list(row)}" for k, row in zip(decoded.kinds, decoded.frame.rows(), strict=True)]


def test_debezium() -> None:
    data = (
        '{"before":null,"after":{"id":1,"v":"a"},"op":"r"}\n'
        '{"before":null,"after":{"id":2,"v":"b"},"op":"c"}\n'
        '{"before":{"id":1,"v":"a"},"after":{"id":1,"v":"x"},"op":"u"}\n'
        "null\n"
        '{"before":{"id":2,"v":"b"},"after":null,"op":"d"}\n'
    )
    assert changes(decode("debezium-json", data)) == ["+I[1, 'a']", "+I[2, 'b']", "-U[1, 'a']", "+U[1, 'x']", "-D[2, 'b']"]


def test_debezium_with_its_schema() -> None:
    data = '{"schema":{},"payload":{"before":null,"after":{"id":1,"v":"a"},"op":"c"}}\n'
    assert changes(decode("debezium-json", data, schema_include="true")) == ["+I[1, 'a']"]


def test_debezium_metadata() -> None:
    data = (
        '{"before":null,"after":{"id":1,"v":"x"},"op":"c","ts_ms":1710000000000,"source":{"db":"d1","ts_ms":1700000000000}}\n'
    )
    decoded = decode("debezium-json", data, ["v", "t", "db"], {"t": "ingestion-timestamp", "db": "source.database"})
    assert decoded.frame.rows() == [("x", datetime(2024, 3, 9, 16, tzinfo=UTC), "d1")]
    with pytest.raises(UnknownNameError, match="no metadata 'tms'"):
        decode("debezium-json", data, ["v", "t"], {"t": "tms"})


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"before":null,"after":{"id":1},"op":"u"}', "'before' is null"),
        ('{"before":{"id":1},"after":null,"op":"c"}', "'after' is null"),
        ('{"before":null,"after":{"id":1},"op":"z"}', "'op' is 'z', which is none of c, r, u, d"),
        ('{"before":null,"after":{"id":"x"},"op":"c"}', "'x' is not an INT"),
        ("nope", "not JSON"),
    ],
)
def test_bad_change_records(line: str, reason: str) -> None:
    good = '{"before":null,"after":{"id":1,"v":"a"},"op":"c"}\n'
    decoded = decode("debezium-json", good + line + "\n" + good)
    assert changes(decoded) == ["+I[1, 'a']", "+I[1, 'a']"]
    assert [b.line for b in decoded.bad] == [1]
    assert reason in decoded.bad[0].reason
    assert decode("debezium-json", good + line, ignore_parse_errors="true").bad == ()


def test_ogg() -> None:
    data = (
        '{"after":{"id":1,"v":"a"},"op_type":"I"}\n{"before":{"id":1,"v":"a"},"after":{"id":1,"v":"b"},"op_type":"U"}\n'
        '{"before":{"id":1,"v":"b"},"op_type":"D"}\n'
    )
    assert changes(decode("ogg-json", data)) == ["+I[1, 'a']", "-U[1, 'a']", "+U[1, 'b']", "-D[1, 'b']"]


CANAL = (
    '{"data":[{"id":"1","v":"a"},{"id":"2","v":"b"}],"old":null,"type":"INSERT","database":"d","table":"t"}\n'
    '{"type":"CREATE","data":null,"database":"d"}\n'
    '{"data":[{"id":"1","v":"a2"},{"id":"3","v":"c"}],"old":[{"v":"a"},{"id":"2"}],"type":"UPDATE","database":"d","table":"t"}\n'
    '{"data":[{"id":"1","v":"a3"}],"old":[{"v":null}],"type":"UPDATE","database":"other","table":"t"}\n'
    '{"data":[{"id":"2","v":"b"}],"old":null,"type":"DELETE","database":"d","table":"t"}\n'
)


def test_canal_takes_what_did_not_change_from_the_new_row() -> None:
    assert changes(decode("canal-json", CANAL)) == [
        "+I[1, 'a']", "+I[2, 'b']", "-U[1, 'a']", "+U[1, 'a2']", "-U[2, 'c']", "+U[3, 'c']", "-U[1, None]", "+U[1, 'a3']", "-D[2, 'b']",
    ]  # fmt: skip


def test_canal_filters_by_database() -> None:
    assert changes(decode("canal-json", CANAL, database__include="oth.*")) == ["-U[1, None]", "+U[1, 'a3']"]


def test_maxwell() -> None:
    data = (
        '{"data":{"id":1,"v":"a"},"type":"insert"}\n{"data":{"id":1,"v":"b"},"old":{"v":"a"},"type":"update"}\n'
        '{"data":{"id":1,"v":"b"},"type":"delete"}\n'
    )
    assert changes(decode("maxwell-json", data)) == ["+I[1, 'a']", "-U[1, 'a']", "+U[1, 'b']", "-D[1, 'b']"]


@pytest.mark.parametrize("name", ["debezium-json", "ogg-json", "canal-json", "maxwell-json"])
def test_updates_are_written_as_delete_and_insert(name: str) -> None:
    f = form(name)
    frame = pl.DataFrame({"id": [1, 1, 1, 1], "v": ["a", "a", 'b"', 'b"']}, schema=KV.to_polars())
    kinds = pl.Series([RowKind.INSERT, RowKind.UPDATE_BEFORE, RowKind.UPDATE_AFTER, RowKind.DELETE], dtype=pl.Int8)
    data = f.encoder(KV, f.read_options({})).encode(frame, kinds)
    assert changes(decode(name, data.decode())) == ["+I[1, 'a']", "-D[1, 'a']", "+I[1, 'b\"']", "-D[1, 'b\"']"]
    assert f.encoder(KV, f.read_options({})).encode(frame.clear(), None) == b""


def test_debezium_schema_is_for_reading_only() -> None:
    f = form("debezium-json")
    with pytest.raises(OptionError, match="for reading only"):
        f.encoder(KV, f.read_options({"debezium-json.schema-include": "true"}))
