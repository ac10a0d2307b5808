"""Chains of row-wise plan nodes as the steps of one operator. Imports the plan and the operator's spec."""

from __future__ import annotations

from tableapi.plan import nodes as n
from tableapi.runtime.stream.calc import CalcStep


def calc_chain(node: n.Node) -> tuple[n.Node, tuple[CalcStep, ...]]:
    """The chain of filters and projections on top of a node, as steps, and what is below it."""
    chain: list[n.Node] = []
    while isinstance(node, n.Project | n.Filter):
        chain.append(node)
        node = node.input
    steps: list[CalcStep] = []
    condition = None
    for part in reversed(chain):
        if isinstance(part, n.Filter):
            if condition is not None:
                steps.append(CalcStep(condition, None))
            condition = part.condition
        else:
            assert isinstance(part, n.Project)
            steps.append(CalcStep(condition, part.columns))
            condition = None
    if condition is not None:
        steps.append(CalcStep(condition, None))
    return node, tuple(steps)
