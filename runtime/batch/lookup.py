"""Lowers lookup joins: a table that answers for keys is asked batch by batch; another one is read and joined.

May import plan, the streaming operator that asks, and the sibling lowerings.
"""

from __future__ import annotations

import threading
from dataclasses import replace

import polars as pl

from tableapi.functions.registry import SessionContext
from tableapi.plan import nodes as n
from tableapi.plan.rex import Ref, Rex, conjuncts
from tableapi.runtime.batch.context import Lowering
from tableapi.runtime.batch.join import Condition, EquiKey, join_frames
from tableapi.runtime.cluster.clock import SystemClock
from tableapi.runtime.lookup.asked import KeyedTable
from tableapi.runtime.lookup.cache import CacheSettings
from tableapi.runtime.stream.batch import Batch, concat
from tableapi.runtime.stream.lookup_join import LookupJoin, LookupJoinSpec
from tableapi.runtime.stream.operator import OperatorContext


def lower_lookup_join(node: n.LookupJoin, lowering: Lowering) -> pl.LazyFrame:
    """Each row with the table's rows of its key, as the table is when the row is read."""
    spec = lowering.lookups(node)
    left = lowering.lower(node.input)
    if spec is None:
        rest: tuple[Rex, ...] = tuple(conjuncts(node.condition)) if node.condition is not None else ()
        ours, table = node.input.schema, node.right.schema
        keys = tuple(EquiKey(Ref(ours[a].type, a), Ref(table[b].type, b)) for a, b in node.keys)
        return join_frames(left, lowering.lower(node.right), node.kind, Condition(keys, (), (), rest), node.schema, lowering)
    asking = LookupAsking(spec, lowering.session)
    lowering.opened.append(asking)
    schema = node.schema.to_polars()
    return left.map_batches(asking.join, schema=schema, streamable=True).select(list(schema))


_REMEMBERED_KEYS = 1_000_000


class LookupAsking:
    """The streaming operator, driven by batches of a bounded query. Opened with the first one.

    Answers are remembered, whatever the table says: Polars cuts its input into small pieces, and the table is one for the query.
    """

    def __init__(self, spec: LookupJoinSpec, session: SessionContext) -> None:
        asked = spec.asked
        if isinstance(asked, KeyedTable) and asked.cache is None:
            asked = replace(asked, cache=CacheSettings(_REMEMBERED_KEYS))
        self._spec, self._session = replace(spec, asked=asked), session
        self._lock = threading.Lock()
        self._operator: LookupJoin | None = None
        self._emitted: list[Batch] = []

    def join(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame's rows with what the table has for them."""
        names = [*self._spec.input.names, *self._spec.right.names]
        with self._lock:
            if self._operator is None:
                clock = SystemClock()
                operator = LookupJoin(self._spec)
                operator.open(OperatorContext(self._emitted.append, self._session, clock))
                self._operator = operator
            if frame.height:
                self._operator.process(0, Batch(frame.select(self._spec.input.names)))
                self._operator.drain(SystemClock().sleep_ms)
            emitted, self._emitted[:] = list(self._emitted), []
        if not emitted:
            return pl.DataFrame(schema={**self._spec.input.to_polars(), **self._spec.right.to_polars()})
        return concat(emitted).frame.select(names)

    def close(self) -> None:
        """Closes what was opened."""
        if self._operator is not None:
            self._operator.close()
