"""Which worker a row belongs to: its key's group, and the worker that owns the group."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tableapi.runtime.state.hashing import key_groups, worker_of
from tableapi.runtime.stream.batch import Batch


def split_by_key(batch: Batch, keys: Sequence[str], parallelism: int) -> list[Batch | None]:
    """The rows of each worker, in their order; None for a worker without rows."""
    if parallelism == 1:
        return [batch]
    owner = worker_of(key_groups(batch.frame, keys), parallelism)
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
