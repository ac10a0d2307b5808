"""Well-typed expressions, grown from values: a call whose arguments fit becomes an argument of later calls."""

from __future__ import annotations

import random
from collections.abc import Iterator

import polars as pl

from tableapi.functions.registry import SessionContext
from tableapi.plan.nodes import NamedRex
from tableapi.runtime.expressions import evaluate
from tests.functions.constants import FRAME, resolve
from tests.fuzz.driving import failure
from tests.fuzz.generator import VALUES, expression

LARGEST_TEXT = 400
MAKES_LONG_TEXTS = ("REPEAT(", "LPAD(", "RPAD(")
"""Their results may be as large as memory when a length comes from another function, as in Flink."""


def grown(seed: int, count: int) -> Iterator[str]:
    """`count` expressions, of which those that bind may occur in later ones."""
    r = random.Random(seed)
    pool = [v for v in VALUES if "2147483648" not in v]
    for _ in range(count):
        sql = expression(r, 1, tuple(r.sample(pool, min(len(pool), 12))))
        yield sql
        if len(sql) <= LARGEST_TEXT and binds(sql):
            pool.append(sql)


def binds(sql: str) -> bool:
    """Whether the expression has a type."""
    return failure(resolve, sql, accepted=()) is None


def compute(sql: str) -> pl.DataFrame | None:
    """Binds and evaluates an expression; what it gives must have the type that was said."""
    rex = resolve(sql)
    if any(name in sql for name in MAKES_LONG_TEXTS):
        return None
    frame = evaluate(FRAME, [NamedRex("r", rex)], SessionContext(time_zone="Europe/Berlin"))
    assert frame["r"].dtype == rex.type.to_polars(), f"{rex.type} came as {frame['r'].dtype}"
    return frame
