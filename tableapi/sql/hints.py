"""Hints of a query block: which exist, what they may say, and what they say of each table. Imports plan and the SQL nodes.

Flink: a hint counts in its own query block only and names tables by their alias; of several key-value hints for a table the last
one wins, of several lists the first. Join strategies are for engines that choose one: they are checked and change nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from tableapi.durations import parse_duration
from tableapi.errors import OptionError, UnknownNameError, ValidationError, did_you_mean
from tableapi.plan.nodes import Aggregate, Join, JoinHint, LookupHint, Node, Unary
from tableapi.plan.scope import Relation
from tableapi.sql import ast

JOIN_STRATEGIES = ("BROADCAST", "SHUFFLE_HASH", "SHUFFLE_MERGE", "NEST_LOOP")
QUERY_HINTS = (*JOIN_STRATEGIES, "LOOKUP", "STATE_TTL", "MULTI_JOIN")
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class BlockHints:
    """What the hints of a query block say, by the names of its tables."""

    state_ttl_ms: Mapping[str, int] = field(default_factory=dict)
    lookups: Mapping[str, LookupHint] = field(default_factory=dict)
    multi_join: frozenset[str] = frozenset()

    def of_join(self, left: Relation, right: Relation) -> JoinHint:
        """What they say of the join of two relations."""
        tables = {*qualifiers(left), *qualifiers(right)}
        return JoinHint(self.ttl_of(left), self.ttl_of(right), bool(tables) and tables <= self.multi_join)

    def ttl_of(self, relation: Relation) -> int | None:
        """How long the state of a relation that is one table is kept."""
        names = qualifiers(relation)
        return self.state_ttl_ms.get(names[0]) if len(names) == 1 else None


def qualifiers(relation: Relation) -> list[str]:
    """The tables that a relation's columns belong to, in order."""
    return list(dict.fromkeys(c.qualifier for c in relation.columns if c.qualifier))


def read_hints(hints: Sequence[ast.Hint]) -> BlockHints:
    """The meaning of a query block's hints.

    Raises:
        UnknownNameError: There is no such hint, or no such option of LOOKUP.
        ValidationError: A hint is not written as it must be.
        OptionError: A value does not fit.
    """
    ttl: dict[str, int] = {}
    lookups: dict[str, LookupHint] = {}
    multi: frozenset[str] = frozenset()
    for hint in hints:
        if hint.name == "OPTIONS":
            raise ValidationError("OPTIONS belongs to a table, not to SELECT", where=hint.where, fix="FROM t /*+ OPTIONS(…) */")
        if hint.name not in QUERY_HINTS:
            raise UnknownNameError(
                f"there is no hint {hint.name}",
                where=hint.where,
                exists=f"hints: {', '.join(('OPTIONS', *QUERY_HINTS))}",
                fix=did_you_mean(hint.name, QUERY_HINTS),
            )
        _check_form(hint, is_list=hint.name not in ("LOOKUP", "STATE_TTL"))
        if hint.name == "STATE_TTL":
            ttl.update((key.split(".")[-1], _duration_ms(hint, key, text)) for key, text in hint.pairs)
        elif hint.name == "LOOKUP":
            table, lookup = _lookup(hint)
            lookups[table] = lookup
        elif hint.name == "MULTI_JOIN" and not multi:
            multi = frozenset(item.split(".")[-1] for item in hint.items)
    return BlockHints(ttl, lookups, multi)


def check_tables(hints: Sequence[ast.Hint], relation: Relation) -> None:
    """Fails for a hint that names a table which is not in its query block."""
    for hint in hints:
        if hint.name == "LOOKUP":
            names = [value for key, value in hint.pairs if key == "table"]
        else:
            names = [*hint.items, *(key for key, _ in hint.pairs)]
        for name in names:
            if not relation.has_qualifier(name.split(".")[-1]):
                known = sorted(qualifiers(relation))
                raise ValidationError(
                    f"the hint {hint.name} names '{name}', which is not in this query",
                    where=hint.where,
                    exists=f"tables: {', '.join(known) or 'none'}",
                    fix=did_you_mean(name, known) or "a table with an alias is named by it, and only in its own query block",
                )


def _check_form(hint: ast.Hint, *, is_list: bool) -> None:
    wrong = hint.pairs if is_list else hint.items
    if wrong or not (hint.items or hint.pairs):
        example = "(t1, t2)" if is_list else "('key' = 'value', …)"
        raise ValidationError(f"the hint is written {hint.name}{example}", where=hint.where)


def _duration_ms(hint: ast.Hint, key: str, text: str) -> int:
    return int(_value(hint, key, text, lambda t: parse_duration(t) // _MILLISECOND))


def _value(hint: ast.Hint, key: str, text: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(text)
    except ValueError as error:
        raise OptionError(f"'{key}' of the hint {hint.name} has a wrong value: {error}", where=hint.where) from None


def _word(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"'{text}' is not one of {', '.join(words)}")
        return text.lower()

    return read


def _boolean(text: str) -> bool:
    return _word("true", "false")(text) == "true"


def _positive(text: str) -> int:
    if not text.strip().isdecimal() or int(text) < 1:
        raise ValueError(f"'{text}' is not a positive whole number")
    return int(text)


_RETRY = ("retry-predicate", "retry-strategy", "fixed-delay", "max-attempts")
_LOOKUP: Mapping[str, Callable[[str], Any]] = {
    "table": str,
    "async": _boolean,
    "output-mode": _word("ordered", "allow_unordered"),
    "capacity": _positive,
    "timeout": lambda text: parse_duration(text) // _MILLISECOND,
    "retry-predicate": _word("lookup_miss"),
    "retry-strategy": _word("fixed_delay"),
    "fixed-delay": lambda text: parse_duration(text) // _MILLISECOND,
    "max-attempts": _positive,
    "shuffle": _boolean,
}


def _lookup(hint: ast.Hint) -> tuple[str, LookupHint]:
    given: dict[str, Any] = {}
    for key, text in hint.pairs:
        if key not in _LOOKUP:
            raise UnknownNameError(
                f"the hint LOOKUP has no option '{key}'",
                where=hint.where,
                exists=f"options: {', '.join(_LOOKUP)}",
                fix=did_you_mean(key, _LOOKUP),
            )
        given[key] = _value(hint, key, text, _LOOKUP[key])
    if "table" not in given:
        raise ValidationError("the hint LOOKUP needs 'table' = '…'", where=hint.where)
    missing = [key for key in _RETRY if key not in given]
    if missing and len(missing) < len(_RETRY):
        raise ValidationError(
            f"the hint LOOKUP lacks {', '.join(missing)}: a retry needs all of {', '.join(_RETRY)}", where=hint.where
        )
    mode = given.get("output-mode")
    lookup = LookupHint(
        given.get("async"),
        None if mode is None else mode == "ordered",
        given.get("capacity"),
        given.get("timeout"),
        given.get("fixed-delay"),
        given.get("max-attempts"),
        given.get("shuffle", False),
    )
    return given["table"].split(".")[-1], lookup


def hinted_join(relation: Relation, hint: JoinHint) -> Relation:
    """The relation of a join with what hints say of it."""
    if hint == JoinHint():
        return relation

    def change(node: Node) -> Node:
        if isinstance(node, Unary):
            return replace(node, input=change(node.input))
        assert isinstance(node, Join), node
        return replace(node, hint=hint)

    return relation.with_node(change(relation.node))


def hinted_aggregates(built: Relation, source: Relation, state_ttl_ms: int | None) -> Relation:
    """The relation of a query block with the time to live of what it aggregates; `source` is its FROM."""
    if state_ttl_ms is None:
        return built

    def change(node: Node) -> Node:
        if node is source.node or not isinstance(node, Unary):
            return node
        node = replace(node, input=change(node.input))
        return replace(node, state_ttl_ms=state_ttl_ms) if isinstance(node, Aggregate) else node

    return built.with_node(change(built.node))


def no_hints(hints: Iterable[ast.Hint]) -> None:
    """Fails for hints of a table that are not OPTIONS."""
    for hint in hints:
        if hint.name != "OPTIONS":
            is_known = hint.name in QUERY_HINTS
            raise UnknownNameError(
                f"{hint.name} is no hint of a table",
                where=hint.where,
                exists="hints of tables: OPTIONS",
                fix=f"write it after SELECT: SELECT /*+ {hint.name}(…) */ …"
                if is_known
                else did_you_mean(hint.name, ("OPTIONS",)),
            )
