"""Conditions with constants leave parts of files and of logs unread; what is read is counted, or damaged where it must not be."""

from __future__ import annotations

import datetime
import random
from pathlib import Path

import polars as pl
import pytest

from tableapi import EnvironmentSettings, TableEnvironment
from tableapi.connectors.base import ScanRequest
from tableapi.connectors.filelog import EventLog
from tableapi.connectors.filelog import reader as log_reader
from tableapi.connectors.registry import find_connector
from tableapi.errors import TableApiError
from tableapi.runtime.planner.ranges import ranges_of
from tableapi.tablespec import ObjectIdentifier, TableColumn, TableSpec
from tableapi.types import DataTypes

EPOCH = datetime.datetime(2024, 1, 1)


@pytest.fixture
def env() -> TableEnvironment:
    return TableEnvironment.create(EnvironmentSettings.in_batch_mode())


@pytest.fixture
def frames_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The first offsets of the frames of logs whose events were decoded."""
    read: list[int] = []
    original = log_reader.decode

    def decode(body, header, schema, wanted):
        read.append(header.base_offset)
        return original(body, header, schema, wanted)

    monkeypatch.setattr(log_reader, "decode", decode)
    return read


def make_log(env: TableEnvironment, path: Path, times: list[list[datetime.datetime | None]], name: str = "t") -> None:
    """A topic with a frame, and about a segment, for each list of event times."""
    log = EventLog(path)
    log.create(
        name,
        {"id": DataTypes.BIGINT(), "at": DataTypes.TIMESTAMP(3), "pad": DataTypes.STRING()},
        event_time="at",
        segment_bytes=4096,
    )
    count = 0
    for part in times:
        ids = range(count, count + len(part))
        frame = pl.DataFrame({"id": ids, "at": part, "pad": ["x" * 50] * len(part)}, schema_overrides={"at": pl.Datetime("ms")})
        log.append(name, frame)
        count += len(part)
    env.execute_sql(
        f"CREATE TABLE {name} (id BIGINT, `at` TIMESTAMP(3), pad STRING, n BIGINT METADATA FROM 'offset' VIRTUAL, "
        f"ts TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL) WITH ('connector' = 'filelog', 'path' = '{path}', 'topic' = '{name}')"
    )


def hours(*numbers: int) -> list[datetime.datetime | None]:
    return [EPOCH + datetime.timedelta(hours=h, minutes=m) for h in numbers for m in range(0, 60, 6)]


@pytest.mark.parametrize(
    ("condition", "ids", "frames"),
    [
        ("`at` >= TIMESTAMP '2024-01-01 08:54:00'", range(89, 100), {80, 90}),
        ("`at` < TIMESTAMP '2024-01-01 01:00:00'", range(10), {0, 10}),
        ("`at` BETWEEN TIMESTAMP '2024-01-01 02:00:00' AND TIMESTAMP '2024-01-01 02:00:00' + INTERVAL '30' MINUTE", range(20, 26), {20}),
        ("ts >= CAST(TIMESTAMP '2024-01-01 08:54:00' AS TIMESTAMP_LTZ(3))", range(89, 100), {80, 90}),
        ("n >= 42 AND n < 45", range(42, 45), {40}),
        ("n = 77", [77], {70}),
        ("n IN (15, 31)", [15, 31], {10, 20, 30}),
        ("n > 1000", [], set()),
        ("pad = 'x'", [], set(range(0, 100, 10))),
    ],
)  # fmt: skip
def test_frames_of_a_log_are_passed_over(
    env: TableEnvironment, tmp_path: Path, frames_read: list[int], condition: str, ids: list[int], frames: set[int]
) -> None:
    make_log(env, tmp_path, [hours(h) for h in range(10)])
    frames_read.clear()
    assert env.sql_query(f"SELECT id FROM t WHERE {condition}").to_polars()["id"].to_list() == list(ids)
    assert set(frames_read) == frames


def test_any_range_of_a_log_without_order_has_the_rows_of_a_filter(env: TableEnvironment, tmp_path: Path) -> None:
    """Goal: times out of order, NULLs, and every combination of bounds give what reading everything gives."""
    source = random.Random(5)
    moments = [
        [EPOCH + datetime.timedelta(minutes=source.randint(0, 600)) if source.random() > 0.1 else None for _ in range(10)]
        for _ in range(20)
    ]
    make_log(env, tmp_path, moments)
    everything = env.sql_query("SELECT id, `at`, n, ts FROM t").to_polars()
    for _ in range(60):
        low, high = sorted(source.randint(-20, 620) for _ in range(2))
        first, last = sorted(source.randint(-5, 205) for _ in range(2))
        column = source.choice(["at", "ts"])
        limits = [EPOCH + datetime.timedelta(minutes=m) for m in (low, high)]
        texts = [
            f"TIMESTAMP '{limit}'" if column == "at" else f"CAST(TIMESTAMP '{limit}' AS TIMESTAMP_LTZ(3))" for limit in limits
        ]
        found = env.sql_query(
            f"SELECT id FROM t WHERE `{column}` > {texts[0]} AND `{column}` <= {texts[1]} AND n BETWEEN {first} AND {last}"
        )
        moment = pl.col(column) if column == "at" else pl.col(column).dt.replace_time_zone(None)
        expected = everything.filter(moment > limits[0], moment <= limits[1], pl.col("n").is_between(first, last))
        assert found.to_polars()["id"].to_list() == expected["id"].to_list()


def test_of_upserts_every_one_is_read(env: TableEnvironment, tmp_path: Path) -> None:
    """Goal: an old version of a key must not come back because the newer one lies outside of the range."""
    log = EventLog(tmp_path)
    log.create("k", {"id": DataTypes.BIGINT(), "at": DataTypes.TIMESTAMP(3)}, key="id", event_time="at")
    for hour in (1, 5):
        log.append(
            "k",
            pl.DataFrame(
                {"id": [1], "at": [EPOCH + datetime.timedelta(hours=hour)]}, schema_overrides={"at": pl.Datetime("ms")}
            ),
        )
    env.execute_sql(
        "CREATE TABLE k (id BIGINT, `at` TIMESTAMP(3), PRIMARY KEY (id) NOT ENFORCED) "
        f"WITH ('connector' = 'filelog', 'path' = '{tmp_path}', 'topic' = 'k')"
    )
    assert env.sql_query("SELECT id FROM k WHERE `at` < TIMESTAMP '2024-01-01 03:00:00'").to_polars().height == 0


def damage(path: Path, frame: pl.DataFrame) -> int:
    """Writes row groups of ten rows and destroys the values of all but the third; gives the number of row groups."""
    import pyarrow.parquet as pq

    frame.write_parquet(path, row_group_size=10, compression="uncompressed")
    footer = pq.read_metadata(path)
    data = bytearray(path.read_bytes())
    for group in [g for g in range(footer.num_row_groups) if g != 2]:
        for column in range(footer.num_columns):
            chunk = footer.row_group(group).column(column)
            start = chunk.dictionary_page_offset or chunk.data_page_offset
            data[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    path.write_bytes(bytes(data))
    return footer.num_row_groups


@pytest.mark.parametrize("declared", ["BIGINT", "INT"])
def test_row_groups_outside_a_range_are_not_read(env: TableEnvironment, tmp_path: Path, declared: str) -> None:
    """Goal: both ways of reading Parquet (Polars' own, and ours for a column of another type) leave destroyed row groups alone."""
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=d) for d in range(100)]
    assert damage(tmp_path / "t.parquet", pl.DataFrame({"id": range(100), "day": days, "v": range(100)})) == 10
    env.execute_sql(
        f"CREATE TABLE t (id BIGINT, `day` DATE, v {declared}) WITH ('connector' = 'filesystem', 'path' = '{tmp_path}', 'format' = 'parquet')"
    )
    assert env.sql_query("SELECT v FROM t WHERE id >= 20 AND id < 25").to_polars()["v"].to_list() == [20, 21, 22, 23, 24]
    assert env.sql_query("SELECT v FROM t WHERE `day` = DATE '2024-01-20' + INTERVAL '3' DAY").to_polars()["v"].to_list() == [
        22
    ]
    with pytest.raises(TableApiError):
        env.sql_query("SELECT v FROM t WHERE id >= 20 AND id < 35").to_polars()


@pytest.mark.parametrize("format_name", ["parquet", "orc", "arrow"])
def test_columnar_files_say_how_many_rows_they_have(env: TableEnvironment, tmp_path: Path, format_name: str) -> None:
    options = {"connector": "filesystem", "path": str(tmp_path), "format": format_name}
    columns = (TableColumn("id", DataTypes.BIGINT()),)
    with_options = ", ".join(f"'{k}' = '{v}'" for k, v in options.items())
    env.execute_sql(f"CREATE TABLE t (id BIGINT) WITH ({with_options})")
    env.create_temporary_view("numbers", env.from_polars(pl.DataFrame({"id": range(1234)})))
    env.execute_sql("INSERT INTO t SELECT id FROM numbers").wait()
    spec = TableSpec(ObjectIdentifier("c", "d", "t"), columns, options)
    assert find_connector("filesystem").source(spec, ScanRequest(), False).statistics().rows == 1234


def test_ranges_are_those_of_comparisons_with_constants() -> None:
    from tableapi.plan.rex import Call, Literal, Ref

    big, flag = DataTypes.BIGINT(), DataTypes.BOOLEAN()
    a, b = Ref(big, "a"), Ref(big, "b")

    def number(value: int | None) -> Literal:
        return Literal(big, value)

    parts = [
        Call(flag, "GREATER", (a, number(3))),
        Call(flag, "GREATER", (number(9), a)),
        Call(flag, "LESS", (a, b)),
        Call(flag, "NOT_EQUALS", (b, number(4))),
        Call(flag, "OR", (Call(flag, "EQUALS", (b, number(1))), Call(flag, "EQUALS", (b, number(2))))),
        Call(flag, "EQUALS", (Ref(DataTypes.STRING(), "s"), Literal(DataTypes.STRING(), "x"))),
        Call(flag, "IN", (Ref(big, "c"), number(7), number(None))),
    ]
    found = ranges_of(parts)
    assert {name: (r.lowest, r.highest) for name, r in found.items()} == {"a": (3, 9)}
