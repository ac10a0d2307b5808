"""Key groups: which part of the key space a row belongs to, and which worker owns that part.

The hash itself is `tableapi.stable_hash`; this file only maps it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from tableapi.runtime.planner.graph import KEY_GROUPS
from tableapi.stable_hash import stable_hash

KEY_GROUP_COLUMN = "__key_group"
"""Column of a snapshot's frame by which rows are dealt out to workers when a job is rescaled."""


def key_groups(frame: pl.DataFrame, keys: Sequence[str] | None = None) -> npt.NDArray[np.uint8]:
    """The key group (0 to KEY_GROUPS - 1) of each row: the upper 32 bits of its stable hash, modulo the number of groups.

    >>> key_groups(pl.DataFrame({"id": [1, 2, 3]}), ["id"]).tolist()
    [48, 41, 106]
    """
    return ((stable_hash(frame, keys) >> np.uint64(32)) % np.uint64(KEY_GROUPS)).astype(np.uint8)


def worker_of(groups: npt.NDArray[np.uint8], parallelism: int) -> npt.NDArray[np.int64]:
    """The worker that owns each key group: contiguous ranges of groups, as even as can be.

    >>> worker_of(np.array([0, 63, 64, 127], dtype=np.uint8), 2).tolist()
    [0, 0, 1, 1]
    """
    return groups.astype(np.int64) * parallelism // KEY_GROUPS
