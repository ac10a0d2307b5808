"""What the operator tests share: aggregate calls by name, schemas, and an answer computed by brute force."""

from collections import Counter

import polars as pl

from tableapi.functions.registry import SessionContext, lookup
from tableapi.plan.nodes import NamedAgg
from tableapi.plan.rex import AggCall, Ref
from tableapi.runtime.expressions import lower_aggregate
from tableapi.tablespec import Field, RowSchema, TimeKind
from tableapi.types import DataTypes

SESSION = SessionContext()


def schema(text, **times):
    """`schema("k STRING, v BIGINT")`; `ts="rowtime"` marks a time attribute."""
    fields = []
    for part in text.split(","):
        name, kind = part.split()
        base, _, arg = kind.partition("(")
        args = [int(a) for a in arg.rstrip(")").split(";")] if arg else []
        time = TimeKind(times[name]) if name in times else None
        fields.append(Field(name, getattr(DataTypes, base)(*args), time))
    return RowSchema(tuple(fields))


def agg(source, name, function, *columns, distinct=False, filter=None):
    """A named aggregate call over columns of `source`."""
    args = tuple(Ref(source[c].type, c) for c in columns)
    resolved = lookup(function).signature(args)
    return NamedAgg(name, AggCall(function, args, resolved.result, distinct, filter))


def grouped(rows, source, keys, aggregates):
    """The rows of a batch aggregation, as a multiset."""
    frame = pl.DataFrame(rows, schema=source.to_polars(), orient="row")
    calls = [lower_aggregate(a.call, SESSION).alias(a.name) for a in aggregates]
    if not frame.height:
        return Counter()
    result = frame.group_by(list(keys), maintain_order=True).agg(calls) if keys else frame.select(calls)
    return Counter(tuple(tuple(v) if isinstance(v, list) else v for v in row) for row in result.iter_rows())
