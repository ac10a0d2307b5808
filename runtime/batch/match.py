"""Lowers MATCH_RECOGNIZE: sorts all rows by partition and order, and hands them to the shared matcher."""

from __future__ import annotations

import polars as pl

from tableapi.plan.match_node import Match
from tableapi.plan.rex import SortKey
from tableapi.runtime.batch.context import Lowering
from tableapi.runtime.batch.order import sorted_by
from tableapi.runtime.match.search import find_matches


def lower_match(node: Match, lowering: Lowering) -> pl.LazyFrame:
    """One row a match."""
    keys = [SortKey(name) for name in node.partition_by]
    frame = sorted_by(lowering.lower(node.input).select(node.input.schema.names), [*keys, *node.order_by])
    types = node.schema.to_polars()

    def run(rows: pl.DataFrame) -> pl.DataFrame:
        return find_matches(rows, node, lowering.session).cast(types)  # type: ignore[arg-type]

    return frame.map_batches(run, schema=types)
