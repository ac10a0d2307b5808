"""Lowers joins with a table's versions.

May import plan and the sibling lowerings. In batch the versions of a table are its changes when the session can give
them, the rows of a deduplication view's input, or else simply its rows.
"""

from __future__ import annotations

import polars as pl

from tableapi.plan.nodes import Filter, JoinKind, Node, Project, Rank, Scan, Shared, TemporalJoin, WatermarkAssigner
from tableapi.row import RowKind
from tableapi.runtime.batch.context import KIND_COLUMN, Lowering
from tableapi.runtime.batch.rowwise import project


def lower_temporal_join(node: TemporalJoin, lowering: Lowering) -> pl.LazyFrame:
    """Each left row with the last version of its key at or before its time."""
    left, right = lowering.lower(node.left), _versions(node.right, lowering)
    left, row = lowering.numbered(left)
    left_keys, right_keys = [k for k, _ in node.keys], [k for _, k in node.keys]
    names = node.right.schema.names
    # A deletion ends a version: it is found like a version, and then counts as no row.
    right = right.filter(pl.col(KIND_COLUMN) != RowKind.UPDATE_BEFORE)
    if node.right_time is None:
        latest = right.unique(right_keys, keep="last", maintain_order=True)
        pairs = left.join(latest, left_on=left_keys, right_on=right_keys, how="inner", coalesce=False)
    else:
        time, version = lowering.fresh("time"), lowering.fresh("time")
        dtype = pl.Int64()
        left_sorted = left.with_columns(_ns(node.left_time).cast(dtype).alias(time)).filter(pl.col(time).is_not_null())
        right_sorted = right.with_columns(_ns(node.right_time).cast(dtype).alias(version)).filter(pl.col(version).is_not_null())
        # An asof join merges its keys, so the right side is joined on copies.
        copies = [lowering.fresh("key") for _ in right_keys]
        right_sorted = right_sorted.with_columns(pl.col(k).alias(c) for k, c in zip(right_keys, copies, strict=True))
        right_sorted = right_sorted.sort(version, maintain_order=True)
        right_sorted = right_sorted.unique([*right_keys, version], keep="last", maintain_order=True)
        pairs = left_sorted.sort(time, maintain_order=True).join_asof(
            right_sorted,
            left_on=time,
            right_on=version,
            by_left=left_keys or None,
            by_right=copies or None,
            coalesce=False,
            check_sortedness=False,
        )
    pairs = pairs.filter(pl.col(KIND_COLUMN) != RowKind.DELETE).drop(KIND_COLUMN)
    if node.condition is not None:
        pairs = lowering.condition(pairs, node.condition)
    pairs = pairs.select(*node.left.schema.names, *names, row)
    if node.kind is JoinKind.INNER:
        return pairs.drop(row)
    return pl.concat([pairs, left.join(pairs.select(row), on=row, how="anti")], how="diagonal").drop(row)


def _ns(column: str) -> pl.Expr:
    return pl.col(column).dt.epoch("ns")


def _versions(node: Node, lowering: Lowering) -> pl.LazyFrame:
    """Every change of a versioned table, in order, with its kind."""
    match node:
        case Scan(table=table, filter=condition) if condition is not None:
            return _versions(Filter(Scan(table), condition), lowering).select(*node.schema.names, KIND_COLUMN)
        case Scan() if lowering.versions is not None:
            return lowering.versions(node).select(*node.schema.names, KIND_COLUMN)
        case Shared(input=input):
            return _versions(input, lowering).select(*node.schema.names, KIND_COLUMN)
        case Project(input=input):
            return project(_versions(input, lowering), node, lowering, keep=(KIND_COLUMN,))
        case WatermarkAssigner(input=input):
            return _versions(input, lowering)
        case Filter(input=input, condition=condition):
            # A change to a row that no longer passes ends the version that did.
            versions = _versions(input, lowering)
            flag = lowering.fresh("pass")
            versions, (passes,) = lowering.expressions(versions, [condition])
            versions = versions.with_columns(passes.fill_null(False).alias(flag))
            kind = pl.when(flag).then(KIND_COLUMN).otherwise(pl.lit(int(RowKind.DELETE), pl.Int8()))
            return versions.with_columns(kind.alias(KIND_COLUMN)).drop(flag)
        case Rank(input=input, start=1, end=1, rank_name=None, order_by=order) if len(order) == 1 and not order[0].ascending:
            return _versions(input, lowering)
        case _:
            return lowering.lower(node).with_columns(pl.lit(int(RowKind.INSERT), pl.Int8()).alias(KIND_COLUMN))
