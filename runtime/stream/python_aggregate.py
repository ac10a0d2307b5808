"""Accumulators of Python aggregates, one object per slot.

Imports the Python function runner and the running-value protocol. Python aggregates see their rows one by one, so this is the
one place of the stream engine that loops over rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np
import polars as pl

from tableapi.runtime.state.columns import Ids
from tableapi.runtime.stream.accumulators import Signs
from tableapi.runtime.udf_aggregate import AggregateRunner


class PythonValue:
    """Keeps an accumulator object per slot and calls `accumulate`, `retract`, `merge` and `get_value` of the user's class."""

    def __init__(self, runner: AggregateRunner) -> None:
        self._runner = runner
        self._objects: dict[int, Any] = {}

    def reserve(self, bound: int) -> None:
        """Objects are made when a slot's first row comes."""

    def update(self, slots: Ids, values: pl.Series | None, signs: Signs) -> None:
        """Hands each slot's rows to its object, in order of arrival."""
        assert values is not None
        arguments = values.struct.unnest().get_columns()[: len(self._runner.arg_types)]
        rows = self._runner.rows(arguments) if arguments else [()] * len(slots)
        adds = signs > 0 if len(signs) else np.ones(len(slots), dtype=np.bool_)
        order = np.argsort(slots, kind="stable")
        marked = zip(slots[order].tolist(), adds[order].tolist(), order.tolist(), strict=True)
        for (slot, is_added), run in groupby(marked, key=lambda m: m[:2]):
            target = self._object(slot)
            step = self._runner.accumulate if is_added else self._runner.retract
            self._objects[slot] = step(target, [rows[i] for _, _, i in run])

    def _object(self, slot: int) -> Any:
        known = self._objects.get(slot)
        return self._runner.create() if known is None else known

    def read(self, slots: Ids) -> pl.Series:
        """The results."""
        return self._runner.column([self._runner.value(self._object(s)) for s in slots.tolist()], "value")

    def merged(self, slots: Ids, groups: Ids, count: int) -> pl.Series:
        """The results of groups of slots; objects of several slots are merged into a new one."""
        members: list[list[int]] = [[] for _ in range(count)]
        for slot, group in zip(slots.tolist(), groups.tolist(), strict=True):
            members[group].append(slot)
        return self._runner.column([self._runner.value(self._together(m)) for m in members], "value")

    def _together(self, slots: list[int]) -> Any:
        if len(slots) == 1:
            return self._object(slots[0])
        return self._runner.merge(self._runner.create(), [self._object(s) for s in slots])

    def absorb(self, slots: Ids, other: PythonValue, others: Ids) -> None:
        """Merges objects into those of this one's slots."""
        for slot, source in zip(slots.tolist(), others.tolist(), strict=True):
            if source in other._objects:
                self._objects[slot] = self._runner.merge(self._object(slot), [other._objects[source]])

    def clear(self, slots: Ids) -> None:
        """Forgets objects."""
        for slot in slots.tolist():
            self._objects.pop(slot, None)

    @property
    def size_bytes(self) -> int:
        """Not known for objects; counts them as 64 bytes."""
        return 64 * len(self._objects)

    def save(self, slots: Ids) -> tuple[pl.DataFrame, Ids]:
        """The objects, pickled."""
        pickled = list(self._pickled(slots))
        positions = np.array([p for p, _ in pickled], dtype=np.int64)
        return pl.DataFrame({"value": pl.Series([b for _, b in pickled], dtype=pl.Binary())}), positions

    def _pickled(self, slots: Ids) -> Iterator[tuple[int, bytes]]:
        import cloudpickle

        for position, slot in enumerate(slots.tolist()):
            if slot in self._objects:
                yield position, cloudpickle.dumps(self._objects[slot])

    def load(self, slots: Ids, values: pl.Series) -> None:
        """Takes over pickled objects of this user's own snapshot."""
        import pickle

        for slot, data in zip(slots.tolist(), values.to_list(), strict=True):
            self._objects[slot] = pickle.loads(data)
