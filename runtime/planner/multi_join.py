"""Which trees of inner and left joins are one join of several inputs: those that join everything on the same key.

Imports the plan only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tableapi.plan import nodes as n
from tableapi.plan.rex import Call, Ref, Rex, conjuncts, substitute
from tableapi.plan.rules.filters import conjunction
from tableapi.plan.traits import equal_pairs


@dataclass(frozen=True)
class FlatJoin:
    """Inputs joined on keys.

    parts: The inputs. keys: The key columns of each, in the same order. columns: How the tree's columns follow from those of
    the parts, whose names are distinct. optional: The parts that a LEFT join adds: NULLs stand for them when a key has none of
    their rows. ttls_ms: What hints say of how long their rows are kept. conditions: What else must be TRUE, over the parts' columns.
    """

    parts: tuple[n.Node, ...]
    keys: tuple[tuple[str, ...], ...]
    columns: dict[str, Ref]
    optional: tuple[bool, ...]
    ttls_ms: tuple[int | None, ...]
    conditions: tuple[Rex, ...] = ()

    @property
    def condition(self) -> Rex | None:
        """The conjunction of the conditions."""
        return conjunction(list(self.conditions))


def flat_join(node: n.Node) -> FlatJoin | None:
    """The tree as one join of at least three inputs, or None when it is none."""
    flat = _flat(node)
    return flat if flat is not None and len(flat.parts) > 2 else None


def _flat(node: n.Node) -> FlatJoin | None:
    if isinstance(node, n.Project):
        below = _flat(node.input) if all(isinstance(c.rex, Ref) for c in node.columns) else None
        if below is None:
            return None
        columns = {c.name: below.columns[c.rex.name] for c in node.columns if isinstance(c.rex, Ref)}
        return replace(below, columns=columns)
    if not isinstance(node, n.Join) or node.kind not in (n.JoinKind.INNER, n.JoinKind.LEFT):
        return None
    pairs = list(dict.fromkeys(equal_pairs(node.condition, node.left.schema.names, node.right.schema.names)))
    if not pairs or any(node.left.schema[a].type.to_polars() != node.right.schema[b].type.to_polars() for a, b in pairs):
        return None
    is_left, hint = node.kind is n.JoinKind.LEFT, node.hint
    left_tree, right_tree = _flat(node.left), None if is_left else _flat(node.right)
    if (left_tree and hint.left_ttl_ms is not None) or (right_tree and hint.right_ttl_ms is not None):
        return None
    left = left_tree or _leaf(node.left, tuple(a for a, _ in pairs), hint.left_ttl_ms)
    right = right_tree or _leaf(node.right, tuple(b for _, b in pairs), hint.right_ttl_ms, is_optional=is_left)
    merged = _merged(node, left, right, pairs)
    has_more = merged is not None and len(merged.conditions) > len(left.conditions) + len(right.conditions)
    return None if is_left and has_more else merged


def _leaf(node: n.Node, keys: tuple[str, ...], ttl_ms: int | None, *, is_optional: bool = False) -> FlatJoin:
    columns = {f.name: Ref(f.type.nullable() if is_optional else f.type, f.name) for f in node.schema}
    return FlatJoin((node,), (keys,), columns, (is_optional,), (ttl_ms,))


def _merged(node: n.Join, left: FlatJoin, right: FlatJoin, pairs: list[tuple[str, str]]) -> FlatJoin | None:
    """Both sides as one join, when the pairs join the whole key of one with the whole key of the other."""
    names = [f.name for part in (*left.parts, *right.parts) for f in part.schema]
    if len(set(names)) < len(names):
        return None
    at = [(_place(left, left.columns[a].name), _place(right, right.columns[b].name)) for a, b in pairs]
    to_right = {a: b for a, b in at if a is not None and b is not None}
    width = len(left.keys[0])
    if (
        len(set(at)) != width
        or set(to_right) != set(range(width))
        or sorted(to_right.values()) != list(range(len(right.keys[0])))
    ):
        return None
    turned = tuple(tuple(keys[to_right[i]] for i in range(width)) for keys in right.keys)
    columns = left.columns | right.columns
    rest = (
        [substitute(part, columns) for part in conjuncts(node.condition) if not _is_pair(part, pairs)] if node.condition else []
    )
    return FlatJoin(
        (*left.parts, *right.parts),
        (*left.keys, *turned),
        columns,
        (*left.optional, *right.optional),
        (*left.ttls_ms, *right.ttls_ms),
        (*left.conditions, *right.conditions, *rest),
    )


def _place(side: FlatJoin, column: str) -> int | None:
    """The place of a part's column in the key; a column that a LEFT join may fill with NULL has none."""
    is_leaf = len(side.parts) == 1
    for keys, is_optional in zip(side.keys, side.optional, strict=True):
        if column in keys and (is_leaf or not is_optional):
            return keys.index(column)
    return None


def _is_pair(part: Rex, pairs: list[tuple[str, str]]) -> bool:
    if not (isinstance(part, Call) and part.function == "EQUALS"):
        return False
    names = {a.name for a in part.args if isinstance(a, Ref)}
    return any({a, b} == names for a, b in pairs)
