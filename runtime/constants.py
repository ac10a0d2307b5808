"""The values of constant expressions for the optimiser: computed by Polars like any other expression.

May import plan.rex, types and the runtime's expression lowering.
"""

from __future__ import annotations

import polars as pl

from tableapi.functions.registry import SessionContext
from tableapi.plan.rex import Literal, Rex
from tableapi.runtime.expressions import lower
from tableapi.types import ArrayType, MapType, MultisetType, RowType


def evaluated(rex: Rex, session: SessionContext) -> Literal | None:
    """The value of an expression without columns; None where it fails, or where a literal does not give just this value back."""
    if isinstance(rex.type, ArrayType | MapType | MultisetType | RowType):
        return None
    try:
        value = pl.select(lower(rex, session)).to_series()
        if len(value) != 1 or value.dtype != rex.type.to_polars():
            return None
        found = Literal(rex.type, value.item(), where=rex.where)
        again = pl.select(lower(found, session)).to_series()
    except Exception:  # noqa: BLE001 - whatever it fails with is the run's to say, if it evaluates the expression at all
        return None
    is_same = again.dtype == value.dtype and again.equals(value, check_names=False)
    return found if is_same else None
