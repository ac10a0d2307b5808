"""Lowers what depends on the order of rows: Sort, Limit, and Rank (Top-N and deduplication)."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tableapi.plan.nodes import Limit, Rank, RankKind, Sort
from tableapi.plan.rex import SortKey
from tableapi.runtime.batch.context import Lowering
from tableapi.tablespec import TimeKind


def sorted_by(frame: pl.LazyFrame, keys: Sequence[SortKey]) -> pl.LazyFrame:
    """The rows in order of `keys`; equal rows stay in the order in which they came."""
    if not keys:
        return frame
    return frame.sort(
        [k.column for k in keys],
        descending=[not k.ascending for k in keys],
        nulls_last=[not k.nulls_first for k in keys],
        maintain_order=True,
    )


def lower_sort(node: Sort, lowering: Lowering) -> pl.LazyFrame:
    """Orders all rows."""
    return sorted_by(lowering.lower(node.input), node.order_by)


def lower_limit(node: Limit, lowering: Lowering) -> pl.LazyFrame:
    """A slice of the rows."""
    return lowering.lower(node.input).slice(node.offset, node.fetch)


def lower_rank(node: Rank, lowering: Lowering) -> pl.LazyFrame:
    """The rows of each partition with a rank from `start` to `end`."""
    frame = lowering.lower(node.input)
    if [node.input.schema[k.column].time for k in node.order_by[:1]] == [TimeKind.PROCTIME] and not node.order_by[0].ascending:
        # All rows are processed at one time: the later of two is the one that came later.
        frame = frame.reverse()
    frame = sorted_by(frame, node.order_by)
    if node.kind is RankKind.ROW_NUMBER and not node.partition_by:
        frame = frame.slice(node.start - 1, node.end - node.start + 1)
        numbers = pl.int_range(node.start, pl.len() + node.start, dtype=pl.Int64())
        return frame if node.rank_name is None else frame.with_columns(numbers.alias(node.rank_name))
    name = node.rank_name or lowering.fresh("rank")
    frame = frame.with_columns(_rank(node).alias(name)).filter(pl.col(name).is_between(node.start, node.end))
    return frame if node.rank_name is not None else frame.drop(name)


def _rank(node: Rank) -> pl.Expr:
    """The rank of a row within its partition; rows are in order already."""
    partition = list(node.partition_by)
    position = pl.int_range(1, pl.len() + 1, dtype=pl.Int64())
    if node.kind is not RankKind.ROW_NUMBER and node.order_by:
        key = pl.struct([k.column for k in node.order_by])
        peers = key.rle_id().cast(pl.Int64())
        if node.kind is RankKind.DENSE_RANK:
            position = peers + 1
        else:
            is_first = peers.ne_missing(peers.shift(1))
            position = pl.when(is_first).then(position).forward_fill()
    elif node.kind is not RankKind.ROW_NUMBER:
        position = pl.lit(1, pl.Int64()) + position * 0
    return position.over(partition) if partition else position
