"""Lowers the nodes that look at one row at a time: projection, filter, watermark (which means nothing in batch)."""

from __future__ import annotations

import polars as pl

from tableapi.plan.nodes import Collect, Filter, Project, Sink, WatermarkAssigner
from tableapi.plan.rex import Ref, columns
from tableapi.runtime.batch.context import Lowering


def lower_project(node: Project, lowering: Lowering) -> pl.LazyFrame:
    """Computes columns."""
    return project(lowering.lower(node.input), node, lowering)


def project(frame: pl.LazyFrame, node: Project, lowering: Lowering, keep: tuple[str, ...] = ()) -> pl.LazyFrame:
    """The columns of a projection over `frame`, and the columns `keep` of the frame as they are."""
    rexes = [c.rex for c in node.columns]
    frame, lowered = lowering.expressions(frame, rexes)
    named = [expression.alias(c.name) for c, expression in zip(node.columns, lowered, strict=True)]
    if not named and not keep:
        # A Polars selection of nothing has no rows; a hidden column keeps their number.
        named = [pl.lit(True).alias(lowering.fresh("row"))]
    if keep or any(columns(rex) for rex in rexes):
        return frame.select(*named, *keep)
    # Constants alone would make one row; as additional columns they are repeated for each row.
    names = [expression.meta.output_name() for expression in named]
    return frame.with_columns(named).select(names)


def lower_filter(node: Filter, lowering: Lowering) -> pl.LazyFrame:
    """Keeps rows whose condition is TRUE."""
    return lowering.condition(lowering.lower(node.input), node.condition)


def lower_pass(node: WatermarkAssigner | Sink | Collect, lowering: Lowering) -> pl.LazyFrame:
    """Nodes that do not change a bounded table."""
    return lowering.lower(node.input)


def is_plain(node: Project) -> bool:
    """Whether a projection only renames and drops columns."""
    return all(isinstance(c.rex, Ref) for c in node.columns)
