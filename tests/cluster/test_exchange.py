"""Rows between processes: encoding, ring, link, partitioning."""

from __future__ import annotations

import datetime
import decimal
import os
import socket

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tableapi.errors import StreamClosedError
from tableapi.runtime.exchange import codec
from tableapi.runtime.exchange.link import Delivery, Link
from tableapi.runtime.exchange.messages import Watermark
from tableapi.runtime.exchange.partition import split_by_key
from tableapi.runtime.exchange.shared_memory import RingWriter
from tableapi.runtime.stream.batch import Batch


def every_type(rows: int = 3) -> pl.DataFrame:
    when = datetime.datetime(2024, 2, 29, 12, 34, 56, 789_123)
    frame = pl.DataFrame(
        {
            "boolean": [True, None, False],
            "tiny": pl.Series([1, None, -128], dtype=pl.Int8),
            "small": pl.Series([1, None, -32768], dtype=pl.Int16),
            "int": pl.Series([1, None, 2**31 - 1], dtype=pl.Int32),
            "big": [1, None, 2**62],
            "float": pl.Series([1.5, None, float("inf")], dtype=pl.Float32),
            "double": [1.5, None, float("nan")],
            "decimal": pl.Series([decimal.Decimal("1.50"), None, decimal.Decimal("-99.99")], dtype=pl.Decimal(38, 2)),
            "short": ["a", None, ""],
            "long": ["a string of more than twelve bytes: ünïcödé", None, "x" * 5000],
            "bytes": [b"\x00\xff", None, b""],
            "date": [when.date(), None, datetime.date(1, 1, 1)],
            "time": [when.time(), None, datetime.time(0)],
            "ms": pl.Series([when, None, when], dtype=pl.Datetime("ms")),
            "us": pl.Series([when, None, when], dtype=pl.Datetime("us")),
            "ns": pl.Series([when, None, when], dtype=pl.Datetime("ns")),
            "ltz": pl.Series([when, None, when]).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
            "duration": pl.Series([datetime.timedelta(1), None, datetime.timedelta(-1)], dtype=pl.Duration("ms")),
            "list": [["long string number one", None], None, []],
            "row": [{"a": 1, "b": "x"}, None, {"a": None, "b": "yy"}],
            "map": [[{"key": "k", "value": [1, 2]}], None, []],
            "null": pl.Series([None, None, None], dtype=pl.Null),
        }
    )
    return pl.concat([frame] * -(-rows // 3)).head(rows)


def link_pair(ring_bytes: int = 1 << 20) -> tuple[Link, Link]:
    a, b = socket.socketpair()
    return Link(a, ring_bytes), Link(b, ring_bytes)


def exchange(sender: Link, receiver: Link, expected: int) -> list:
    received = []
    for _ in range(100_000):
        received += receiver.receive()
        sender.flush()
        if sender.fileno() >= 0:
            received_back = sender.receive()
            assert not received_back
        if len(received) >= expected:
            return received
    raise AssertionError(f"{len(received)} of {expected} arrived")


@pytest.mark.parametrize("rows", [1, 3, 4000])
def test_all_types_arrive_as_they_were(rows):
    a, b = link_pair()
    frame = every_type(rows)
    kinds = pl.Series("kind", np.arange(rows) % 4, dtype=pl.Int8)
    a.send_batch(7, 3, Batch(frame, kinds), 11)
    (delivery,) = exchange(a, b, 1)
    assert (delivery.job, delivery.channel, delivery.cost) == (7, 3, 11)
    assert_frame_equal(delivery.batch.frame, frame)
    assert delivery.batch.kinds.equals(kinds)


def test_empty_insert_only_sliced_and_chunked_frames():
    a, b = link_pair()
    frame = every_type(300)
    frames = [frame.clear(), frame.slice(100, 7), pl.concat([frame, frame], rechunk=False)]
    for sent in frames:
        a.send_batch(1, 0, Batch(sent), 0)
    for sent, delivery in zip(frames, exchange(a, b, 3), strict=True):
        assert_frame_equal(delivery.batch.frame, sent)
        assert delivery.batch.kinds is None


def test_rows_without_columns_keep_their_number():
    a, b = link_pair()
    a.send_batch(1, 0, Batch(pl.DataFrame(height=5)), 0)
    a.send_batch(1, 0, Batch(pl.DataFrame(height=2), pl.Series("kind", [1, 2], dtype=pl.Int8)), 0)
    first, second = exchange(a, b, 2)
    assert first.batch.frame.shape == (5, 0)
    assert second.batch.frame.shape == (2, 0)
    assert second.batch.kinds.to_list() == [1, 2]


def test_ring_wraps_around_many_times_without_mixing_rows():
    a, b = link_pair(ring_bytes=64 * 1024)
    sent = [pl.DataFrame({"n": np.arange(i, i + 1500), "s": [f"{i}"] * 1500}) for i in range(60)]
    for frame in sent:
        a.send_batch(1, 0, Batch(frame), 0)
    assert not a.is_drained, "the ring is full until the other end reads"
    assert not a.wants_write, "and the socket is not what it waits for"
    for frame, delivery in zip(sent, exchange(a, b, 60), strict=True):
        assert_frame_equal(delivery.batch.frame, frame)
    assert a.is_drained


def test_received_rows_do_not_change_when_the_ring_is_reused():
    a, b = link_pair(ring_bytes=64 * 1024)
    kept = []
    for i in range(20):
        a.send_batch(1, 0, Batch(pl.DataFrame({"n": [i] * 4000})), 0)
        kept += exchange(a, b, 1)
    assert [d.batch.frame["n"].unique().to_list() for d in kept] == [[i] for i in range(20)]


def test_batches_larger_than_the_ring():
    a, b = link_pair(ring_bytes=64 * 1024)
    frames = [pl.DataFrame({"n": np.arange(n)}) for n in (100_000, 10, 200_000, 3000)]
    before = len(os.listdir("/proc/self/fd"))
    for frame in frames:
        a.send_batch(1, 0, Batch(frame), 0)
    for frame, delivery in zip(frames, exchange(a, b, 4), strict=True):
        assert_frame_equal(delivery.batch.frame, frame)
    assert len(os.listdir("/proc/self/fd")) <= before + 2, "one-off memory is let go of; the two ends of the ring stay"


def test_objects_and_batches_keep_their_order_and_large_objects_pass():
    a, b = link_pair(ring_bytes=64 * 1024)
    large = os.urandom(5_000_000)
    frame = pl.DataFrame({"n": np.arange(5000)})
    for i in range(10):
        a.send_batch(1, 0, Batch(frame), 0)
        a.send(Watermark(i))
    a.send(large)
    received = exchange(a, b, 21)
    assert [type(r) for r in received[:20]] == [Delivery, Watermark] * 10
    assert [r.time_ms for r in received[1:20:2]] == list(range(10))
    assert received[20] == large


def test_both_directions_full_at_once_do_not_block_each_other():
    a, b = link_pair(ring_bytes=64 * 1024)
    frame = pl.DataFrame({"n": np.arange(5000)})
    for link in (a, b):
        for _ in range(50):
            link.send_batch(1, 0, Batch(frame), 0)
    got_a, got_b = 0, 0
    for _ in range(1000):
        got_a += len(a.receive())
        got_b += len(b.receive())
        a.flush()
        b.flush()
    assert (got_a, got_b) == (50, 50)


def test_small_selection_of_a_large_batch_is_packed():
    rows = 50_000
    frame = pl.DataFrame({"s": [f"a string that is longer than twelve bytes {i}" for i in range(rows)]})
    few = frame[np.arange(0, rows, 5000)]
    assert codec.encode(Batch(few)).size < 100_000
    nested = few.select(l=pl.concat_list("s", "s"))
    assert codec.encode(Batch(nested)).size < 100_000
    assert_frame_equal(codec.decode(codec.to_bytes(codec.encode(Batch(nested))), 10).frame, nested)


def test_closed_link_says_so_after_everything_was_received():
    a, b = link_pair()
    a.send_batch(1, 0, Batch(pl.DataFrame({"n": np.arange(5000)})), 0)
    a.send("last words")
    a.close()
    received = b.receive()
    assert [type(r) for r in received] == [Delivery, str]
    with pytest.raises(StreamClosedError):
        b.receive()
    with pytest.raises(StreamClosedError):
        b.send("anyone?")


def test_dropped_job_leaves_nothing_waiting():
    a, b = link_pair(ring_bytes=64 * 1024)
    for job in (1, 2):
        for _ in range(10):
            a.send_batch(job, 0, Batch(pl.DataFrame({"n": np.arange(5000)})), 0)
    a.drop_batches(1)
    received = exchange(a, b, 11)
    assert [d.job for d in received].count(2) == 10
    assert a.is_drained


def test_ring_space():
    ring = RingWriter(4096)
    assert ring.reserve(3000) == (0, 3000)
    assert ring.reserve(2000) is None
    ring.acknowledge(3000)
    assert ring.reserve(4096) == (0, 8192), "an empty ring starts again at its first, warm page"
    ring.acknowledge(8192)
    assert [ring.reserve(1500) for _ in range(3)] == [(0, 9692), (1500, 11192), None]
    ring.acknowledge(9692)
    assert ring.reserve(1500) == (0, 13788), "never wraps inside a reservation"
    assert ring.reserve(1) is None
    ring.close()


def test_rows_of_a_key_go_to_one_worker_and_no_row_is_lost():
    frame = pl.DataFrame({"k": [f"key {i % 97}" for i in range(5000)], "n": range(5000)})
    kinds = pl.Series("kind", [i % 4 for i in range(5000)], dtype=pl.Int8)
    for parallelism in (1, 2, 3, 7):
        parts = split_by_key(Batch(frame, kinds), ["k"], parallelism)
        assert len(parts) == parallelism
        tagged = pl.concat([p.frame.with_columns(worker=pl.lit(w), kind=p.kinds) for w, p in enumerate(parts) if p is not None])
        assert tagged.group_by("k").agg(pl.col("worker").n_unique())["worker"].max() == 1
        assert_frame_equal(tagged.sort("n").drop("worker"), frame.with_columns(kind=kinds))
        for part in parts:
            assert part is None or part.frame["n"].is_sorted()


def test_one_key_makes_one_part():
    parts = split_by_key(Batch(pl.DataFrame({"k": [1, 1], "n": [1, 2]})), ["k"], 3)
    assert sorted(p is None for p in parts) == [False, True, True]
