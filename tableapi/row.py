"""Rows and row kinds: what a result hands to the user, and the four ways a row can change.

Imports nothing from the rest of the package.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any


class RowKind(IntEnum):
    """What happened to a row (Flink: RowKind). The value is the byte used in changelog batches.

    >>> str(RowKind.UPDATE_AFTER)
    '+U'
    """

    INSERT = 0
    UPDATE_BEFORE = 1
    UPDATE_AFTER = 2
    DELETE = 3

    def __str__(self) -> str:
        return _SHORT[self.value]

    @property
    def adds(self) -> bool:
        """Whether the row is there afterwards (+I, +U)."""
        return self in (RowKind.INSERT, RowKind.UPDATE_AFTER)


_SHORT = ("+I", "-U", "+U", "-D")


class Row:
    """A record with optional field names and a row kind (PyFlink: `pyflink.common.Row`).

    >>> row = Row(name="Ada", age=36)
    >>> row.name, row[1], row.as_dict()
    ('Ada', 36, {'name': 'Ada', 'age': 36})
    >>> Row.of_kind(RowKind.DELETE, 1, "x")
    <Row(1, 'x') -D>
    """

    __slots__ = ("_fields", "_kind", "_values")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args and kwargs:
            raise ValueError("Row takes either positional values or named ones, not both")
        self._fields: list[str] | None = list(kwargs) if kwargs else None
        self._values: list[Any] = list(kwargs.values()) if kwargs else list(args)
        self._kind = RowKind.INSERT

    @classmethod
    def of_kind(cls, row_kind: RowKind, *args: Any, **kwargs: Any) -> Row:
        """A row of the given kind."""
        row = cls(*args, **kwargs)
        row._kind = row_kind
        return row

    @classmethod
    def from_values(cls, names: list[str] | None, values: list[Any], kind: RowKind = RowKind.INSERT) -> Row:
        """A row that takes over `values` and `names` as they are (no copies)."""
        row = cls.__new__(cls)
        row._fields, row._values, row._kind = names, values, kind
        return row

    def get_row_kind(self) -> RowKind:
        """The kind of change that this row is."""
        return self._kind

    def set_row_kind(self, row_kind: RowKind) -> None:
        """Sets the kind of change that this row is."""
        self._kind = row_kind

    def set_field_names(self, field_names: Sequence[str]) -> None:
        """Names the fields, in order."""
        if len(field_names) != len(self._values):
            raise ValueError(f"{len(field_names)} names for {len(self._values)} values")
        self._fields = list(field_names)

    def get_fields_by_names(self, names: Sequence[str]) -> list[Any]:
        """The values of the named fields."""
        return [self[name] for name in names]

    def as_dict(self, recursive: bool = False) -> dict[str, Any]:
        """Field names to values; nested rows too when `recursive`."""
        if self._fields is None:
            raise TypeError("this Row has no field names; set them with set_field_names()")
        values = [_nested_dict(v) for v in self._values] if recursive else self._values
        return dict(zip(self._fields, values, strict=True))

    def __call__(self, *values: Any) -> Row:
        """Uses this row of names as a factory: `Row("a", "b")(1, 2)`."""
        return Row.from_values([str(v) for v in self._values], list(values))

    def __getitem__(self, key: int | slice | str) -> Any:
        return self._values[self._index(key) if isinstance(key, str) else key]

    def __setitem__(self, key: int | str, value: Any) -> None:
        self._values[self._index(key) if isinstance(key, str) else key] = value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self._values[self._index(name)]
        except KeyError:
            raise AttributeError(f"no field '{name}'; fields: {self._fields}") from None

    def _index(self, name: str) -> int:
        if self._fields is None or name not in self._fields:
            raise KeyError(name)
        return self._fields.index(name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, item: object) -> bool:
        return item in self._values

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Row):
            return NotImplemented
        same_names = self._fields == other._fields or self._fields is None or other._fields is None
        return self._kind == other._kind and same_names and self._values == other._values

    def __hash__(self) -> int:
        return hash((self._kind, tuple(map(repr, self._values))))

    def __reduce__(self) -> tuple[object, ...]:
        return (Row.from_values, (self._fields, self._values, self._kind))

    def __repr__(self) -> str:
        values = zip(self._fields, self._values, strict=True) if self._fields else None
        body = ", ".join(f"{n}={v!r}" for n, v in values) if values else ", ".join(map(repr, self._values))
        kind = "" if self._kind is RowKind.INSERT else f" {self._kind}"
        return f"<Row({body}){kind}>" if kind else f"Row({body})"


def _nested_dict(value: Any) -> Any:
    if isinstance(value, Row) and value._fields is not None:
        return value.as_dict(recursive=True)
    if isinstance(value, list):
        return [_nested_dict(v) for v in value]
    if isinstance(value, dict):
        return {k: _nested_dict(v) for k, v in value.items()}
    return value
