"""What a batch does to its rows: the short ways for small frames give what Polars gives."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tableapi.runtime.stream.batch import SMALL_ROWS, Batch, concat, filter_rows, gather_rows
from tableapi.runtime.stream.emit import differs


def rows(count: int) -> pl.DataFrame:
    n = pl.Series("n", np.arange(count))
    return pl.DataFrame([n, (n % 7).cast(pl.String).alias("s")]).with_columns(
        pl.struct(pl.col("n"), pl.lit(None, dtype=pl.String).alias("x")).alias("r"),
        pl.when(pl.col("n") > 1).then("n").alias("h"),
    )


@pytest.mark.parametrize("count", [0, 1, 10, SMALL_ROWS, SMALL_ROWS + 1])
def test_rows_are_filtered_and_gathered_as_polars_does(count):
    frame = rows(count)
    mask = pl.Series(np.arange(count) % 3 == 1).set(pl.Series(np.arange(count) == 4), None)
    assert filter_rows(frame, mask).equals(frame.filter(mask))
    chosen = np.arange(count)[::-2]
    assert gather_rows(frame, chosen).equals(frame[chosen])
    assert gather_rows(frame, pl.Series(chosen, dtype=pl.Int64)).equals(frame[chosen])
    assert filter_rows(frame.select(), pl.Series([], dtype=pl.Boolean)).equals(pl.DataFrame())


def test_batches_are_joined_and_stay_what_they_were():
    first, second = rows(3), rows(2)
    joined = concat([Batch(first), Batch(second, pl.Series("kind", [1, 2], dtype=pl.Int8)), Batch(first)])
    assert joined.frame.equals(pl.concat([first, second, first]))
    assert joined.kinds.to_list() == [0, 0, 0, 1, 2, 0, 0, 0]
    assert (first.height, second.height) == (3, 2)


def test_rows_differ_where_a_value_does_and_null_and_nan_equal_themselves():
    before = pl.DataFrame({"a": [1.0, float("nan"), None, None, 2.0], "b": ["x", "x", "x", "x", None], "l": [[1]] * 5})
    after = pl.DataFrame({"a": [1.0, float("nan"), None, 3.0, 2.0], "b": ["x", "x", "y", "x", None], "l": [[2], *[[1]] * 4]})
    assert differs(before, after).tolist() == [True, False, True, True, False]
    assert differs(before.drop_nulls(), before.drop_nulls()).tolist() == [False, False]
    assert differs(before.select(), after.select()).tolist() == []
