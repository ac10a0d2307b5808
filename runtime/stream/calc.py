"""Row-wise steps: filters and projections, fused into one operator.

Imports the plan, the lowering of expressions and Python functions, and the operator contract.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count

import polars as pl

from tableapi.functions.registry import SessionContext
from tableapi.plan.nodes import NamedRex
from tableapi.plan.rex import Call, Ref, Rex, UdfCall, walk
from tableapi.runtime.expressions import lower, select
from tableapi.runtime.stream.batch import MAX_WATERMARK, Batch
from tableapi.runtime.stream.operator import Operator, OperatorContext
from tableapi.tablespec import RowSchema


@dataclass(frozen=True)
class CalcStep:
    """First the filter (rows where `condition` is TRUE stay), then the projection (None: all columns as they are)."""

    condition: Rex | None = None
    columns: tuple[NamedRex, ...] | None = None


@dataclass(frozen=True)
class CalcSpec:
    """Applies `steps` in order to each batch of rows of `input`. Row kinds pass unchanged. No steps: a union of its inputs."""

    input: RowSchema
    steps: tuple[CalcStep, ...]

    def create(self) -> Operator:
        """A new operator."""
        return Calc(self)


class Calc(Operator):
    """Filters and projects; no state. Cost of a batch: one Polars `select` or `filter` a step. Emits the kinds that come in."""

    def __init__(self, spec: CalcSpec) -> None:
        self._spec = spec

    def open(self, context: OperatorContext) -> None:
        super().open(context)
        self._steps = [compile_step(step, context) for step in self._spec.steps]

    def process(self, input: int, batch: Batch) -> None:
        for step in self._steps:
            batch = step(batch)
            if not batch.height:
                return
        self.context.emit(batch)

    def on_watermark(self, watermark_ms: int) -> int:
        self.context.watermark_ms = watermark_ms if watermark_ms < MAX_WATERMARK else self.context.watermark_ms
        return watermark_ms


Step = Callable[[Batch], Batch]


def compile_step(step: CalcStep, context: OperatorContext) -> Step:
    """The step as a function of a batch; everything that does not depend on the rows is done here, once."""
    filter_rows = None if step.condition is None else compile_filter(step.condition, context)
    project = None if step.columns is None else compile_columns(step.columns, context)

    def run(batch: Batch) -> Batch:
        if filter_rows is not None:
            mask = filter_rows(batch.frame)
            if not mask.all():
                batch = batch.filter(mask)
        if project is not None and batch.height:
            batch = batch.with_frame(project(batch.frame))
        return batch

    return run


def compile_filter(condition: Rex, context: OperatorContext) -> Callable[[pl.DataFrame], pl.Series]:
    """The condition as a function from rows to a mask (NULL counts as FALSE)."""
    evaluate = compile_columns([NamedRex("mask", condition)], context)
    return lambda frame: evaluate(frame)["mask"].fill_null(False)


def compile_columns(columns: Sequence[NamedRex], context: OperatorContext) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """The columns as a function of a frame."""
    if not columns:
        return lambda frame: pl.DataFrame(height=frame.height)
    if all(isinstance(c.rex, Ref) for c in columns):
        sources = [c.rex.name for c in columns if isinstance(c.rex, Ref)]
        names = [c.name for c in columns]
        return lambda frame: pl.DataFrame([frame[s].alias(n) for s, n in zip(sources, names, strict=True)])
    rexes = [c.rex for c in columns]
    stages: list[list[tuple[str, UdfCall]]] = []
    if any(isinstance(part, UdfCall) for rex in rexes for part in walk(rex)):
        from tableapi.runtime.udf import split_udfs

        numbers = count()
        stages, rexes = split_udfs(rexes, lambda hint: f"__{hint}_{next(numbers)}")

    def expressions(session: SessionContext) -> list[pl.Expr]:
        return [lower(rex, session).alias(c.name) for rex, c in zip(rexes, columns, strict=True)]

    fixed = None if any(map(reads_clock, rexes)) else expressions(context.session)

    def run(frame: pl.DataFrame) -> pl.DataFrame:
        for stage in stages:
            frame = _with_udfs(frame, stage, context.session)
        return select(frame, fixed if fixed is not None else expressions(session_now(context)))

    return run


def _with_udfs(frame: pl.DataFrame, stage: list[tuple[str, UdfCall]], session: SessionContext) -> pl.DataFrame:
    from tableapi.runtime.udf import udf_expression

    return frame.with_columns([udf_expression(call, session).alias(name) for name, call in stage])


_CLOCK_FUNCTIONS = frozenset(
    {
        "PROCTIME",
        "NOW",
        "CURRENT_TIMESTAMP",
        "CURRENT_ROW_TIMESTAMP",
        "CURRENT_DATE",
        "CURRENT_TIME",
        "LOCALTIME",
        "LOCALTIMESTAMP",
        "UNIX_TIMESTAMP",
        "CURRENT_WATERMARK",
    }
)


def reads_clock(rex: Rex) -> bool:
    """Whether the expression's value depends on the time, or the watermark, at which it is evaluated."""
    return any(isinstance(part, Call) and part.function in _CLOCK_FUNCTIONS for part in walk(rex))


def session_now(context: OperatorContext) -> SessionContext:
    """The session with the processing-time clock's present as the time of the statement (Flink: per record in streaming)."""
    now_us = context.clock.now_ms() * 1000
    return replace(context.session, statement_time_us=now_us, watermark_ms=context.watermark_ms)
