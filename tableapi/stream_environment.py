"""`StreamTableEnvironment`: a session whose tables are also streams of rows that a program iterates over.

There is no DataStream API here: a stream is something to iterate over. What can be said of it in PyFlink's words has PyFlink's
names; the rest is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from tableapi.environment import TableEnvironment
from tableapi.errors import TypeMismatchError, UnsupportedError, ValidationError
from tableapi.expression import Expression
from tableapi.expression_base import caller
from tableapi.location import located
from tableapi.row import Row, RowKind
from tableapi.table import Table

if TYPE_CHECKING:
    from tableapi.changelog_mode import ChangelogMode
    from tableapi.config import Configuration, EnvironmentSettings
    from tableapi.result import CloseableIterator
    from tableapi.schema import Schema
    from tableapi.types import DataType

__all__ = ["RowStream", "StreamTableEnvironment"]

OP = "op"


class RowStream:
    """The rows of a table as a stream: each iteration runs the query.

    Args:
        table: The table.
        with_flags: Hand over pairs of (whether the row is added, row).
    """

    def __init__(self, table: Table, with_flags: bool = False) -> None:
        self.table, self._with_flags = table, with_flags

    def execute_and_collect(self, job_execution_name: str | None = None, limit: int | None = None) -> Any:
        """Runs the query.

        Args:
            job_execution_name: Accepted for programs written for Flink; `pipeline.name` names jobs.
            limit: With it, at most so many rows as a list; without, an iterator of rows that can be closed.
        """
        if limit is None:
            return iter(self) if self._with_flags else self.table.execute().collect()
        found: list[Any] = []
        for row in self:
            if len(found) == limit:
                break
            found.append(row)
        return found

    def __iter__(self) -> Iterator[Any]:
        rows: CloseableIterator
        with self.table.execute().collect() as rows:
            for row in rows:
                if not self._with_flags:
                    yield row
                else:
                    yield row.get_row_kind() in (RowKind.INSERT, RowKind.UPDATE_AFTER), row

    def print(self) -> None:
        """Prints the rows as they come."""
        self.table.execute().print()


class StreamTableEnvironment(TableEnvironment):
    """A session whose tables are also streams of rows.

    >>> env = StreamTableEnvironment.create()
    >>> numbers = env.from_data_stream([(1, "a"), (2, "b")], "n", "s")
    >>> [tuple(row) for row in env.to_data_stream(numbers)]
    [(1, 'a'), (2, 'b')]
    """

    @staticmethod
    def create(  # type: ignore[override]
        stream_execution_environment: Any = None,
        environment_settings: EnvironmentSettings | Configuration | None = None,
    ) -> StreamTableEnvironment:
        """A new session.

        Args:
            stream_execution_environment: Must be None: there is no DataStream API here.
            environment_settings: Batch or streaming (the default), names and configuration.

        Raises:
            UnsupportedError: A stream execution environment was given.
        """
        from tableapi.config import Configuration, EnvironmentSettings

        if isinstance(stream_execution_environment, EnvironmentSettings | Configuration) and environment_settings is None:
            stream_execution_environment, environment_settings = None, stream_execution_environment
        if stream_execution_environment is not None:
            raise UnsupportedError(
                f"{type(stream_execution_environment).__name__} cannot be used: there is no DataStream API here",
                where=caller(),
                fix="StreamTableEnvironment.create(environment_settings=EnvironmentSettings.in_streaming_mode())",
            )
        if environment_settings is None:
            environment_settings = EnvironmentSettings.in_streaming_mode()
        if isinstance(environment_settings, Configuration):
            environment_settings = EnvironmentSettings(environment_settings)
        return StreamTableEnvironment(environment_settings)

    @located
    def from_data_stream(self, data_stream: Any, *fields_or_schema: Any) -> Table:
        """A table of a stream of rows.

        Args:
            data_stream: What `to_data_stream` gave, or rows that the program holds.
            fields_or_schema: Names or expressions for the columns, or a `Schema` of physical columns.

        Raises:
            UnsupportedError: A schema with computed columns, metadata or watermarks.
        """
        schema = fields_or_schema[0] if len(fields_or_schema) == 1 else None
        if _is_schema(schema):
            types = _physical(schema, "from_data_stream")
            table = self._rows_of(data_stream, None if isinstance(data_stream, RowStream) else types)
            return table if not isinstance(data_stream, RowStream) else _as_declared(table, types)
        named = [f for f in fields_or_schema if isinstance(f, str)]
        if len(named) == len(fields_or_schema) and not isinstance(data_stream, RowStream):
            return self._rows_of(data_stream, named or None)
        table = self._rows_of(data_stream, None)
        if not fields_or_schema:
            return table
        return table.alias(*named) if len(named) == len(fields_or_schema) else table.select(*fields_or_schema)

    def _rows_of(self, data: Any, schema: Any) -> Table:
        if isinstance(data, RowStream):
            if data.table._t_env is not self:
                raise ValidationError("the stream belongs to another environment", where=caller())
            return data.table
        if not isinstance(data, Iterable):
            raise TypeMismatchError(
                f"{type(data).__name__} is no stream of rows", where=caller(), fix="give rows, or what to_data_stream() gave"
            )
        return self.from_elements(data, schema)

    @located
    def from_changelog_stream(
        self, data_stream: Any, schema: Schema | None = None, changelog_mode: ChangelogMode | None = None
    ) -> Table:
        """A table of a stream of changes.

        Args:
            data_stream: What `to_changelog_stream` gave, or `Row`s of any kind that the program holds.
            schema: Physical columns of the rows; by default they are inferred.
            changelog_mode: The kinds that may occur; all by default.

        Raises:
            ValidationError: A row is of a kind that the mode does not have.
        """
        if isinstance(data_stream, RowStream):
            return self.from_data_stream(data_stream, *([] if schema is None else [schema]))
        from tableapi.elements import frame_of_elements
        from tableapi.expressions import descriptor

        rows = list(data_stream)
        kinds = [row.get_row_kind() if isinstance(row, Row) else RowKind.INSERT for row in rows]
        for number, kind in enumerate(kinds):
            if changelog_mode is not None and not changelog_mode.contains(kind):
                raise ValidationError(f"row {number} is of kind {kind}, the changelog mode is {changelog_mode}", where=caller())
        types = None if schema is None else _physical(schema, "from_changelog_stream")
        frame, row_schema = frame_of_elements(rows, types, True, self._config.get_local_timezone())
        if OP in row_schema.names:
            raise ValidationError(f"a column cannot be named '{OP}' here", where=caller(), fix="rename it")
        inserts = self._from_frame(frame.with_columns(_codes(kinds)), _with_op(row_schema))
        return inserts.from_changelog(descriptor(OP).as_argument("op"))

    @located
    def to_data_stream(self, table: Table) -> RowStream:
        """The rows of a table that only grows.

        Raises:
            ValidationError: The table's rows change.
        """
        return self._stream(table, frozenset({RowKind.INSERT}), "to_data_stream")

    @located
    def to_changelog_stream(
        self, table: Table, target_schema: Schema | None = None, changelog_mode: ChangelogMode | None = None
    ) -> RowStream:
        """The changes of a table as rows with kinds.

        Args:
            table: The table.
            target_schema: Physical columns that the table's are cast to.
            changelog_mode: The kinds that may occur; all by default.

        Raises:
            ValidationError: The table has changes of other kinds.
        """
        if target_schema is not None:
            table = _as_declared(table, _physical(target_schema, "to_changelog_stream"))
        kinds = frozenset(RowKind) if changelog_mode is None else frozenset(changelog_mode.get_contained_kinds())
        return self._stream(table, kinds, "to_changelog_stream")

    @located
    def to_append_stream(self, table: Table, type_info: Any) -> RowStream:
        """As `to_data_stream`; `type_info` is accepted for programs written for Flink."""
        return self._stream(table, frozenset({RowKind.INSERT}), "to_append_stream")

    @located
    def to_retract_stream(self, table: Table, type_info: Any) -> RowStream:
        """Pairs of (whether the row is added, row); `type_info` is accepted for programs written for Flink."""
        return RowStream(self._own(table), with_flags=True)

    def _stream(self, table: Table, kinds: frozenset[RowKind], method: str) -> RowStream:
        from tableapi.runtime.execute import changes_of

        own = self._own(table)
        found = changes_of(self._builder().collect(own._relation), self._settings())
        if not found <= kinds:
            raise ValidationError(
                f"the table has changes of kind {', '.join(str(k) for k in sorted(found - kinds))}",
                where=caller(),
                fix="use to_changelog_stream()" if method != "to_changelog_stream" else "leave the changelog mode out",
            )
        return RowStream(own)

    def _own(self, table: Table) -> Table:
        if not isinstance(table, Table):
            raise TypeMismatchError(f"{type(table).__name__} is not a table", where=caller())
        return self._as_table(table)

    def _as_table(self, data: Any, *schema: Any) -> Table:
        return self.from_data_stream(data, *schema) if isinstance(data, RowStream) else super()._as_table(data, *schema)


def _is_schema(value: Any) -> bool:
    from tableapi.schema import Schema

    return isinstance(value, Schema)


def _physical(schema: Any, method: str) -> DataType:
    """The columns of a schema as a ROW type.

    Raises:
        UnsupportedError: It has more than physical columns.
    """
    from tableapi.types import DataTypes

    fields = schema.physical_fields()
    if fields is None:
        raise UnsupportedError(
            f"{method}() takes physical columns only",
            where=caller(),
            fix="create a table with the watermark and computed columns by create_temporary_table(), over a connector",
        )
    return DataTypes.ROW([DataTypes.FIELD(name, data_type) for name, data_type in fields])


def _as_declared(table: Table, row: Any) -> Table:
    from tableapi.expressions import col

    names = row.field_names()
    own = table.get_schema().get_field_names()
    if len(names) != len(own):
        raise ValidationError(f"the schema has {len(names)} columns, the stream {len(own)}", where=caller())
    casts: list[Expression] = [col(o).cast(t).alias(n) for o, n, t in zip(own, names, row.field_types(), strict=True)]
    return table.select(*casts)


def _codes(kinds: list[RowKind]) -> Any:
    import polars as pl

    return pl.Series(OP, [kind.name for kind in kinds], dtype=pl.String())


def _with_op(row_schema: Any) -> Any:
    from tableapi.types import DataTypes

    fields = [DataTypes.FIELD(f.name, f.type) for f in row_schema]
    return DataTypes.ROW([*fields, DataTypes.FIELD(OP, DataTypes.STRING())])
