"""`TableSchema`: names and types of a table's columns (deprecated in Flink in favour of `ResolvedSchema`)."""

from __future__ import annotations

from tableapi.types import DataType, RowField, RowType


class TableSchema:
    """Names and types of columns.

    >>> from tableapi.types import DataTypes
    >>> TableSchema.Builder().field("a", DataTypes.INT()).build().get_field_names()
    ['a']
    """

    class Builder:
        """Builds a `TableSchema`."""

        def __init__(self) -> None:
            self._names: list[str] = []
            self._types: list[DataType] = []

        def field(self, name: str, data_type: DataType) -> TableSchema.Builder:
            """Adds a column."""
            self._names.append(name)
            self._types.append(data_type)
            return self

        def build(self) -> TableSchema:
            """The schema."""
            return TableSchema(self._names, self._types)

    def __init__(self, field_names: list[str] | None = None, data_types: list[DataType] | None = None) -> None:
        names, types = list(field_names or []), list(data_types or [])
        if len(names) != len(types):
            raise ValueError(f"{len(names)} names for {len(types)} types")
        self._names, self._types = names, types

    def copy(self) -> TableSchema:
        """A copy."""
        return TableSchema(self._names, self._types)

    def get_field_data_types(self) -> list[DataType]:
        """Types, in order."""
        return list(self._types)

    def get_field_data_type(self, field: int | str) -> DataType | None:
        """The type of a column by name or 0-based position, None when there is none."""
        index = field if isinstance(field, int) else self._names.index(field) if field in self._names else -1
        return self._types[index] if 0 <= index < len(self._types) else None

    def get_field_count(self) -> int:
        """How many columns there are."""
        return len(self._names)

    def get_field_names(self) -> list[str]:
        """Names, in order."""
        return list(self._names)

    def get_field_name(self, field_index: int) -> str | None:
        """The name at a 0-based position, None when there is none."""
        return self._names[field_index] if 0 <= field_index < len(self._names) else None

    def to_row_data_type(self) -> RowType:
        """The columns as a ROW."""
        return RowType(tuple(RowField(n, t) for n, t in zip(self._names, self._types, strict=True)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TableSchema) and (self._names, self._types) == (other._names, other._types)

    def __hash__(self) -> int:
        return hash(tuple(self._names))

    def __repr__(self) -> str:
        lines = "\n".join(f" |-- {n}: {t}" for n, t in zip(self._names, self._types, strict=True))
        return f"root\n{lines}\n"
