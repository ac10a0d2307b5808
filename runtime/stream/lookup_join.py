"""Each row asks an external table for the rows with its key.

Imports the plan, `runtime.state` and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

from tableapi.connectors.base import Source
from tableapi.errors import UnsupportedError
from tableapi.plan.nodes import JoinKind
from tableapi.plan.rex import Rex
from tableapi.runtime.stream.operator import Operator
from tableapi.tablespec import RowSchema


@dataclass(frozen=True)
class LookupJoinSpec:
    """Fields as in `plan.nodes.LookupJoin`; `right` has the output names. Reads the bounded `source` again when its cache is older than
    `cache_ms` (None: reads it once).
    """

    input: RowSchema
    right: RowSchema
    source: Source
    kind: JoinKind
    keys: tuple[tuple[str, str], ...]
    condition: Rex | None = None
    cache_ms: int | None = None

    def create(self) -> Operator:
        """A new operator."""
        raise UnsupportedError("LookupJoin is not supported yet", fix="run the query in batch mode")
