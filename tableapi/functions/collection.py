"""Functions of ARRAY, MAP, MULTISET and ROW values. Positions count from 1.

A value is looked for in a list of the same row by appending it to the list and comparing each element with the last one: so the
search stays one Polars expression. May import types, plan.typing and the sibling helpers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from tableapi.errors import TypeMismatchError, UnknownNameError, did_you_mean
from tableapi.functions.checks import fail_where
from tableapi.functions.registry import LoweringCall, Resolved, ScalarFunction
from tableapi.functions.rowwise import each
from tableapi.functions.signatures import (
    ARRAY,
    AS_INT,
    BOOLEAN,
    COLLECTION,
    MAP,
    TEXT,
    Param,
    _check_count,
    first,
    merge,
    signature,
)
from tableapi.functions.variant import element_of_variant
from tableapi.plan.rex import Literal, Rex
from tableapi.plan.typing import can_cast, common_type
from tableapi.types import (
    MAX_LENGTH,
    ArrayType,
    BitmapType,
    BooleanType,
    CharacterType,
    CharType,
    DataType,
    IntegralType,
    IntType,
    MapType,
    MultisetType,
    NullType,
    RowField,
    RowType,
    VarCharType,
    VariantType,
)

_NESTED = (ArrayType, MapType, MultisetType, RowType)


def _array_constructor(args: Sequence[Rex]) -> Resolved:
    _check_count(len(args), 1, None)
    element = merge([a.type for a in args])
    return Resolved((element,) * len(args), ArrayType(element, is_nullable=False))


def _array(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return _listed(args, call.args[0].type)


def _listed(values: Sequence[pl.Expr], element: DataType) -> pl.Expr:
    """A list of the values, also when they are lists themselves."""
    if element.to_polars().is_nested():
        wrapped = [pl.struct(v.alias("e")) for v in values]
        return pl.concat_list(wrapped).list.eval(pl.element().struct.field("e"))
    if isinstance(element, NullType):
        return pl.concat_list([v.cast(pl.Null) for v in values])
    return pl.concat_list(values)


def _map_constructor(args: Sequence[Rex]) -> Resolved:
    if not args or len(args) % 2:
        raise TypeMismatchError("MAP needs pairs of a key and a value")
    key, value = merge([a.type for a in args[::2]]), merge([a.type for a in args[1::2]])
    return Resolved((key, value) * (len(args) // 2), MapType(key, value, is_nullable=False))


def _entry(key: pl.Expr, value: pl.Expr) -> pl.Expr:
    return pl.struct(key.alias("key"), value.alias("value"))


def _map(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    entries = pl.concat_list([_entry(k, v) for k, v in zip(args[::2], args[1::2], strict=True)])
    return _last_wins(entries) if len(args) > 2 else entries


def _last_wins(entries: pl.Expr) -> pl.Expr:
    element = pl.element()
    return entries.list.eval(element.filter(element.struct.field("key").is_last_distinct()))


def _row_constructor(args: Sequence[Rex]) -> Resolved:
    _check_count(len(args), 1, None)
    fields = tuple(RowField(f"EXPR${i}", a.type) for i, a in enumerate(args))
    return Resolved(tuple(a.type for a in args), RowType(fields, is_nullable=False))


def _api_row_constructor(args: Sequence[Rex]) -> Resolved:
    fields = tuple(RowField(f"f{i}", a.type) for i, a in enumerate(args))
    return Resolved(tuple(a.type for a in args), RowType(fields, is_nullable=False))


def _row(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    assert isinstance(call.type, RowType)
    return pl.struct([a.alias(f.name) for a, f in zip(args, call.type.fields, strict=True)])


def _field_index(args: Sequence[Rex], first: int = 0) -> int:
    """The position of the field that the second argument (a name, or a number from `first`) names."""
    row, wanted = args[0].type, args[1]
    assert isinstance(row, RowType)
    value = wanted.value if isinstance(wanted, Literal) else None
    if isinstance(value, str) and value in row.field_names():
        return row.field_names().index(value)
    position = value - first if isinstance(value, int) and not isinstance(value, bool) else -1
    if 0 <= position < len(row.fields):
        return position
    raise UnknownNameError(
        f"the row has no field {value!r}",
        where=wanted.where,
        exists=f"fields: {', '.join(row.field_names())}",
        fix=did_you_mean(str(value), row.field_names()),
    )


def _get_signature(args: Sequence[Rex], first: int = 0) -> Resolved:
    _check_count(len(args), 2, 2)
    if not isinstance(args[0].type, RowType):
        raise TypeMismatchError(f"{args[0].type} has no fields", where=args[0].where)
    field = args[0].type.fields[_field_index(args, first)].data_type
    result = field.nullable() if args[0].type.is_nullable else field
    return Resolved((args[0].type, args[1].type), result)


def _get(args: Sequence[pl.Expr], call: LoweringCall, first: int = 0) -> pl.Expr:
    row = call.args[0].type
    assert isinstance(row, RowType)
    return args[0].struct.field(row.fields[_field_index(call.args, first)].name)


def _at_signature(args: Sequence[Rex]) -> Resolved:
    _check_count(len(args), 2, 2)
    container, index = args[0].type, args[1]
    match container:
        case ArrayType(element_type=element):
            if not isinstance(index.type, IntegralType | NullType):
                raise TypeMismatchError(f"the index of an ARRAY is {index.type}, not an integer", where=index.where)
            if isinstance(index, Literal) and index.value is not None and index.value < 1:
                raise TypeMismatchError(
                    f"the index {index.value} is below 1", where=index.where, fix="the first element is [1]"
                )
            return Resolved((container, IntType()), element.nullable())
        case MapType(key_type=key, value_type=value):
            if common_type([key, index.type]) is None:
                raise TypeMismatchError(f"the key is {index.type}, the MAP has {key}", where=index.where)
            return Resolved((container, key.nullable()), value.nullable())
        case RowType():
            return _get_signature(args, first=1)
        case VariantType():
            if not isinstance(index.type, IntegralType | CharacterType):
                raise TypeMismatchError(f"a VARIANT is indexed by an integer or a name, not {index.type}", where=index.where)
            return Resolved((container, index.type), container.nullable())
    raise TypeMismatchError(f"{container} has no elements", where=args[0].where)


def _at(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    container = call.args[0].type
    if isinstance(container, RowType):
        return _get(args, call, first=1)
    if isinstance(container, VariantType):
        return element_of_variant(args)
    if isinstance(container, ArrayType):
        index = pl.when(args[1] >= 1).then(args[1] - 1)
        return args[0].list.get(index, null_on_oob=True)
    assert isinstance(container, MapType)
    missing = _entry(args[1], pl.lit(None, dtype=container.value_type.to_polars()))
    element = pl.element()
    found = element.filter(element.struct.field("key") == element.struct.field("key").last()).struct.field("value")
    return args[0].list.concat(missing).list.eval(found).list.first()


def _length(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return args[0].list.len().cast(pl.Int32)


def _element_signature(args: Sequence[Rex]) -> Resolved:
    checked = signature(
        Param("an ARRAY or MULTISET", lambda t: isinstance(t, ArrayType | MultisetType), lambda t: t), result=first
    )(args)
    collection = args[0].type
    assert isinstance(collection, ArrayType | MultisetType)
    return Resolved(checked.arg_types, collection.element_type.nullable())


def _element(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    size = fail_where(
        call.guarded(args[0].list.len().cast(pl.Int64)),
        pl.Int64(),
        lambda s: s > 1,
        "ELEMENT() of a collection with {value} elements",
        fix="use [1] for the first element",
    )
    value = pl.when(size == 1).then(args[0].list.first())
    return value.struct.field("key") if isinstance(call.args[0].type, MultisetType) else value


def _element_rule(result: Callable[[ArrayType, DataType], DataType]) -> Callable[[Sequence[Rex]], Resolved]:
    """(array, value): the value takes the array's element type, to which it must widen."""

    def resolve(args: Sequence[Rex]) -> Resolved:
        _check_count(len(args), 2, 2)
        array, value = args[0].type, args[1].type
        if not isinstance(array, ArrayType):
            raise TypeMismatchError(f"argument 1 is {array}, but an ARRAY is needed", where=args[0].where)
        element = value if isinstance(array.element_type, NullType) else array.element_type
        if not can_cast(value, element, implicit=True):
            raise TypeMismatchError(f"a {value.nullable()} is no element of {array.nullable()}", where=args[1].where)
        wanted = element.with_nullability(value.is_nullable)
        return Resolved((replace(array, element_type=element), wanted), result(replace(array, element_type=element), wanted))

    return resolve


def _with_added(array: ArrayType, value: DataType) -> DataType:
    """The array with one more element, which may be NULL."""
    if array.element_type.is_nullable or not value.is_nullable:
        return array
    return ArrayType(array.element_type.nullable())


def _same_array(array: ArrayType, value: DataType) -> DataType:
    return array


def _cut(value: pl.Expr, element: DataType) -> pl.Expr:
    """A text as long as the elements of the array that it is added to."""
    if isinstance(element, CharType):
        return value.str.slice(0, element.length).str.pad_end(element.length)
    return value.str.slice(0, element.length) if isinstance(element, VarCharType) and element.length < MAX_LENGTH else value


def _one(value: pl.Expr, element: DataType) -> pl.Expr:
    return _listed([value], element)


def _element_type(call: LoweringCall) -> DataType:
    array = call.args[0].type
    assert isinstance(array, ArrayType)
    return array.element_type


def _append(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    element = _element_type(call)
    return args[0].list.concat(_one(_cut(args[1], element), element))


def _prepend(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    element = _element_type(call)
    return _one(_cut(args[1], element), element).list.concat(args[0])


def _contains(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    element = pl.element()
    with_needle = args[0].list.concat(_one(args[1], _element_type(call)))
    hits = with_needle.list.eval(element.eq_missing(element.last()).cast(pl.Int32)).list.sum()
    return hits > 1


def _position(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    element = pl.element()
    with_needle = args[0].list.concat(_one(args[1], _element_type(call)))
    index = with_needle.list.eval(element.eq_missing(element.last()).cast(pl.Int8)).list.arg_max().cast(pl.Int32)
    found = pl.when(index < args[0].list.len()).then(index + 1).otherwise(0)
    return pl.when(args[0].is_not_null() & args[1].is_not_null()).then(found)


def _remove(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    element = pl.element()
    with_needle = args[0].list.concat(_one(args[1], _element_type(call)))
    return with_needle.list.eval(element.filter(element.ne_missing(element.last())))


def _same_arrays(count: int | None) -> Callable[[Sequence[Rex]], Resolved]:
    """That many arrays (None: one or more) that take their common type, which is the result's."""

    def resolve(args: Sequence[Rex]) -> Resolved:
        checked = signature(ARRAY, rest=ARRAY, result=first)(args)
        _check_count(len(args), count or 1, count)
        common = merge(list(checked.arg_types))
        return Resolved((common,) * len(args), common)

    return resolve


def _distinct(values: pl.Expr) -> pl.Expr:
    return values.list.unique(maintain_order=True)


def _membership(args: Sequence[pl.Expr], call: LoweringCall, keep: bool) -> pl.Expr:
    def chosen(left: list[Any], right: list[Any]) -> list[Any]:
        made: list[Any] = []
        for value in left:
            if (value in right) == keep and value not in made:
                made.append(value)
        return made

    exact = each(args, chosen, call.type.to_polars())
    if _element_type(call).to_polars().is_nested():
        return exact
    # Polars fails on a constant NULL, and moves NULLs to the end.
    left, right = (a.fill_null(pl.lit([], dtype=call.type.to_polars())) for a in args)
    both = left.list.set_intersection(right) if keep else left.list.set_difference(right)
    has_null = args[0].list.eval(pl.element().is_null()).list.any()
    known = args[0].is_not_null() & args[1].is_not_null()
    return pl.when(has_null).then(exact).when(known).then(_distinct(both))


def _union(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return _distinct(args[0].list.concat(args[1]))


def _concat(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return pl.concat_list(args)


def _join_signature(args: Sequence[Rex]) -> Resolved:
    texts = Param(
        "an ARRAY of strings",
        lambda t: isinstance(t, ArrayType) and isinstance(t.element_type, CharacterType | NullType),
        lambda t: t,
    )
    return signature(texts, TEXT, TEXT, optional=1, result=VarCharType())(args)


def _join(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    # A constant array would be joined by the first row's separator only.
    array = args[0] if call.is_constant(1) else pl.when(args[1].is_not_null()).then(args[0])
    if len(args) == 3:
        replacement = call.constant(2)
        if isinstance(replacement, str):
            return array.list.eval(pl.element().fill_null(replacement)).list.join(args[1])
        return each(args, lambda parts, sep, new: sep.join(new if p is None else p for p in parts), pl.String())
    return array.list.drop_nulls().list.join(args[1])


def _slice(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    size = args[0].list.len().cast(pl.Int64)

    def from_start(position: pl.Expr) -> pl.Expr:
        wide = position.cast(pl.Int64)
        return pl.when(wide < 0).then(size + wide + 1).when(wide == 0).then(1).otherwise(wide)

    start = pl.max_horizontal(from_start(args[1]), pl.lit(1))
    end = pl.min_horizontal(from_start(args[2]), size) if len(args) > 2 else size
    length = pl.max_horizontal(end - start + 1, pl.lit(0))
    known = args[1].is_not_null() & (args[2].is_not_null() if len(args) > 2 else pl.lit(True))
    return pl.when(known).then(args[0].list.slice(start - 1, length))


def _sort(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    ascending = call.constant(1, True if len(args) < 2 else None)
    nulls_first = call.constant(2, ascending if len(args) < 3 else None)
    if ascending is None or nulls_first is None:
        if all(call.is_constant(i) for i in range(1, len(args))):
            return pl.lit(None, dtype=call.type.to_polars())
        return _sort_by_row(args)
    return args[0].list.sort(descending=not ascending, nulls_last=not nulls_first)


def _sort_by_row(args: Sequence[pl.Expr]) -> pl.Expr:
    ascending = args[1]
    nulls_first = args[2] if len(args) > 2 else args[1]
    made: pl.Expr = pl.lit(None)
    for up in (True, False):
        for first_nulls in (True, False):
            chosen = (ascending == up) & (nulls_first == first_nulls)
            made = pl.when(chosen).then(args[0].list.sort(descending=not up, nulls_last=not first_nulls)).otherwise(made)
    return made


def _map_part(part: str) -> Callable[[Sequence[pl.Expr], LoweringCall], pl.Expr]:
    return lambda args, call: args[0].list.eval(pl.element().struct.field(part))


def _map_rule(result: Callable[[MapType], DataType]) -> Callable[[Sequence[Rex]], Resolved]:
    def resolve(args: Sequence[Rex]) -> Resolved:
        checked = signature(MAP, result=first)(args)
        assert isinstance(args[0].type, MapType)
        return Resolved(checked.arg_types, result(args[0].type).with_nullability(args[0].type.is_nullable))

    return resolve


def _entries_type(data_type: MapType) -> DataType:
    return ArrayType(RowType((RowField("key", data_type.key_type), RowField("value", data_type.value_type))))


def _from_arrays_signature(args: Sequence[Rex]) -> Resolved:
    checked = signature(ARRAY, ARRAY, result=first)(args)
    keys, values = checked.arg_types
    assert isinstance(keys, ArrayType)
    assert isinstance(values, ArrayType)
    result = MapType(keys.element_type, values.element_type, is_nullable=checked.result.is_nullable)
    return Resolved(checked.arg_types, result)


def _from_arrays(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    difference = (args[0].list.len().cast(pl.Int64) - args[1].list.len().cast(pl.Int64)).abs()
    checked = fail_where(
        call.guarded(difference),
        pl.Int64(),
        lambda s: s > 0,
        "MAP_FROM_ARRAYS: the arrays differ in length by {value}",
        fix="give arrays of one length",
    )

    def zipped(_: int, keys: list[Any], values: list[Any]) -> list[dict[str, Any]]:
        return [{"key": k, "value": v} for k, v in dict(zip(keys, values, strict=False)).items()]

    return each([checked, *args], zipped, call.type.to_polars())


def _map_union_signature(args: Sequence[Rex]) -> Resolved:
    checked = signature(MAP, rest=MAP, result=first)(args)
    common = merge(list(checked.arg_types))
    return Resolved((common,) * len(args), common)


def _map_union(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return _last_wins(pl.concat_list(args))


def _extreme_signature(args: Sequence[Rex]) -> Resolved:
    checked = signature(ARRAY, result=first)(args)
    return Resolved(checked.arg_types, _ordered_element(args[0]).nullable())


def _sort_signature(args: Sequence[Rex]) -> Resolved:
    checked = signature(ARRAY, BOOLEAN, BOOLEAN, optional=2, result=first)(args)
    _ordered_element(args[0])
    return checked


def _ordered_element(array: Rex) -> DataType:
    assert isinstance(array.type, ArrayType)
    element = array.type.element_type
    if isinstance(element, (*_NESTED, VariantType, BitmapType)):
        raise TypeMismatchError(f"values of type {element} have no order", where=array.where)
    return element


def _array_function(name: str, rule: Any, lower: Any, doc: str, examples: tuple[tuple[str, str], ...] = ()) -> ScalarFunction:
    return ScalarFunction(name, rule, lower, doc, api_name=name.lower(), examples=examples, category="collection")


FUNCTIONS: tuple[ScalarFunction, ...] = (
    ScalarFunction(
        "ARRAY",
        _array_constructor,
        _array,
        "ARRAY[a, b, ...]: an array of values of one type.",
        api_name="array",
        examples=(("CAST(ARRAY[1, 2] AS STRING)", "[1, 2]"),),
        category="collection",
    ),
    ScalarFunction(
        "MAP",
        _map_constructor,
        _map,
        "MAP[key, value, ...]; of equal keys the last one stays.",
        api_name="map_",
        examples=(("CAST(MAP['a', 1] AS STRING)", "{a=1}"),),
        category="collection",
    ),
    ScalarFunction(
        "ROW",
        _row_constructor,
        _row,
        "ROW(a, b, ...): a record of values.",
        examples=(("CAST(ROW(1, 'x') AS STRING)", "(1, x)"),),
        category="collection",
    ),
    ScalarFunction(
        "$ROW",
        _api_row_constructor,
        _row,
        "The Table API's row(a, b, ...): a record of values with fields f0, f1, ...",
        api_name="row",
        category="collection",
    ),
    ScalarFunction(
        "GET", _get_signature, _get, "A field of a ROW by name, or by position from 0.", api_name="get", category="collection"
    ),
    ScalarFunction(
        "AT",
        _at_signature,
        _at,
        "value[i]: the i-th element of an ARRAY, the value of a key of a MAP; NULL when there is none.",
        sql_names=("ITEM",),
        api_name="at",
        examples=(("ARRAY[10, 20][2]", "20"), ("MAP['a', 1]['a']", "1")),
        category="collection",
    ),
    ScalarFunction(
        "CARDINALITY",
        signature(COLLECTION, result=IntType()),
        _length,
        "Number of elements.",
        api_name="cardinality",
        examples=(("CARDINALITY(ARRAY[1, 2])", "2"),),
        category="collection",
    ),
    ScalarFunction(
        "ELEMENT",
        _element_signature,
        _element,
        "The only element; NULL when there is none, an error when there are more.",
        api_name="element",
        can_fail=True,
        examples=(("ELEMENT(ARRAY[5])", "5"),),
        category="collection",
    ),
    _array_function("ARRAY_APPEND", _element_rule(_with_added), _append, "The array with an element added at the end."),
    _array_function("ARRAY_PREPEND", _element_rule(_with_added), _prepend, "The array with an element added at the front."),
    _array_function("ARRAY_CONCAT", _same_arrays(None), _concat, "The arrays joined; NULL when one is NULL."),
    _array_function(
        "ARRAY_CONTAINS",
        _element_rule(lambda array, value: BooleanType(is_nullable=array.is_nullable)),
        _contains,
        "Whether the array has the element (NULL is an element too).",
        (("ARRAY_CONTAINS(ARRAY[1, 2], 2)", "TRUE"),),
    ),
    _array_function(
        "ARRAY_DISTINCT",
        signature(ARRAY, result=first),
        lambda args, call: _distinct(args[0]),
        "The array without repeated elements.",
    ),
    _array_function(
        "ARRAY_EXCEPT",
        _same_arrays(2),
        lambda args, call: _membership(args, call, False),
        "The distinct elements of the first array that are not in the second.",
    ),
    _array_function(
        "ARRAY_INTERSECT",
        _same_arrays(2),
        lambda args, call: _membership(args, call, True),
        "The distinct elements that are in both arrays.",
    ),
    _array_function("ARRAY_UNION", _same_arrays(2), _union, "The distinct elements of both arrays."),
    _array_function(
        "ARRAY_JOIN",
        _join_signature,
        _join,
        "The strings joined by a separator; NULLs are dropped, or replaced by the third argument.",
        (("ARRAY_JOIN(ARRAY['a', 'b'], '-')", "a-b"),),
    ),
    _array_function(
        "ARRAY_MAX",
        _extreme_signature,
        lambda args, call: args[0].list.max(),
        "The largest element.",
        (("ARRAY_MAX(ARRAY[1, 3, 2])", "3"),),
    ),
    _array_function(
        "ARRAY_MIN",
        _extreme_signature,
        lambda args, call: args[0].list.min(),
        "The smallest element.",
        (("ARRAY_MIN(ARRAY[2, 1])", "1"),),
    ),
    _array_function(
        "ARRAY_POSITION",
        _element_rule(lambda array, value: IntType(is_nullable=array.is_nullable or value.is_nullable)),
        _position,
        "Position (from 1) of the element, 0 when it is not there.",
        (("ARRAY_POSITION(ARRAY[5, 6], 6)", "2"),),
    ),
    _array_function("ARRAY_REMOVE", _element_rule(_same_array), _remove, "The array without the elements equal to a value."),
    _array_function(
        "ARRAY_REVERSE", signature(ARRAY, result=first), lambda args, call: args[0].list.reverse(), "The array backwards."
    ),
    _array_function(
        "ARRAY_SLICE",
        signature(ARRAY, AS_INT, AS_INT, optional=1, result=first),
        _slice,
        "The elements from a position to another, both included; negative positions count from the end.",
    ),
    _array_function(
        "ARRAY_SORT",
        _sort_signature,
        _sort,
        "The array sorted: ascending (default) or descending; NULLs are first when ascending, or as the third argument says.",
    ),
    ScalarFunction(
        "MAP_KEYS",
        _map_rule(lambda m: ArrayType(m.key_type)),
        _map_part("key"),
        "The keys as an ARRAY.",
        api_name="map_keys",
        category="collection",
    ),
    ScalarFunction(
        "MAP_VALUES",
        _map_rule(lambda m: ArrayType(m.value_type)),
        _map_part("value"),
        "The values as an ARRAY.",
        api_name="map_values",
        category="collection",
    ),
    ScalarFunction(
        "MAP_ENTRIES",
        _map_rule(_entries_type),
        lambda args, call: args[0],
        "The entries as an ARRAY of ROW<key, value>.",
        api_name="map_entries",
        category="collection",
    ),
    ScalarFunction(
        "MAP_FROM_ARRAYS",
        _from_arrays_signature,
        _from_arrays,
        "A MAP of an ARRAY of keys and one of values of the same length.",
        api_name="map_from_arrays",
        can_fail=True,
        category="collection",
    ),
    ScalarFunction(
        "MAP_UNION",
        _map_union_signature,
        _map_union,
        "The entries of all maps; of equal keys the last one stays.",
        api_name="map_union",
        category="collection",
    ),
)
