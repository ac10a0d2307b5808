"""How much memory an operator's state holds, found by looking at what it holds: no operator can forget to tell.

Imports Polars, NumPy and `runtime.state`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl

from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.operator import Operator

_OURS = "tableapi.runtime."
_NOT_STATE = frozenset({"context", "_context", "_spec", "_window_spec", "session"})


def state_bytes(operator: Operator) -> int:
    """Bytes of the arrays and frames that an operator and the state classes in it hold; shared ones once.

    Python's own objects (which are few) do not count. Cost: O(objects), not O(rows).
    """
    seen: set[int] = set()
    total, waiting = 0, [operator]
    while waiting:
        value: Any = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, np.ndarray):
            total += value.nbytes
        elif isinstance(value, pl.DataFrame | pl.Series):
            total += int(value.estimated_size())
        else:
            waiting.extend(_parts(value))
    return total


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, list | tuple | set | frozenset | deque):
        return list(value)
    if isinstance(value, Batch):
        return value.frame, value.kinds
    if type(value).__module__.startswith(_OURS):
        held = dict(getattr(value, "__dict__", {}))
        held.update({name: getattr(value, name, None) for name in getattr(type(value), "__slots__", ())})
        return [part for name, part in held.items() if name not in _NOT_STATE]
    return ()


def live_keys(operator: Operator) -> int | None:
    """How many keys an operator has state for; None when its state has no keys."""
    for name in ("_index", "_done"):
        index = getattr(operator, name, None)
        if isinstance(index, KeyIndex):
            return index.count
    return None
