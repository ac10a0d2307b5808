"""The generated auction events: the same whatever the splits, in the described proportions, and narrowed to the fields that are read."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from connector_driving import make_table

from tableapi.connectors.base import ReadResult, ScanRequest
from tableapi.connectors.nexmark import NexmarkConnector
from tableapi.types import DataType
from tableapi.types import DataTypes as D

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from nexmark_queries import AUCTION, BID, PERSON

TYPES = {"BIGINT": D.BIGINT(), "STRING": D.STRING(), "TIMESTAMP(3)": D.TIMESTAMP(3)}


def row_type(text: str) -> DataType:
    parts = (part.rsplit(" ", 1) for part in text.split(", "))
    return D.ROW([D.FIELD(name.strip("`"), TYPES[type_name]) for name, type_name in parts])


COLUMNS = {
    "event_type": D.INT(), "person": row_type(PERSON), "auction": row_type(AUCTION), "bid": row_type(BID), "dateTime": D.TIMESTAMP(3)
}  # fmt: skip


def rows(events: int = 60_000, splits: int = 1, **request: object) -> pl.DataFrame:
    made = make_table(COLUMNS, connector="nexmark", events=str(events), splits=str(splits))
    source = NexmarkConnector().source(made, ScanRequest(**request), True)
    frames = []
    for split in source.splits():
        reader = source.reader(split)
        result = ReadResult(None, None)
        while not result.finished:
            result = reader.read(10_000)
            frames += [] if result.frame is None else [result.frame]
    return pl.concat(frames)


def test_events_come_in_the_described_proportions() -> None:
    kinds = rows(columns=("event_type",))["event_type"].value_counts(sort=True)
    assert dict(kinds.iter_rows()) == {2: 55_200, 1: 3_600, 0: 1_200}


def test_a_row_is_null_in_the_events_of_other_kinds() -> None:
    frame = rows(events=5_000)
    for kind, name in enumerate(("person", "auction", "bid")):
        assert (frame[name].is_not_null() == (frame["event_type"] == kind)).all()


@pytest.mark.parametrize("splits", [2, 3])
def test_the_events_do_not_depend_on_the_splits(splits: int) -> None:
    one, several = (Counter(map(repr, rows(events=40_000, splits=s).iter_rows())) for s in (1, splits))
    assert one == several


def test_fields_that_nobody_reads_are_null_and_the_others_do_not_change() -> None:
    whole, narrow = rows(events=5_000), rows(events=5_000, fields={"bid": ("price", "url")})
    assert narrow.schema == whole.schema
    assert narrow["auction"].equals(whole["auction"])
    fields = {
        f.name: (whole["bid"].struct.field(f.name), narrow["bid"].struct.field(f.name)) for f in whole.schema["bid"].fields
    }
    assert all(a.equals(b) == (name in ("price", "url")) for name, (a, b) in fields.items())
    assert all(b.null_count() == 5_000 for name, (_, b) in fields.items() if name not in ("price", "url"))
    assert narrow["bid"].null_count() == whole["bid"].null_count()


def test_bids_are_on_auctions_that_have_begun_by_people_who_exist() -> None:
    frame = rows()
    bids = frame.filter(pl.col("event_type") == 2)["bid"].struct.unnest()
    assert bids["auction"].max() <= frame["auction"].struct.field("id").max()
    assert bids["bidder"].max() <= frame["person"].struct.field("id").max() + 1
    assert bids["price"].is_between(100, 100_000_000).all()
