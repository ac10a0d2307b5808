"""MATCH_RECOGNIZE from its grammar to `plan.match_builder`: flattens the pattern, refuses by name what cannot run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tableapi.errors import Location, UnsupportedError
from tableapi.plan.match_builder import MatchClauses, build_match
from tableapi.plan.match_node import PatternElement, Skip, SkipKind
from tableapi.plan.scope import Relation
from tableapi.sql import ast

if TYPE_CHECKING:
    from tableapi.sql.query_planner import Names
    from tableapi.sql.table_planner import TablePlanner

_REFUSED = {
    "alternation": ("an alternative (|) in a pattern", "use one variable whose condition is joined by OR"),
    "exclusion": ("an exclusion {- … -} in a pattern", "leave the variable out of MEASURES"),
    "permute": ("PERMUTE in a pattern", "write the order that you look for"),
    "start": ("the anchor ^ in a pattern", "filter the rows first"),
    "end": ("the anchor $ in a pattern", "filter the rows first"),
}


def plan_match(planner: TablePlanner, table: ast.MatchRecognize, names: Names) -> Relation:
    """The relation of `table MATCH_RECOGNIZE (…)`.

    Raises:
        UnsupportedError: A part of the clause that cannot run.
        ValidationError: A name, condition or pattern without meaning.
    """
    if table.rows_per_match == "ALL":
        raise UnsupportedError("ALL ROWS PER MATCH is not supported", where=table.where, fix="ONE ROW PER MATCH")
    if table.subsets:
        raise UnsupportedError("SUBSET is not supported", where=table.where, fix="name each variable in the measures")
    elements = _elements(table.pattern, table.where)
    variables = {e.variable for e in elements}
    relation = planner.plan(table.table, names)
    queries = planner.queries
    clauses = MatchClauses(
        tuple(queries.expression(p, relation, names) for p in table.partition_by),
        tuple(replace(item, arg=queries.expression(item.arg, relation, names)) for item in table.order_by),
        tuple((name, queries.expression(m, relation, names)) for name, m in table.measures),
        elements,
        tuple((name, queries.expression(d, relation, names)) for name, d in table.define if name in variables),
        _skip(table.after_match),
        table.within,
    )
    return build_match(planner.builder.context, relation, clauses)


def _skip(words: tuple[str, ...]) -> Skip:
    """Without AFTER MATCH, Flink skips to the next row."""
    if not words:
        return Skip(SkipKind.NEXT_ROW)
    return Skip(SkipKind(words[0]), words[1] if len(words) > 1 else None)


def _elements(pattern: ast.Pattern, where: Location | None) -> tuple[PatternElement, ...]:
    if pattern.kind in _REFUSED:
        what, fix = _REFUSED[pattern.kind]
        raise UnsupportedError(f"{what} is not supported", where=where, fix=fix)
    if pattern.kind == "variable":
        assert pattern.name is not None
        return (PatternElement(pattern.name, pattern.minimum, pattern.maximum, pattern.is_greedy),)
    if (pattern.minimum, pattern.maximum) != (1, 1):
        raise UnsupportedError("a quantifier on a group is not supported", where=where, fix="put quantifiers on variables")
    return tuple(element for part in pattern.parts for element in _elements(part, where))
