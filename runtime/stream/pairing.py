"""Cancelling equal things against each other, one by one.

Imports Polars and NumPy only.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

Mask = npt.NDArray[np.bool_]


def without_common(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> tuple[Mask, Mask]:
    """Which elements remain on each side when equal elements cancel one by one, the earliest first.

    >>> [m.tolist() for m in without_common(np.array([1, 1, 2]), np.array([3, 1]))]
    [[False, True, True], [True, False]]
    """
    left = pl.DataFrame({"v": a}).with_columns(pl.int_range(pl.len()).over("v").alias("n"))
    right = pl.DataFrame({"v": b}).with_columns(pl.int_range(pl.len()).over("v").alias("n"))
    mark = pl.lit(True).alias("both")
    stays_left = left.join(right.with_columns(mark), on=["v", "n"], how="left", maintain_order="left")
    stays_right = right.join(left.with_columns(mark), on=["v", "n"], how="left", maintain_order="left")
    return stays_left["both"].is_null().to_numpy(), stays_right["both"].is_null().to_numpy()
