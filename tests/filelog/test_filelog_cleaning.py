"""Retention and compaction."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from tableapi.connectors.filelog import EventLog, OffsetOutOfRangeError
from tableapi.connectors.filelog.compaction import clean
from tableapi.connectors.filelog.storage import OsStorage
from tableapi.row import RowKind
from tableapi.types import DataTypes as D


class ClockStorage(OsStorage):
    """The real disk with a clock that the test moves."""

    now = 1_000_000

    def now_ms(self):
        return self.now


@pytest.fixture
def log(tmp_path):
    with EventLog(tmp_path / "log", ClockStorage()) as opened:
        yield opened


def fill(log, first, count):
    log.append("t", pl.DataFrame({"id": range(first, first + count), "v": range(first, first + count)}))


def test_retention_by_size_happens_while_writing(log):
    log.create("t", {"id": D.BIGINT(), "v": D.BIGINT()}, segment_bytes=4096, retention_bytes=10_000)
    for at in range(0, 2000, 50):
        fill(log, at, 50)
    (info,) = log.partition_infos("t")
    assert info.size_bytes < 15_000
    assert info.start_offset > 0
    assert log.read("t")["id"].to_list() == list(range(info.start_offset, 2000))
    with pytest.raises(OffsetOutOfRangeError, match=f"begins at {info.start_offset}"):
        log.read("t", start=0)


def test_retention_by_age(log):
    log.create("t", {"id": D.BIGINT(), "v": D.BIGINT()}, segment_bytes=4096, retention_ms=1000)
    fill(log, 0, 100)
    clean(log, "t", roll=True)
    log.storage.now += 600
    fill(log, 100, 100)
    clean(log, "t", roll=True)
    assert log.read("t").height == 200
    log.storage.now += 600
    clean(log, "t")
    assert log.read("t")["id"].to_list() == list(range(100, 200))
    log.storage.now += 600
    clean(log, "t")
    assert log.read("t").height == 0
    fill(log, 200, 1)
    assert log.read("t", metadata=["offset"])["offset"].to_list() == [200]


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_compaction_keeps_the_newest_of_each_key(log, compression):
    log.create(
        "t", {"id": D.BIGINT(), "v": D.BIGINT()}, key="id", cleanup="compact", segment_bytes=4096, compression=compression
    )
    for at in range(20):
        log.append("t", pl.DataFrame({"id": [i % 30 for i in range(at * 10, at * 10 + 10)], "v": range(at * 10, at * 10 + 10)}))
    log.append("t", pl.DataFrame({"id": [3, 4]}), kinds=pl.Series([RowKind.DELETE, RowKind.DELETE], dtype=pl.Int8))
    before = log.read("t", metadata=["offset", "kind", "append_time"])
    newest = before.unique("id", keep="last").sort("offset")
    old_reader = log.reader("t", 0)
    assert old_reader.read(5).height == 5
    (done,) = clean(log, "t", roll=True)
    assert done.rows_dropped == before.height - newest.height
    after = log.read("t", metadata=["offset", "kind", "append_time"])
    assert after.equals(newest)
    assert log.read("t", start=50, metadata=["offset", "kind", "append_time"]).equals(newest.filter(pl.col("offset") >= 50))
    (again,) = clean(log, "t")
    assert again.rows_dropped == 0
    log.storage.now += 48 * 3_600_000
    clean(log, "t")
    assert log.read("t", metadata=["offset", "kind", "append_time"]).equals(newest.filter(pl.col("kind") == 0))
    assert old_reader.read(10_000).height > 0
    log.append("t", pl.DataFrame({"id": [1], "v": [1000]}))
    assert log.read("t")["v"][-1] == 1000


def test_small_reads_of_a_compacted_topic(log):
    log.create("t", {"id": D.BIGINT(), "v": D.BIGINT()}, key="id", cleanup="compact", segment_bytes=4096)
    for at in range(30):
        fill(log, at * 7, 14)
    clean(log, "t", roll=True)
    whole = log.read("t", metadata=["offset"])
    reader = log.reader("t", 0, metadata=["offset"])
    pieces = []
    while (frame := reader.read(3)) is not None:
        assert frame.height <= 3
        pieces.append(frame)
    assert pl.concat(pieces).equals(whole)
    end = log.resolve("t", "latest", 0)
    for start in range(0, end, 11):
        assert log.read("t", start=start, metadata=["offset"]).equals(whole.filter(pl.col("offset") >= start))
        assert log.read("t", end=start, metadata=["offset"]).equals(whole.filter(pl.col("offset") < start))


def test_times_are_found_in_a_compacted_topic(log):
    log.create("t", {"id": D.BIGINT(), "at": D.TIMESTAMP(3)}, key="id", event_time="at", cleanup="compact", segment_bytes=4096)
    base = dt.datetime(2024, 1, 1)
    for at in range(40):
        log.append(
            "t",
            pl.DataFrame({"id": [at % 5, 100 + at], "at": [base + dt.timedelta(hours=at)] * 2}).cast({"at": pl.Datetime("ms")}),
        )
    clean(log, "t", roll=True)
    for hour in (0, 3, 35, 39):
        expected = log.read("t").filter(pl.col("at") >= base + dt.timedelta(hours=hour))
        assert log.read("t", start=base + dt.timedelta(hours=hour)).equals(expected)
