"""Resolved schemas as users see them (PyFlink: `ResolvedSchema`, `Column`, `WatermarkSpec`, `UniqueConstraint`).

A view of `tablespec.RowSchema` and `TableSpec`. May import types, tablespec, errors and expressions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tableapi.errors import AlreadyExistsError
from tableapi.expression import Expression
from tableapi.tablespec import ColumnKind, RowSchema, TableSpec, TimeKind
from tableapi.types import DataType, RowField, RowType

if TYPE_CHECKING:
    from tableapi.plan.unresolved import Unresolved


def quoted(name: str) -> str:
    """A name in backquotes."""
    return "`" + name.replace("`", "``") + "`"


class ResolvedExpression(Expression):
    """An expression whose type is known."""

    __slots__ = ("_data_type",)

    def __init__(self, node: Unresolved, data_type: DataType | None = None) -> None:
        super().__init__(node)
        self._data_type = data_type

    def get_output_data_type(self) -> DataType | None:
        """The type of the values."""
        return self._data_type

    def get_resolved_children(self) -> list[ResolvedExpression]:
        """The arguments."""
        return [ResolvedExpression(a) for a in getattr(self._node, "args", ())]

    def as_serializable_string(self) -> str:
        """The expression as SQL."""
        from tableapi.sql_text import expression_sql

        return expression_sql(self._node)

    def as_summary_string(self) -> str:
        """The expression as text."""
        return str(self)

    def _make(self, node: Unresolved) -> Expression:
        return Expression(node)


@dataclass(frozen=True)
class Column(ABC):
    """A column of a resolved schema. Made by `physical`, `computed` and `metadata`.

    >>> from tableapi.types import DataTypes
    >>> Column.physical("id", DataTypes.BIGINT()).as_summary_string()
    '`id` BIGINT'
    """

    name: str
    data_type: DataType
    comment: str | None = None
    time: TimeKind | None = None

    @staticmethod
    def physical(name: str, data_type: DataType) -> PhysicalColumn:
        """A column that the table stores."""
        return PhysicalColumn(name, data_type)

    @staticmethod
    def computed(name: str, resolved_expression: ResolvedExpression) -> ComputedColumn:
        """A column that is computed from others."""
        data_type = resolved_expression.get_output_data_type()
        if data_type is None:
            raise ValueError(f"the expression of the computed column '{name}' has no type")
        return ComputedColumn(name, data_type, expression=resolved_expression)

    @staticmethod
    def metadata(name: str, data_type: DataType, metadata_key: str | None, is_virtual: bool) -> MetadataColumn:
        """A column that the connector knows besides the stored ones."""
        return MetadataColumn(name, data_type, metadata_key=metadata_key, virtual=is_virtual)

    def with_comment(self, comment: str | None) -> Column:
        """The same column with a comment."""
        return replace(self, comment=comment)

    @abstractmethod
    def is_physical(self) -> bool:
        """Whether the table stores the column."""

    @abstractmethod
    def is_persisted(self) -> bool:
        """Whether a sink writes the column."""

    @abstractmethod
    def explain_extras(self) -> str | None:
        """What is special about the column, as SQL."""

    def get_data_type(self) -> DataType:
        """Its type."""
        return self.data_type

    def get_name(self) -> str:
        """Its name."""
        return self.name

    def get_comment(self) -> str | None:
        """Its comment."""
        return self.comment

    def as_summary_string(self) -> str:
        """Name, type and what is special, as `print_schema` shows it."""
        parts = [quoted(self.name), str(self.data_type)]
        if self.time is not None:
            parts.append(f"*{self.time.name}*")
        extras = self.explain_extras()
        if extras:
            parts.append(extras)
        if self.comment:
            parts.append(f"COMMENT '{self.comment}'")
        return " ".join(parts)

    def copy(self, new_type: DataType) -> Column:
        """The same column with another type."""
        return replace(self, data_type=new_type)

    def rename(self, new_name: str) -> Column:
        """The same column with another name."""
        return replace(self, name=new_name)

    def __str__(self) -> str:
        return self.as_summary_string()


class _ConcreteColumn(Column):
    def copy(self, new_data_type: DataType) -> Column:
        """The same column with another type."""
        return replace(self, data_type=new_data_type)


class PhysicalColumn(_ConcreteColumn):
    """A column that the table stores."""

    def is_physical(self) -> bool:
        return True

    def is_persisted(self) -> bool:
        return True

    def explain_extras(self) -> str | None:
        return None


@dataclass(frozen=True)
class ComputedColumn(_ConcreteColumn):
    """A column that is computed from others."""

    expression: ResolvedExpression | None = None

    def is_physical(self) -> bool:
        return False

    def is_persisted(self) -> bool:
        return False

    def get_expression(self) -> ResolvedExpression | None:
        """The expression."""
        return self.expression

    def explain_extras(self) -> str | None:
        return f"AS {self.expression.as_serializable_string()}" if self.expression is not None else None


@dataclass(frozen=True)
class MetadataColumn(_ConcreteColumn):
    """A column that the connector knows besides the stored ones."""

    metadata_key: str | None = None
    virtual: bool = False

    def is_virtual(self) -> bool:
        """Whether a sink leaves the column out."""
        return self.virtual

    def get_metadata_key(self) -> str | None:
        """The connector's name of the column, when it is another one."""
        return self.metadata_key

    def is_physical(self) -> bool:
        return False

    def is_persisted(self) -> bool:
        return not self.virtual

    def explain_extras(self) -> str | None:
        source = f" FROM '{self.metadata_key}'" if self.metadata_key else ""
        return f"METADATA{source}{' VIRTUAL' if self.virtual else ''}"


@dataclass(frozen=True)
class WatermarkSpec:
    """The event-time column of a table and the expression of its watermark."""

    rowtime_attribute: str
    watermark_expression: ResolvedExpression

    @staticmethod
    def of(rowtime_attribute: str, watermark_expression: ResolvedExpression) -> WatermarkSpec:
        """The specification of a column and an expression."""
        return WatermarkSpec(rowtime_attribute, watermark_expression)

    def get_rowtime_attribute(self) -> str:
        """The event-time column."""
        return self.rowtime_attribute

    def get_watermark_expression(self) -> ResolvedExpression:
        """The expression of the watermark."""
        return self.watermark_expression

    def as_summary_string(self) -> str:
        """As `print_schema` shows it."""
        data_type = self.watermark_expression.get_output_data_type()
        kind = f": {data_type}" if data_type is not None else ""
        return f"WATERMARK FOR {quoted(self.rowtime_attribute)}{kind} AS {self.watermark_expression.as_serializable_string()}"

    def __str__(self) -> str:
        return self.as_summary_string()


@dataclass(frozen=True)
class UniqueConstraint:
    """A primary key (not enforced, as in Flink).

    >>> UniqueConstraint.primary_key("PK_id", ["id"]).as_summary_string()
    'CONSTRAINT `PK_id` PRIMARY KEY (`id`) NOT ENFORCED'
    """

    name: str
    columns: tuple[str, ...]

    @staticmethod
    def primary_key(name: str, columns: list[str]) -> UniqueConstraint:
        """A primary key of columns."""
        return UniqueConstraint(name, tuple(columns))

    def get_name(self) -> str:
        """Name of the constraint."""
        return self.name

    def get_columns(self) -> list[str]:
        """Names of the key columns."""
        return list(self.columns)

    def is_enforced(self) -> bool:
        """Whether the engine checks the constraint: never, as in Flink."""
        return False

    def get_type_string(self) -> str:
        """Kind and columns."""
        return f"PRIMARY KEY ({', '.join(map(quoted, self.columns))})"

    def as_summary_string(self) -> str:
        """As `print_schema` shows it."""
        return f"CONSTRAINT {quoted(self.name)} {self.get_type_string()} NOT ENFORCED"

    def __str__(self) -> str:
        return self.as_summary_string()


class ResolvedSchema:
    """Columns, watermark and primary key with all types known.

    >>> from tableapi.types import DataTypes
    >>> print(ResolvedSchema.physical(["id", "name"], [DataTypes.BIGINT(), DataTypes.STRING()]))
    (
      `id` BIGINT,
      `name` STRING
    )
    """

    def __init__(
        self,
        columns: list[Column] | None = None,
        watermark_specs: list[WatermarkSpec] | None = None,
        primary_key: UniqueConstraint | None = None,
    ) -> None:
        self._columns = list(columns or [])
        self._watermark_specs = list(watermark_specs or [])
        self._primary_key = primary_key
        names = [c.name for c in self._columns]
        for name in names:
            if names.count(name) > 1:
                raise AlreadyExistsError(f"column '{name}' stands twice in the schema")

    @staticmethod
    def of(columns: list[Column]) -> ResolvedSchema:
        """The schema of columns."""
        return ResolvedSchema(columns)

    @staticmethod
    def physical(column_names: list[str], column_data_types: list[DataType]) -> ResolvedSchema:
        """The schema of stored columns."""
        return ResolvedSchema([PhysicalColumn(n, t) for n, t in zip(column_names, column_data_types, strict=True)])

    @staticmethod
    def of_rows(schema: RowSchema) -> ResolvedSchema:
        """The schema of a relation."""
        return ResolvedSchema([PhysicalColumn(f.name, f.type, time=f.time) for f in schema])

    @staticmethod
    def of_table(spec: TableSpec, resolved: RowSchema) -> ResolvedSchema:
        """The schema of a catalog table; `resolved` has the types of all its columns."""
        columns: list[Column] = []
        for column in spec.columns:
            field = resolved[column.name]
            base = (column.name, field.type, column.comment, field.time)
            match column.kind:
                case ColumnKind.PHYSICAL:
                    columns.append(PhysicalColumn(*base))
                case ColumnKind.COMPUTED:
                    assert column.expression is not None
                    columns.append(ComputedColumn(*base, ResolvedExpression(column.expression, field.type)))
                case ColumnKind.METADATA:
                    columns.append(MetadataColumn(*base, column.metadata_key, column.is_virtual))
        watermarks = []
        if spec.watermark is not None:
            time = resolved[spec.watermark.column].type
            watermarks.append(WatermarkSpec(spec.watermark.column, ResolvedExpression(spec.watermark.expression, time)))
        key = UniqueConstraint("PK_" + "_".join(spec.primary_key), spec.primary_key) if spec.primary_key else None
        return ResolvedSchema(columns, watermarks, key)

    def get_column_count(self) -> int:
        """How many columns there are."""
        return len(self._columns)

    def get_columns(self) -> list[Column]:
        """The columns, in order."""
        return list(self._columns)

    def get_column_names(self) -> list[str]:
        """Names of the columns, in order."""
        return [c.name for c in self._columns]

    def get_column_data_types(self) -> list[DataType]:
        """Types of the columns, in order."""
        return [c.data_type for c in self._columns]

    def get_column(self, column_index_or_name: int | str) -> Column | None:
        """A column by 0-based position or name, None when there is none."""
        if isinstance(column_index_or_name, int):
            in_range = 0 <= column_index_or_name < len(self._columns)
            return self._columns[column_index_or_name] if in_range else None
        return next((c for c in self._columns if c.name == column_index_or_name), None)

    def get_watermark_specs(self) -> list[WatermarkSpec]:
        """The watermark, if any."""
        return list(self._watermark_specs)

    def get_primary_key(self) -> UniqueConstraint | None:
        """The primary key, if any."""
        return self._primary_key

    def get_primary_key_indexes(self) -> list[int]:
        """Positions of the key columns."""
        names = self.get_column_names()
        return [names.index(c) for c in self._primary_key.columns] if self._primary_key else []

    def to_source_row_data_type(self) -> DataType:
        """The row that a source hands over: all columns."""
        return _row(self._columns)

    def to_physical_row_data_type(self) -> DataType:
        """The row of stored columns."""
        return _row([c for c in self._columns if c.is_physical()])

    def to_sink_row_data_type(self) -> DataType:
        """The row that a sink takes."""
        return _row([c for c in self._columns if c.is_persisted()])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ResolvedSchema):
            return NotImplemented
        return str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        parts = [*self._columns, *self._watermark_specs, *([self._primary_key] if self._primary_key else [])]
        return "(\n" + ",\n".join(f"  {part}" for part in parts) + "\n)"

    __repr__ = __str__


def _row(columns: list[Column]) -> RowType:
    return RowType(tuple(RowField(c.name, c.data_type) for c in columns), is_nullable=False)
