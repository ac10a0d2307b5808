"""`CompiledPlan`: a plan that can be stored as JSON and run later. May import plan; the environment runs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tableapi.errors import AlreadyExistsError, UnknownNameError, ValidationError
from tableapi.location import located

if TYPE_CHECKING:
    from tableapi.environment import TableEnvironment
    from tableapi.plan.nodes import Sink
    from tableapi.plan_reference import PlanReference
    from tableapi.result import TableResult
    from tableapi.sql.statements import Statement

FLINK_VERSION = "2.3.0"
"""The version of Flink whose semantics plans have."""


class CompiledPlan:
    """A plan that is ready to run."""

    def __init__(self, environment: TableEnvironment, sinks: tuple[Sink, ...]) -> None:
        self._t_env, self._sinks = environment, sinks

    @located
    def as_json_string(self) -> str:
        """The plan as JSON text.

        Raises:
            UnsupportedError: It holds a Python function that has no importable name.
        """
        from tableapi.plan.json_form import plans_to_json

        return plans_to_json(self._sinks)

    def as_smile_bytes(self) -> bytes:
        """The plan as bytes: its JSON text in UTF-8."""
        return self.as_json_string().encode("utf-8")

    @located
    def write_to_file(self, file: str | Path, ignore_if_exists: bool = False) -> None:
        """Stores the plan as JSON text.

        Args:
            file: Where to.
            ignore_if_exists: Whether a file that exists is left as it is; otherwise it is an error unless
                `table.plan.force-recompile` is set.

        Raises:
            AlreadyExistsError: The file exists.
        """
        path = Path(file)
        if path.exists():
            if ignore_if_exists:
                return
            if not self._t_env.get_config().option("table.plan.force-recompile"):
                raise AlreadyExistsError(
                    f"the plan file '{path}' exists already", fix="remove it, or set table.plan.force-recompile to true"
                )
        path.write_text(self.as_json_string(), encoding="utf-8")

    def print_json_string(self) -> None:
        """Prints the plan as JSON text."""
        import sys

        sys.stdout.write(self.as_json_string() + "\n")

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
    """A stored plan.

    Raises:
        UnknownNameError: The file does not exist.
        ValidationError: It is not a stored plan that writes tables.
    """
    from tableapi.plan.json_form import plans_from_json
    from tableapi.plan.nodes import Sink

    try:
        text = reference.text()
    except FileNotFoundError as error:
        raise UnknownNameError(f"the plan file '{error.filename}' does not exist") from None
    plans = plans_from_json(text)
    sinks = tuple(p for p in plans if isinstance(p, Sink))
    if not sinks or len(sinks) != len(plans):
        raise ValidationError("the stored plan does not write tables", fix="compile an INSERT or a statement set")
    return CompiledPlan(env, sinks)
