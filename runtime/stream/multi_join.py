"""Inner and left joins of several inputs on the same key, without the results in between as state.

Imports the plan, `runtime.state` and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from tableapi.plan.rex import Rex
from tableapi.row import RowKind
from tableapi.runtime.state.columns import Ids, pick
from tableapi.runtime.state.hashing import key_groups
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.state.row_store import NONE, ChainEnds
from tableapi.runtime.state.snapshots import SavedRows, untagged
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.calc import compile_filter
from tableapi.runtime.stream.emit import Mask, emit_in_pieces, hstack, kind_series
from tableapi.runtime.stream.join import MAX_PAIRS, output_kinds
from tableapi.runtime.stream.join_rows import take_or_null
from tableapi.runtime.stream.join_side import JoinSide
from tableapi.runtime.stream.operator import Operator, OperatorContext, SnapshotReader, SnapshotWriter
from tableapi.tablespec import RowSchema


@dataclass(frozen=True)
class MultiJoinSpec:
    """Join of `inputs` on keys: the columns `keys[i]` of each input, of the same types, equal those of every other.

    Output: the columns of all inputs side by side. A row with a NULL in its key has no partner. `optional`: the inputs that are
    LEFT joined: where a key has none of their rows, NULLs stand for them; the first input never is (() for none). `condition`: what else must be
    TRUE. `insert_only`: whether each input has no -U and -D. `ttl_ms`: how long each input's rows are kept (None: for ever).
    """

    inputs: tuple[RowSchema, ...]
    keys: tuple[tuple[str, ...], ...]
    condition: Rex | None
    insert_only: tuple[bool, ...]
    ttl_ms: tuple[int | None, ...]
    optional: tuple[bool, ...] = ()

    def create(self) -> Operator:
        """A new operator."""
        return MultiJoin(self)


class MultiJoin(Operator):
    """Keeps the rows of each input by key; a change of one meets every combination of the others' rows with its key.

    Emits what a tree of joins would: -D for the combinations of a removed row, +I for those of an added one, -U and +U for both
    halves of an update that keeps its key; and where an optional input gets its first row of a key or loses the last one, -D or
    +I for the combinations with NULLs in its place. State: one index of keys; each input's rows and a chain per key. Cost: O(rows of
    the batch + joined rows): the others are looked up in the order of their numbers of partners, so that a key without any in
    one of them costs no more than that.
    """

    def __init__(self, spec: MultiJoinSpec) -> None:
        self._spec = spec
        types = spec.inputs[0].to_polars()
        self._index = KeyIndex({f"k{i}": types[name] for i, name in enumerate(spec.keys[0])})
        settings = zip(spec.inputs, spec.insert_only, spec.ttl_ms, strict=True)
        ends = ChainEnds()
        self._sides = [JoinSide(schema, not inserts, False, ttl, ends) for schema, inserts, ttl in settings]
        self._optional = spec.optional or (False,) * len(spec.inputs)

    def open(self, context: OperatorContext) -> None:
        super().open(context)
        condition = self._spec.condition
        self._condition = None if condition is None else compile_filter(condition, context)

    def process(self, input: int, batch: Batch) -> None:
        keys, known = self._keys(input, batch.frame)
        if not known.all():
            self._stand_alone(input, batch.filter(pl.Series(~known)))
            batch, keys = batch.filter(pl.Series(known)), keys.filter(pl.Series(known))
        if not batch.height:
            return
        slots, _ = self._index.insert(keys)
        self._process_pieces(input, batch, slots)
        self.context.metrics.update({f"rows_{i}": side.count for i, side in enumerate(self._sides)})

    def _stand_alone(self, input: int, batch: Batch) -> None:
        """A row without key is part of the result when all others are optional."""
        if self._optional[input] or not all(o for i, o in enumerate(self._optional) if i != input):
            return
        frames = [batch.frame if i == input else self._nulls(i, batch.height) for i in range(len(self._sides))]
        self._emit(batch.with_frame(hstack(frames)))

    def _nulls(self, input: int, height: int) -> pl.DataFrame:
        types = self._spec.inputs[input].to_polars()
        return pl.DataFrame([pl.Series(name, [None], dtype=t).new_from_index(0, height) for name, t in types.items()])

    def _keys(self, input: int, frame: pl.DataFrame) -> tuple[pl.DataFrame, Mask]:
        """The key columns under common names, and which rows have no NULL in them."""
        keys = pick(frame, self._spec.keys[input])
        keys.columns = list(self._index.schema)
        known = np.ones(frame.height, dtype=np.bool_)
        for column in keys:
            if column.null_count():
                known &= column.is_not_null().to_numpy()
        return keys, known

    def _process_pieces(self, input: int, batch: Batch, slots: Ids) -> None:
        """Processes a batch, in halves when it has very many partners."""
        combinations = np.ones(len(slots))
        for number, side in enumerate(self._sides):
            if number != input:
                counts = side.partner_counts(slots)
                combinations *= np.maximum(counts, 1) if self._optional[number] else counts
        if combinations.sum() > MAX_PAIRS and batch.height > 1:
            half = batch.height // 2
            for part in (np.arange(half), np.arange(half, batch.height)):
                self._process_pieces(input, batch.gather(part), slots[part])
            return
        self._process_piece(input, batch, slots)

    def _process_piece(self, input: int, batch: Batch, slots: Ids) -> None:
        side = self._sides[input]
        touched = np.unique(slots) if self._optional[input] else NONE
        was_empty = side.has_none(touched)
        removed, added = NONE, np.arange(batch.height)
        if not batch.is_insert_only:
            removed, added = side.take_out(batch)
        side.put_in(batch.frame, slots, added, NONE, self.context)
        is_empty = side.has_none(touched)
        kinds = output_kinds(batch, slots, self._condition is None)
        self._emit_matches(input, batch.frame[removed], slots[removed], kinds[removed])
        self._emit_absent(input, touched[was_empty & ~is_empty], RowKind.DELETE)
        self._emit_absent(input, touched[is_empty & ~was_empty], RowKind.INSERT)
        self._emit_matches(input, batch.frame[added], slots[added], kinds[added])
        if not batch.is_insert_only:
            self._free_empty(slots)

    def _emit_absent(self, input: int, slots: Ids, kind: RowKind) -> None:
        """Emits the combinations that have NULLs in place of an optional input."""
        if len(slots):
            self._emit_matches(input, self._nulls(input, len(slots)), slots, np.full(len(slots), kind, dtype=np.int8))

    def _emit_matches(
        self, input: int, frame: pl.DataFrame, slots: Ids, kinds: np.ndarray[tuple[int], np.dtype[np.int8]]
    ) -> None:
        """Emits rows of an input with every combination of the others' rows of their keys."""
        if not len(slots):
            return
        rows, found = np.arange(len(slots)), dict[int, Ids]()
        others = [i for i in range(len(self._sides)) if i != input]
        for other in sorted(others, key=lambda i: (self._optional[i], self._sides[i].partners(slots))):
            ids, positions = self._partners(other, slots[rows])
            rows = rows[positions]
            found = {i: earlier[positions] for i, earlier in found.items()} | {other: ids}
            if not len(rows):
                return
        frames = [frame[rows] if i == input else self._gather(i, found[i]) for i in range(len(self._sides))]
        self._emit(Batch(hstack(frames), kind_series(kinds[rows])))

    def _partners(self, input: int, slots: Ids) -> tuple[Ids, Ids]:
        """The rows of an input with the keys of `slots`, and the position in `slots` of each; -1 for a row of NULLs."""
        ids, positions = self._sides[input].collect(slots)
        if not self._optional[input]:
            return ids, positions
        alone = np.flatnonzero(np.bincount(positions, minlength=len(slots)) == 0)
        order = np.argsort(np.concatenate([positions, alone]), kind="stable")
        return np.concatenate([ids, np.full(len(alone), -1)])[order], np.concatenate([positions, alone])[order]

    def _gather(self, input: int, ids: Ids) -> pl.DataFrame:
        side = self._sides[input]
        if not self._optional[input]:
            return side.gather(ids)
        present = ids >= 0
        return take_or_null(side.gather(ids[present]), np.where(present, np.cumsum(present) - 1, -1))

    def _emit(self, joined: Batch) -> None:
        if self._condition is not None:
            joined = joined.filter(self._condition(joined.frame))
        emit_in_pieces(self.context.emit, joined, self.context.max_batch_rows)

    def _free_empty(self, slots: Ids) -> None:
        touched = np.unique(slots)
        self._index.free(touched[np.all([side.has_none(touched) for side in self._sides], axis=0)])

    def on_timer(self, time_ms: int) -> None:
        self._free_empty(np.concatenate([side.expire(self.context) for side in self._sides]))

    def snapshot(self, writer: SnapshotWriter) -> None:
        slots = self._index.live_slots()
        for number, side in enumerate(self._sides):
            rows = side.save(slots)
            writer.frame(_name(number), SavedRows(self.context.subtask, key_groups(self._keys(number, rows)[0])).tag(rows))

    def restore(self, reader: SnapshotReader) -> None:
        for number, side in enumerate(self._sides):
            frame = reader.frame(_name(number))
            if frame is not None and frame.height:
                rows = untagged(frame)
                slots, _ = self._index.insert(self._keys(number, rows)[0])
                side.load(rows, slots, self.context)

    def state(self) -> dict[str, pl.DataFrame]:
        return {_name(number): side.rows() for number, side in enumerate(self._sides)}


def _name(number: int) -> str:
    return f"input_{number}"
