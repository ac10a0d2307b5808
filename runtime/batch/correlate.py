"""Lowers row expansion: UNNEST of collections, and table functions."""

from __future__ import annotations

import polars as pl

from tableapi.errors import UnsupportedError
from tableapi.plan.nodes import Correlate, Unnest
from tableapi.runtime.batch.context import Lowering
from tableapi.runtime.udf_table import expand, table_task
from tableapi.types import ArrayType, DataType, MapType, MultisetType, RowType


def lower_unnest(node: Unnest, lowering: Lowering) -> pl.LazyFrame:
    """Each row times the elements of a collection."""
    frame = lowering.lower(node.input)
    frame, (collection,) = lowering.expressions(frame, [node.collection])
    element, position = lowering.fresh("element"), node.ordinality or lowering.fresh("position")
    frame = frame.with_columns(_elements(collection, node.collection.type).alias(element))
    columns = [element]
    if node.ordinality:
        length = pl.col(element).list.len()
        positions = pl.int_ranges(1, length.fill_null(0).cast(pl.Int32()) + 1, dtype=pl.Int32())
        frame = frame.with_columns(pl.when(length.is_not_null()).then(positions).alias(position))
        columns.append(position)
    frame = frame.explode(columns, empty_as_null=node.is_outer, keep_nulls=node.is_outer)
    return frame.with_columns(_spread(node, element)).select(node.schema.names)


def _elements(collection: pl.Expr, data_type: DataType) -> pl.Expr:
    if isinstance(data_type, MultisetType):
        entry = pl.element()
        repeated = entry.struct.field("key").repeat_by(entry.struct.field("value")).explode()
        return collection.list.eval(repeated)
    if isinstance(data_type, ArrayType | MapType):
        return collection
    raise UnsupportedError(f"UNNEST of {data_type} is not supported", fix="give an ARRAY, MAP or MULTISET")


def _spread(node: Unnest, element: str) -> list[pl.Expr]:
    data_type = node.collection.type
    value = pl.col(element)
    if isinstance(data_type, MapType):
        fields = ["key", "value"]
    else:
        element_type = data_type.element_type  # type: ignore[attr-defined]
        if not isinstance(element_type, RowType):
            return [value.alias(node.outputs[0].name)]
        fields = element_type.field_names()
    if len(fields) != len(node.outputs):
        return [value.alias(node.outputs[0].name)]
    return [value.struct.field(f).alias(output.name) for f, output in zip(fields, node.outputs, strict=True)]


def lower_correlate(node: Correlate, lowering: Lowering) -> pl.LazyFrame:
    """Each row times the rows that a Python table function returns for it."""
    if isinstance(node.function, str):
        raise UnsupportedError(f"table function {node.function} is not supported yet in batch mode")
    frame = lowering.lower(node.input)
    frame, arguments = lowering.expressions(frame, node.args)
    names = [lowering.fresh("arg") for _ in arguments]
    frame = frame.with_columns(e.alias(n) for e, n in zip(arguments, names, strict=True))
    task, functions = table_task(node, lowering.session.time_zone), lowering.functions
    schema = {**node.input.schema.to_polars(), **{f.name: f.type.to_polars() for f in node.outputs}}

    def run(batch: pl.DataFrame) -> pl.DataFrame:
        return expand(batch, task, names, functions, is_outer=node.is_outer).select(list(schema))

    inner = frame.map_batches(run, schema=schema, streamable=True)
    if node.condition is None:
        return inner
    return _conditional(node, frame, names, lowering)


def _conditional(node: Correlate, frame: pl.LazyFrame, names: list[str], lowering: Lowering) -> pl.LazyFrame:
    """With a join condition: an outer row is kept when no returned row passes it."""
    frame, row = lowering.numbered(frame)
    inputs = [*node.input.schema.names, row]
    outputs = {f.name: f.type.to_polars() for f in node.outputs}
    task, functions = table_task(node, lowering.session.time_zone), lowering.functions
    before = {**node.input.schema.to_polars(), row: frame.collect_schema()[row]}

    def run(batch: pl.DataFrame) -> pl.DataFrame:
        return expand(batch, task, names, functions, is_outer=False).select([*inputs, *outputs])

    assert node.condition is not None
    pairs = lowering.condition(frame.map_batches(run, schema={**before, **outputs}, streamable=True), node.condition)
    if not node.is_outer:
        return pairs.drop(row)
    rest = frame.select(inputs).join(pairs.select(row), on=row, how="anti")
    return pl.concat([pairs, rest], how="diagonal").drop(row)
