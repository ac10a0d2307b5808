"""Event-time temporal join: each row meets the version that was valid at its time.

Imports the plan, `runtime.state` and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

from tableapi.errors import UnsupportedError
from tableapi.plan.nodes import JoinKind
from tableapi.plan.rex import Rex
from tableapi.runtime.stream.operator import Operator
from tableapi.tablespec import RowSchema


@dataclass(frozen=True)
class TemporalJoinSpec:
    """Fields as in `plan.nodes.TemporalJoin`. The right input is a changelog of versions: its key is the right columns of `keys`.

    Needs watermarks on both inputs. `right_time` None (processing time against a changelog) joins the latest version at arrival.
    """

    left: RowSchema
    right: RowSchema
    kind: JoinKind
    keys: tuple[tuple[str, str], ...]
    left_time: str
    right_time: str | None
    condition: Rex | None = None

    def create(self) -> Operator:
        """A new operator."""
        raise UnsupportedError("TemporalJoin is not supported yet", fix="run the query in batch mode")
