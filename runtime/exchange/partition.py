"""Which worker a row belongs to: its key's group, and the worker that owns the group."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from tableapi.runtime.planner.graph import KEY_GROUPS
from tableapi.runtime.stream.batch import Batch
from tableapi.stable_hash import stable_hash


def key_groups(frame: pl.DataFrame, keys: Sequence[str]) -> npt.NDArray[np.int64]:
    """The key group of each row."""
    return (stable_hash(frame, keys) % np.uint64(KEY_GROUPS)).astype(np.int64)


def owners(groups: npt.NDArray[np.int64], parallelism: int) -> npt.NDArray[np.int64]:
    """The worker that owns each key group. Every worker owns one range of groups (Flink: KeyGroupRangeAssignment)."""
    return groups * parallelism // KEY_GROUPS


def split_by_key(batch: Batch, keys: Sequence[str], parallelism: int) -> list[Batch | None]:
    """The rows of each worker, in their order; None for a worker without rows."""
    if parallelism == 1:
        return [batch]
    owner = owners(key_groups(batch.frame, keys), parallelism)
    counts = np.bincount(owner, minlength=parallelism)
    parts: list[Batch | None] = []
    for worker, count in enumerate(counts.tolist()):
        if count == 0:
            parts.append(None)
        elif count == batch.height:
            parts.append(batch)
        else:
            parts.append(batch.gather(np.flatnonzero(owner == worker)))
    return parts
