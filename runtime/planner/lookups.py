"""From lookup joins of the plan to their operator. Imports the plan, `runtime.lookup` and the operator's spec."""

from __future__ import annotations

from dataclasses import replace

from tableapi.plan import nodes as n
from tableapi.runtime.lookup.asked import Asked
from tableapi.runtime.planner.chains import calc_chain
from tableapi.runtime.stream.lookup_join import LookupJoinSpec
from tableapi.tablespec import RowSchema


def lookup_join_spec(
    node: n.LookupJoin,
    input: RowSchema,
    asked: Asked,
    *,
    is_insert_only: bool = True,
    partition_keys: tuple[str, ...] | None = None,
    ttl_ms: int | None = None,
) -> LookupJoinSpec:
    """The operator of a lookup join over rows with the columns of `input`."""
    _, steps = calc_chain(_without_watermarks(node.right))
    return LookupJoinSpec(
        input,
        node.right.schema,
        node.kind,
        node.keys,
        asked,
        steps,
        node.condition,
        is_insert_only,
        partition_keys,
        ttl_ms,
    )


def _without_watermarks(node: n.Node) -> n.Node:
    """A chain of row-wise steps without the watermark that it may have: who looks rows up waits for no time."""
    if isinstance(node, n.WatermarkAssigner):
        return _without_watermarks(node.input)
    return replace(node, input=_without_watermarks(node.input)) if isinstance(node, n.Project | n.Filter) else node
