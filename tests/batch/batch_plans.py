"""Short ways to write plans by hand and run them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from tableapi.functions.registry import SessionContext, lookup
from tableapi.plan.nodes import Inline, InlineFrame, NamedAgg, Node, Scan
from tableapi.plan.rex import AggCall, Call, Literal, Ref, Rex, SortKey
from tableapi.plan.typing import implicit_cast
from tableapi.runtime.batch.run import run_batch
from tableapi.tablespec import Field, RowSchema
from tableapi.types import BigIntType, DataType, DataTypes

INT, BIGINT, DOUBLE, STRING, BOOLEAN = (
    DataTypes.INT(),
    DataTypes.BIGINT(),
    DataTypes.DOUBLE(),
    DataTypes.STRING(),
    DataTypes.BOOLEAN(),
)
TIME = DataTypes.TIMESTAMP(3)


def table(types: dict[str, DataType], rows: Sequence[tuple[Any, ...]]) -> Inline:
    """An inline table."""
    dtypes = {name: t.to_polars() for name, t in types.items()}
    frame = pl.DataFrame(list(rows), schema=dtypes, orient="row")
    return Inline(InlineFrame(frame), RowSchema(tuple(Field(n, t) for n, t in types.items())))


def col(node: Node, name: str) -> Ref:
    """A column of a node."""
    return Ref(node.schema[name].type, name)


def lit(value: Any, data_type: DataType) -> Literal:
    """A constant."""
    return Literal(data_type, value)


def call(function: str, *args: Rex) -> Call:
    """A call of a built-in with the types that its signature decides."""
    resolved = lookup(function).signature(args)
    cast = tuple(implicit_cast(a, t) for a, t in zip(args, resolved.arg_types, strict=True))
    return Call(resolved.result, function, cast)


def agg(name: str, function: str, *args: Rex, **options: Any) -> NamedAgg:
    """An aggregate (or ranking) call and its name; the result has the type that the signature decides."""
    resolved = lookup(function).signature(args)
    return NamedAgg(name, AggCall(function, args, resolved.result, **options))


def asc(column: str) -> SortKey:
    """Ascending, NULLs first (Flink's default)."""
    return SortKey(column, True, True)


def desc(column: str) -> SortKey:
    """Descending, NULLs last (Flink's default)."""
    return SortKey(column, False, False)


def run(node: Node, sources: Callable[[Scan], pl.LazyFrame] | None = None, zone: str = "UTC", **options: Any) -> pl.DataFrame:
    """The result of a plan; its dtypes must be those of the plan's schema."""

    def no_tables(scan: Scan) -> pl.LazyFrame:
        raise AssertionError(f"no source for {scan.table.identifier}")

    result = run_batch(node, SessionContext(zone), sources or no_tables, **options)
    assert dict(result.schema) == node.schema.to_polars()
    return result


def rows(node: Node, **options: Any) -> list[tuple[Any, ...]]:
    """The rows of a plan in a fixed order (NULLs last)."""
    return ordered(run(node, **options).rows())


def ordered(found: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows sorted by value, NULLs last."""
    return sorted(found, key=lambda row: [(v is None, str(type(v)), repr(v) if isinstance(v, dict | list) else v) for v in row])


COUNT_TYPE = BigIntType(is_nullable=False)
