"""Regular joins with retractions.

Imports the plan, `runtime.state` and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from tableapi.plan.nodes import JoinKind
from tableapi.plan.rex import Rex
from tableapi.row import RowKind
from tableapi.runtime.state.columns import Ids
from tableapi.runtime.state.hashing import key_groups
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.state.row_store import ChainEnds
from tableapi.runtime.state.snapshots import SavedRows, untagged
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.calc import compile_filter
from tableapi.runtime.stream.emit import Mask, constant_kinds, emit_in_pieces, hstack, kind_series
from tableapi.runtime.stream.join_rows import JoinKeys
from tableapi.runtime.stream.join_side import JoinSide
from tableapi.runtime.stream.operator import Operator, OperatorContext, SnapshotReader, SnapshotWriter
from tableapi.tablespec import RowSchema

MAX_PAIRS = 4_000_000
"""Joined rows that are made at a time."""


@dataclass(frozen=True)
class JoinSpec:
    """Joins two changelogs. Output: `joined_schema(left, right, kind)`.

    keys: Pairs (left column, right column) that must be equal; NULL never equals (see `null_safe`). Empty: all pairs.
    condition: What else must be TRUE, over the columns of both sides.
    null_safe: NULL keys equal each other (IS NOT DISTINCT FROM), one flag per key pair; () means none.
    ttl_ms: Rows of the left and of the right side are forgotten after so long (processing time); None: never.
    """

    left: RowSchema
    right: RowSchema
    kind: JoinKind
    keys: tuple[tuple[str, str], ...]
    condition: Rex | None = None
    left_is_insert_only: bool = True
    right_is_insert_only: bool = True
    null_safe: tuple[bool, ...] = ()
    ttl_ms: tuple[int | None, int | None] = (None, None)

    def create(self) -> Operator:
        """A new operator."""
        return Join(self)


_PRESERVED = {
    JoinKind.INNER: (False, False),
    JoinKind.LEFT: (True, False),
    JoinKind.RIGHT: (False, True),
    JoinKind.FULL: (True, True),
    JoinKind.SEMI: (True, False),
    JoinKind.ANTI: (True, False),
}


class Join(Operator):
    """Keeps all rows of both sides by key; each change of one side meets the rows of the other.

    A removed row takes back its joined rows (-D), an added one emits them (+I); the two halves of an update that keeps its
    key are
    -U and +U. In outer joins a row without partners stands with NULLs, which is taken back when the first partner comes and
    comes again when the last one goes; SEMI emits a left row while it has partners, ANTI while it has none. Changes of a
    batch are folded: what a row of the other side was before the batch against what it is after.
    State: one index of keys for both sides; per side the rows, a chain per key, the number of partners (sides that may stand
    alone), and, for sides that retract, an index over whole rows. Rows whose key is NULL meet nobody and are not kept.
    Cost: O(rows of the batch + joined rows).
    """

    def __init__(self, spec: JoinSpec) -> None:
        self._spec = spec
        self._keys = JoinKeys(spec.left, spec.right, spec.keys, spec.null_safe)
        self._index = KeyIndex(self._keys.schema)
        preserved = _PRESERVED[spec.kind]
        ends = ChainEnds()
        self._sides = (
            JoinSide(spec.left, not spec.left_is_insert_only, preserved[0], spec.ttl_ms[0], ends),
            JoinSide(spec.right, not spec.right_is_insert_only, preserved[1], spec.ttl_ms[1], ends),
        )
        self._is_filter = spec.kind in (JoinKind.SEMI, JoinKind.ANTI)

    def open(self, context: OperatorContext) -> None:
        super().open(context)
        condition = self._spec.condition
        self._condition = None if condition is None else compile_filter(condition, context)

    def process(self, input: int, batch: Batch) -> None:
        keys, known = self._keys.of(input, batch.frame)
        if not known.all():
            self._stand_alone(input, batch.filter(pl.Series(~known)))
            batch, keys = batch.filter(pl.Series(known)), keys.filter(pl.Series(known))
        if not batch.height:
            return
        slots, _ = self._index.insert(keys)
        self._process_pieces(input, batch, slots)
        metrics = self.context.metrics
        metrics["left_rows"], metrics["right_rows"] = self._sides[0].count, self._sides[1].count

    def _process_pieces(self, input: int, batch: Batch, slots: Ids) -> None:
        """Processes a batch, in halves when it has very many partners."""
        partners = self._sides[1 - input].partners(slots)
        if partners > MAX_PAIRS and batch.height > 1:
            half = batch.height // 2
            for part in (np.arange(half), np.arange(half, batch.height)):
                self._process_pieces(input, batch.gather(part), slots[part])
            return
        self._process_piece(input, batch, slots)

    def _process_piece(self, input: int, batch: Batch, slots: Ids) -> None:
        side, other = self._sides[input], self._sides[1 - input]
        if batch.is_insert_only:
            removed, added = np.empty(0, dtype=np.int64), np.arange(batch.height)
        else:
            removed, added = side.take_out(batch)
        other.begin_changes()
        taken = self._match(input, batch.frame, slots, removed, -1)
        given = self._match(input, batch.frame, slots, added, +1)
        side.put_in(batch.frame, slots, added, given.counts, self.context)
        kinds = output_kinds(batch, slots, self._condition is None and not other.may_stand_alone)
        alone, no_longer_alone = other.end_changes()
        self._emit_matches(input, batch, taken, kinds)
        self._emit_own(input, batch, removed[taken.counts == 0], removed[taken.counts > 0], kinds)
        self._emit_other(input, no_longer_alone, alone)
        self._emit_matches(input, batch, given, kinds)
        self._emit_own(input, batch, added[given.counts == 0], added[given.counts > 0], kinds)
        if not batch.is_insert_only:
            self._free_empty(slots)

    def _match(self, input: int, frame: pl.DataFrame, slots: Ids, rows: Ids, sign: int) -> _Matches:
        """The partners of `rows`, and their number for each; notes the change for the partners."""
        other = self._sides[1 - input]
        ids, positions = other.collect(slots[rows])
        joined = None
        if self._condition is not None and len(ids):
            joined = self._joined(input, frame[rows[positions]], other.gather(ids))
            met = self._condition(joined)
            if not met.all():
                mask = met.to_numpy()
                ids, positions, joined = ids[mask], positions[mask], joined.filter(met)
        other.note_changes(ids, sign)
        return _Matches(np.bincount(positions, minlength=len(rows)), rows[positions], ids, joined)

    def _joined(self, input: int, own: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
        return hstack([own, other] if input == 0 else [other, own])

    def _emit_matches(
        self, input: int, batch: Batch, matches: _Matches, kinds: np.ndarray[tuple[int], np.dtype[np.int8]]
    ) -> None:
        if self._is_filter or not len(matches.ids):
            return
        joined = matches.joined
        if joined is None:
            is_each_once = len(matches.rows) == batch.height and bool((matches.counts == 1).all())
            own = batch.frame if is_each_once else batch.frame[matches.rows]
            joined = self._joined(input, own, self._sides[1 - input].gather(matches.ids))
        self._emit(Batch(joined, kind_series(kinds[matches.rows])))

    def _emit_own(
        self, input: int, batch: Batch, without: Ids, having: Ids, kinds: np.ndarray[tuple[int], np.dtype[np.int8]]
    ) -> None:
        """Emits the batch's own rows as far as they stand without the other side's columns."""
        if not self._sides[input].may_stand_alone:
            return
        rows = having if self._spec.kind is JoinKind.SEMI else without
        if len(rows):
            self._emit(Batch(self._padded(input, batch.frame[rows]), kind_series(_plain(kinds[rows]))))

    def _emit_other(self, input: int, no_longer_alone: Ids, alone: Ids) -> None:
        """Emits rows of the other side that have lost their last partner or got their first."""
        comes, goes = (no_longer_alone, alone) if self._spec.kind is JoinKind.SEMI else (alone, no_longer_alone)
        for ids, kind in ((goes, RowKind.DELETE), (comes, RowKind.INSERT)):
            if len(ids):
                frame = self._padded(1 - input, self._sides[1 - input].gather(ids))
                self._emit(Batch(frame, constant_kinds(kind, len(ids))))

    def _stand_alone(self, input: int, batch: Batch) -> None:
        """Rows that can have no partner pass through where such rows are kept."""
        if self._sides[input].may_stand_alone and self._spec.kind is not JoinKind.SEMI:
            self._emit(batch.with_frame(self._padded(input, batch.frame)))

    def _padded(self, input: int, frame: pl.DataFrame) -> pl.DataFrame:
        if self._is_filter:
            return frame
        absent = self._spec.right if input == 0 else self._spec.left
        nulls = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in absent.to_polars().items()]
        padded = frame.with_columns(nulls)
        return padded if input == 0 else padded.select([*absent.names, *frame.columns])

    def _emit(self, batch: Batch) -> None:
        emit_in_pieces(self.context.emit, batch, self.context.max_batch_rows)

    def _free_empty(self, slots: Ids) -> None:
        touched = np.unique(slots)
        self._index.free(touched[self._sides[0].has_none(touched) & self._sides[1].has_none(touched)])

    def on_timer(self, time_ms: int) -> None:
        freed = [side.expire(self.context) for side in self._sides]
        self._free_empty(np.concatenate(freed))

    def snapshot(self, writer: SnapshotWriter) -> None:
        slots = self._index.live_slots()
        for number, (name, side) in enumerate(zip(("left", "right"), self._sides, strict=True)):
            rows = side.save(slots)
            groups = key_groups(self._keys.of(number, rows)[0]) if self._spec.keys else None
            writer.frame(name, SavedRows(self.context.subtask, groups).tag(rows))

    def restore(self, reader: SnapshotReader) -> None:
        for number, (name, side) in enumerate(zip(("left", "right"), self._sides, strict=True)):
            frame = reader.frame(name)
            if frame is not None and frame.height:
                rows = untagged(frame)
                slots, _ = self._index.insert(self._keys.of(number, rows)[0])
                side.load(rows, slots, self.context)

    def state(self) -> dict[str, pl.DataFrame]:
        return {"left": self._sides[0].rows(), "right": self._sides[1].rows()}


@dataclass(frozen=True)
class _Matches:
    """Partners of some rows of a batch.

    counts: Number of partners of each row. rows, ids: (row of the batch, id of the other side's row) of each pair. joined:
    the pairs' rows, when they are already made.
    """

    counts: Ids
    rows: Ids
    ids: Ids
    joined: pl.DataFrame | None


def output_kinds(batch: Batch, slots: Ids, may_pair: bool) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
    """The kinds that a batch's rows give to what is joined with them.

    -U and +U are kept where both halves of an update meet the same partners; otherwise they are -D and +I, since one half
    may come out without the other.
    """
    kinds = batch.kind_values()
    if batch.is_insert_only:
        return kinds
    plain = _plain(kinds)
    if not may_pair or len(kinds) < 2:
        return plain
    first = (kinds[:-1] == RowKind.UPDATE_BEFORE) & (kinds[1:] == RowKind.UPDATE_AFTER) & (slots[:-1] == slots[1:])
    paired: Mask = np.zeros(len(kinds), dtype=np.bool_)
    paired[:-1] |= first
    paired[1:] |= first
    return np.where(paired, kinds, plain).astype(np.int8)


def _plain(kinds: np.ndarray[tuple[int], np.dtype[np.int8]]) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
    adds = (kinds == RowKind.INSERT) | (kinds == RowKind.UPDATE_AFTER)
    return np.where(adds, RowKind.INSERT, RowKind.DELETE).astype(np.int8)
