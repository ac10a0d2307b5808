"""Rules that recognise special joins, and move one-sided join conditions down."""

from __future__ import annotations

from dataclasses import replace

from tableapi.plan import nodes as n
from tableapi.plan.rex import Call, Literal, Ref, Rex, columns, conjuncts, substitute
from tableapi.plan.rules.filters import conjunction, is_movable, with_filter
from tableapi.plan.scope import unique
from tableapi.plan.traits import INSERT_ONLY, Facts, changelog, no_facts, time_of, window_of
from tableapi.tablespec import TimeKind
from tableapi.types import DayTimeIntervalType


def one_sided_conditions(node: n.Node) -> n.Node | None:
    """Join(a, b, p(a) AND q) → Join(Filter(a, p), b, q) where the join kind allows it."""
    if not isinstance(node, n.Join) or node.condition is None:
        return None
    left_names, right_names = set(node.left.schema.names), set(node.right.schema.names)
    left_ok = node.kind in (n.JoinKind.INNER, n.JoinKind.RIGHT, n.JoinKind.SEMI)
    right_ok = node.kind in (n.JoinKind.INNER, n.JoinKind.LEFT, n.JoinKind.SEMI, n.JoinKind.ANTI)
    left, right, rest = [], [], []
    for part in conjuncts(node.condition):
        used = columns(part)
        if used and used <= left_names and left_ok and is_movable(part):
            left.append(part)
        elif used and used <= right_names and right_ok and is_movable(part):
            right.append(part)
        else:
            rest.append(part)
    if not (left or right):
        return None
    return replace(node, left=with_filter(node.left, left), right=with_filter(node.right, right), condition=conjunction(rest))


def interval_join(node: n.Node, facts: Facts = no_facts) -> n.Node | None:
    """Join with both-sided bounds on the difference of two time attributes → IntervalJoin, where both sides only ever add rows."""
    if not isinstance(node, n.Join) or node.condition is None or node.kind in (n.JoinKind.SEMI, n.JoinKind.ANTI):
        return None
    if changelog(node.left, facts) != INSERT_ONLY or changelog(node.right, facts) != INSERT_ONLY:
        return None
    bounds = _Bounds(node.left, node.right)
    rest = [part for part in conjuncts(node.condition) if not bounds.take(part)]
    if bounds.lower is None or bounds.upper is None or bounds.pair is None:
        return None
    left_time, right_time = bounds.pair
    is_event_time = node.left.schema[left_time].time is TimeKind.ROWTIME
    return n.IntervalJoin(
        node.left, node.right, node.kind, conjunction(rest), left_time, right_time, bounds.lower, bounds.upper, is_event_time
    )


class _Bounds:
    """Collects lower <= left.time - right.time <= upper from comparisons of the two time attributes."""

    def __init__(self, left: n.Node, right: n.Node) -> None:
        self.left, self.right = left, right
        self.pair: tuple[str, str] | None = None
        self.lower: int | None = None
        self.upper: int | None = None

    def take(self, part: Rex) -> bool:
        """Uses a conjunct up when it is a bound."""
        if not isinstance(part, Call):
            return False
        if part.function == "BETWEEN" and len(part.args) == 3:
            value, low, high = part.args
            low_ok = self._parse("GREATER_OR_EQUAL", value, low)
            high_ok = self._parse("LESS_OR_EQUAL", value, high)
            if low_ok and high_ok:
                self._apply(low_ok)
                self._apply(high_ok)
                return True
            return False
        parsed = self._parse(part.function, *part.args) if len(part.args) == 2 else None
        if parsed is None:
            return False
        self._apply(parsed)
        return True

    def _parse(self, function: str, a: Rex, b: Rex) -> tuple[tuple[str, str], str, int] | None:
        """(pair, which bound, milliseconds) of `a function b` written as left - right ⋚ constant."""
        if function not in ("LESS", "LESS_OR_EQUAL", "GREATER", "GREATER_OR_EQUAL", "EQUALS"):
            return None
        first, second = _time_term(a), _time_term(b)
        if first is None or second is None:
            return None
        (name_a, off_a), (name_b, off_b) = first, second
        less = function.startswith("LESS")
        strict = 1 if function in ("LESS", "GREATER") else 0
        if self._is_time(self.left, name_a) and self._is_time(self.right, name_b):
            pair, constant = (name_a, name_b), off_b - off_a
        elif self._is_time(self.right, name_a) and self._is_time(self.left, name_b):
            pair, constant, less = (name_b, name_a), off_a - off_b, not less
        else:
            return None
        if self.pair is not None and self.pair != pair:
            return None
        if time_of(self.left, pair[0]) is not time_of(self.right, pair[1]):
            return None
        if function == "EQUALS":
            return pair, "both", constant
        return (pair, "upper", constant - strict) if less else (pair, "lower", constant + strict)

    @staticmethod
    def _is_time(side: n.Node, name: str) -> bool:
        return name in side.schema and time_of(side, name) is not None

    def _apply(self, parsed: tuple[tuple[str, str], str, int]) -> None:
        self.pair, which, value = parsed
        if which in ("upper", "both"):
            self.upper = value if self.upper is None else min(self.upper, value)
        if which in ("lower", "both"):
            self.lower = value if self.lower is None else max(self.lower, value)


def _time_term(rex: Rex) -> tuple[str, int] | None:
    """(column, milliseconds) of `column ± intervals`."""
    if isinstance(rex, Ref):
        return rex.name, 0
    if isinstance(rex, Call) and rex.function in ("PLUS", "MINUS") and len(rex.args) == 2:
        base, offset = rex.args
        if isinstance(base, Literal) and rex.function == "PLUS":
            base, offset = offset, base
        term = _time_term(base)
        if term and isinstance(offset, Literal) and isinstance(offset.type, DayTimeIntervalType) and offset.value is not None:
            ms = round(offset.value.total_seconds() * 1000)
            return term[0], term[1] + (ms if rex.function == "PLUS" else -ms)
    return None


def window_join(node: n.Node, facts: Facts = no_facts) -> n.Node | None:
    """Join of two windowed inputs on the same window's start and end → WindowJoin, where both sides only ever add rows."""
    if not isinstance(node, n.Join) or node.condition is None:
        return None
    left, right = window_of(node.left), window_of(node.right)
    if left is None or right is None or not left.window.is_event_time:
        return None
    if changelog(node.left, facts) != INSERT_ONLY or changelog(node.right, facts) != INSERT_ONLY:
        return None
    if not _same_windows(left.window, right.window):
        return None
    wanted = [{left.start, right.start}, {left.end, right.end}]
    rest, found = [], 0
    for part in conjuncts(node.condition):
        names = (
            {a.name for a in part.args if isinstance(a, Ref)} if isinstance(part, Call) and part.function == "EQUALS" else set()
        )
        if names in wanted:
            found += 1
        else:
            rest.append(part)
    if found < 2:
        return None
    return n.WindowJoin(node.left, node.right, node.kind, conjunction(rest), (left.start, left.end), (right.start, right.end))


def _same_windows(a: n.WindowSpec, b: n.WindowSpec) -> bool:
    """Whether two inputs have windows of the same kind and lengths, over whatever columns."""
    lengths = [(w.kind, w.is_event_time, w.size_ms, w.step_ms, w.gap_ms, w.offset_ms) for w in (a, b)]
    return lengths[0] == lengths[1]


def versions_filter(node: n.Node) -> n.Node | None:
    """TemporalJoin(a, Filter(b, p)) → TemporalJoin(a, b) with p in its condition: the version valid at a time is found first, then
    tested, so no version is lost to the filter."""
    if not isinstance(node, n.TemporalJoin):
        return None
    right = node.right
    if isinstance(right, n.Filter):
        return replace(node, right=right.input, condition=_and(node.condition, right.condition))
    if not (isinstance(right, n.Project) and isinstance(right.input, n.Filter)):
        return None
    below = right.input.input
    taken = [*node.left.schema.names, *right.schema.names]
    extra: dict[str, str] = {}
    for name in sorted(columns(right.input.condition)):
        extra[name] = unique(name, [*taken, *extra.values()])
    items = [n.NamedRex(new, Ref(below.schema[old].type, old)) for old, new in extra.items()]
    moved = substitute(right.input.condition, {old: Ref(below.schema[old].type, new) for old, new in extra.items()})
    wider = n.Project(below, (*right.columns, *items))
    joined = replace(node, right=wider, condition=_and(node.condition, moved))
    return n.Project(joined, tuple(n.NamedRex(f.name, Ref(f.type, f.name)) for f in node.schema))


def _and(first: Rex | None, second: Rex) -> Rex:
    both = conjunction([second] if first is None else [first, second])
    assert both is not None
    return both


def computed_join_keys(node: n.Node) -> n.Node | None:
    """Join(a, b, f(a) = g(b)) → Join over inputs that compute f(a) and g(b) as columns: rows can then be spread by key."""
    if not isinstance(node, n.Join | n.IntervalJoin) or node.condition is None:
        return None
    sides = [_KeySide(node.left), _KeySide(node.right)]
    taken = set(node.left.schema.names) | set(node.right.schema.names)
    parts: list[Rex] = []
    changed = False
    for part in conjuncts(node.condition):
        keys = _one_sided_pair(part, sides)
        if keys is None:
            parts.append(part)
            continue
        refs = tuple(side.column(rex, taken) for side, rex in keys)
        changed = changed or any(r is not rex for r, (_, rex) in zip(refs, keys, strict=True))
        parts.append(Call(part.type, "EQUALS", refs))
    if not changed:
        return None
    joined = replace(node, left=sides[0].build(), right=sides[1].build(), condition=conjunction(parts))
    wanted = node.schema
    return n.Project(joined, tuple(n.NamedRex(f.name, Ref(f.type, f.name)) for f in wanted))


class _KeySide:
    """One side of a join and the key columns computed on it."""

    def __init__(self, node: n.Node) -> None:
        self.node, self.names, self.added = node, set(node.schema.names), list[n.NamedRex]()

    def column(self, rex: Rex, taken: set[str]) -> Rex:
        if isinstance(rex, Ref):
            return rex
        name = unique("$key", taken)
        taken.add(name)
        self.added.append(n.NamedRex(name, rex))
        return Ref(rex.type, name)

    def build(self) -> n.Node:
        if not self.added:
            return self.node
        own = [n.NamedRex(f.name, Ref(f.type, f.name)) for f in self.node.schema]
        return n.Project(self.node, (*own, *self.added))


def _one_sided_pair(part: Rex, sides: list[_KeySide]) -> list[tuple[_KeySide, Rex]] | None:
    """(side, expression) of both arguments of an equality whose arguments read different sides only."""
    if not (isinstance(part, Call) and part.function == "EQUALS"):
        return None
    if part.args[0].type.nullable() != part.args[1].type.nullable():
        return None
    found = []
    for rex in part.args:
        used = columns(rex)
        side = next((s for s in sides if used and used <= s.names), None)
        if side is None or not is_movable(rex):
            return None
        found.append((side, rex))
    return found if found[0][0] is not found[1][0] else None
