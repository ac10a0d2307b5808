"""Lowers joins: regular, interval and window joins.

The condition is split into equalities between the sides (a hash join) and the rest, which is checked on the pairs that the
hash join finds. Three-valued logic: NULL keys never match, unless the condition says IS NOT DISTINCT FROM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal

import polars as pl

from tableapi.plan import rex as r
from tableapi.plan.nodes import Binary, IntervalJoin, Join, JoinKind, WindowJoin
from tableapi.plan.rex import Call, Cast, Ref, Rex, columns, conjuncts
from tableapi.runtime.batch.context import Lowering
from tableapi.tablespec import RowSchema
from tableapi.types import BooleanType


@dataclass(frozen=True)
class EquiKey:
    """`left = right`, each side over one input. `is_null_safe`: two NULLs are equal."""

    left: Rex
    right: Rex
    is_null_safe: bool = False


@dataclass(frozen=True)
class Condition:
    """A join condition by parts: keys, tests of one side, and what is left for the pairs."""

    keys: tuple[EquiKey, ...]
    left_only: tuple[Rex, ...]
    right_only: tuple[Rex, ...]
    rest: tuple[Rex, ...]


def split_condition(parts: Sequence[Rex], left: RowSchema, right: RowSchema) -> Condition:
    """Sorts the conjuncts of a condition by which side they read."""
    left_names, right_names = set(left.names), set(right.names)
    keys: list[EquiKey] = []
    left_only: list[Rex] = []
    right_only: list[Rex] = []
    rest: list[Rex] = []
    for part in parts:
        used = columns(part)
        key = _equi_key(part, left_names, right_names)
        if isinstance(part, r.Literal) and part.value is True:
            continue
        if key is not None:
            if key not in keys:
                keys.append(key)
        elif used and used <= left_names:
            left_only.append(part)
        elif used and used <= right_names:
            right_only.append(part)
        else:
            rest.append(part)
    return Condition(tuple(keys), tuple(left_only), tuple(right_only), tuple(rest))


def _equi_key(part: Rex, left: set[str], right: set[str]) -> EquiKey | None:
    if not isinstance(part, Call) or part.function not in ("EQUALS", "IS_NOT_DISTINCT_FROM"):
        return None
    one, two = part.args
    if one.type.to_polars() != two.type.to_polars():
        return None
    is_null_safe = part.function == "IS_NOT_DISTINCT_FROM"
    one_uses, two_uses = columns(one), columns(two)
    if not one_uses or not two_uses:
        return None
    if one_uses <= left and two_uses <= right:
        return EquiKey(one, two, is_null_safe)
    if one_uses <= right and two_uses <= left:
        return EquiKey(two, one, is_null_safe)
    return None


def lower_join(node: Join, lowering: Lowering) -> pl.LazyFrame:
    """A regular join."""
    return join_nodes(node, node.kind, conjuncts(node.condition) if node.condition is not None else [], lowering)


def lower_interval_join(node: IntervalJoin, lowering: Lowering) -> pl.LazyFrame:
    """A join with bounds on the rows' times; in batch it is a join like any other (Flink)."""
    parts = conjuncts(node.condition) if node.condition is not None else []
    left, right = lowering.lower(node.left), lowering.lower(node.right)
    distance = _ms(node.left_time) - _ms(node.right_time)
    return join_frames(
        left,
        right,
        node.kind,
        split_condition(parts, node.left.schema, node.right.schema),
        node.schema,
        lowering,
        (distance >= node.lower_ms, distance <= node.upper_ms),
    )


def _ms(column: str) -> pl.Expr:
    return pl.col(column).dt.epoch("ms")


def lower_window_join(node: WindowJoin, lowering: Lowering) -> pl.LazyFrame:
    """A join of rows in the same window."""
    parts: list[Rex] = conjuncts(node.condition) if node.condition is not None else []
    for left_name, right_name in zip(node.left_window, node.right_window, strict=True):
        left_type, right_type = node.left.schema[left_name].type, node.right.schema[right_name].type
        same = (Ref(left_type, left_name), Ref(right_type, right_name))
        parts.append(Call(BooleanType(), "EQUALS", same))
    return join_nodes(node, node.kind, parts, lowering)


def join_nodes(node: Binary, kind: JoinKind, parts: Sequence[Rex], lowering: Lowering) -> pl.LazyFrame:
    """Joins the inputs of a node on the conjunction of `parts`."""
    condition = split_condition(parts, node.left.schema, node.right.schema)
    left, right = lowering.lower(node.left), lowering.lower(node.right)
    return join_frames(left, right, kind, condition, node.schema, lowering)


def join_frames(
    left: pl.LazyFrame,
    right: pl.LazyFrame,
    kind: JoinKind,
    condition: Condition,
    schema: RowSchema,
    lowering: Lowering,
    extra: tuple[pl.Expr, ...] = (),
) -> pl.LazyFrame:
    """Joins two frames. `extra` are further conditions on pairs, as Polars expressions."""
    if kind is JoinKind.RIGHT:
        mirrored = Condition(
            tuple(EquiKey(k.right, k.left, k.is_null_safe) for k in condition.keys),
            condition.right_only,
            condition.left_only,
            condition.rest,
        )
        return join_frames(right, left, JoinKind.LEFT, mirrored, schema, lowering, extra).select(schema.names)
    if kind is not JoinKind.FULL:
        right = _only(right, condition.right_only, lowering)
        if kind in (JoinKind.INNER, JoinKind.SEMI):
            left = _only(left, condition.left_only, lowering)
    pairs_rest = list(condition.rest)
    if kind in (JoinKind.LEFT, JoinKind.ANTI, JoinKind.FULL):
        pairs_rest += condition.left_only
    if kind is JoinKind.FULL:
        pairs_rest += condition.right_only
    if kind is JoinKind.ANTI and len(pairs_rest) == 1 and (not_in := find_not_in(pairs_rest, schema, lowering)) is not None:
        left = not_in.remove_unknown(left, right, condition.keys)
        condition = Condition((*condition.keys, not_in.key), (), (), ())
        pairs_rest.remove(not_in.test)
    pair = Pairing(condition.keys, tuple(pairs_rest), extra, lowering)
    match kind:
        case JoinKind.INNER:
            joined = pair.inner(left, right)
        case JoinKind.LEFT:
            joined = pair.left(left, right)
        case JoinKind.FULL:
            joined = pair.full(left, right)
        case _:
            joined = pair.semi(left, right, is_anti=kind is JoinKind.ANTI)
    return joined.select(schema.names) if len(schema) else joined


def _only(frame: pl.LazyFrame, conditions: Sequence[Rex], lowering: Lowering) -> pl.LazyFrame:
    return reduce(lowering.condition, conditions, frame)


@dataclass(frozen=True)
class NotIn:
    """`x NOT IN (query)` as an anti join's test: `x = y`, or `x IS NULL`, or `y IS NULL`."""

    test: Rex
    key: EquiKey
    left_null: bool
    right_null: bool
    lowering: Lowering

    def remove_unknown(self, left: pl.LazyFrame, right: pl.LazyFrame, keys: tuple[EquiKey, ...]) -> pl.LazyFrame:
        """The left rows for which the test is not UNKNOWN: no NULL on the right, and x not NULL unless there is nothing to
        compare it with."""
        if not keys:
            return self._known(left, right)
        partner = Pairing(keys, (), (), self.lowering)
        if self.right_null:
            unknown = self.lowering.condition(right, Call(BooleanType(is_nullable=False), "IS_NULL", (self.key.right,)))
            left = partner.semi(left, unknown, is_anti=True)
        if self.left_null:
            test = Call(BooleanType(is_nullable=False), "IS_NULL", (self.key.left,))
            known = self.lowering.condition(left, Call(BooleanType(is_nullable=False), "NOT", (test,)))
            rest = partner.semi(self.lowering.condition(left, test), right, is_anti=True)
            left = pl.concat([known, rest], how="diagonal")
        return left

    def _known(self, left: pl.LazyFrame, right: pl.LazyFrame) -> pl.LazyFrame:
        """The same where all left rows are compared with the same rows: how many these are, and how many NULLs, decides."""
        rows, nulls = self.lowering.fresh("rows"), self.lowering.fresh("nulls")
        names = left.collect_schema().names()
        right, (value,) = self.lowering.expressions(right, [self.key.right])
        counts = right.select(pl.len().alias(rows), value.null_count().alias(nulls))
        left, (tested,) = self.lowering.expressions(left, [self.key.left])
        is_known = pl.lit(True)
        if self.right_null:
            is_known = is_known & (pl.col(nulls) == 0)
        if self.left_null:
            is_known = is_known & tested.is_not_null()
        return left.join(counts, how="cross").filter((pl.col(rows) == 0) | is_known).select(names)


def find_not_in(parts: Sequence[Rex], left: RowSchema, lowering: Lowering) -> NotIn | None:
    """The NOT IN test among the conjuncts of an anti join."""
    names = set(left.names)
    for part in parts:
        tests = _disjuncts(part)
        nulls = [t.args[0] for t in tests if isinstance(t, Call) and t.function == "IS_NULL"]
        equal = [t for t in tests if isinstance(t, Call) and t.function == "EQUALS"]
        if len(equal) != 1 or len(nulls) + 1 != len(tests):
            continue
        key = _equi_key(equal[0], names, columns(equal[0]) - names)
        if key is not None and all(_same_value(n, key.left) or _same_value(n, key.right) for n in nulls):
            left_null = any(_same_value(n, key.left) for n in nulls)
            return NotIn(part, key, left_null, any(_same_value(n, key.right) for n in nulls), lowering)
    return None


def _same_value(tested: Rex, key: Rex) -> bool:
    """Whether `tested` is NULL just when `key` is."""
    while isinstance(key, Cast) and key != tested:
        key = key.arg
    return tested == key


def _disjuncts(rex: Rex) -> list[Rex]:
    if isinstance(rex, Call) and rex.function == "OR":
        return [part for arg in rex.args for part in _disjuncts(arg)]
    return [rex]


@dataclass(frozen=True)
class Pairing:
    """How rows of two frames find each other: hash keys, then conditions on the pairs."""

    keys: tuple[EquiKey, ...]
    rest: tuple[Rex, ...]
    extra: tuple[pl.Expr, ...]
    lowering: Lowering

    @property
    def is_hash_only(self) -> bool:
        """Whether the keys decide alone."""
        return not self.rest and not self.extra

    @property
    def is_mixed(self) -> bool:
        """Whether NULLs are equal in some keys and not in others."""
        return len({k.is_null_safe for k in self.keys}) == 2

    def inner(self, left: pl.LazyFrame, right: pl.LazyFrame) -> pl.LazyFrame:
        """All pairs that match."""
        if not self.keys:
            return self._check(left.join(right, how="cross"))
        left, left_names, right, right_names = self._with_keys(left, right)
        if self.is_mixed:
            left = left.filter(pl.col(n).is_not_null() for n in self._strict(left_names))
        joined = left.join(
            right, left_on=left_names, right_on=right_names, how="inner", nulls_equal=self._nulls_equal, coalesce=False
        )
        return self._check(joined)

    def left(self, left: pl.LazyFrame, right: pl.LazyFrame) -> pl.LazyFrame:
        """All pairs, and the left rows without a partner."""
        if self.is_hash_only:
            left, left_names, right, right_names = self._with_keys(left, right)
            if self.is_mixed:
                right = right.filter(pl.col(n).is_not_null() for n in self._strict(right_names))
            return left.join(
                right, left_on=left_names, right_on=right_names, how="left", nulls_equal=self._nulls_equal, coalesce=False
            )
        left, row = self.lowering.numbered(left)
        pairs = self.inner(left, right).cache()
        return self._pad([pairs, left.join(pairs.select(row), on=row, how="anti")])

    def full(self, left: pl.LazyFrame, right: pl.LazyFrame) -> pl.LazyFrame:
        """All pairs, and the rows of both sides without a partner."""
        if self.is_hash_only and not self.is_mixed:
            left, left_names, right, right_names = self._with_keys(left, right)
            return left.join(
                right, left_on=left_names, right_on=right_names, how="full", nulls_equal=self._nulls_equal, coalesce=False
            )
        left, left_row = self.lowering.numbered(left)
        right, right_row = self.lowering.numbered(right)
        pairs = self.inner(left, right).cache()
        left_rest = left.join(pairs.select(left_row), on=left_row, how="anti")
        right_rest = right.join(pairs.select(right_row), on=right_row, how="anti")
        return self._pad([pairs, left_rest, right_rest])

    def semi(self, left: pl.LazyFrame, right: pl.LazyFrame, is_anti: bool) -> pl.LazyFrame:
        """The left rows that have a partner (or, for anti, that have none)."""
        how: Literal["anti", "semi"] = "anti" if is_anti else "semi"
        if self.is_hash_only:
            left, left_names, right, right_names = self._with_keys(left, right)
            if self.is_mixed:
                right = right.filter(pl.col(n).is_not_null() for n in self._strict(right_names))
            return left.join(right, left_on=left_names, right_on=right_names, how=how, nulls_equal=self._nulls_equal)
        left, row = self.lowering.numbered(left)
        return left.join(self.inner(left, right).select(row), on=row, how=how)

    def _check(self, pairs: pl.LazyFrame) -> pl.LazyFrame:
        for condition in self.extra:
            pairs = pairs.filter(condition)
        return _only(pairs, self.rest, self.lowering)

    def _with_keys(self, left: pl.LazyFrame, right: pl.LazyFrame) -> tuple[pl.LazyFrame, list[str], pl.LazyFrame, list[str]]:
        if not self.keys:
            # Everything matches: a key that is the same everywhere, so that no product is made just to count partners.
            one, two = self.lowering.fresh("key"), self.lowering.fresh("key")
            return left.with_columns(pl.lit(0).alias(one)), [one], right.with_columns(pl.lit(0).alias(two)), [two]
        left, left_names = self._key_columns(left, [k.left for k in self.keys])
        right, right_names = self._key_columns(right, [k.right for k in self.keys])
        return left, left_names, right, right_names

    def _key_columns(self, frame: pl.LazyFrame, rexes: list[Rex]) -> tuple[pl.LazyFrame, list[str]]:
        """Each key as a column of its own. A column that is two keys is copied: Polars 2.1 would infer that their partners are equal
        and push this into a frame that it has optimised already, which panics where that holds a product."""
        names: list[str] = []
        for rex in rexes:
            names.append(rex.name if isinstance(rex, Ref) and rex.name not in names else self.lowering.fresh("key"))
        computed = [
            (name, rex) for name, rex in zip(names, rexes, strict=True) if not (isinstance(rex, Ref) and rex.name == name)
        ]
        if computed:
            frame, lowered = self.lowering.expressions(frame, [rex for _, rex in computed])
            frame = frame.with_columns(e.alias(name) for e, (name, _) in zip(lowered, computed, strict=True))
        return frame, names

    @property
    def _nulls_equal(self) -> bool:
        return any(k.is_null_safe for k in self.keys)

    def _strict(self, names: list[str]) -> list[str]:
        return [name for name, key in zip(names, self.keys, strict=True) if not key.is_null_safe]

    def _pad(self, parts: list[pl.LazyFrame]) -> pl.LazyFrame:
        return pl.concat(parts, how="diagonal")
