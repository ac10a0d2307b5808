"""Topics, schemas, appending and reading."""

from __future__ import annotations

import datetime as dt
import os
import stat

import polars as pl
import pytest

from tableapi.connectors.filelog import (
    EventLog,
    OffsetOutOfRangeError,
    SchemaEvolutionError,
    SchemaMismatchError,
    TopicDeletedError,
    TopicSchema,
    make_schema,
)
from tableapi.connectors.filelog.log import partition_of
from tableapi.errors import AlreadyExistsError, OptionError, UnknownNameError, ValidationError
from tableapi.types import DataTypes as D

SCHEMA = {"id": D.BIGINT(), "name": D.STRING(), "at": D.TIMESTAMP(3)}


def rows(first: int, count: int) -> pl.DataFrame:
    ids = list(range(first, first + count))
    return pl.DataFrame(
        {"id": ids, "name": [f"n{i}" for i in ids], "at": [dt.datetime(2024, 1, 1) + dt.timedelta(seconds=i) for i in ids]},
        schema={"id": pl.Int64, "name": pl.String, "at": pl.Datetime("ms")},
    )


@pytest.fixture
def log(tmp_path):
    with EventLog(tmp_path / "log") as opened:
        yield opened


def test_create_list_describe_delete(log):
    log.create("a", SCHEMA, key="id", event_time="at", partitions=3, compression="zstd")
    log.create("b", {"x": D.INT()})
    assert log.topics() == ["a", "b"]
    info = log.describe("a")
    assert (info.partitions, info.config.compression, info.schema.key) == (3, "zstd", ("id",))
    log.delete("a")
    assert log.topics() == ["b"]
    with pytest.raises(UnknownNameError, match="no topic 'a'"):
        log.read("a")


def test_create_refuses_what_makes_no_sense(log):
    log.create("a", SCHEMA)
    with pytest.raises(AlreadyExistsError):
        log.create("a", SCHEMA)
    assert log.create("a", SCHEMA, if_not_exists=True).name == "a"
    with pytest.raises(AlreadyExistsError, match="another schema"):
        log.create("a", {"x": D.INT()}, if_not_exists=True)
    with pytest.raises(ValidationError, match="cannot be the name"):
        log.create("../a", SCHEMA)
    with pytest.raises(OptionError, match="no topic setting"):
        log.create("c", SCHEMA, compresion="lz4")
    with pytest.raises(ValidationError, match="no key"):
        log.create("c", SCHEMA, cleanup="compact")
    with pytest.raises(UnknownNameError, match="'idd'"):
        log.create("c", SCHEMA, key="idd")


def test_files_are_private(log):
    log.create("a", SCHEMA)
    log.append("a", rows(0, 3))
    for directory, _, files in os.walk(log.path):
        assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700
        for name in files:
            assert stat.S_IMODE(os.stat(os.path.join(directory, name)).st_mode) == 0o600


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_every_type_comes_back(log, compression):
    types = {
        "b": D.BOOLEAN(),
        "i8": D.TINYINT(),
        "i16": D.SMALLINT(),
        "i32": D.INT(),
        "i64": D.BIGINT(),
        "f": D.FLOAT(),
        "d": D.DOUBLE(),
        "dec": D.DECIMAL(38, 5),
        "s": D.STRING(),
        "by": D.BYTES(),
        "day": D.DATE(),
        "time": D.TIME(3),
        "ts": D.TIMESTAMP(9),
        "tz": D.TIMESTAMP_LTZ(6),
        "list": D.ARRAY(D.ARRAY(D.STRING())),
        "map": D.MAP(D.STRING(), D.INT()),
        "row": D.ROW([D.FIELD("x", D.INT()), D.FIELD("y", D.ARRAY(D.BYTES()))]),
    }
    schema = make_schema(types)
    assert TopicSchema.from_json(schema.to_json()) == schema
    frame = pl.DataFrame(
        {
            "b": [True, None],
            "i8": [-128, None],
            "i16": [1, None],
            "i32": [1, None],
            "i64": [2**62, None],
            "f": [1.5, None],
            "d": [float("nan"), None],
            "dec": ["12345678901234567890.12345", None],
            "s": ["é" * 40, None],
            "by": [b"\x00\xff", None],
            "day": [dt.date(1900, 1, 1), None],
            "time": [dt.time(23, 59, 59, 999000), None],
            "ts": [dt.datetime(2024, 1, 1), None],
            "tz": [dt.datetime(2024, 1, 1, tzinfo=dt.UTC), None],
            "list": [[["a", None], []], None],
            "map": [[{"key": "k", "value": 1}], None],
            "row": [{"x": 1, "y": [b"z"]}, None],
        },
        schema={**schema.polars(), "dec": pl.String},
    ).with_columns(pl.col("dec").cast(pl.Decimal(38, 5)))
    log.create("t", types, compression=compression)
    log.append("t", frame)
    read = log.read("t")
    assert read.schema == frame.schema
    assert read.equals(frame)
    assert log.read("t", columns=["row", "s"]).equals(frame.select("row", "s"))


def test_keys_stay_in_their_partition_in_order(log):
    log.create("t", SCHEMA, key="name", partitions=4)
    frame = rows(0, 1000).with_columns(name=pl.format("k{}", pl.col("id") % 17))
    log.append("t", frame[:400])
    log.append("t", frame[400:])
    read = log.read("t", metadata=["partition", "offset"])
    assert read.height == 1000
    assert read.group_by("name").agg(pl.col("partition").n_unique())["partition"].max() == 1
    assert read.group_by("name", maintain_order=True).agg(pl.col("id").diff().min())["id"].min() > 0
    expected = partition_of(read, ["name"], 4)
    assert (read["partition"].to_numpy() == expected).all()
    for number in range(4):
        part = read.filter(pl.col("partition") == number)
        assert part["offset"].to_list() == list(range(part.height))


def test_partitions_of_known_keys_never_change():
    frame = pl.DataFrame({"k": ["EWR", "JFK", "LGA", "", None, "ä"]})
    assert partition_of(frame, ["k"], 4).tolist() == PARTITIONS


PARTITIONS = [1, 2, 1, 3, 2, 3]


def test_read_from_offset_time_earliest_latest(log):
    log.create("t", SCHEMA, event_time="at", segment_bytes=8192)
    for at in range(0, 300, 30):
        log.append("t", rows(at, 30))
    assert log.partition_infos("t")[0].segments > 1
    assert log.read("t", start=37)["id"].to_list() == list(range(37, 300))
    assert log.read("t", start=37, end=41)["id"].to_list() == [37, 38, 39, 40]
    time = dt.datetime(2024, 1, 1) + dt.timedelta(seconds=123)
    assert log.read("t", start=time)["id"][0] == 123
    assert log.read("t", end=time)["id"][-1] == 122
    assert log.read("t", start="latest").height == 0
    assert log.read("t", start={0: 299})["id"].to_list() == [299]
    assert log.read("t", start=dt.datetime(2030, 1, 1)).height == 0
    with pytest.raises(OffsetOutOfRangeError, match="ends at 300"):
        log.reader("t", 0, start=301).read(1)


def test_metadata(log):
    log.create("t", {"id": D.INT()})
    headers = pl.Series([[{"key": "h", "value": b"1"}], None], dtype=pl.List(pl.Struct({"key": pl.String, "value": pl.Binary})))
    log.append("t", pl.DataFrame({"id": [1, 2]}), timestamps=pl.Series([1000, 2000]), headers=headers)
    log.append("t", pl.DataFrame({"id": [3]}))
    read = log.read("t", metadata={"o": "offset", "t": "timestamp", "h": "headers", "a": "append_time"})
    assert read["o"].to_list() == [0, 1, 2]
    assert read["t"].dt.epoch("ms").to_list()[:2] == [1000, 2000]
    assert read["t"][2] == read["a"][2]
    assert read["h"].to_list() == [[{"key": "h", "value": b"1"}], None, None]
    assert log.read("t", columns=[], metadata=["offset"])["offset"].to_list() == [0, 1, 2]
    with pytest.raises(UnknownNameError, match="did you mean 'offset'"):
        log.read("t", metadata=["ofset"])


def test_rows_that_do_not_fit_append_nothing(log):
    log.create("t", {"id": D.INT().not_null(), "name": D.STRING(), "at": D.TIMESTAMP(3)})
    good = {"id": [1], "name": ["x"], "at": [dt.datetime(2024, 1, 1)]}
    for change, message in [
        ({"id": [None]}, "'id' is NULL in row 0"),
        ({"id": [2**40]}, "'id' has a value that does not fit INT"),
        ({"id": ["a"]}, "'id' has Polars type String"),
        ({"nam": ["y"]}, "did you mean 'name'"),
        ({"at": [dt.datetime(2024, 1, 1, 0, 0, 0, 1)]}, "'at' of Polars type .* would lose digits"),
        ({"at": [dt.datetime(2024, 1, 1, tzinfo=dt.UTC)]}, "'at' has Polars type"),
    ]:
        with pytest.raises(SchemaMismatchError, match=message):
            log.append("t", pl.DataFrame({**good, **change}))
    with pytest.raises(SchemaMismatchError, match="'id' is missing"):
        log.append("t", pl.DataFrame({"name": ["x"]}))
    assert log.read("t").height == 0
    log.append("t", pl.DataFrame({"at": [dt.datetime(2024, 1, 1)], "id": [1]}))
    assert log.read("t").to_dicts() == [{"id": 1, "name": None, "at": dt.datetime(2024, 1, 1)}]


def test_evolution_by_mode(log):
    log.create("t", {"id": D.INT(), "v": D.INT()}, key="id")
    log.append("t", pl.DataFrame({"id": [1], "v": [10]}))
    with pytest.raises(SchemaEvolutionError, match=r"column 'w'.*NOT NULL"):
        log.evolve("t", {"id": D.INT(), "v": D.INT(), "w": D.INT().not_null()})
    with pytest.raises(SchemaEvolutionError, match="column 'v': INT is not contained in SMALLINT"):
        log.evolve("t", {"id": D.INT(), "v": D.SMALLINT()})
    with pytest.raises(SchemaEvolutionError, match="key"):
        log.evolve("t", {"id": D.BIGINT(), "v": D.INT()})
    log.evolve("t", {"id": D.INT(), "w": D.STRING(), "v": D.BIGINT()})
    log.append("t", pl.DataFrame({"id": [2], "v": [2**40], "w": ["x"]}))
    assert log.read("t").rows() == [(1, None, 10), (2, "x", 2**40)]
    assert log.read("t").schema == {"id": pl.Int32, "w": pl.String, "v": pl.Int64}
    log.alter("t", evolution="full")
    with pytest.raises(SchemaEvolutionError, match="full"):
        log.evolve("t", {"id": D.INT(), "v": D.DECIMAL(20, 0), "w": D.STRING()})
    log.alter("t", evolution="none")
    log.evolve("t", {"id": D.INT(), "v": D.STRING()})
    assert log.read("t")["v"].to_list() == ["10", str(2**40)]


def test_an_open_reader_meets_a_newer_schema(log, tmp_path):
    log.create("t", {"id": D.INT()})
    log.append("t", pl.DataFrame({"id": [1]}))
    reader = log.reader("t", 0)
    with EventLog(tmp_path / "log") as other:
        other.evolve("t", {"id": D.INT(), "x": D.INT()})
        other.append("t", pl.DataFrame({"id": [2], "x": [5]}))
    assert reader.read(10).to_dicts() == [{"id": 1}, {"id": 2}]


def test_a_deleted_topic_is_noticed(log, tmp_path):
    log.create("t", {"id": D.INT()})
    log.append("t", pl.DataFrame({"id": [1]}))
    with EventLog(tmp_path / "log") as other:
        other.delete("t")
        with pytest.raises(TopicDeletedError):
            log.append("t", pl.DataFrame({"id": [2]}))
        other.create("t", {"id": D.INT()})
    with pytest.raises(TopicDeletedError):
        log.append("t", pl.DataFrame({"id": [2]}))


def test_large_appends_are_cut_into_frames(log):
    log.create("t", SCHEMA, max_frame_bytes=4096, segment_bytes=32768)
    log.append("t", rows(0, 5000))
    assert log.read("t").equals(rows(0, 5000))
    assert log.partition_infos("t")[0].segments > 3


def test_small_reads_cover_everything_once(log):
    log.create("t", SCHEMA, segment_bytes=8192)
    for at in range(0, 700, 70):
        log.append("t", rows(at, 70))
    reader = log.reader("t", 0, start=5)
    ids = []
    while (frame := reader.read(9)) is not None:
        assert frame.height <= 9
        ids.extend(frame["id"])
    assert ids == list(range(5, 700))


def test_a_reader_sees_what_others_append(log, tmp_path):
    log.create("t", SCHEMA)
    reader = log.reader("t", 0)
    assert reader.read(10) is None
    with EventLog(tmp_path / "log") as writer:
        for at in range(3):
            writer.append("t", rows(at, 1))
            assert reader.read(10)["id"].to_list() == [at]


def test_many_frames_in_one_append(log):
    log.create("t", SCHEMA)
    batches = [batch for i in range(1500) for _, batch in log.encode("t", rows(i, 1))]
    log.partition("t", 0).append(batches)
    assert log.read("t")["id"].to_list() == list(range(1500))


def test_large_frames_are_written_without_copies_of_columns(log):
    log.create("t", {"id": D.BIGINT(), "s": D.STRING(), "l": D.ARRAY(D.STRING())})
    frame = pl.DataFrame({"id": range(50_000), "s": [None if i % 7 == 0 else f"text {i}" for i in range(50_000)]})
    frame = frame.with_columns(l=pl.concat_list("s", pl.lit("x")))
    log.append("t", frame[17:])
    assert log.read("t").equals(frame[17:])
