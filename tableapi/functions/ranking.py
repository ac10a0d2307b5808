"""Functions of a row's place in an OVER window. The operators implement them by name; here are only names and types."""

from __future__ import annotations

from collections.abc import Sequence

from tableapi.functions.registry import RankingFunction, Resolved
from tableapi.functions.signatures import AS_INT, _check_count, merge, signature
from tableapi.plan.rex import Rex
from tableapi.types import BigIntType, DoubleType, IntType

_POSITION = signature(result=BigIntType(is_nullable=False))
_SHARE = signature(result=DoubleType(is_nullable=False))


def _neighbour(args: Sequence[Rex]) -> Resolved:
    """value[, offset[, default]]: the value's type; the default is cast to it."""
    _check_count(len(args), 1, 3)
    value = args[0].type
    if len(args) == 3:
        merged = merge([value, args[2].type])
        nullable = value.is_nullable or args[2].type.is_nullable
        return Resolved((merged, IntType(), merged), merged.with_nullability(nullable))
    return Resolved((value, IntType())[: len(args)], value.nullable())


FUNCTIONS: tuple[RankingFunction, ...] = (
    RankingFunction("ROW_NUMBER", _POSITION, "Number of the row in its window, from 1."),
    RankingFunction("RANK", _POSITION, "Rank of the row with gaps: 1 + the number of rows before its peers."),
    RankingFunction("DENSE_RANK", _POSITION, "Rank of the row without gaps: 1 + the number of distinct keys before it."),
    RankingFunction("PERCENT_RANK", _SHARE, "(RANK - 1) / (rows in the partition - 1), 0 for a single row."),
    RankingFunction("CUME_DIST", _SHARE, "Share of the partition's rows up to and including the row's peers."),
    RankingFunction(
        "NTILE",
        signature(AS_INT, result=BigIntType(), is_nullable=False),
        "Number (from 1) of the bucket, when the partition is split into n.",
    ),
    RankingFunction("LAG", _neighbour, "The value n rows before (default 1), or the default (default NULL).", api_name="lag"),
    RankingFunction("LEAD", _neighbour, "The value n rows after (default 1), or the default (default NULL).", api_name="lead"),
)
