"""A whole-plan pass over bounded plans: the order of inner joins, by the expected sizes of their results.

A group of inner joins is taken apart into its inputs and the conjuncts of its conditions, and put together again as the tree with the
least rows to handle. Columns that must be equal form classes, so that `a = b AND b = c` also joins a with c. Up to `EXHAUSTIVE` inputs all
trees without products are tried; larger groups are joined greedily, the smallest result first. A product is made only of parts that no
condition joins, or with an input of one row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations

from tableapi.plan import nodes as n
from tableapi.plan.estimates import Estimate, Estimator, key_share, selectivity
from tableapi.plan.rex import Call, Ref, Rex, columns, conjuncts, substitute, walk
from tableapi.plan.rules.filters import conjunction, is_movable, with_filter
from tableapi.plan.scope import unique
from tableapi.plan.traits import unique_keys
from tableapi.tablespec import ColumnStatistics
from tableapi.types import BooleanType

EXHAUSTIVE = 9
"""Groups of more inputs than this are joined greedily: the number of trees grows exponentially."""


def order_joins(plan: n.Node, estimator: Estimator) -> n.Node:
    """The plan with its inner joins in a good order. The result's columns and their order stay."""
    if _is_inner(plan):
        return _reordered(plan, estimator)
    inputs = tuple(order_joins(i, estimator) for i in plan.inputs)
    changed = any(new is not old for new, old in zip(inputs, plan.inputs, strict=True))
    return plan.with_inputs(inputs) if changed else plan


def _is_inner(node: n.Node) -> bool:
    if not (isinstance(node, n.Join) and node.kind is n.JoinKind.INNER):
        return False
    return node.condition is None or is_movable(node.condition)


def _reordered(plan: n.Node, estimator: Estimator) -> n.Node:
    group = _Group(taken=set(plan.schema.names))
    outputs = group.add(plan, {name: name for name in plan.schema.names})
    leaves = [order_joins(leaf, estimator) for leaf in group.leaves]
    search = _Search(leaves, group.parts, estimator)
    node = search.node(search.best())
    if node.schema.names == plan.schema.names == list(outputs):
        return node
    source = node.schema
    return n.Project(node, tuple(n.NamedRex(f.name, Ref(source[f.name].type, f.name)) for f in plan.schema))


@dataclass
class _Group:
    """The inputs of a group of inner joins and the conjuncts of their conditions; column names are unique among the inputs."""

    taken: set[str]
    leaves: list[n.Node] = field(default_factory=list)
    parts: list[Rex] = field(default_factory=list)

    def add(self, node: n.Node, names: dict[str, str]) -> dict[str, str]:
        """Takes a node apart. `names`: what its columns are to be called in the group, for those that are called something already.

        Returns:
            The node's columns and what they are called.
        """
        if _is_inner(node):
            assert isinstance(node, n.Join)
            found = self.add(node.left, _part(names, node.left)) | self.add(node.right, _part(names, node.right))
            renames: dict[str, Rex] = {f.name: Ref(f.type, found[f.name]) for f in node.schema}
            self.parts += [substitute(p, renames) for p in (conjuncts(node.condition) if node.condition is not None else [])]
            return found
        if isinstance(node, n.Project) and _is_inner(node.input) and _only_renames(node):
            wanted = {c.rex.name: names[c.name] for c in node.columns if isinstance(c.rex, Ref) and c.name in names}
            found = self.add(node.input, wanted)
            return {c.name: found[c.rex.name] for c in node.columns if isinstance(c.rex, Ref)}
        return self._leaf(node, names)

    def _leaf(self, node: n.Node, names: dict[str, str]) -> dict[str, str]:
        found = {}
        for name in node.schema.names:
            found[name] = names.get(name) or unique(name, self.taken)
            self.taken.add(found[name])
        if any(new != old for old, new in found.items()):
            node = n.Project(node, tuple(n.NamedRex(found[f.name], Ref(f.type, f.name)) for f in node.schema))
        self.leaves.append(node)
        return found


def _part(names: dict[str, str], node: n.Node) -> dict[str, str]:
    return {old: new for old, new in names.items() if old in node.schema}


def _only_renames(node: n.Project) -> bool:
    """Whether each column is another column of the input, as it is."""
    sources = [c.rex.name for c in node.columns if isinstance(c.rex, Ref)]
    return len(sources) == len(node.columns) == len(set(sources))


@dataclass(frozen=True)
class _Tree:
    """A way to join some of the inputs (bits of `inputs`)."""

    inputs: int
    rows: float
    cost: float
    """Rows that its joins read and make."""
    sides: tuple[int, int] | None = None
    """What the last join puts together; None for a single input."""


class _Classes:
    """Sets of columns that the conjuncts demand to be equal."""

    def __init__(self) -> None:
        self.members: list[dict[str, Ref]] = []

    def add(self, one: Ref, two: Ref) -> None:
        """Makes two columns equal, and all that equal one of them."""
        merged = {one.name: one, two.name: two}
        rest = []
        for known in self.members:
            if known.keys() & merged.keys():
                merged = known | merged
            else:
                rest.append(known)
        self.members = [*rest, merged]


class _Search:
    """The search for the best tree of one group."""

    def __init__(self, leaves: list[n.Node], parts: list[Rex], estimator: Estimator) -> None:
        self.owner = {name: index for index, leaf in enumerate(leaves) for name in leaf.schema.names}
        classes = _Classes()
        own: dict[int, list[Rex]] = {}
        self.others: list[tuple[int, Rex]] = []
        for part in dict.fromkeys(parts):
            pair, mask = _column_pair(part), self._mask(columns(part))
            if mask.bit_count() <= 1:
                own.setdefault(max(0, mask.bit_length() - 1), []).append(part)
            elif pair is not None:
                classes.add(*pair)
            else:
                self.others.append((mask, part))
        for members in classes.members:
            for index, part in self._equal_in_one_input(members):
                own.setdefault(index, []).append(part)
        self.originals = {frozenset(columns(p)): p for p in parts if _column_pair(p) is not None}
        self.classes = [(self._mask(members), members) for members in classes.members]
        self.leaves = [with_filter(leaf, own.get(i, [])) for i, leaf in enumerate(leaves)]
        self.estimates = [estimator.of(leaf) for leaf in self.leaves]
        self.trees = {1 << i: _Tree(1 << i, estimate.rows, 0.0) for i, estimate in enumerate(self.estimates)}
        self.single = {1 << i for i, leaf in enumerate(self.leaves) if frozenset[str]() in unique_keys(leaf)}
        """Inputs of at most one row."""

    def _equal_in_one_input(self, members: dict[str, Ref]) -> Iterator[tuple[int, Rex]]:
        """What a class demands of columns of the same input, which no join asks for: (input, equality)."""
        first: dict[int, Ref] = {}
        for name, ref in members.items():
            index = self.owner[name]
            if first.setdefault(index, ref) is not ref:
                yield index, _equal(first[index], ref)

    def _mask(self, names: Iterable[str]) -> int:
        mask = 0
        for name in names:
            mask |= 1 << self.owner[name]
        return mask

    def best(self) -> _Tree:
        """The best tree of all inputs."""
        if len(self.leaves) <= EXHAUSTIVE:
            self._try_all()
        return self._greedy()

    def _try_all(self) -> None:
        """Finds the best tree of every set of inputs that conditions hold together."""
        by_size: list[list[int]] = [[], [1 << i for i in range(len(self.leaves))]]
        for size in range(2, len(self.leaves) + 1):
            found: dict[int, list[tuple[float, int, int]]] = {}
            for small in range(1, size // 2 + 1):
                for a in by_size[small]:
                    for b in by_size[size - small]:
                        if a & b or (2 * small == size and a > b) or not self._is_connected(a, b):
                            continue
                        found.setdefault(a | b, []).append((self._rows(a, b), a, b))
            for mask, splits in found.items():
                # One number of rows for a set, whatever the way to it: otherwise the way with the boldest guess would win.
                rows = max(r for r, _, _ in splits)
                costs = [(self._cost(a, b, rows), a, b) for _, a, b in splits]
                cost, a, b = min(costs)
                self.trees[mask] = _Tree(mask, rows, cost, (a, b))
            by_size.append(list(found))

    def _greedy(self) -> _Tree:
        """Joins the largest known trees: what conditions join first, the smallest result first; then the rest, as products."""
        whole = (1 << len(self.leaves)) - 1
        if whole in self.trees:
            return self.trees[whole]
        parts = self._cover() if len(self.leaves) <= EXHAUSTIVE else [1 << i for i in range(len(self.leaves))]
        while len(parts) > 1:
            pairs = [(not self._is_connected(a, b), self._rows(a, b), a, b) for a, b in combinations(parts, 2)]
            _, rows, a, b = min(pairs)
            self.trees[a | b] = _Tree(a | b, rows, self._cost(a, b, rows), (a, b))
            parts = [p for p in parts if p not in (a, b)] + [a | b]
        return self.trees[parts[0]]

    def _cover(self) -> list[int]:
        """The largest sets that hold together; each input is in one."""
        left, parts = (1 << len(self.leaves)) - 1, []
        for mask in sorted(self.trees, key=lambda m: -m.bit_count()):
            if mask & left == mask:
                parts.append(mask)
                left &= ~mask
        return parts

    def _is_connected(self, a: int, b: int) -> bool:
        for mask, _ in self.classes:
            if mask & a and mask & b:
                return True
        is_single = a in self.single or b in self.single
        return any(
            mask & a and mask & b and not mask & ~(a | b) and (is_single or self._is_equality(part, a, b))
            for mask, part in self.others
        )

    def _is_equality(self, part: Rex, a: int, b: int) -> bool:
        """Whether a conjunct is an equality of expressions over one set each."""
        if not (isinstance(part, Call) and part.function in ("EQUALS", "IS_NOT_DISTINCT_FROM")):
            return False
        one, two = (self._mask(columns(x)) for x in part.args)
        return bool(one and two) and ((not one & ~a and not two & ~b) or (not one & ~b and not two & ~a))

    def _in(self, members: dict[str, Ref], inputs: int) -> list[Ref]:
        return [ref for name, ref in members.items() if inputs >> self.owner[name] & 1]

    def _rows(self, a: int, b: int) -> float:
        """Expected rows of a join of two trees."""
        shared = [(self._in(c, a), self._in(c, b)) for mask, c in self.classes if mask & a and mask & b]
        share = 1.0
        if shared:
            share = key_share(self._domain([x for x, _ in shared], a), self._domain([y for _, y in shared], b))
        for mask, part in self.others:
            if mask & a and mask & b and not mask & ~(a | b):
                share *= self._share_of(part, a, b)
        return max(1.0, self.trees[a].rows * self.trees[b].rows * share)

    def _domain(self, keys: list[list[Ref]], inputs: int) -> float:
        """How many different keys a tree can have."""
        size = 1.0
        for refs in keys:
            size *= min(self.estimates[self.owner[r.name]].domain(r.name) for r in refs)
        return min(size, max(self.estimates[i].domain_rows for i in range(len(self.leaves)) if inputs >> i & 1))

    def _share_of(self, part: Rex, a: int, b: int) -> float:
        known: dict[str, ColumnStatistics] = {}
        for index in range(len(self.leaves)):
            if (a | b) >> index & 1:
                known.update(self.estimates[index].columns)
        if self._is_equality(part, a, b):
            assert isinstance(part, Call)
            domains = [self._domain([[r] for r in _refs(x)], self._mask(columns(x))) for x in part.args]
            return key_share(domains[0], domains[1])
        return selectivity(part, Estimate(1.0, 1.0, known))

    def _cost(self, a: int, b: int, rows: float) -> float:
        one, two = self.trees[a], self.trees[b]
        # The smaller side is put into a hash table, at about the cost of handling its rows twice.
        return one.cost + two.cost + one.rows + two.rows + min(one.rows, two.rows) + rows

    def node(self, tree: _Tree) -> n.Node:
        """The plan of a tree; the larger side of a join stands on the left."""
        if tree.sides is None:
            return self.leaves[tree.inputs.bit_length() - 1]
        a, b = tree.sides
        if self.trees[a].rows < self.trees[b].rows:
            a, b = b, a
        parts: list[Rex] = []
        for mask, members in self.classes:
            if mask & a and mask & b:
                parts.append(self._equality(self._in(members, a), self._in(members, b)))
        parts += [p for mask, p in self.others if mask & a and mask & b and not mask & ~(a | b)]
        return n.Join(self.node(self.trees[a]), self.node(self.trees[b]), n.JoinKind.INNER, conjunction(parts))

    def _equality(self, left: list[Ref], right: list[Ref]) -> Rex:
        """The equality of a class between two sides: as the query wrote it, if it did."""
        for one in left:
            for two in right:
                written = self.originals.get(frozenset((one.name, two.name)))
                if written is not None:
                    return written
        return _equal(left[0], right[0])


def _equal(one: Ref, two: Ref) -> Rex:
    return Call(BooleanType(is_nullable=one.type.is_nullable or two.type.is_nullable), "EQUALS", (one, two))


def _refs(rex: Rex) -> list[Ref]:
    return [r for r in walk(rex) if isinstance(r, Ref)]


def _column_pair(part: Rex) -> tuple[Ref, Ref] | None:
    """The two columns of an equality between columns of one type."""
    if not (isinstance(part, Call) and part.function == "EQUALS"):
        return None
    one, two = part.args
    if isinstance(one, Ref) and isinstance(two, Ref) and one.type.nullable() == two.type.nullable():
        return one, two
    return None
