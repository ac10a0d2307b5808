"""What a match gives: columns of its rows and aggregates of them, for all matches of a batch at once.

Imports the plan's expressions and the shared expression lowering.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from tableapi.functions.registry import SessionContext
from tableapi.plan.match_node import PatternAgg, PatternRef
from tableapi.plan.nodes import NamedRex
from tableapi.runtime.expressions import lower_aggregate

Ints = npt.NDArray[np.int64]

_MATCH = "$match"


def match_rows(
    frame: pl.DataFrame,
    bounds: Ints,
    partition_by: Sequence[str],
    measures: Sequence[NamedRex],
    positions: Mapping[str, int],
    session: SessionContext,
) -> pl.DataFrame:
    """One row a match: the partition's columns, then the measures.

    Args:
        frame: The rows that the matches number.
        bounds: A row a match: the first row of each variable, and the row after the last.
        measures: Each a `PatternRef` or `PatternAgg`.
        positions: Place of each variable in the pattern.
    """
    columns = [frame[name].gather(bounds[:, 0]) for name in partition_by]
    for measure in measures:
        rex = measure.rex
        assert isinstance(rex, PatternRef | PatternAgg)
        if rex.variable is None:
            begin, end = bounds[:, 0], bounds[:, -1]
        else:
            begin, end = bounds[:, positions[rex.variable]], bounds[:, positions[rex.variable] + 1]
        if isinstance(rex, PatternRef):
            column = _reference(frame[rex.column], rex, begin, end)
        else:
            column = _aggregate(frame, rex, begin, end, session)
        columns.append(column.alias(measure.name))
    return pl.DataFrame(columns) if columns else pl.DataFrame(height=len(bounds))


def _reference(column: pl.Series, ref: PatternRef, begin: Ints, end: Ints) -> pl.Series:
    at = begin + ref.offset if ref.is_first else end - 1 - ref.offset
    exists = (begin <= at) & (at < end)
    return column.gather(pl.Series(np.where(exists, at, 0)).set(pl.Series(~exists), None))


def _aggregate(frame: pl.DataFrame, aggregate: PatternAgg, begin: Ints, end: Ints, session: SessionContext) -> pl.Series:
    call = aggregate.call
    value = lower_aggregate(call, session).alias("value")
    names = sorted({arg.name for arg in call.args if hasattr(arg, "name")})
    sizes = end - begin
    match = np.repeat(np.arange(len(begin)), sizes)
    rows = np.arange(len(match)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + np.repeat(begin, sizes)
    taken = frame.select(names)[rows] if names else pl.DataFrame(height=len(rows))
    taken = taken.with_columns(pl.Series(_MATCH, match, dtype=pl.Int64()))
    grouped = taken.group_by(_MATCH, maintain_order=True).agg(value)
    dtype = call.type.to_polars()
    of_nothing = taken.clear().select(value.cast(dtype))["value"][0]
    result = np.full(len(begin), -1, dtype=np.int64)
    result[grouped[_MATCH].to_numpy()] = np.arange(grouped.height)
    values = pl.concat([grouped["value"].cast(dtype), pl.Series("value", [of_nothing], dtype=dtype)])
    return values.gather(np.where(result < 0, grouped.height, result))
