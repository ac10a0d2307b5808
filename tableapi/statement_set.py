"""`TablePipeline` and `StatementSet`: plans that write tables, alone or together as one job.

May import plan and the front end's own files; the environment runs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tableapi.errors import UnsupportedError, ValidationError
from tableapi.expression_base import caller
from tableapi.location import located
from tableapi.tablespec import ObjectIdentifier

if TYPE_CHECKING:
    from tableapi.compiled_plan import CompiledPlan
    from tableapi.environment import TableEnvironment
    from tableapi.plan.nodes import Sink
    from tableapi.result import TableResult
    from tableapi.table import Table
    from tableapi.table_descriptor import TableDescriptor

__all__ = ["StatementSet", "TablePipeline"]


class TablePipeline:
    """A plan from sources to one sink. Made by `Table.insert_into`."""

    def __init__(self, environment: TableEnvironment, sink: Sink, is_anonymous: bool = False) -> None:
        self._t_env, self._sink, self._is_anonymous = environment, sink, is_anonymous

    @located
    def execute(self) -> TableResult:
        """Starts the job."""
        return self._t_env._execute_sinks([self._sink])

    @located
    def explain(self, *extra_details: int) -> str:
        """The plan as text."""
        return self._t_env._explain([self._sink], extra_details)

    def print_explain(self, *extra_details: int) -> None:
        """Prints `explain()`."""
        _print(self.explain(*extra_details))

    def get_sink_identifier(self) -> ObjectIdentifier | None:
        """Full name of the sink, None when it was described in place."""
        return None if self._is_anonymous else self._sink.table.identifier

    @located
    def compile_plan(self) -> CompiledPlan:
        """The plan in a form that can be stored."""
        from tableapi.compiled_plan import CompiledPlan

        return CompiledPlan(self._t_env, (self._sink,))


class StatementSet:
    """Several inserts that run as one job. Made by `TableEnvironment.create_statement_set`."""

    def __init__(self, environment: TableEnvironment) -> None:
        self._t_env = environment
        self._sinks: list[Sink] = []

    @located
    def add(self, table_pipeline: TablePipeline) -> StatementSet:
        """Adds a pipeline."""
        if not isinstance(table_pipeline, TablePipeline):
            raise ValidationError(f"{table_pipeline!r} is not a TablePipeline", where=caller(), fix="table.insert_into(…)")
        self._sinks.append(table_pipeline._sink)
        return self

    @located
    def add_insert_sql(self, stmt: str) -> StatementSet:
        """Adds an INSERT statement.

        Raises:
            ValidationError: The statement is another one.
        """
        from tableapi.sql.statements import Insert

        statement = self._t_env._parse(stmt)
        if not isinstance(statement, Insert):
            raise ValidationError(
                f"an INSERT statement is needed, not {type(statement).__name__}", where=caller(), fix="INSERT INTO … SELECT …"
            )
        self._sinks.append(statement.sink)
        return self

    @located
    def add_insert(
        self, target_path_or_descriptor: str | TableDescriptor, table: Table, overwrite: bool = False
    ) -> StatementSet:
        """Adds the writing of a table's rows.

        Args:
            target_path_or_descriptor: Name of a table, or the description of one.
            table: The rows.
            overwrite: Whether existing rows are replaced.
        """
        return self.add(table.insert_into(target_path_or_descriptor, overwrite))

    @located
    def attach_as_datastream(self) -> Any:
        """Belongs to the DataStream API, which does not exist here.

        Raises:
            UnsupportedError: Always.
        """
        raise UnsupportedError("there is no DataStream API to attach to", fix="use execute()")

    @located
    def explain(self, *extra_details: int) -> str:
        """The plan of all inserts as text."""
        return self._t_env._explain(self._checked(), extra_details)

    def print_explain(self, *extra_details: int) -> None:
        """Prints `explain()`."""
        _print(self.explain(*extra_details))

    @located
    def execute(self) -> TableResult:
        """Starts one job for all inserts and empties the set."""
        sinks, self._sinks = self._checked(), []
        return self._t_env._execute_sinks(sinks)

    @located
    def compile_plan(self) -> CompiledPlan:
        """The plan in a form that can be stored."""
        from tableapi.compiled_plan import CompiledPlan

        return CompiledPlan(self._t_env, tuple(self._checked()))

    def _checked(self) -> list[Sink]:
        if not self._sinks:
            raise ValidationError("the statement set is empty", where=caller(), fix="add_insert() something first")
        return self._sinks


def _print(text: str) -> None:
    import sys

    sys.stdout.write(text + "\n")
