"""Lowers the leaves of a plan: table scans, inline frames, VALUES."""

from __future__ import annotations

import polars as pl

from tableapi.plan.nodes import Inline, Scan, Values
from tableapi.runtime.batch.context import Lowering


def lower_scan(node: Scan, lowering: Lowering) -> pl.LazyFrame:
    """The rows of a table. A pushed-down filter or limit is applied here as well, whatever the source made of it."""
    frame = lowering.sources(node)
    if node.filter is not None:
        frame = lowering.condition(frame, node.filter)
    if node.limit is not None:
        frame = frame.head(node.limit)
    return frame.select(node.schema.names) if len(node.schema) else frame


def lower_inline(node: Inline, lowering: Lowering) -> pl.LazyFrame:
    """Rows that the program holds."""
    return node.data.frame.lazy()


def lower_values(node: Values, lowering: Lowering) -> pl.LazyFrame:
    """Rows of constant expressions."""
    types = node.schema.to_polars()
    if not node.rows:
        return pl.LazyFrame(schema=types)
    parts = []
    for row in node.rows:
        frame, columns = lowering.expressions(pl.LazyFrame(height=1), row)
        named = [e.cast(dtype).alias(name) for e, (name, dtype) in zip(columns, types.items(), strict=True)]
        parts.append(frame.with_columns(named).select(list(types)) if named else frame)
    return parts[0] if len(parts) == 1 else pl.concat(parts)
