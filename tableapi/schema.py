"""`Schema`: the columns, watermark and key of a table as a program declares them, types of expressions not yet known.

May import types, errors, tablespec, expressions; SQL text is parsed lazily. Never imports runtime or connectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tableapi.errors import AlreadyExistsError, Location, UnknownNameError, ValidationError, did_you_mean
from tableapi.expression import Expression
from tableapi.expression_base import as_data_type, caller
from tableapi.tablespec import ColumnKind, TableColumn, Watermark
from tableapi.types import DataType, RowType

if TYPE_CHECKING:
    from tableapi.plan.unresolved import Unresolved
    from tableapi.resolved_schema import ResolvedSchema


def _expression(expression: str | Expression, where: Location | None) -> Unresolved:
    if isinstance(expression, Expression):
        return expression._node
    if not isinstance(expression, str):
        raise ValidationError(f"{expression!r} is neither an expression nor SQL text", where=where)
    from tableapi.sql import parse_expression

    return parse_expression(expression)


class Schema:
    """The declared schema of a table. Immutable; made by `Schema.new_builder()`.

    >>> from tableapi.types import DataTypes
    >>> Schema.new_builder().column("id", DataTypes.BIGINT().not_null()).column("v", "STRING").primary_key("id").build()
    (
      `id` BIGINT NOT NULL,
      `v` STRING,
      CONSTRAINT `PK_id` PRIMARY KEY (`id`) NOT ENFORCED
    )
    """

    def __init__(
        self,
        columns: tuple[TableColumn, ...] = (),
        watermark: Watermark | None = None,
        primary_key: tuple[str, ...] = (),
        primary_key_name: str | None = None,
    ) -> None:
        self._columns, self._watermark = columns, watermark
        self._primary_key, self._primary_key_name = primary_key, primary_key_name

    @staticmethod
    def new_builder() -> Schema.Builder:
        """An empty builder."""
        return Schema.Builder()

    def physical_fields(self) -> list[tuple[str, DataType]] | None:
        """Names and types of the columns; None when there is more than stored columns: a key, a watermark, computed columns."""
        stored = [(c.name, c.type) for c in self._columns if c.kind is ColumnKind.PHYSICAL and c.type is not None]
        is_plain = len(stored) == len(self._columns) and self._watermark is None and not self._primary_key
        return stored if is_plain else None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schema):
            return NotImplemented
        mine = (self._columns, self._watermark, self._primary_key)
        return mine == (other._columns, other._watermark, other._primary_key)

    def __hash__(self) -> int:
        return hash((tuple(c.name for c in self._columns), self._primary_key))

    def __str__(self) -> str:
        from tableapi.sql_text import column_sql, primary_key_sql, watermark_sql

        parts = [column_sql(c) for c in self._columns]
        if self._watermark is not None:
            parts.append(watermark_sql(self._watermark))
        if self._primary_key:
            parts.append(primary_key_sql(self._primary_key, self._primary_key_name))
        return "(\n" + ",\n".join(f"  {p}" for p in parts) + "\n)"

    __repr__ = __str__

    class Builder:
        """Builds a `Schema`; every method returns the builder."""

        def __init__(self) -> None:
            self._columns: list[TableColumn] = []
            self._watermark: Watermark | None = None
            self._primary_key: tuple[str, ...] = ()
            self._primary_key_name: str | None = None

        def from_schema(self, unresolved_schema: Schema) -> Schema.Builder:
            """Takes over everything of another schema."""
            for column in unresolved_schema._columns:
                self._add(column)
            self._watermark = unresolved_schema._watermark or self._watermark
            if unresolved_schema._primary_key:
                self._primary_key = unresolved_schema._primary_key
                self._primary_key_name = unresolved_schema._primary_key_name
            return self

        def from_resolved_schema(self, resolved_schema: ResolvedSchema) -> Schema.Builder:
            """Takes over everything of a resolved schema."""
            from tableapi.resolved_schema import ComputedColumn, MetadataColumn

            for column in resolved_schema.get_columns():
                if isinstance(column, ComputedColumn) and column.expression is not None:
                    self.column_by_expression(column.name, column.expression)
                elif isinstance(column, MetadataColumn):
                    self.column_by_metadata(column.name, column.data_type, column.metadata_key, column.virtual)
                else:
                    self.column(column.name, column.data_type)
            for spec in resolved_schema.get_watermark_specs():
                self.watermark(spec.rowtime_attribute, spec.watermark_expression)
            key = resolved_schema.get_primary_key()
            if key is not None:
                self.primary_key_named(key.name, *key.columns)
            return self

        def from_row_data_type(self, data_type: DataType) -> Schema.Builder:
            """Adds a stored column per field of a ROW.

            Raises:
                ValidationError: The type is not a ROW.
            """
            if not isinstance(data_type, RowType):
                raise ValidationError(f"a ROW type is needed, not {data_type}", where=caller())
            for field in data_type.fields:
                self._add(TableColumn(field.name, field.data_type))
            return self

        def from_fields(self, field_names: list[str], field_data_types: list[DataType]) -> Schema.Builder:
            """Adds stored columns.

            Raises:
                ValidationError: There are not as many types as names.
            """
            if len(field_names) != len(field_data_types):
                raise ValidationError(f"{len(field_names)} names for {len(field_data_types)} types", where=caller())
            for name, data_type in zip(field_names, field_data_types, strict=True):
                self._add(TableColumn(name, as_data_type(data_type)))
            return self

        def column(self, column_name: str, data_type: str | DataType) -> Schema.Builder:
            """Adds a column that the table stores; the type may be SQL text."""
            return self._add(TableColumn(column_name, as_data_type(data_type)))

        def column_by_expression(self, column_name: str, expr: str | Expression) -> Schema.Builder:
            """Adds a column that is computed from others."""
            node = _expression(expr, caller())
            return self._add(TableColumn(column_name, None, ColumnKind.COMPUTED, node))

        def column_by_metadata(
            self, column_name: str, data_type: DataType | str, metadata_key: str | None = None, is_virtual: bool = False
        ) -> Schema.Builder:
            """Adds a column that the connector knows besides the stored ones.

            Args:
                column_name: Its name here.
                data_type: Its type here; cast from and to the connector's.
                metadata_key: The connector's name, when it is another one.
                is_virtual: Whether a sink leaves it out.
            """
            kind = as_data_type(data_type)
            column = TableColumn(column_name, kind, ColumnKind.METADATA, metadata_key=metadata_key, is_virtual=is_virtual)
            return self._add(column)

        def watermark(self, column_name: str, watermark_expr: str | Expression) -> Schema.Builder:
            """Declares the event-time column and its watermark.

            Raises:
                ValidationError: There is a watermark already.
            """
            where = caller()
            if self._watermark is not None:
                raise ValidationError(
                    f"the table has a watermark already, on '{self._watermark.column}'", where=where, fix="declare one only"
                )
            self._watermark = Watermark(column_name, _expression(watermark_expr, where))
            return self

        def primary_key(self, *column_names: str) -> Schema.Builder:
            """Declares the primary key (not enforced)."""
            return self._key(column_names, None)

        def primary_key_named(self, constraint_name: str, *column_names: str) -> Schema.Builder:
            """Declares the primary key (not enforced) with a name."""
            return self._key(column_names, constraint_name)

        def build(self) -> Schema:
            """The schema.

            Raises:
                UnknownNameError: A key or watermark column does not exist.
                ValidationError: A key column is nullable or computed.
            """
            by_name = {c.name: c for c in self._columns}
            wanted = [*self._primary_key, *([self._watermark.column] if self._watermark else [])]
            for name in wanted:
                if name not in by_name and "." not in name:
                    raise UnknownNameError(
                        f"column '{name}' does not exist in the schema",
                        where=caller(),
                        exists=f"columns: {', '.join(by_name)}",
                        fix=did_you_mean(name, by_name),
                    )
            for name in self._primary_key:
                column = by_name[name]
                if column.kind is not ColumnKind.PHYSICAL or column.type is None:
                    raise ValidationError(f"the key column '{name}' is not a stored column", where=caller())
                if column.type.is_nullable:
                    raise ValidationError(
                        f"the key column '{name}' is nullable", where=caller(), fix=f"declare it {column.type} NOT NULL"
                    )
            return Schema(tuple(self._columns), self._watermark, self._primary_key, self._primary_key_name)

        def _key(self, names: tuple[str, ...], constraint: str | None) -> Schema.Builder:
            if self._primary_key:
                raise ValidationError("the table has a primary key already", where=caller())
            if not names:
                raise ValidationError("a primary key needs columns", where=caller())
            self._primary_key, self._primary_key_name = tuple(names), constraint
            return self

        def _add(self, column: TableColumn) -> Schema.Builder:
            if any(c.name == column.name for c in self._columns):
                raise AlreadyExistsError(f"column '{column.name}' stands twice in the schema", where=caller())
            self._columns.append(column)
            return self
