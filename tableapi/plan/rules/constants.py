"""Expressions over constants are computed once, when the plan is made.

Their value comes from the runtime, which computes them as it would for each row (`Evaluate`). What depends on the clock or on chance
stays, and so does what fails: it may never be evaluated, and its error belongs to the run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tableapi.plan import nodes as n
from tableapi.plan.rex import Call, Cast, Literal, OuterRef, Ref, Rex, SubqueryRex, UdfCall, walk
from tableapi.plan.rules.filters import is_repeatable

Evaluate = Callable[[Rex], Literal | None]
"""Gives the value of an expression without columns; None where it has none that a plan can hold."""


def folding(evaluate: Evaluate) -> Callable[[n.Node], n.Node | None]:
    """The rule that puts values in the place of constant expressions."""
    known: dict[int, tuple[Rex, Rex]] = {}

    def folded(rex: Rex) -> Rex:
        if isinstance(rex, Ref | Literal | OuterRef):
            return rex
        if id(rex) not in known:
            value = evaluate(rex) if _is_constant(rex) else None
            known[id(rex)] = (rex, value if value is not None else _with_folded(rex))
        return known[id(rex)][1]

    def _with_folded(rex: Rex) -> Rex:
        children = tuple([folded(c) for c in rex.children])
        if all(new is old for new, old in zip(children, rex.children, strict=True)):
            return rex
        return rex.with_children(children)

    def fold_constants(node: n.Node) -> n.Node | None:
        match node:
            case n.Filter(condition=condition):
                new = folded(condition)
                return None if new is condition else replace(node, condition=new)
            case n.Join(condition=condition) if condition is not None:
                new = folded(condition)
                return None if new is condition else replace(node, condition=new)
            case n.Project(columns=columns):
                items = tuple([n.NamedRex(c.name, folded(c.rex)) for c in columns])
                is_same = all(new.rex is old.rex for new, old in zip(items, columns, strict=True))
                return None if is_same else replace(node, columns=items)
        return None

    return fold_constants


def _is_constant(rex: Rex) -> bool:
    if not isinstance(rex, Call | Cast):
        return False
    return is_repeatable(rex) and not any(isinstance(part, Ref | OuterRef | UdfCall | SubqueryRex) for part in walk(rex))


def never_true(node: n.Node) -> n.Node | None:
    """Filter(FALSE or NULL) → no rows, and nothing is read for them."""
    if isinstance(node, n.Filter) and isinstance(node.condition, Literal) and node.condition.value is not True:
        return n.Values((), node.schema)
    return None
