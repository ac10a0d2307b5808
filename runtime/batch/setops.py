"""Lowers UNION, INTERSECT and EXCEPT. NULLs are equal; the ALL forms keep multiplicities."""

from __future__ import annotations

from typing import Literal

import polars as pl

from tableapi.plan.nodes import Node, SetKind, SetOp
from tableapi.runtime.batch.context import Lowering


def lower_set_op(node: SetOp, lowering: Lowering) -> pl.LazyFrame:
    """Combines inputs row by row."""
    types = node.schema.to_polars()
    parts = [_aligned(part, types, lowering) for part in node.parts]
    if node.kind is SetKind.UNION:
        union = pl.concat(parts)
        return union if node.is_all else union.unique()
    result = parts[0]
    for part in parts[1:]:
        result = _multiset(result, part, node, list(types), lowering) if node.is_all else _set(result, part, node, list(types))
    return result


def _aligned(part: Node, types: dict[str, pl.DataType], lowering: Lowering) -> pl.LazyFrame:
    columns = zip(part.schema.names, types.items(), strict=True)
    return lowering.lower(part).select(pl.col(own).cast(dtype).alias(name) for own, (name, dtype) in columns)


def _set(left: pl.LazyFrame, right: pl.LazyFrame, node: SetOp, names: list[str]) -> pl.LazyFrame:
    how: Literal["semi", "anti"] = "semi" if node.kind is SetKind.INTERSECT else "anti"
    return left.unique().join(right, on=names, how=how, nulls_equal=True)


def _multiset(left: pl.LazyFrame, right: pl.LazyFrame, node: SetOp, names: list[str], lowering: Lowering) -> pl.LazyFrame:
    own, other, times = lowering.fresh("left"), lowering.fresh("right"), lowering.fresh("times")
    counted = left.group_by(names).agg(pl.len().alias(own))
    others = right.group_by(names).agg(pl.len().alias(other))
    matched = counted.join(others, on=names, how="left", nulls_equal=True)
    mine, theirs = pl.col(own).cast(pl.Int64()), pl.col(other).fill_null(0).cast(pl.Int64())
    kept = pl.min_horizontal(mine, theirs) if node.kind is SetKind.INTERSECT else mine - theirs
    repeated = matched.with_columns(kept.alias(times)).filter(pl.col(times) > 0)
    return repeated.with_columns(pl.int_ranges(0, pl.col(times)).alias(times)).explode(times).select(names)
