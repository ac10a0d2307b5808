"""Rules about select lists."""

from __future__ import annotations

from collections import Counter

from tableapi.plan import nodes as n
from tableapi.plan.rex import Call, Literal, Ref, Rex, UdfCall, substitute, walk


def merge_projects(node: n.Node) -> n.Node | None:
    """Project(Project(x)) → Project(x), unless that would compute an expression twice."""
    if not (isinstance(node, n.Project) and isinstance(node.input, n.Project)):
        return None
    inner = {c.name: c.rex for c in node.input.columns}
    uses = Counter(r.name for c in node.columns for r in walk(c.rex) if isinstance(r, Ref))
    if any(uses[name] > 1 and not is_cheap(rex) for name, rex in inner.items()):
        return None
    if any(isinstance(part, UdfCall) for rex in inner.values() for part in walk(rex)):
        return None
    return n.Project(node.input.input, tuple(n.NamedRex(c.name, substitute(c.rex, inner)) for c in node.columns))


def is_cheap(rex: Rex) -> bool:
    """Whether computing the expression again costs next to nothing."""
    return isinstance(rex, Ref | Literal) or (isinstance(rex, Call) and rex.function == "GET" and is_cheap(rex.args[0]))


def remove_identity_project(node: n.Node) -> n.Node | None:
    """Project that changes nothing → its input."""
    if not isinstance(node, n.Project) or len(node.columns) != len(node.input.schema):
        return None
    same = all(
        isinstance(c.rex, Ref) and c.rex.name == c.name == f.name for c, f in zip(node.columns, node.input.schema, strict=True)
    )
    return node.input if same else None
