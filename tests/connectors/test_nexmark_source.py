"""The nexmark source: the same events whatever the splits and batches; in real time, those whose time has come."""

from __future__ import annotations

import polars as pl
import pytest
from connector_driving import make_table as table
from connector_driving import read_all, read_split, source_of

from tableapi.connectors import nexmark
from tableapi.connectors.base import Source
from tableapi.types import DataTypes as D

BIDS = {"event_type": D.INT(), "dateTime": D.TIMESTAMP(3)}


def events(**options: str) -> Source:
    return source_of(table(BIDS, connector="nexmark", **options))


@pytest.mark.parametrize("splits", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 16_384, 16_385, 70_001])
def test_splits_cover_the_events(splits: int, count: int) -> None:
    source = events(events=str(count), splits=str(splits))
    frame = read_all(source)
    assert frame.height == count
    assert frame.sort("dateTime", "event_type").equals(
        read_all(events(events=str(count), splits="1")).sort("dateTime", "event_type")
    )


def test_kinds_of_events_are_in_proportion() -> None:
    counts = dict(read_all(events(events="5000"))["event_type"].value_counts().rows())
    assert counts == {0: 100, 1: 300, 2: 4600}


def test_a_reader_goes_on_from_its_position() -> None:
    source = events(events="40000", splits="2")
    split = source.splits()[1]
    whole = pl.concat([r.frame for r in read_split(source, split) if r.frame is not None])
    reader = source.reader(split)
    first = reader.read(1000)
    rest = pl.concat([r.frame for r in read_split(source, split, position=first.position) if r.frame is not None])
    assert pl.concat([first.frame, rest]).equals(whole)


def test_in_real_time_events_come_when_their_time_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [99.9]
    monkeypatch.setattr(nexmark.time, "time", lambda: now[0])
    source = events(events="1000", splits="2", real_time="true", start_millis="100000", events_per_second="1000")
    readers = [source.reader(s) for s in source.splits()]
    assert all(r.read(500).frame is None for r in readers)
    now[0] = 100.1195
    heights = [0 if (f := r.read(500).frame) is None else f.height for r in readers]
    assert heights == [70, 50]
    assert readers[0].read(500).frame is None
    now[0] = 102.0
    results = [r.read(5000) for r in readers]
    assert [r.frame.height for r in results if r.frame is not None] == [430, 450]
    assert all(r.finished for r in results)
