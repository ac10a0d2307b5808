"""Lowers a bounded logical plan to one Polars lazy frame: the table of which file lowers which node.

Semantics are Flink's in batch mode. Correlated sub-queries are gone before a plan gets here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import polars as pl

from tableapi.errors import UnsupportedError
from tableapi.functions.registry import SessionContext
from tableapi.plan import nodes
from tableapi.plan.match_node import Match
from tableapi.plan.nodes import Node
from tableapi.runtime.batch.context import Lowering, Sources

_LOWERINGS: dict[type[Node], str] = {
    nodes.Scan: "scan:lower_scan",
    nodes.Inline: "scan:lower_inline",
    nodes.Values: "scan:lower_values",
    nodes.Project: "rowwise:lower_project",
    nodes.Filter: "rowwise:lower_filter",
    nodes.WatermarkAssigner: "rowwise:lower_pass",
    nodes.Sink: "rowwise:lower_pass",
    nodes.Collect: "rowwise:lower_pass",
    nodes.Shared: "shared:lower_shared",
    nodes.Aggregate: "aggregate:lower_aggregate",
    nodes.WindowTable: "window:lower_window_table",
    nodes.WindowAggregate: "window:lower_window_aggregate",
    nodes.Over: "over:lower_over",
    nodes.Rank: "order:lower_rank",
    Match: "match:lower_match",
    nodes.Sort: "order:lower_sort",
    nodes.Limit: "order:lower_limit",
    nodes.SetOp: "setops:lower_set_op",
    nodes.Join: "join:lower_join",
    nodes.IntervalJoin: "join:lower_interval_join",
    nodes.WindowJoin: "join:lower_window_join",
    nodes.TemporalJoin: "temporal:lower_temporal_join",
    nodes.LookupJoin: "lookup:lower_lookup_join",
    nodes.Unnest: "correlate:lower_unnest",
    nodes.Correlate: "correlate:lower_correlate",
}
"""File and function for each node; a file is loaded by the first plan that needs it."""


def lower_plan(node: Node, session: SessionContext, sources: Sources, versions: Sources | None = None) -> pl.LazyFrame:
    """The lazy frame that computes a plan; its columns are those of `node.schema`, in order.

    Args:
        node: The plan. Above a Sink or Collect the rows are the input's.
        session: Time zone and the value of CURRENT_TIMESTAMP.
        sources: The rows of a table scan, with the scan's columns; changelogs folded to a table (see `fold`).
        versions: The changes of a table, unfolded, with a `KIND_COLUMN`; used for the right side of temporal joins.

    Raises:
        UnsupportedError: The plan has a node that cannot run in batch.
    """
    return lower_with(Lowering(session, sources, versions, dispatch), node)


def lower_with(lowering: Lowering, node: Node) -> pl.LazyFrame:
    """The lazy frame of a plan with a given lowering state; its columns are exactly the node's."""
    frame = lowering.lower(node)
    names = node.schema.names
    return frame.select(names) if names else frame


def dispatch(node: Node, lowering: Lowering) -> pl.LazyFrame:
    """Lowers one node."""
    place = _LOWERINGS.get(type(node))
    if place is None:
        raise UnsupportedError(
            f"{type(node).__name__} is not supported yet in batch mode", fix="run the query in streaming mode"
        )
    return _lowering(place)(node, lowering)


@cache
def _lowering(place: str) -> Callable[[Any, Lowering], pl.LazyFrame]:
    file, _, function = place.partition(":")
    found: Callable[[Any, Lowering], pl.LazyFrame] = getattr(import_module(f"tableapi.runtime.batch.{file}"), function)
    return found
