"""A pass over all plans of a job: a table that is read in several places is read once, with all columns that any place needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tableapi.plan import nodes as n
from tableapi.plan.rex import Ref, Rex


@dataclass
class _Block:
    """How a table's rows enter a plan: a scan, maybe computed columns, maybe the watermark."""

    scan: n.Scan
    computed: dict[str, Rex] | None
    watermark: n.WatermarkAssigner | None

    def key(self) -> object:
        """Blocks with equal keys can become one."""
        watermark = self.watermark and (self.watermark.column, str(self.watermark.watermark))
        options = tuple(sorted(self.scan.table.options.items()))
        return self.scan.table.identifier, options, self.scan.filter, self.scan.limit, watermark

    def build(self) -> n.Node:
        """The plan nodes of the block."""
        node: n.Node = self.scan
        if self.computed is not None:
            node = n.Project(node, tuple(n.NamedRex(name, rex) for name, rex in self.computed.items()))
        if self.watermark is not None:
            node = replace(self.watermark, input=node)
        return node


def share_sources(plans: Sequence[n.Node]) -> list[n.Node]:
    """The plans, reading each table through one block of equal nodes (equal nodes are planned once)."""
    merged: dict[object, _Block] = {}
    for plan in plans:
        for block in _blocks(plan):
            key = block.key()
            merged[key] = _merge(merged[key], block) if key in merged else block
    return [_replace(plan, merged) for plan in plans]


def _as_block(node: n.Node) -> _Block | None:
    watermark = node if isinstance(node, n.WatermarkAssigner) else None
    below = node.input if isinstance(node, n.WatermarkAssigner) else node
    if watermark is not None and isinstance(below, n.Project) and isinstance(below.input, n.Scan):
        return _Block(below.input, {c.name: c.rex for c in below.columns}, watermark)
    return _Block(below, None, watermark) if isinstance(below, n.Scan) else None


def _blocks(node: n.Node) -> list[_Block]:
    block = _as_block(node)
    if block is not None:
        return [block]
    return [b for child in node.inputs for b in _blocks(child)]


def _merge(a: _Block, b: _Block) -> _Block:
    produced = a.scan.table.produced.names
    used = {*a.scan.schema.names, *b.scan.schema.names}
    scan = replace(a.scan, columns=None if len(used) == len(produced) else tuple(c for c in produced if c in used))
    if a.computed is None and b.computed is None:
        return _Block(scan, None, a.watermark)
    computed = {**_items(a), **_items(b)}
    order = [c.name for c in a.scan.table.columns]
    in_order = {name: computed[name] for name in sorted(computed, key=lambda c: order.index(c) if c in order else len(order))}
    return _Block(scan, in_order, a.watermark)


def _items(block: _Block) -> dict[str, Rex]:
    if block.computed is not None:
        return block.computed
    return {f.name: Ref(f.type, f.name) for f in block.scan.schema}


def _replace(node: n.Node, merged: dict[object, _Block]) -> n.Node:
    block = _as_block(node)
    if block is None:
        inputs = tuple(_replace(i, merged) for i in node.inputs)
        changed = any(new is not old for new, old in zip(inputs, node.inputs, strict=True))
        return node.with_inputs(inputs) if changed else node
    shared = merged[block.key()].build()
    if shared.schema.names == node.schema.names:
        return shared
    return n.Project(shared, tuple(n.NamedRex(f.name, Ref(f.type, f.name)) for f in node.schema))
