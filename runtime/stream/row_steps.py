"""A filter and a projection as one piece of work: what to take from a row first, what to compute once for both.

Imports the plan, the registry and `runtime.expressions` only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tableapi.plan.nodes import NamedRex
from tableapi.plan.rex import Call, Literal, Ref, Rex, UdfCall, columns, walk
from tableapi.plan.rules.filters import is_movable
from tableapi.plan.scope import unique
from tableapi.runtime.expressions import can_fail

_CLOCK_FUNCTIONS = frozenset(
    {
        "PROCTIME",
        "NOW",
        "CURRENT_TIMESTAMP",
        "CURRENT_ROW_TIMESTAMP",
        "CURRENT_DATE",
        "CURRENT_TIME",
        "LOCALTIME",
        "LOCALTIMESTAMP",
        "UNIX_TIMESTAMP",
        "CURRENT_WATERMARK",
    }
)


def reads_clock(rex: Rex) -> bool:
    """Whether the expression's value depends on the time, or the watermark, at which it is evaluated."""
    return any(isinstance(part, Call) and part.function in _CLOCK_FUNCTIONS for part in walk(rex))


@dataclass(frozen=True)
class RowStep:
    """The parts of a filter and projection, in the order in which they are done.

    taken: What is read of the input's rows: columns, and fields of rows (which then are columns), by their new names.
    early: Expressions that the condition shares with the columns.
    condition: Over `taken` and `early`; NULL counts as FALSE.
    late: Expressions that occur several times in the columns only.
    columns: The result, over all of these.
    """

    taken: tuple[NamedRex, ...]
    early: tuple[NamedRex, ...]
    condition: Rex | None
    late: tuple[NamedRex, ...]
    columns: tuple[NamedRex, ...]

    @property
    def kept(self) -> set[str]:
        """Names that are still read when the condition has been evaluated."""
        return set().union(*(columns(c.rex) for c in (*self.late, *self.columns)))


def plan_row_step(condition: Rex | None, items: Sequence[NamedRex]) -> RowStep:
    """Splits a filter and a projection into the parts of a `RowStep`."""
    counts = Counter(key for rex in (condition, *(c.rex for c in items)) if rex is not None for key in _candidates(rex))
    repeated = {key for key, count in counts.items() if count > 1}
    read = [columns(rex) for rex in (condition, *(c.rex for c in items)) if rex is not None]
    parts = _Parts(repeated, set().union(*read))
    new_condition = None if condition is None else parts.split(condition, parts.early)
    new_items = tuple(NamedRex(c.name, parts.split(c.rex, parts.late)) for c in items)
    return RowStep(tuple(parts.taken.values()), tuple(parts.early), new_condition, tuple(parts.late), new_items)


_Key = tuple[Rex, str]
"""An expression and its text: 0.0 and -0.0 are equal but not the same."""


def _key(rex: Rex) -> _Key | None:
    try:
        hash(rex)
    except TypeError:
        return None
    return rex, str(rex)


def _candidates(rex: Rex) -> list[_Key]:
    """The parts of an expression that may be computed once for all places where they stand."""
    found = []
    for part in walk(rex):
        if isinstance(part, Ref | Literal | UdfCall) or _is_path(part) or not columns(part):
            continue
        if is_movable(part) and not reads_clock(part) and not can_fail(part):
            key = _key(part)
            if key is not None:
                found.append(key)
    return found


def _is_path(rex: Rex) -> bool:
    """Whether it is a column, or a field (of a field …) of one."""
    if not isinstance(rex, Call):
        return isinstance(rex, Ref)
    is_field = rex.function == "GET" and isinstance(rex.args[1], Literal) and isinstance(rex.args[1].value, str)
    return is_field and _is_path(rex.args[0])


@dataclass
class _Parts:
    """What has been found so far."""

    repeated: set[_Key]
    names: set[str]
    taken: dict[_Key, NamedRex] = field(default_factory=dict)
    early: list[NamedRex] = field(default_factory=list)
    late: list[NamedRex] = field(default_factory=list)
    shared: dict[_Key, Ref] = field(default_factory=dict)

    def split(self, rex: Rex, into: list[NamedRex]) -> Rex:
        """The expression over what is taken and shared; parts that are shared for the first time go to `into`."""
        if _is_path(rex):
            return self._take(rex)
        key = _key(rex) if self.repeated else None
        if key is None or key not in self.repeated:
            return self._inside(rex, into)
        if key not in self.shared:
            self.shared[key] = Ref(rex.type, self._name("shared"))
            into.append(NamedRex(self.shared[key].name, self._whole(rex)))
        return self.shared[key]

    def _inside(self, rex: Rex, into: list[NamedRex]) -> Rex:
        children = tuple(self.split(c, into) for c in rex.children)
        return rex.with_children(children) if children != rex.children else rex

    def _whole(self, rex: Rex) -> Rex:
        """A shared expression is not built upon others: all of a stage are evaluated side by side."""
        if _is_path(rex):
            return self._take(rex)
        children = tuple(self._whole(c) for c in rex.children)
        return rex.with_children(children) if children != rex.children else rex

    def _take(self, path: Rex) -> Ref:
        key = (path, str(path))
        if key not in self.taken:
            name = path.name if isinstance(path, Ref) else self._name(str(path))
            self.taken[key] = NamedRex(name, path)
        return Ref(path.type, self.taken[key].name)

    def _name(self, hint: str) -> str:
        name = unique(f"${hint}", self.names)
        self.names.add(name)
        return name
