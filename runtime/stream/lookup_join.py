"""Each row asks a table for the rows with its key.

Imports the plan, `runtime.lookup`, `runtime.state` and the operator contract.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from tableapi.errors import UnsupportedError
from tableapi.plan.nodes import JoinKind
from tableapi.plan.rex import Ref, Rex
from tableapi.runtime.lookup.asked import Asked, KeyedTable, WholeTable
from tableapi.runtime.lookup.keyed import KeyedLookup, Question
from tableapi.runtime.lookup.whole import WholeLookup
from tableapi.runtime.state.columns import Ids
from tableapi.runtime.state.hashing import key_groups
from tableapi.runtime.state.snapshots import SavedRows, untagged
from tableapi.runtime.stream.batch import MAX_WATERMARK, MIN_WATERMARK, Batch, concat
from tableapi.runtime.stream.calc import CalcStep, compile_filter, compile_step
from tableapi.runtime.stream.emit import hstack
from tableapi.runtime.stream.found_rows import INSTANCE, FoundRows, emit_found
from tableapi.runtime.stream.join_rows import JoinKeys, Mask
from tableapi.runtime.stream.match import pairs
from tableapi.runtime.stream.operator import Operator, OperatorContext, SnapshotReader, SnapshotWriter
from tableapi.runtime.stream.time_buffer import from_kind_column, with_kind_column
from tableapi.tablespec import RowSchema

POLL_MS = 2
"""How long to wait before looking again whether an answer has come."""


@dataclass(frozen=True)
class LookupJoinSpec:
    """Fields as in `plan.nodes.LookupJoin`.

    right: What the table's rows are after `steps`; without any, its own columns.
    keys: (column of `input`, column of `right`).
    input_is_insert_only: No row is taken back. partition_keys: The columns by which the rows are spread over the workers.
    ttl_ms: What was found is remembered so long for rows that may be taken back (None: for ever).
    """

    input: RowSchema
    right: RowSchema
    kind: JoinKind
    keys: tuple[tuple[str, str], ...]
    asked: Asked
    steps: tuple[CalcStep, ...] = ()
    condition: Rex | None = None
    input_is_insert_only: bool = True
    partition_keys: tuple[str, ...] | None = None
    ttl_ms: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in (JoinKind.INNER, JoinKind.LEFT):
            raise UnsupportedError(f"a {self.kind.value} lookup join is not supported", fix="use an INNER or LEFT join")

    def create(self) -> Operator:
        """A new operator."""
        return LookupJoin(self)


class LookupJoin(Operator):
    """Joins each batch with the rows that the table has for its keys when it comes; the kinds of the rows pass.

    A whole table is read into an index and kept up to date; a keyed one is asked for the different keys of each batch. Rows
    whose answers are under way, or that wait to be asked again, wait here, and with them the watermarks behind them. What a
    row takes back is what was found for it then, whatever the table holds now.
    State: waiting rows; for inputs that take rows back and tables that change, what was found for each row. The table itself is
    read again after a restart. Cost of a batch: O(rows + rows found), and a question to the table.
    """

    def __init__(self, spec: LookupJoinSpec) -> None:
        self._spec = spec
        self._keys = JoinKeys(spec.input, spec.right, spec.keys)
        is_constant = isinstance(spec.asked, WholeTable) and spec.asked.is_constant
        left, right = spec.input.to_polars(), spec.right.to_polars()
        self._memory = None if spec.input_is_insert_only or is_constant else FoundRows(left, right, spec.ttl_ms)
        self._is_ordered = not spec.input_is_insert_only or not isinstance(spec.asked, KeyedTable) or spec.asked.is_ordered
        self._queue: deque[Question | int] = deque()
        self._answered: set[Question] = set()
        self._passed_ms = MIN_WATERMARK
        self._keyed: KeyedLookup | None = None
        self._whole: WholeLookup | None = None

    def open(self, context: OperatorContext) -> None:
        super().open(context)
        spec = self._spec
        self._condition = None if spec.condition is None else compile_filter(spec.condition, context)
        self._steps = [compile_step(step, context) for step in spec.steps]
        names = list(self._keys.schema)
        if isinstance(spec.asked, WholeTable):
            self._whole = WholeLookup(spec.asked, self._keys.schema, context.clock)
        else:
            first = dict(reversed(list(zip(self._table_keys(), names, strict=True))))
            columns = tuple(first[k] for k in spec.asked.keys)
            self._keyed = KeyedLookup(spec.asked, columns, context.clock, context.metrics)

    def _table_keys(self) -> list[str]:
        """The column of the table that each key pair compares."""
        names = [right for _, right in self._spec.keys]
        for step in reversed(self._spec.steps):
            if step.columns is not None:
                source = {c.name: c.rex.name for c in step.columns if isinstance(c.rex, Ref)}
                names = [source[n] for n in names]
        return names

    def process(self, input: int, batch: Batch) -> None:
        keys, known = self._keys.of_left(batch.frame)
        if self._whole is not None:
            self._join(batch, *self._found_in_whole(keys, known))
            self.context.metrics["table_rows"] = self._whole.count
        else:
            assert self._keyed is not None
            question = Question(batch, keys, known)
            self._keyed.begin(question)
            self._queue.append(question)
            self._flush()
            self._keep_capacity()
            self._set_timer()
        self._report()

    def _found_in_whole(self, keys: pl.DataFrame, known: Mask) -> tuple[Ids, Ids, pl.DataFrame]:
        assert self._whole is not None
        positions, ids = self._whole.find(keys, known)
        if not self._steps:
            return positions, np.arange(len(ids)), self._whole.gather(ids)
        table = self._stepped(self._whole.gather(np.unique(ids)))
        return (*pairs(keys, known, *self._keys.of_right(table)), table)

    def _stepped(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The table's rows as the query sees them."""
        batch = Batch(rows)
        for step in self._steps:
            batch = step(batch)
            if not batch.height:
                return pl.DataFrame(schema=self._spec.right.to_polars())
        return batch.frame

    def _finish(self, question: Question) -> None:
        """Joins a batch whose answers are all there."""
        empty = pl.DataFrame(schema=self._spec.asked.table.to_polars())
        table = self._stepped(pl.concat([empty, *question.answers]))
        self._join(question.batch, *pairs(question.keys, question.known, *self._keys.of_right(table)), table)

    def _join(self, batch: Batch, rows: Ids, found: Ids, table: pl.DataFrame) -> None:
        """Emits a batch with what was found: `rows`, `found` are the pairs of a row of the batch and one of `table`."""
        if self._condition is not None and len(rows):
            met = self._condition(hstack([batch.frame[rows], table[found]])).to_numpy()
            rows, found = rows[met], found[met]
        emit_found(self.context, batch, (rows, found), table, self._spec.kind, self._memory)

    def drain(self, sleep_ms: Callable[[int], None]) -> None:
        """Waits until every row has its answer; `sleep_ms` passes the time until keys are asked for again."""
        while self._queue:
            self._flush(wait=True)
            due = [q.due_ms for q in self._queue if isinstance(q, Question) and q.due_ms is not None]
            if due:
                sleep_ms(max(0, min(due) - self.context.clock.now_ms()))

    def _flush(self, *, wait: bool = False, is_last: bool = False) -> None:
        """Emits what is answered, as far as order and watermarks allow."""
        assert self._keyed is not None
        for question in [q for q in self._queue if isinstance(q, Question) and q not in self._answered]:
            if self._keyed.advance(question, wait=wait, is_last=is_last):
                self._answered.add(question)
        held: deque[Question | int] = deque()
        while self._queue:
            item = self._queue.popleft()
            if isinstance(item, int):
                if held:
                    self._queue.appendleft(item)
                    break
                self._passed_ms = item
                self.context.pass_watermark(item)
            elif item in self._answered and not (held and self._is_ordered):
                self._answered.discard(item)
                self._finish(item)
            else:
                held.append(item)
                if self._is_ordered:
                    break
        self._queue = held + self._queue

    def _keep_capacity(self) -> None:
        """Waits for the oldest answer while too many are under way."""
        assert self._keyed is not None
        assert isinstance(self._spec.asked, KeyedTable)
        while True:
            open_ones = [q for q in self._queue if isinstance(q, Question) and q.future is not None]
            if len(open_ones) <= self._spec.asked.capacity:
                return
            self._keyed.advance(open_ones[0], wait=True)
            self._flush()

    def _set_timer(self) -> None:
        times = [q.due_ms for q in self._queue if isinstance(q, Question) and q.due_ms is not None]
        if any(isinstance(q, Question) and q.future is not None for q in self._queue):
            times.append(self.context.clock.now_ms() + POLL_MS)
        if times:
            self.context.set_timer(min(times))

    def _report(self) -> None:
        metrics = self.context.metrics
        metrics["waiting_rows"] = sum(q.batch.height for q in self._queue if isinstance(q, Question))
        if self._memory is not None:
            metrics["keys"] = self._memory.count

    def on_watermark(self, watermark_ms: int) -> int:
        if self._keyed is None:
            return watermark_ms
        if watermark_ms == MAX_WATERMARK:
            self._flush(wait=True, is_last=True)
            self._report()
            return watermark_ms
        self._flush()
        if self._queue:
            self._queue.append(watermark_ms)
            return self._passed_ms
        self._passed_ms = watermark_ms
        return watermark_ms

    def on_timer(self, time_ms: int) -> None:
        if self._memory is not None:
            self._memory.expire(self.context.clock.now_ms())
        if self._keyed is not None:
            self._flush()
            self._set_timer()
        self._report()

    def _waiting(self) -> Batch:
        batches = [q.batch for q in self._queue if isinstance(q, Question)]
        return concat(batches) if batches else Batch(pl.DataFrame(schema=self._spec.input.to_polars()))

    def _tag(self, rows: pl.DataFrame) -> pl.DataFrame:
        keys = self._spec.partition_keys
        groups = None if keys == () else key_groups(rows, keys) if keys else key_groups(self._keys.of_left(rows)[0])
        return SavedRows(self.context.subtask, groups).tag(rows)

    def snapshot(self, writer: SnapshotWriter) -> None:
        writer.frame("waiting", self._tag(with_kind_column(self._waiting())))
        if self._memory is not None:
            found = self._memory.save().with_columns(pl.col(INSTANCE) + (self.context.subtask << 40))
            writer.frame("found", self._tag(found))

    def restore(self, reader: SnapshotReader) -> None:
        found = reader.frame("found")
        if self._memory is not None and found is not None and found.height:
            self._memory.load(untagged(found), self.context.clock.now_ms(), self.context.set_timer)
        waiting = reader.frame("waiting")
        if waiting is not None and waiting.height:
            self.process(0, from_kind_column(untagged(waiting)))

    def state(self) -> dict[str, pl.DataFrame]:
        tables = {"waiting": with_kind_column(self._waiting(), "kind")}
        if self._memory is not None:
            tables["found"] = self._memory.save().select([*self._spec.input.names, *self._spec.right.names])
        if self._keyed is not None and self._keyed.cache is not None:
            tables["cache"] = self._keyed.cache.rows()
        return tables

    def close(self) -> None:
        for part in (self._keyed, self._whole):
            if part is not None:
                part.close()
