"""What the lowering of one plan shares: the session, the sources, fresh column names, and the memo of lowered nodes.

May import plan, functions and the runtime's expression lowering.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

import polars as pl

from tableapi.functions.registry import SessionContext
from tableapi.plan.nodes import LookupJoin, Node, Scan
from tableapi.plan.rex import Rex
from tableapi.runtime.expressions import lower as lower_rex
from tableapi.runtime.udf import split_udfs, udf_expression
from tableapi.runtime.udf_scope import FunctionRunner, FunctionScope

if TYPE_CHECKING:
    from tableapi.runtime.batch.lookup import LookupAsking
    from tableapi.runtime.stream.lookup_join import LookupJoinSpec

Sources = Callable[[Scan], pl.LazyFrame]
"""Gives the rows of a table scan: the scan's columns, changelogs already folded to a table."""

Lookups = Callable[[LookupJoin], "LookupJoinSpec | None"]
"""Gives the operator of a lookup join whose table answers for keys."""

KIND_COLUMN = "$kind"
"""Int8 column of `RowKind` values in frames that hold a changelog instead of a table."""


@dataclass
class Lowering:
    """The state of lowering one plan.

    Args:
        session: Time zone and the like.
        sources: The rows of the tables.
        versions: Gives every change of a table in order, with a `KIND_COLUMN`; for temporal joins. None: tables are taken as
            they are, each row one version.
        dispatch: Lowers a node by its class (set by `lowering.py`).
        functions: Where the plan's Python functions run.
        lookups: How a lookup join asks its table; None: the table is read like any other.
        opened: What asks tables for keys, to be closed at the end.
        shared: Results that several places read, by number.
    """

    session: SessionContext
    sources: Sources
    versions: Sources | None
    dispatch: Callable[[Node, Lowering], pl.LazyFrame]
    functions: FunctionRunner = field(default_factory=FunctionScope)
    lookups: Lookups = lambda node: None
    opened: list[LookupAsking] = field(default_factory=list)
    shared: dict[int, pl.LazyFrame] = field(default_factory=dict)
    _memo: dict[int, tuple[Node, pl.LazyFrame]] = field(default_factory=dict)
    _names: count[int] = field(default_factory=count)

    def close(self) -> None:
        """Closes what the plan has opened while it ran."""
        self.functions.close()
        for asking in self.opened:
            asking.close()

    def lower(self, node: Node) -> pl.LazyFrame:
        """The lazy frame of a node. A node object that is used twice is lowered once, so that Polars can share it."""
        known = self._memo.get(id(node))
        if known is None:
            known = self._memo[id(node)] = (node, self.dispatch(node, self))
        return known[1]

    def fresh(self, hint: str) -> str:
        """A column name that no plan node uses."""
        return f"${hint}#{next(self._names)}"

    def numbered(self, frame: pl.LazyFrame) -> tuple[pl.LazyFrame, str]:
        """The frame with a column that numbers its rows, and that column's name.

        It is computed once however often it is used: Polars may give the rows of a repeated computation in another order, and
        a row would have two numbers.
        """
        row = self.fresh("row")
        return frame.with_row_index(row).cache(), row

    def expressions(self, frame: pl.LazyFrame, rexes: Sequence[Rex]) -> tuple[pl.LazyFrame, list[pl.Expr]]:
        """The Polars expressions of `rexes` over the returned frame.

        That frame is `frame` with more columns when Python functions have to be evaluated first.
        """
        stages, rest = split_udfs(rexes, self.fresh)
        for stage in stages:
            frame = frame.with_columns(udf_expression(call, self.session, self.functions).alias(name) for name, call in stage)
        return frame, [lower_rex(rex, self.session) for rex in rest]

    def condition(self, frame: pl.LazyFrame, rex: Rex) -> pl.LazyFrame:
        """The rows of `frame` for which `rex` is TRUE."""
        before = frame
        frame, (condition,) = self.expressions(frame, [rex])
        kept = frame.filter(condition)
        return kept if frame is before else kept.select(before.collect_schema().names())
