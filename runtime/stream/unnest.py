"""Rows times the elements of a collection.

Imports the plan, the lowering of expressions and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tableapi.errors import UnsupportedError
from tableapi.plan.nodes import NamedRex
from tableapi.plan.rex import Rex
from tableapi.runtime.stream.batch import KIND_DTYPE, Batch
from tableapi.runtime.stream.calc import compile_columns
from tableapi.runtime.stream.emit import emit_in_pieces
from tableapi.runtime.stream.operator import Operator, OperatorContext
from tableapi.tablespec import Field, RowSchema
from tableapi.types import ArrayType, DataType, MapType, MultisetType, RowType


@dataclass(frozen=True)
class UnnestSpec:
    """Fields as in `plan.nodes.Unnest`. Row kinds pass to the rows made."""

    input: RowSchema
    collection: Rex
    outputs: tuple[Field, ...]
    is_outer: bool = False
    ordinality: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.collection.type, ArrayType | MapType | MultisetType):
            raise UnsupportedError(f"UNNEST of {self.collection.type} is not supported", fix="give an ARRAY, MAP or MULTISET")

    def create(self) -> Operator:
        """A new operator."""
        return Unnest(self)


_ELEMENT = "__element"
_KIND = "__kind"


class Unnest(Operator):
    """Emits each row once per element, with its kind; without elements not at all, or once with NULLs (outer). No state."""

    def __init__(self, spec: UnnestSpec) -> None:
        self._spec = spec
        self._names = [*spec.input.names, *(f.name for f in spec.outputs), *([spec.ordinality] if spec.ordinality else [])]

    def open(self, context: OperatorContext) -> None:
        super().open(context)
        self._collection = compile_columns([NamedRex(_ELEMENT, self._spec.collection)], context)

    def process(self, input: int, batch: Batch) -> None:
        spec = self._spec
        elements = self._collection(batch.frame)[_ELEMENT]
        if isinstance(spec.collection.type, MultisetType):
            entry = pl.element()
            repeated = entry.struct.field("key").repeat_by(entry.struct.field("value")).explode()
            elements = elements.to_frame().select(pl.col(_ELEMENT).list.eval(repeated)).to_series()
        frame = batch.frame.with_columns(elements, pl.Series(_KIND, batch.kind_values(), dtype=KIND_DTYPE))
        exploded = [_ELEMENT]
        if spec.ordinality:
            length = pl.col(_ELEMENT).list.len()
            positions = pl.int_ranges(1, length.fill_null(0).cast(pl.Int32()) + 1, dtype=pl.Int32())
            frame = frame.with_columns(pl.when(length.is_not_null()).then(positions).alias(spec.ordinality))
            exploded.append(spec.ordinality)
        frame = frame.explode(exploded, empty_as_null=spec.is_outer, keep_nulls=spec.is_outer)
        if not frame.height:
            return
        rows = frame.with_columns(spread(pl.col(_ELEMENT), spec.collection.type, spec.outputs))
        kinds = None if batch.is_insert_only else rows[_KIND].rename("kind")
        emit_in_pieces(self.context.emit, Batch(rows.select(self._names), kinds), self.context.max_batch_rows)


def spread(element: pl.Expr, collection: DataType, outputs: tuple[Field, ...]) -> list[pl.Expr]:
    """The output columns of an element: the fields of a row or a map entry, or the element itself."""
    fields: list[str] = []
    if isinstance(collection, MapType):
        fields = ["key", "value"]
    elif isinstance(collection, ArrayType | MultisetType) and isinstance(collection.element_type, RowType):
        fields = collection.element_type.field_names()
    if len(fields) != len(outputs):
        return [element.alias(outputs[0].name)]
    return [element.struct.field(f).alias(o.name) for f, o in zip(fields, outputs, strict=True)]
