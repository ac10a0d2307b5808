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
from tableapi.plan.rex import Call, Literal, Ref, Rex, UdfCall, walk
from tableapi.runtime.expressions import lower, select
from tableapi.runtime.state.columns import pick
from tableapi.runtime.stream.batch import MAX_WATERMARK, Batch
from tableapi.runtime.stream.emit import hstack
from tableapi.runtime.stream.operator import Operator, OperatorContext
from tableapi.runtime.stream.row_steps import plan_row_step, reads_clock
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
    if step.columns is not None:
        return _compile_projection(step.condition, step.columns, context)
    keep = compile_filter(step.condition, context) if step.condition is not None else None
    return lambda batch: batch if keep is None else _filtered(batch, keep(batch.frame))


def _filtered(batch: Batch, mask: pl.Series) -> Batch:
    return batch if mask.all() else batch.filter(mask)


def _compile_projection(condition: Rex | None, items: Sequence[NamedRex], context: OperatorContext) -> Step:
    """Fields of rows are taken out before the filter copies rows, and what condition and columns share is computed once."""
    step = plan_row_step(condition, items)
    take = [(c.name, _path(c.rex)) for c in step.taken]
    early = [c.name for c in step.early]
    compute_early, compute_late = (compile_columns(part, context) if part else None for part in (step.early, step.late))
    keep = None if step.condition is None else compile_filter(step.condition, context)
    kept = [name for name in (*(c.name for c in step.taken), *early) if name in step.kept]
    project = compile_columns(step.columns, context)

    def run(batch: Batch) -> Batch:
        frame = batch.frame
        if take:
            frame = _taken(frame, take)
        if compute_early is not None:
            frame = hstack([frame, compute_early(frame)])
        if keep is not None:
            mask = keep(frame)
            batch = _filtered(batch.with_frame(pick(frame, kept) if kept else frame), mask)
            frame = batch.frame
        if not batch.height:
            return batch.with_frame(frame)
        if compute_late is not None:
            frame = hstack([frame, compute_late(frame)])
        return batch.with_frame(project(frame))

    return run


def _path(rex: Rex) -> tuple[str, ...]:
    """A column, and the names of the fields on the way into its row."""
    fields: list[str] = []
    while isinstance(rex, Call):
        assert isinstance(rex.args[1], Literal)
        fields.insert(0, rex.args[1].value)
        rex = rex.args[0]
    assert isinstance(rex, Ref)
    return (rex.name, *fields)


def _taken(frame: pl.DataFrame, take: Sequence[tuple[str, tuple[str, ...]]]) -> pl.DataFrame:
    """Columns and fields of rows, each given by its new name and its path. A row is opened once for all of its fields."""
    opened: dict[tuple[str, ...], pl.DataFrame] = {(): frame}

    def fields_of(path: tuple[str, ...]) -> pl.DataFrame:
        if path not in opened:
            opened[path] = fields_of(path[:-1])[path[-1]].struct.unnest()
        return opened[path]

    return pl.DataFrame([fields_of(path[:-1])[path[-1]].alias(name) for name, path in take])


def compile_filter(condition: Rex, context: OperatorContext) -> Callable[[pl.DataFrame], pl.Series]:
    """The condition as a function from rows to a mask (NULL counts as FALSE)."""
    evaluate = compile_columns([NamedRex("mask", condition)], context)

    def keep(frame: pl.DataFrame) -> pl.Series:
        mask = evaluate(frame)["mask"]
        return mask.fill_null(False) if mask.null_count() else mask

    return keep


def compile_columns(columns: Sequence[NamedRex], context: OperatorContext) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """The columns as a function of a frame."""
    if not columns:
        return lambda frame: pl.DataFrame(height=frame.height)
    if all(isinstance(c.rex, Ref) for c in columns):
        sources = [c.rex.name for c in columns if isinstance(c.rex, Ref)]
        names = [c.name for c in columns]
        return lambda frame: pl.DataFrame([frame[s].alias(n) for s, n in zip(sources, names, strict=True)])
    passed = {c.name: c.rex.name for c in columns if isinstance(c.rex, Ref)}
    names = [c.name for c in columns]
    columns = [c for c in columns if c.name not in passed]
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
            frame = _with_udfs(frame, stage, context)
        made = select(frame, fixed if fixed is not None else expressions(session_now(context)))
        if not passed:
            return made
        return pl.DataFrame([frame[passed[n]].alias(n) if n in passed else made[n] for n in names])

    return run


def _with_udfs(frame: pl.DataFrame, stage: list[tuple[str, UdfCall]], context: OperatorContext) -> pl.DataFrame:
    from tableapi.runtime.udf import udf_expression

    return frame.with_columns([udf_expression(call, context.session, context.functions).alias(name) for name, call in stage])


def session_now(context: OperatorContext) -> SessionContext:
    """The session with the processing-time clock's present as the time of the statement (Flink: per record in streaming)."""
    now_us = context.clock.now_ms() * 1000
    return replace(context.session, statement_time_us=now_us, watermark_ms=context.watermark_ms)
