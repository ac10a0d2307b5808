"""Functions of a row's place in its partition: ROW_NUMBER, RANK, NTILE, LAG and the like, on sorted rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from tableapi.plan.rex import AggCall, Literal, Ref

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Partitions:
    """For each sorted row: first, and one past the last, row of its partition and of its peers."""

    start: Ints
    end: Ints
    peer_start: Ints
    peer_end: Ints

    @property
    def size(self) -> Ints:
        """Number of rows in each row's partition."""
        return self.end - self.start

    @property
    def index(self) -> Ints:
        """Position of each row in its partition, from 0."""
        return np.arange(len(self.start)) - self.start


Ranking = Callable[[Partitions, AggCall, pl.DataFrame], pl.Series]


def _row_number(parts: Partitions, call: AggCall, rows: pl.DataFrame) -> pl.Series:
    return pl.Series(parts.index + 1)


def _rank(parts: Partitions, call: AggCall, rows: pl.DataFrame) -> pl.Series:
    return pl.Series(parts.peer_start - parts.start + 1)


def _dense_rank(parts: Partitions, call: AggCall, rows: pl.DataFrame) -> pl.Series:
    is_new = parts.peer_start == np.arange(len(parts.start))
    number = np.cumsum(is_new)
    return pl.Series(number - number[parts.start] + 1)


def _percent_rank(parts: Partitions, call: AggCall, rows: pl.DataFrame) -> pl.Series:
    others = np.maximum(parts.size - 1, 1)
    return pl.Series((parts.peer_start - parts.start) / others)


def _cume_dist(parts: Partitions, call: AggCall, rows: pl.DataFrame) -> pl.Series:
    return pl.Series((parts.peer_end - parts.start) / parts.size)


def _ntile(parts: Partitions, call: AggCall, rows: pl.DataFrame) -> pl.Series:
    """The first `size % n` buckets get one row more."""
    (count,) = call.args
    assert isinstance(count, Literal)
    buckets = int(count.value)
    small, larger = parts.size // buckets, parts.size % buckets
    in_larger = (small + 1) * larger
    index = parts.index
    late = larger + (index - in_larger) // np.maximum(small, 1)
    return pl.Series(np.where(index < in_larger, index // (small + 1), late) + 1)


def _lag(parts: Partitions, call: AggCall, rows: pl.DataFrame) -> pl.Series:
    return _shifted(parts, call, rows, -1)


def _lead(parts: Partitions, call: AggCall, rows: pl.DataFrame) -> pl.Series:
    return _shifted(parts, call, rows, 1)


def _shifted(parts: Partitions, call: AggCall, rows: pl.DataFrame, direction: int) -> pl.Series:
    """The argument's value `n` rows away in the partition, or the default where there is no such row."""
    dtype = call.type.to_polars()
    value = argument(call.args[0], rows).cast(dtype)
    distance = argument(call.args[1], rows).cast(pl.Int64()).fill_null(0).to_numpy() if len(call.args) > 1 else 1
    target = np.arange(rows.height) + direction * distance
    exists = (target >= parts.start) & (target < parts.end)
    shifted = value.gather(np.clip(target, 0, rows.height - 1))
    default = argument(call.args[2], rows).cast(dtype) if len(call.args) > 2 else pl.Series([None], dtype=dtype)
    choice = pl.DataFrame([shifted.alias("shifted"), pl.Series("exists", exists)])
    if len(default) == rows.height:
        choice = choice.with_columns(default.alias("default"))
    else:
        choice = choice.with_columns(pl.lit(default.item(), dtype).alias("default"))
    return choice.select(pl.when("exists").then("shifted").otherwise("default")).to_series()


def argument(arg: object, rows: pl.DataFrame) -> pl.Series:
    """The column of an argument; a constant is repeated."""
    if isinstance(arg, Ref):
        return rows[arg.name]
    assert isinstance(arg, Literal)
    return rows.select(pl.repeat(arg.value, pl.len(), dtype=arg.type.to_polars())).to_series()


RANKING: dict[str, Ranking] = {
    "ROW_NUMBER": _row_number,
    "RANK": _rank,
    "DENSE_RANK": _dense_rank,
    "PERCENT_RANK": _percent_rank,
    "CUME_DIST": _cume_dist,
    "NTILE": _ntile,
    "LAG": _lag,
    "LEAD": _lead,
}
