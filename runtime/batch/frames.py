"""Aggregates over the frames of an OVER window.

A frame is a range of sorted rows. Rows that do not count (FILTER, NULL arguments) are taken out first and the ranges moved
accordingly; then a COUNT is the length of a range, FIRST and LAST are its ends, a SUM of whole numbers is a difference of
prefix sums, MIN and MAX come from a monotonic queue. The function's `finish` makes its result of these. What has no such
shortcut (DISTINCT in a sliding frame, Python aggregates) is computed from the rows of each different frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from tableapi.functions.registry import Accumulator, AccumulatorKind, SessionContext
from tableapi.plan.rex import AggCall
from tableapi.runtime.batch.ranking import Ints, Mask, Partitions, argument
from tableapi.runtime.expressions import aggregate_of, finish_aggregate, lower_aggregate
from tableapi.runtime.expressions import lower as lower_rex
from tableapi.runtime.udf_aggregate import FramesTask
from tableapi.runtime.udf_scope import FunctionRunner

_CHUNK_ROWS = 4_000_000


@dataclass(frozen=True)
class Frames:
    """For each sorted row: first, and one past the last, row of its frame."""

    low: Ints
    high: Ints

    def among(self, kept: Mask) -> Frames:
        """The same frames, counted in the rows that are kept only."""
        before = np.concatenate(([0], np.cumsum(kept)))
        return Frames(before[self.low], before[self.high])

    def different(self) -> tuple[Frames, Ints]:
        """The frames without repetitions of the one before, and which of them each row has."""
        is_new = np.ones(len(self.low), dtype=np.bool_)
        is_new[1:] = (self.low[1:] != self.low[:-1]) | (self.high[1:] != self.high[:-1])
        return Frames(self.low[is_new], self.high[is_new]), np.cumsum(is_new) - 1

    def chunks(self, max_rows: int) -> Iterator[Frames]:
        """Consecutive groups of frames with at most about `max_rows` rows in sum."""
        total = np.cumsum(self.high - self.low)
        start = 0
        while start < len(total):
            done = total[start - 1] if start else 0
            stop = max(start + 1, int(np.searchsorted(total, done + max_rows, side="right")))
            yield Frames(self.low[start:stop], self.high[start:stop])
            start = stop

    def rows(self) -> Ints:
        """The row numbers of all frames, one frame after the other."""
        length = self.high - self.low
        ends = np.cumsum(length)
        total = int(ends[-1]) if len(ends) else 0
        inside: Ints = np.arange(total) - np.repeat(ends - length, length)
        return inside + np.repeat(self.low, length)


@dataclass(frozen=True)
class FrameEvaluator:
    """Evaluates aggregate calls over frames of sorted rows."""

    rows: pl.DataFrame
    session: SessionContext
    functions: FunctionRunner
    partitions: Partitions

    def evaluate(self, call: AggCall, frames: Frames) -> pl.Series:
        """The call's value for each row."""
        if call.udaf is not None:
            return self._python(call, frames)
        kept = np.ones(self.rows.height, dtype=np.bool_)
        if call.filter is not None:
            kept = self.rows[call.filter].fill_null(False).to_numpy()
        if call.distinct:
            if not np.array_equal(frames.low, self.partitions.start):
                return self._from_rows(call, frames)
            # In a frame that starts with the partition, the first of equal values stands for all.
            kept = kept & self._is_first(call, kept)
        function = aggregate_of(call.function)
        rows, frames = self.rows.filter(pl.Series(kept)), frames.among(kept)
        types = [arg.type for arg in call.args]
        columns = [
            self._accumulate(accumulator, call, rows, frames).alias(f"acc{i}")
            for i, accumulator in enumerate(function.accumulators(types, call.type))
        ]
        finish = finish_aggregate(call, [pl.col(c.name) for c in columns], self.session)
        return pl.DataFrame(columns).with_columns(finish.alias("result"))["result"]

    def _is_first(self, call: AggCall, kept: Mask) -> Mask:
        columns = [argument(arg, self.rows).alias(f"v{i}") for i, arg in enumerate(call.args)]
        values = pl.DataFrame([*columns, pl.Series("partition", self.partitions.start), pl.Series("kept", kept)])
        return values.select(pl.struct(pl.all()).is_first_distinct()).to_series().to_numpy()

    def _accumulate(self, accumulator: Accumulator, call: AggCall, rows: pl.DataFrame, frames: Frames) -> pl.Series:
        if accumulator.input is None:
            return pl.Series(frames.high - frames.low, dtype=accumulator.type.to_polars())
        lowered = accumulator.input([lower_rex(arg, self.session) for arg in call.args])
        values = rows.with_columns(lowered.alias("$input"))["$input"]
        if accumulator.kind is AccumulatorKind.VALUES:
            return _lists(values.cast(accumulator.type.to_polars().inner), frames)  # type: ignore[attr-defined]
        present = values.is_not_null()
        frames = frames.among(present.to_numpy())
        values = values.drop_nulls()
        match accumulator.kind:
            case AccumulatorKind.COUNT:
                return pl.Series(frames.high - frames.low, dtype=accumulator.type.to_polars())
            case AccumulatorKind.SUM:
                return _sums(values.cast(accumulator.type.to_polars()), frames)
            case AccumulatorKind.MIN | AccumulatorKind.MAX:
                return _extremes(values, frames, accumulator.kind is AccumulatorKind.MAX)
            case AccumulatorKind.FIRST:
                return _gather(values, np.where(frames.low < frames.high, frames.low, -1))
            case _:
                return _gather(values, np.where(frames.low < frames.high, frames.high - 1, -1))

    def _from_rows(self, call: AggCall, frames: Frames) -> pl.Series:
        """The call evaluated on the rows of each different frame."""
        frames, which = frames.different()
        expression = lower_aggregate(call, self.session).alias("result")
        parts = []
        for chunk in frames.chunks(_CHUNK_ROWS):
            numbers = np.repeat(np.arange(len(chunk.low)), chunk.high - chunk.low)
            rows = self.rows[chunk.rows()].with_columns(pl.Series("$frame", numbers, dtype=pl.Int64()))
            results = rows.group_by("$frame").agg(expression)
            every = pl.DataFrame({"$frame": np.arange(len(chunk.low))})
            joined = every.join(results, on="$frame", how="left", maintain_order="left")
            empty = self.rows.clear().select(expression)["result"]
            # An empty frame has no group; its value is that of no rows (0 for COUNT).
            filled = pl.when(pl.Series(chunk.low == chunk.high)).then(pl.lit(empty.item(), empty.dtype)).otherwise("result")
            parts.append(joined.select(filled.alias("result"))["result"])
        return pl.concat(parts).gather(which)

    def _python(self, call: AggCall, frames: Frames) -> pl.Series:
        """A Python aggregate."""
        kept = np.ones(self.rows.height, dtype=np.bool_)
        if call.filter is not None:
            kept = self.rows[call.filter].fill_null(False).to_numpy()
        rows, frames = self.rows.filter(pl.Series(kept)), frames.among(kept)
        frames, which = frames.different()
        task = FramesTask(call.udaf, tuple(arg.type for arg in call.args), call.type, self.session.time_zone)
        args = [argument(arg, rows) for arg in call.args]
        found = self.functions.run(task, task.frame(args, frames.low.tolist(), frames.high.tolist()))
        return found.to_series().gather(which)


def _gather(values: pl.Series, positions: Ints) -> pl.Series:
    """The values at `positions`; NULL where the position is -1."""
    index = pl.Series(positions)
    return values.gather(pl.select(pl.when(index >= 0).then(index)).to_series())


def _sums(values: pl.Series, frames: Frames) -> pl.Series:
    if values.dtype.is_float():
        from tableapi.runtime.batch.kernels import float_sums

        return pl.Series(float_sums(values.to_numpy(), frames.low, frames.high), dtype=values.dtype)
    if values.dtype.is_integer():
        running = np.concatenate(([0], np.cumsum(values.cast(pl.Int64()).to_numpy())))
        return pl.Series(running[frames.high] - running[frames.low]).cast(values.dtype, strict=False)
    zero = pl.select(pl.lit(0).cast(values.dtype)).to_series()
    sums = pl.concat([zero, values.cum_sum().cast(values.dtype)])
    return (sums.gather(frames.high) - sums.gather(frames.low)).cast(values.dtype)


def _extremes(values: pl.Series, frames: Frames, is_largest: bool) -> pl.Series:
    from tableapi.runtime.batch.kernels import extreme_positions

    order = values.rank("dense").cast(pl.Int64()).to_numpy()
    return _gather(values, extreme_positions(order, frames.low, frames.high, is_largest))


def _lists(values: pl.Series, frames: Frames) -> pl.Series:
    """The values of each frame as a list."""
    frames, which = frames.different()
    parts = []
    for chunk in frames.chunks(_CHUNK_ROWS):
        numbers = np.repeat(np.arange(len(chunk.low)), chunk.high - chunk.low)
        taken = pl.DataFrame([pl.Series("$frame", numbers, dtype=pl.Int64()), values.gather(chunk.rows()).alias("v")])
        grouped = taken.group_by("$frame", maintain_order=True).agg("v")
        every = pl.DataFrame({"$frame": np.arange(len(chunk.low))})
        joined = every.join(grouped, on="$frame", how="left", maintain_order="left")["v"]
        parts.append(joined.fill_null(pl.Series([[]], dtype=pl.List(values.dtype))))
    return pl.concat(parts).gather(which)
