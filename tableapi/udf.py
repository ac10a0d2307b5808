"""Python functions in queries: `udf`, `udtf`, `udaf`, `udtaf`, the wrappers that they make, and the base classes.

A wrapper says what the runtime needs to know: `name`, `func`, `input_types`, `result_type`, `func_type`
("general", "pandas", "arrow", "polars"), `deterministic`, `kind` ("scalar", "table", "aggregate", "table_aggregate").
May import types, errors, expressions; never runtime.
"""

from __future__ import annotations

import copy
import functools
import inspect
import io
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any

from tableapi.data_view import DataView, ListView, MapView
from tableapi.errors import Location, TypeMismatchError, UnknownNameError, UnsupportedError, ValidationError, did_you_mean
from tableapi.expression import Expression
from tableapi.expression_base import as_data_type, caller, to_node
from tableapi.plan.unresolved import As, UdfCall, Unresolved
from tableapi.types import ArrayType, DataType, DataTypes, RowField, RowType
from tableapi.udf_base import (
    AggregateFunction,
    AsyncScalarFunction,
    FunctionContext,
    ImperativeAggregateFunction,
    ScalarFunction,
    TableAggregateFunction,
    TableFunction,
    UserDefinedFunction,
)
from tableapi.user_defined_type import with_objects

__all__ = [
    "AggregateFunction",
    "AsyncScalarFunction",
    "DataView",
    "FunctionContext",
    "ImperativeAggregateFunction",
    "ListView",
    "MapView",
    "ScalarFunction",
    "TableAggregateFunction",
    "TableFunction",
    "UserDefinedFunction",
    "udaf",
    "udf",
    "udtaf",
    "udtf",
]

Types = Sequence[DataType | str] | DataType | str | None

FUNC_TYPES = ("general", "pandas", "arrow", "polars")


class UserDefinedFunctionWrapper:
    """A Python function and what is declared of it. Calling it with expressions gives an expression."""

    kind = "scalar"

    def __init__(
        self,
        func: Any,
        name: str,
        input_types: tuple[DataType, ...] | None,
        result_type: DataType,
        deterministic: bool,
        func_type: str = "general",
        accumulator_type: DataType | None = None,
    ) -> None:
        self.func, self.name = func, name
        self.input_types, self.result_type = input_types, result_type
        self.deterministic, self.func_type = deterministic, func_type
        self.accumulator_type = accumulator_type
        self.alias_names: tuple[str, ...] = ()
        self.__doc__ = getattr(func, "__doc__", None)

    def __call__(self, *args: Any) -> Expression:
        where = caller()
        return Expression(call_node(self, tuple(to_node(a, where) for a in args), where))

    def __reduce__(self) -> tuple[Any, ...]:
        """Lambdas and functions of a notebook travel by value, and what cannot travel is named.

        Raises:
            ValidationError: The function holds something that cannot be sent to another process.
        """
        try:
            function = _packed(self.func)
        except Exception as error:
            raise ValidationError(
                f"Python function '{self.name}' cannot be sent to a worker process: {error}",
                fix="make what it uses in open() of a function class, or set 'python.execution-mode' = 'thread'",
            ) from error
        return _unpacked, (type(self), {**self.__dict__, "func": function})

    def __copy__(self) -> UserDefinedFunctionWrapper:
        return _restored(type(self), self.__dict__)

    def alias(self, *alias_names: str) -> UserDefinedFunctionWrapper:
        """The same function whose result columns have these names."""
        renamed = copy.copy(self)
        renamed.alias_names = alias_names
        return renamed

    def __repr__(self) -> str:
        return f"<{self.kind} function {self.name} -> {self.result_type}>"


def _restored(kind: type[UserDefinedFunctionWrapper], state: dict[str, Any]) -> UserDefinedFunctionWrapper:
    made = kind.__new__(kind)
    made.__dict__.update(state)
    return made


def _packed(function: Any) -> bytes:
    """The function by cloudpickle, whose code still tells its file: from its 3.1.3 on cloudpickle leaves that out, and a failure could
    not show the user's lines."""
    import cloudpickle

    reduce = cloudpickle.Pickler.dispatch_table[types.CodeType]

    def with_file(code: types.CodeType) -> tuple[Any, ...]:
        make, args, *rest = reduce(code)
        return (make, tuple(code.co_filename if arg == "<dynamic-code>" else arg for arg in args), *rest)

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        dispatch_table = cloudpickle.Pickler.dispatch_table.new_child({types.CodeType: with_file})

    file = io.BytesIO()
    Pickler(file).dump(function)
    return file.getvalue()


def _unpacked(kind: type[UserDefinedFunctionWrapper], state: dict[str, Any]) -> UserDefinedFunctionWrapper:
    import cloudpickle

    return _restored(kind, {**state, "func": cloudpickle.loads(state["func"])})


class UserDefinedScalarFunctionWrapper(UserDefinedFunctionWrapper):
    """A Python function of one row."""


class UserDefinedAsyncScalarFunctionWrapper(UserDefinedScalarFunctionWrapper):
    """A coroutine function of one row."""


class UserDefinedTableFunctionWrapper(UserDefinedFunctionWrapper):
    """A Python function that gives rows for a row."""

    kind = "table"


class UserDefinedAggregateFunctionWrapper(UserDefinedFunctionWrapper):
    """A Python function of a group of rows."""

    kind = "aggregate"


class UserDefinedTableAggregateFunctionWrapper(UserDefinedAggregateFunctionWrapper):
    """A Python function of a group of rows that gives rows."""

    kind = "table_aggregate"


def call_node(function: Any, args: tuple[Unresolved, ...], where: Location | None) -> Unresolved:
    """The call of a wrapper, under the names that its `alias` gave."""
    if not isinstance(function, UserDefinedFunctionWrapper):
        raise TypeMismatchError(
            f"{function!r} is not a function of a query", where=where, fix="wrap it with udf(), udtf() or udaf()"
        )
    call = UdfCall(function, args, where=where)
    return As(call, function.alias_names, where=where) if function.alias_names else call


def udf(
    f: Any = None,
    input_types: Types = None,
    result_type: DataType | str | None = None,
    deterministic: bool | None = None,
    name: str | None = None,
    func_type: str = "general",
) -> Any:
    """Makes a function of one row from a Python function; also a decorator.

    Args:
        f: A function, lambda, callable object, `functools.partial`, or a `ScalarFunction` (instance or class).
        input_types: Types that the arguments are cast to; not cast when left out.
        result_type: Type of the result, or SQL text; by default what the annotation says.
        deterministic: Whether equal arguments always give equal results (True by default).
        name: Name in plans and messages.
        func_type: `general` takes the values of one row; `pandas`, `arrow` and `polars` take and return whole columns.

    Raises:
        ValidationError: The result type is missing, or the function is not callable.

    >>> from tableapi.expressions import col
    >>> @udf(result_type="BIGINT")
    ... def twice(x):
    ...     return x * 2
    >>> twice(col("a"))
    twice(a)
    """
    if f is None:
        return functools.partial(
            udf, input_types=input_types, result_type=result_type, deterministic=deterministic, name=name, func_type=func_type
        )
    _check_func_type(func_type, FUNC_TYPES)
    function = _prepared(f, "eval")
    result = _result_type(result_type, function, "udf(result_type=...)")
    function = with_objects(function, _declared(input_types), _declared(result_type)[0] if result_type else result, func_type)
    is_async = inspect.iscoroutinefunction(getattr(function, "eval", function))
    kind = UserDefinedAsyncScalarFunctionWrapper if is_async else UserDefinedScalarFunctionWrapper
    return kind(
        function, name or _name(f), _input_types(input_types), result, _deterministic(deterministic, function), func_type
    )


def udtf(
    f: Any = None,
    input_types: Types = None,
    result_types: Types = None,
    deterministic: bool | None = None,
    name: str | None = None,
) -> Any:
    """Makes a function that gives rows for a row from a Python function; also a decorator.

    Args:
        f: A function or generator, or a `TableFunction` (instance or class). It returns None, a row (tuple, `Row` or single
            value) or an iterable of rows.
        input_types: Types that the arguments are cast to; not cast when left out.
        result_types: Type of the single column, a list of column types, or a ROW.
        deterministic: Whether equal arguments always give equal rows (True by default).
        name: Name in plans and messages.

    Raises:
        ValidationError: The result types are missing, or the function is not callable.

    >>> from tableapi.expressions import col
    >>> @udtf(result_types=["STRING"])
    ... def words(text):
    ...     return text.split()
    >>> words(col("line")).alias("word")
    as(words(line), 'word')
    """
    if f is None:
        return functools.partial(
            udtf, input_types=input_types, result_types=result_types, deterministic=deterministic, name=name
        )
    function = _prepared(f, "eval")
    if result_types is None:
        raise ValidationError(f"'{_name(f)}' needs result types", where=caller(), fix="udtf(result_types=['STRING'])")
    result: DataType
    if isinstance(result_types, DataType | str):
        result = as_data_type(result_types)
    else:
        columns = [as_data_type(t) for t in result_types]
        single = columns[0] if len(columns) == 1 else None
        result = single or RowType(tuple(RowField(f"f{i}", t) for i, t in enumerate(columns)))
    return UserDefinedTableFunctionWrapper(
        function, name or _name(f), _input_types(input_types), result, _deterministic(deterministic, function)
    )


def udaf(
    f: Any = None,
    input_types: Types = None,
    result_type: DataType | str | None = None,
    accumulator_type: DataType | str | None = None,
    deterministic: bool | None = None,
    name: str | None = None,
    func_type: str = "general",
) -> Any:
    """Makes a function of a group of rows; also a decorator.

    Args:
        f: An `AggregateFunction` (instance or class); with `func_type="pandas"` also a function of whole columns.
        input_types: Types that the arguments are cast to; not cast when left out.
        result_type: Type of the result; by default what `get_result_type()` says.
        accumulator_type: Accepted for programs written for Flink; accumulators are plain Python objects here.
        deterministic: Whether equal groups always give equal results (True by default).
        name: Name in plans and messages.
        func_type: `general` is called row by row; `pandas`, `arrow` and `polars` get the whole columns of a group.

    Raises:
        ValidationError: The result type is missing, or a general aggregate is not an `AggregateFunction`.

    >>> from tableapi.expressions import col
    >>> @udaf(result_type="DOUBLE", func_type="pandas")
    ... def spread(v):
    ...     return v.max() - v.min()
    >>> spread(col("v"))
    spread(v)
    """
    if f is None:
        return functools.partial(
            udaf,
            input_types=input_types,
            result_type=result_type,
            accumulator_type=accumulator_type,
            deterministic=deterministic,
            name=name,
            func_type=func_type,
        )
    _check_func_type(func_type, FUNC_TYPES)
    function = _aggregate(f, func_type, "get_value", "AggregateFunction")
    return UserDefinedAggregateFunctionWrapper(
        function,
        name or _name(f),
        _input_types(input_types),
        _aggregate_type(result_type, function, "udaf(result_type=...)"),
        _deterministic(deterministic, function),
        func_type,
        None if accumulator_type is None else as_data_type(accumulator_type),
    )


def udtaf(
    f: Any = None,
    input_types: Types = None,
    result_type: DataType | str | None = None,
    accumulator_type: DataType | str | None = None,
    deterministic: bool | None = None,
    name: str | None = None,
    func_type: str = "general",
) -> Any:
    """Makes a function of a group of rows that gives rows; also a decorator. For `flat_aggregate`.

    Args:
        f: A `TableAggregateFunction` (instance or class).
        input_types: Types that the arguments are cast to; not cast when left out.
        result_type: Type of a row; by default what `get_result_type()` says.
        accumulator_type: Accepted for programs written for Flink; accumulators are plain Python objects here.
        deterministic: Whether equal groups always give equal rows (True by default).
        name: Name in plans and messages.
        func_type: Only `general`.

    Raises:
        ValidationError: The result type is missing, or `f` is not a `TableAggregateFunction`.
    """
    if f is None:
        return functools.partial(
            udtaf,
            input_types=input_types,
            result_type=result_type,
            accumulator_type=accumulator_type,
            deterministic=deterministic,
            name=name,
            func_type=func_type,
        )
    _check_func_type(func_type, ("general",))
    function = _aggregate(f, func_type, "emit_value", "TableAggregateFunction")
    return UserDefinedTableAggregateFunctionWrapper(
        function,
        name or _name(f),
        _input_types(input_types),
        _aggregate_type(result_type, function, "udtaf(result_type=...)"),
        _deterministic(deterministic, function),
        func_type,
        None if accumulator_type is None else as_data_type(accumulator_type),
    )


def as_array_aggregate(function: UserDefinedFunctionWrapper) -> UserDefinedAggregateFunctionWrapper:
    """A table aggregate as an aggregate whose value is the ARRAY of the rows that it emits."""
    original = function.func

    def get_value(self: Any, accumulator: Any) -> list[Any]:
        return [_as_row(r, function.result_type) for r in self.emit_value(accumulator) or ()]

    derived = type(type(original).__name__, (type(original),), {"get_value": get_value})
    emitting = copy.copy(original)
    emitting.__class__ = derived
    return UserDefinedAggregateFunctionWrapper(
        emitting, function.name, function.input_types, ArrayType(function.result_type), function.deterministic
    )


def _as_row(value: Any, result_type: DataType) -> Any:
    is_row = isinstance(result_type, RowType)
    return (value,) if is_row and not isinstance(value, tuple | list) and not hasattr(value, "get_row_kind") else value


def load_function(path: str, language: str) -> UserDefinedFunctionWrapper:
    """The wrapper that `module.attribute` names.

    Raises:
        UnsupportedError: The language is not Python.
        UnknownNameError: There is no such module or attribute.
        ValidationError: It is not made by `udf()` and the like.
    """
    import importlib

    if language.upper() != "PYTHON":
        raise UnsupportedError(
            f"functions in {language} cannot run here", fix=f"write it in Python: CREATE FUNCTION … AS '{path}' LANGUAGE PYTHON"
        )
    module_name, _, attribute = path.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except (ImportError, ValueError) as error:
        raise UnknownNameError(
            f"module '{module_name}' of function '{path}' cannot be imported: {error}",
            fix="add its folder with add_python_file() or PYTHONPATH",
        ) from None
    found = getattr(module, attribute, None)
    if found is None:
        raise UnknownNameError(f"'{module_name}' has no '{attribute}'", fix=did_you_mean(attribute, dir(module)))
    if isinstance(found, UserDefinedFunctionWrapper):
        return found
    if isinstance(found, TableAggregateFunction):
        return typing.cast(UserDefinedFunctionWrapper, udtaf(found))
    if isinstance(found, AggregateFunction):
        return typing.cast(UserDefinedFunctionWrapper, udaf(found))
    raise ValidationError(f"'{path}' is not a function of a query", fix="wrap it with udf(), udtf() or udaf()")


def as_wrapper(function: Any) -> UserDefinedFunctionWrapper:
    """What `create_temporary_function` is given, as a wrapper.

    Raises:
        TypeMismatchError: It is not a Python function of a query.
    """
    if isinstance(function, UserDefinedFunctionWrapper):
        return function
    if isinstance(function, TableAggregateFunction):
        return typing.cast(UserDefinedFunctionWrapper, udtaf(function))
    if isinstance(function, AggregateFunction):
        return typing.cast(UserDefinedFunctionWrapper, udaf(function))
    raise TypeMismatchError(f"{function!r} is not a function of a query", fix="wrap it with udf(), udtf() or udaf()")


def _prepared(f: Any, method: str) -> Any:
    function = f() if inspect.isclass(f) else f
    if not callable(function) and not hasattr(function, method):
        raise ValidationError(
            f"{f!r} is not callable and has no {method}()",
            where=caller(),
            fix="give a function, a lambda or an instance of ScalarFunction",
        )
    return function


def _aggregate(f: Any, func_type: str, method: str, base: str) -> Any:
    function = f() if inspect.isclass(f) else f
    is_imperative = hasattr(function, method) and hasattr(function, "accumulate")
    if not is_imperative and not (func_type != "general" and callable(function)):
        raise ValidationError(
            f"{f!r} is not a {base}",
            where=caller(),
            fix=f"derive a class from {base}, or use func_type='pandas' for a function of whole columns",
        )
    return function


def _name(f: Any) -> str:
    if isinstance(f, functools.partial):
        return _name(f.func)
    return str(getattr(f, "__name__", None) or type(f).__name__)


def _check_func_type(func_type: str, known: tuple[str, ...]) -> None:
    if func_type not in known:
        raise ValidationError(
            f"func_type '{func_type}' does not exist",
            where=caller(),
            exists=", ".join(known),
            fix=did_you_mean(func_type, known),
        )


def _deterministic(declared: bool | None, function: Any) -> bool:
    own = getattr(function, "is_deterministic", None)
    says = True if own is None else bool(own())
    if declared is not None and own is not None and says != declared:
        raise ValidationError(
            f"deterministic={declared} was declared, but is_deterministic() of '{_name(function)}' says {says}", where=caller()
        )
    return says if declared is None else declared


def _declared(types: Types) -> list[DataType]:
    """The types as they are declared, user-defined ones too."""
    listed = [types] if isinstance(types, DataType | str) else list(types or ())
    return [t if isinstance(t, DataType) else as_data_type(t) for t in listed]


def _input_types(types: Types) -> tuple[DataType, ...] | None:
    if types is None:
        return None
    if isinstance(types, DataType | str):
        return (as_data_type(types),)
    return tuple(as_data_type(t) for t in types)


def _aggregate_type(declared: DataType | str | None, function: Any, how: str) -> DataType:
    if declared is None and isinstance(function, ImperativeAggregateFunction):
        try:
            declared = function.get_result_type()
        except RuntimeError:
            declared = None
    return _result_type(declared, function, how)


def _result_type(declared: DataType | str | None, function: Any, how: str) -> DataType:
    if declared is not None:
        return as_data_type(declared)
    annotated = _annotated_type(getattr(function, "eval", function))
    if annotated is None:
        raise ValidationError(f"'{_name(function)}' needs a result type", where=caller(), fix=f"{how} or annotate the function")
    return annotated


def _annotated_type(function: Callable[..., Any]) -> DataType | None:
    import datetime

    try:
        hint = typing.get_type_hints(function).get("return")
    except (NameError, TypeError):
        return None
    options = [a for a in typing.get_args(hint) if a is not type(None)]
    if len(options) == 1 and len(typing.get_args(hint)) == 2 and typing.get_origin(hint) is not dict:
        hint = options[0]
    by_python = {
        bool: DataTypes.BOOLEAN(),
        int: DataTypes.BIGINT(),
        float: DataTypes.DOUBLE(),
        str: DataTypes.STRING(),
        bytes: DataTypes.BYTES(),
        bytearray: DataTypes.BYTES(),
        datetime.date: DataTypes.DATE(),
        datetime.time: DataTypes.TIME(),
        datetime.datetime: DataTypes.TIMESTAMP(6),
    }
    return by_python.get(hint) if isinstance(hint, type) else None
