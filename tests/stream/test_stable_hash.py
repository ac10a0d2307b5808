"""The stable hash is a stored format: these vectors must never change."""

import datetime as dt
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from tableapi.runtime.state.hashing import key_groups, worker_of
from tableapi.stable_hash import NULL, hash_column, stable_hash

VECTORS = [
    (
        pl.Series(["", None, "a", "abcdefgh", "abcdefghi", "é" * 20]),
        [0, None, 100286706078268021, 11777584056334680650, 993391810758575142, 4605402296159276683],
    ),
    (
        pl.Series([b"", None, b"a", b"abcdefgh", b"abcdefghi"]),
        [0, None, 100286706078268021, 11777584056334680650, 993391810758575142],
    ),
    (
        pl.Series([Decimal("1.50"), None, Decimal("100.00")], dtype=pl.Decimal(10, 2)),
        [15028649859855885426, None, 11382210480727268963],
    ),
    (pl.Series([1.5, -0.0, 0.0, float("nan"), None]), [16657480027015623784, 0, 0, 5087927234000983963, None]),
    (pl.Series([1.5], dtype=pl.Float32), [16657480027015623784]),
    (pl.Series([dt.date(2020, 1, 1), None]), [12734003329361485276, None]),
    (pl.Series([dt.datetime(2020, 1, 1)], dtype=pl.Datetime("ms")), [16732999504391082132]),
    (pl.Series([dt.datetime(2020, 1, 1)], dtype=pl.Datetime("ns")), [16732999504391082132]),
    (pl.Series([dt.time(1, 2, 3)]), [17809957513435033748]),
    (pl.Series([True, False, None]), [6238072747940578789, 0, None]),
    (pl.Series([1, 0], dtype=pl.Int8), [6238072747940578789, 0]),
    (pl.Series([{"a": 1, "b": "x"}, None]), [12840761924892120464, None]),
    (pl.Series([[1, 2], [], None, [3]]), [3771782863431376837, 0, None, 8511127959791284303]),
    (pl.Series([None, None]), [None, None]),
]


@pytest.mark.parametrize(("column", "expected"), VECTORS, ids=lambda v: str(getattr(v, "dtype", "")))
def test_vectors(column, expected):
    assert hash_column(column).tolist() == [int(NULL) if e is None else e for e in expected]


def test_columns_combine_in_order():
    frame = pl.DataFrame({"id": [1, None], "s": ["a", ""]})
    assert stable_hash(frame).tolist() == [12984943745159959915, 17051392452234113155]
    assert stable_hash(frame, ["s", "id"]).tolist() != stable_hash(frame).tolist()
    assert stable_hash(frame.clear()).tolist() == []


def test_a_row_hashes_alike_in_any_batch():
    rng = np.random.default_rng(7)
    words = ["", "a", "abcdefg", "abcdefgh", "x" * 100, "é", None]
    frame = pl.DataFrame({"s": [words[i] for i in rng.integers(0, 7, 200)], "n": rng.integers(-5, 5, 200)})
    whole = stable_hash(frame)
    assert whole.tolist() == [int(stable_hash(frame[i : i + 1])[0]) for i in range(200)]


def test_groups_are_even_and_workers_own_ranges():
    groups = key_groups(pl.DataFrame({"id": np.arange(128_000)}))
    counts = np.bincount(groups, minlength=128)
    assert counts.min() > 850
    assert counts.max() < 1150
    workers = worker_of(np.arange(128, dtype=np.uint8), 3)
    assert np.bincount(workers).tolist() == [43, 43, 42]
    assert (np.diff(workers) >= 0).all()


def test_much_text_is_hashed_by_a_kernel_to_the_same_groups():
    rng = np.random.default_rng(3)
    words = ["", "a", "abcdefg", "abcdefgh", "abcdefghi", "x" * 100, "é" * 5, None]
    text = pl.Series("s", [words[i] for i in rng.integers(0, 8, 6000)])
    frame = pl.concat([pl.DataFrame([text]), pl.DataFrame([text.reverse()])], rechunk=False)[7:11_000].with_row_index("n")
    small = [key_groups(frame[i : i + 500], ["s", "n"]) for i in range(0, frame.height, 500)]
    assert key_groups(frame, ["s", "n"]).tolist() == np.concatenate(small).tolist()
