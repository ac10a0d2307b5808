"""`UserDefinedType`: objects of a program's own classes as values of a table, stored as values of an SQL type.

In plans and files there is only the SQL type; objects are converted where they enter (`from_elements`, results of `udf`) and where a
`udf` that declares them as its input types takes them. May import types, errors and udf_base.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from tableapi.errors import UnsupportedError
from tableapi.types import ArrayType, DataType, MapType, RowType

__all__ = ["UserDefinedType"]

Convert = Callable[[Any], Any]


class UserDefinedType(DataType):
    """Base of types that a program defines. Subclasses say how objects are stored.

    >>> from tableapi import DataTypes
    >>> class Money(UserDefinedType):
    ...     @classmethod
    ...     def sql_type(cls):
    ...         return DataTypes.BIGINT()
    ...     def serialize(self, obj):
    ...         return round(obj * 100)
    ...     def deserialize(self, datum):
    ...         return datum / 100
    >>> Money().to_sql_type(1.5), Money().from_sql_type(150)
    (150, 1.5)
    """

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    @classmethod
    def type_name(cls) -> str:
        """Name of the type in messages."""
        return cls.__name__.lower()

    @classmethod
    def sql_type(cls) -> DataType:
        """The type that objects are stored as. Subclasses define it."""
        raise UnsupportedError(f"{cls.__name__} does not say how it is stored", fix="define sql_type()")

    @classmethod
    def module(cls) -> str:
        """The Python module of the type."""
        return cls.__module__

    @classmethod
    def java_udt(cls) -> str:
        """The class in Java that goes with it: none."""
        return ""

    def need_conversion(self) -> bool:
        """Whether objects are converted: always."""
        return True

    def serialize(self, obj: Any) -> Any:
        """The stored value of an object. Subclasses define it."""
        raise UnsupportedError(f"{type(self).__name__} cannot store objects", fix="define serialize()")

    def deserialize(self, datum: Any) -> Any:
        """The object of a stored value. Subclasses define it."""
        raise UnsupportedError(f"{type(self).__name__} cannot make objects", fix="define deserialize()")

    def to_sql_type(self, obj: Any) -> Any:
        """The stored value of an object or None."""
        return None if obj is None else self.serialize(obj)

    def from_sql_type(self, obj: Any) -> Any:
        """The object of a stored value or None."""
        return None if obj is None else self.deserialize(obj)

    def _summary(self) -> str:
        return self.sql_type().nullable().as_summary_string()

    def to_polars(self) -> pl.DataType:
        return self.sql_type().to_polars()


def stored_type(data_type: DataType) -> DataType:
    """The type with user-defined types, also inside it, replaced by those that they are stored as."""
    match data_type:
        case UserDefinedType():
            return stored_type(data_type.sql_type()).with_nullability(data_type.is_nullable)
        case ArrayType(element_type=element):
            return replace(data_type, element_type=stored_type(element))
        case MapType(key_type=key, value_type=value):
            return replace(data_type, key_type=stored_type(key), value_type=stored_type(value))
        case RowType(fields=fields):
            return replace(data_type, fields=tuple(replace(f, data_type=stored_type(f.data_type)) for f in fields))
        case _:
            return data_type


def to_stored(data_type: DataType) -> Convert | None:
    """What turns a value with objects into the stored one; None when there are no user-defined types in it."""
    return _converter(data_type, lambda t: t.to_sql_type)


def from_stored(data_type: DataType) -> Convert | None:
    """What turns a stored value into one with objects; None when there are no user-defined types in it."""
    return _converter(data_type, lambda t: t.from_sql_type)


def _converter(data_type: DataType, convert: Callable[[UserDefinedType], Convert]) -> Convert | None:
    match data_type:
        case UserDefinedType():
            return convert(data_type)
        case ArrayType(element_type=element):
            inner = _converter(element, convert)
            return None if inner is None else lambda v: None if v is None else [inner(e) for e in v]
        case MapType(key_type=key, value_type=value):
            return _map_converter(_converter(key, convert), _converter(value, convert))
        case RowType(fields=fields):
            return _row_converter([_converter(f.data_type, convert) for f in fields])
        case _:
            return None


def _map_converter(key: Convert | None, value: Convert | None) -> Convert | None:
    if key is None and value is None:
        return None
    same: Convert = lambda v: v  # noqa: E731
    of_key, of_value = key or same, value or same
    return lambda entries: None if entries is None else {of_key(k): of_value(v) for k, v in entries.items()}


def _row_converter(converters: Sequence[Convert | None]) -> Convert | None:
    if not any(converters):
        return None
    return lambda row: None if row is None else tuple(v if c is None else c(v) for c, v in zip(converters, row, strict=True))


class _Converting:
    """A scalar function between stored values and objects."""

    def __init__(self, function: Any, arguments: Sequence[Convert | None], result: Convert | None) -> None:
        self._function, self._arguments, self._result = function, arguments, result
        self.__name__ = getattr(function, "__name__", type(function).__name__)

    def open(self, function_context: Any) -> None:
        if hasattr(self._function, "open"):
            self._function.open(function_context)

    def close(self) -> None:
        if hasattr(self._function, "close"):
            self._function.close()

    def eval(self, *args: Any) -> Any:
        call = getattr(self._function, "eval", self._function)
        given = (a if c is None else c(a) for c, a in zip(self._arguments, args, strict=True)) if self._arguments else args
        found = call(*given)
        return found if self._result is None else self._result(found)


def with_objects(function: Any, input_types: Sequence[DataType] | None, result_type: DataType, func_type: str) -> Any:
    """The function that takes and returns stored values where its types are user-defined; the function itself without those.

    Raises:
        UnsupportedError: It takes whole columns, or is a coroutine.
    """
    arguments = [from_stored(t) for t in input_types or ()]
    result = to_stored(result_type)
    if result is None and not any(arguments):
        return function
    if func_type != "general" or inspect.iscoroutinefunction(getattr(function, "eval", function)):
        raise UnsupportedError(
            "user-defined types are for functions of one row", fix="use the SQL type, and convert in the function"
        )
    return _Converting(function, arguments if any(arguments) else (), result)
