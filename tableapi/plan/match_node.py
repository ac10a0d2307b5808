"""The plan node of MATCH_RECOGNIZE, and the expressions that only its clauses can hold.

A condition or measure is an ordinary typed expression whose leaves are `PatternRef` (a column of one matched row) and
`PatternAgg` (an aggregate of matched rows). Both name columns of the node's input; a computed argument is projected below.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property

from tableapi.plan.nodes import NamedRex, Unary, format_ms
from tableapi.plan.rex import AggCall, Rex, SortKey, walk
from tableapi.tablespec import Field, RowSchema, TimeKind


@dataclass(frozen=True)
class PatternRef(Rex):
    """A column of the first or last row (moved by `offset` rows) that a variable has matched so far; NULL when there is none.

    `variable` None: of all matched rows. While a condition is tested, the row in question counts as matched by its variable.
    """

    column: str
    variable: str | None = None
    is_first: bool = False
    offset: int = 0

    def __str__(self) -> str:
        name = self.column if self.variable is None else f"{self.variable}.{self.column}"
        if not self.is_first and not self.offset:
            return name
        return f"{'FIRST' if self.is_first else 'LAST'}({name}{f', {self.offset}' if self.offset else ''})"


@dataclass(frozen=True)
class PatternAgg(Rex):
    """An aggregate of the rows that a variable (None: the whole match) has matched so far."""

    call: AggCall
    variable: str | None = None

    def __str__(self) -> str:
        return str(self.call) if self.variable is None else f"{self.call} OVER {self.variable}"


@dataclass(frozen=True)
class PatternElement:
    """A variable of the pattern, and how many rows in a row it takes (`maximum` None: any number).

    `is_greedy` False stops as early as the next variable can go on. A greedy one keeps every row that it can take.
    """

    variable: str
    minimum: int = 1
    maximum: int | None = 1
    is_greedy: bool = True

    @property
    def keeps_rows(self) -> bool:
        """Whether it is a greedy loop: a row that it can take never goes to a later variable (Flink)."""
        is_open = self.minimum != self.maximum and (self.minimum, self.maximum) != (0, 1)
        return self.is_greedy and is_open

    def __str__(self) -> str:
        known = {(1, 1): "", (0, 1): "?", (0, None): "*", (1, None): "+"}
        if (self.minimum, self.maximum) in known:
            quantifier = known[self.minimum, self.maximum]
        elif self.minimum == self.maximum:
            quantifier = f"{{{self.minimum}}}"
        else:
            quantifier = f"{{{self.minimum},{'' if self.maximum is None else self.maximum}}}"
        return f"{self.variable}{quantifier}{'' if self.is_greedy or not quantifier else '?'}"


@dataclass(frozen=True)
class PatternDefine:
    """The condition of a variable. `flag` is a BOOLEAN column of the input that holds it, when it depends on the row alone."""

    variable: str
    condition: Rex
    flag: str | None = None

    def __str__(self) -> str:
        return f"{self.variable} AS {self.condition}"


class SkipKind(Enum):
    """Where the search goes on after a match."""

    PAST_LAST_ROW = "PAST LAST ROW"
    NEXT_ROW = "TO NEXT ROW"
    FIRST = "TO FIRST"
    LAST = "TO LAST"


@dataclass(frozen=True)
class Skip:
    """AFTER MATCH SKIP …; `variable` belongs to FIRST and LAST."""

    kind: SkipKind = SkipKind.NEXT_ROW
    variable: str | None = None

    def __str__(self) -> str:
        return self.kind.value + (f" {self.variable}" if self.variable else "")


@dataclass(frozen=True)
class Match(Unary):
    """Finds rows that match a pattern, per partition and in order. Output: the partition's columns, then the measures.

    `within_ms`: a match spans less time than this. `time_column` is the first sort column when it is a time.
    """

    partition_by: tuple[str, ...]
    order_by: tuple[SortKey, ...]
    pattern: tuple[PatternElement, ...]
    defines: tuple[PatternDefine, ...]
    measures: tuple[NamedRex, ...]
    skip: Skip
    within_ms: int | None = None

    @cached_property
    def schema(self) -> RowSchema:
        source = self.input.schema
        kept = tuple(replace(source[name], time=None) for name in self.partition_by)
        return RowSchema(kept + tuple(Field(m.name, m.rex.type, _time_of(m.rex, source)) for m in self.measures))

    @property
    def columns_read(self) -> set[str]:
        """Names of the input columns that the node needs."""
        used = {*self.partition_by, *(k.column for k in self.order_by)}
        for define in self.defines:
            used |= {define.flag} if define.flag is not None else pattern_columns(define.condition)
        return used.union(*(pattern_columns(m.rex) for m in self.measures))


def _time_of(rex: Rex, source: RowSchema) -> TimeKind | None:
    """A measure that is a time attribute of a matched row stays one (Flink)."""
    return source[rex.column].time if isinstance(rex, PatternRef) else None


def pattern_columns(rex: Rex) -> set[str]:
    """Input columns that a condition or measure reads."""
    used: set[str] = set()
    for part in walk(rex):
        if isinstance(part, PatternRef):
            used.add(part.column)
        elif isinstance(part, PatternAgg):
            used |= {arg.name for arg in part.call.args if hasattr(arg, "name")}
    return used


def match_text(node: Match) -> str:
    """The node in one line."""
    parts = [f"partition=[{', '.join(node.partition_by)}]"] if node.partition_by else []
    parts.append(f"order=[{', '.join(map(str, node.order_by))}]")
    parts.append(f"pattern=({' '.join(map(str, node.pattern))})")
    if node.within_ms is not None:
        parts.append(f"within={format_ms(node.within_ms)}")
    parts.append(f"skip={node.skip}")
    parts.append(f"define=[{', '.join(map(str, node.defines))}]")
    return f"Match({', '.join([*parts, *map(str, node.measures)])})"
