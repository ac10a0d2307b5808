"""`CompiledPlan`: a plan in a form that can be stored and run later.

The stored form of plans is not there yet; what needs it says so. The plan itself can be executed and explained.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tableapi.errors import UnsupportedError, ValidationError
from tableapi.location import located

if TYPE_CHECKING:
    from tableapi.environment import TableEnvironment
    from tableapi.plan.nodes import Sink
    from tableapi.plan_reference import PlanReference
    from tableapi.result import TableResult
    from tableapi.sql.statements import Statement

FLINK_VERSION = "2.3.0"
"""The version of Flink whose semantics plans have."""


def _not_stored() -> UnsupportedError:
    return UnsupportedError("plans cannot be stored yet", fix="keep the SQL text, or the program, and plan again")


class CompiledPlan:
    """A plan that is ready to run."""

    def __init__(self, environment: TableEnvironment, sinks: tuple[Sink, ...]) -> None:
        self._t_env, self._sinks = environment, sinks

    @located
    def as_json_string(self) -> str:
        """The plan as JSON text. Raises UnsupportedError."""
        raise _not_stored()

    @located
    def as_smile_bytes(self) -> bytes:
        """The plan as bytes. Raises UnsupportedError."""
        raise _not_stored()

    @located
    def write_to_file(self, file: str | Path, ignore_if_exists: bool = False) -> None:
        """Stores the plan. Raises UnsupportedError."""
        raise _not_stored()

    def print_json_string(self) -> None:
        """Prints the plan as JSON text. Raises UnsupportedError."""
        self.as_json_string()

    def get_flink_version(self) -> str:
        """The version of Flink whose semantics the plan has."""
        return FLINK_VERSION

    @located
    def execute(self) -> TableResult:
        """Starts the job."""
        return self._t_env._execute_sinks(self._sinks)

    @located
    def explain(self, *extra_details: int) -> str:
        """The plan as text."""
        return self._t_env._explain(self._sinks, extra_details)

    def print_explain(self, *extra_details: int) -> None:
        """Prints `explain()`."""
        import sys

        sys.stdout.write(self.explain(*extra_details) + "\n")


def compile_statement(env: TableEnvironment, statement: Statement) -> CompiledPlan:
    """The plan of an INSERT or statement set.

    Raises:
        ValidationError: It is another statement.
    """
    from tableapi.sql.statements import Insert, StatementSet

    match statement:
        case Insert(sink=sink):
            return CompiledPlan(env, (sink,))
        case StatementSet(inserts=inserts):
            return CompiledPlan(env, tuple(i.sink for i in inserts))
    raise ValidationError(f"{type(statement).__name__} cannot be compiled", fix="compile an INSERT or a statement set")


def load_plan(env: TableEnvironment, reference: PlanReference) -> CompiledPlan:
    """A stored plan. Raises UnsupportedError."""
    raise _not_stored()
