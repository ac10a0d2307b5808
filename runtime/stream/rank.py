"""Top-N per partition, and ORDER BY with LIMIT.

Imports the plan, `runtime.state` and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

from tableapi.errors import UnsupportedError
from tableapi.plan.nodes import RankKind
from tableapi.plan.rex import SortKey
from tableapi.runtime.stream.operator import Operator
from tableapi.tablespec import RowSchema


@dataclass(frozen=True)
class RankSpec:
    """The rows of each partition whose rank is in `start`..`end` (1-based, inclusive; ROW_NUMBER).

    ORDER BY ... LIMIT n OFFSET m is the rank m+1..m+n of one partition (`partition_by=()`, no `rank_name`).

    input_is_insert_only: The input has no -U and no -D. Then only rows that can still be ranked are kept.
    generate_update_before: Emit -U before each +U (only rows with a rank number are ever updated).
    """

    input: RowSchema
    partition_by: tuple[str, ...]
    order_by: tuple[SortKey, ...]
    start: int
    end: int
    kind: RankKind = RankKind.ROW_NUMBER
    rank_name: str | None = None
    input_is_insert_only: bool = True
    generate_update_before: bool = True

    def create(self) -> Operator:
        """A new operator."""
        raise UnsupportedError("Rank is not supported yet", fix="run the query in batch mode")
