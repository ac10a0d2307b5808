"""Computes OVER calls of sorted rows, with the same code as batch.

Imports the batch engine's frames and the spec.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import polars as pl

from tableapi.errors import UnsupportedError
from tableapi.functions.registry import SessionContext
from tableapi.plan.nodes import OverFrame
from tableapi.plan.rex import SortKey
from tableapi.runtime.batch.frames import FrameEvaluator
from tableapi.runtime.batch.over import SortedWindow, is_ranking
from tableapi.runtime.batch.ranking import RANKING
from tableapi.runtime.udf_scope import FunctionScope

if TYPE_CHECKING:
    from tableapi.runtime.stream.over import OverSpec

SLOT = "__slot"
ID = "__id"


def ordered(rows: pl.DataFrame, order_by: tuple[SortKey, ...]) -> pl.DataFrame:
    """Rows with a `__slot` column, sorted by it and then by the sort keys; equal rows stay in the order given."""
    return rows.sort(
        [SLOT, *(k.column for k in order_by)],
        descending=[False, *(not k.ascending for k in order_by)],
        nulls_last=[False, *(not k.nulls_first for k in order_by)],
        maintain_order=True,
    )


def compute(rows: pl.DataFrame, spec: OverSpec, session: SessionContext, scope: FunctionScope) -> pl.DataFrame:
    """The columns of the calls for rows that are sorted by partition (`__slot`) and order."""
    window = SortedWindow(rows, cast(Any, _BySlot(spec.order_by, spec.frame)))
    evaluator = FrameEvaluator(rows, session, scope, window.partitions)
    columns = []
    for named in spec.calls:
        call = named.call
        if is_ranking(call):
            ranking = RANKING.get(call.function)
            if ranking is None:
                raise UnsupportedError(f"{call.function} OVER is not supported yet")
            column = ranking(window.partitions, call, rows)
        else:
            column = evaluator.evaluate(call, window.frames)
        columns.append(column.cast(call.type.to_polars()).alias(named.name))
    return pl.DataFrame(columns)


@dataclass(frozen=True)
class _BySlot:
    """The part of an Over node that says where partitions and frames lie."""

    order_by: tuple[SortKey, ...]
    frame: OverFrame
    partition_by: tuple[str, ...] = (SLOT,)
