"""JSON functions: predicates, SQL/JSON path queries, constructors, and VARIANT.

Queries parse each distinct text once (in Python) and follow the path in it; constructors are Polars expressions.
"""

from __future__ import annotations

import json as json_module
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import polars as pl

from tableapi.errors import ExecutionError, TypeMismatchError
from tableapi.functions.json_text import has_json, in_key_order, quote, to_json
from tableapi.functions.jsonpath import Found, evaluate
from tableapi.functions.jsontree import JsonError, is_scalar, key_order, parse, scalar_text, text_of
from tableapi.functions.registry import (
    Accumulator,
    AccumulatorKind,
    AggregateFunction,
    LoweringCall,
    Resolved,
    ScalarFunction,
    SessionContext,
)
from tableapi.functions.rowwise import by_row
from tableapi.functions.signatures import ANY, BOOLEAN, TEXT, _check_count, keyword, signature
from tableapi.functions.variant import parse_json
from tableapi.plan.rex import Call, Cast, Rex
from tableapi.plan.typing import can_cast
from tableapi.types import (
    ArrayType,
    BooleanType,
    CharacterType,
    DataType,
    DecimalType,
    FractionalType,
    IntegralType,
    NullType,
    RowField,
    RowType,
    VarCharType,
    VariantType,
)

STRING = VarCharType()
_JSON_CALLS = ("JSON_OBJECT", "JSON_ARRAY", "JSON")


def _is_json_signature(args: Sequence[Rex]) -> Resolved:
    _check_count(len(args), 1, 2)
    if len(args) == 2:
        keyword(args, 1, ("VALUE", "SCALAR", "ARRAY", "OBJECT"))
    checked = signature(TEXT, result=BooleanType(), is_nullable=False)(args[:1])
    return Resolved((*checked.arg_types, *(a.type for a in args[1:])), checked.result)


_KINDS: dict[str, Callable[[Any], bool]] = {
    "VALUE": lambda v: True,
    "SCALAR": is_scalar,
    "ARRAY": lambda v: isinstance(v, list),
    "OBJECT": lambda v: isinstance(v, dict),
}


def _is_json(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    test = _KINDS[str(call.constant(1, "VALUE")).upper()]

    def check(text: str) -> bool:
        try:
            return test(parse(text))
        except JsonError:
            return False

    return by_row(args[:1], check, pl.Boolean()).fill_null(False)


def _failed(function: str, found: Found) -> Exception:
    return ExecutionError(f"{function}: {found.error or 'nothing at the path'}", fix="use NULL ON ERROR and NULL ON EMPTY")


def _exists_signature(args: Sequence[Rex]) -> Resolved:
    _check_count(len(args), 2, 3)
    if len(args) == 3:
        keyword(args, 2, ("TRUE", "FALSE", "UNKNOWN", "ERROR"))
    checked = signature(TEXT, TEXT, result=BooleanType(), is_nullable=True)(args[:2])
    return Resolved((*checked.arg_types, *(a.type for a in args[2:])), checked.result)


def _exists(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    on_error = str(call.constant(2, "FALSE")).upper()

    def test(text: str, path: str) -> bool | None:
        found = evaluate(text, path)
        if found.error is None:
            return found.value is not None
        if on_error == "ERROR":
            raise _failed("JSON_EXISTS", found)
        return {"TRUE": True, "FALSE": False}.get(on_error)

    return by_row([call.guarded(args[0]), args[1]], test, pl.Boolean())


_WORDS = ("NULL", "ERROR", "DEFAULT")


def _value_signature(args: Sequence[Rex]) -> Resolved:
    """(text, path, on empty, default, on error, default[, typed NULL])."""
    _check_count(len(args), 2, 7)
    if len(args) == 2:
        return signature(TEXT, TEXT, result=STRING, is_nullable=True)(args)
    _check_count(len(args), 6, 7)
    keyword(args, 2, _WORDS)
    keyword(args, 4, _WORDS)
    result = args[6].type if len(args) == 7 else STRING
    if not isinstance(result, CharacterType | BooleanType | IntegralType | FractionalType | DecimalType):
        raise TypeMismatchError(f"JSON_VALUE cannot return {result.nullable()}", exists="STRING, BOOLEAN and numbers")
    checked = signature(TEXT, TEXT, result=result, is_nullable=True)(args[:2])
    defaults = []
    for index in (3, 5):
        given = args[index].type
        if not can_cast(given, result):
            raise TypeMismatchError(f"the default {given.nullable()} is no {result.nullable()}", where=args[index].where)
        defaults.append(result.nullable())
    types = (*checked.arg_types, args[2].type, defaults[0], args[4].type, defaults[1], *(a.type for a in args[6:]))
    return Resolved(types, checked.result)


def _returned(value: Any, data_type: DataType) -> Any:
    """A JSON scalar as a value of the RETURNING type.

    Raises:
        JsonError: It is none.
    """
    match data_type:
        case CharacterType():
            return scalar_text(value)
        case BooleanType() if isinstance(value, bool):
            return value
        case IntegralType(bits=bits) if isinstance(value, int | Decimal) and not isinstance(value, bool):
            return ((int(value) + (1 << bits - 1)) % (1 << bits)) - (1 << bits - 1)
        case FractionalType() if isinstance(value, int | Decimal) and not isinstance(value, bool):
            return float(value)
        case DecimalType(scale=scale) if isinstance(value, int | Decimal) and not isinstance(value, bool):
            return Decimal(value).quantize(Decimal(1).scaleb(-scale))
    raise JsonError(f"{text_of(value)} is no {data_type.nullable()}")


def _value(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    on_empty, on_error = str(call.constant(2, "NULL")).upper(), str(call.constant(4, "NULL")).upper()
    data_type = call.type

    def read(text: str | None, path: str | None, empty_default: Any, error_default: Any) -> Any:
        if text is None or path is None:
            return None
        found = evaluate(text, path)
        error = found.error
        if error is None:
            if found.value is None or (not found.is_strict and not is_scalar(found.value)):
                if on_empty == "ERROR":
                    raise _failed("JSON_VALUE", found)
                return empty_default if on_empty == "DEFAULT" else None
            if is_scalar(found.value):
                try:
                    return _returned(found.value, data_type)
                except (JsonError, ArithmeticError):
                    error = "unfit"
        if on_error == "ERROR":
            raise _failed("JSON_VALUE", found)
        return error_default if on_error == "DEFAULT" else None

    none = pl.lit(None)
    defaults = [args[3], args[5]] if len(args) > 2 else [none, none]
    return by_row([call.guarded(args[0]), args[1], *defaults], read, data_type.to_polars(), null_in_null_out=False)


_WRAPPERS = {
    "WITHOUT": "WITHOUT",
    "WITHOUT ARRAY": "WITHOUT",
    "CONDITIONAL": "CONDITIONAL",
    "WITH CONDITIONAL ARRAY": "CONDITIONAL",
    "UNCONDITIONAL": "UNCONDITIONAL",
    "WITH UNCONDITIONAL ARRAY": "UNCONDITIONAL",
}
_QUERY_WORDS = ("NULL", "ERROR", "EMPTY ARRAY", "EMPTY OBJECT")


def _query_signature(args: Sequence[Rex]) -> Resolved:
    """(text, path, wrapper, on empty, on error[, typed NULL])."""
    _check_count(len(args), 2, 6)
    if len(args) > 2:
        keyword(args, 2, tuple(_WRAPPERS))
    for index in range(3, min(len(args), 5)):
        keyword(args, index, _QUERY_WORDS)
    result = args[5].type if len(args) == 6 else STRING
    is_list = isinstance(result, ArrayType) and isinstance(result.element_type, CharacterType)
    if not (is_list or isinstance(result, CharacterType)):
        raise TypeMismatchError(f"JSON_QUERY cannot return {result.nullable()}", exists="STRING and ARRAY<STRING>")
    checked = signature(TEXT, TEXT, result=result, is_nullable=True)(args[:2])
    return Resolved((*checked.arg_types, *(a.type for a in args[2:])), checked.result)


def _query(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    wrapper = _WRAPPERS[str(call.constant(2, "WITHOUT")).upper()]
    on_empty, on_error = str(call.constant(3, "NULL")).upper(), str(call.constant(4, "NULL")).upper()
    is_list = isinstance(call.type, ArrayType)

    def shown(value: Any) -> Any:
        if not is_list:
            return text_of(value)
        if not isinstance(value, list):
            return None
        return [None if v is None else scalar_text(v) if is_scalar(v) else text_of(v) for v in value]

    def instead(word: str, found: Found) -> Any:
        if word == "ERROR":
            raise _failed("JSON_QUERY", found)
        return {"EMPTY ARRAY": shown([]), "EMPTY OBJECT": shown({})}.get(word)

    def read(text: str, path: str) -> Any:
        found = evaluate(text, path)
        if found.error is not None:
            return instead(on_error, found)
        value = found.value
        if value is not None and (wrapper == "UNCONDITIONAL" or (wrapper == "CONDITIONAL" and not isinstance(value, list))):
            value = [value]
        if value is None or (not found.is_strict and is_scalar(value)):
            return instead(on_empty, found)
        return instead(on_error, found) if is_scalar(value) else shown(value)

    return by_row([call.guarded(args[0]), args[1]], read, call.type.to_polars())


def _check_json(args: Sequence[Rex]) -> None:
    for arg in args:
        if not has_json(arg.type):
            raise TypeMismatchError(f"{arg.type.nullable()} has no JSON form", where=arg.where, fix="cast it to STRING")


def _is_raw(rex: Rex) -> bool:
    """Whether the expression is JSON itself and is put in as it is, not as a string."""
    if isinstance(rex, Cast) and rex.is_implicit:
        return _is_raw(rex.arg)
    return isinstance(rex, Call) and rex.function in _JSON_CALLS


def _member(value: pl.Expr, rex: Rex, session: SessionContext) -> pl.Expr:
    return value if _is_raw(rex) else to_json(value, rex.type, session)


def _object_signature(args: Sequence[Rex]) -> Resolved:
    """(on null, key, value, ...)."""
    if len(args) % 2 == 0:
        raise TypeMismatchError("JSON_OBJECT needs pairs of a key and a value")
    keyword(args, 0, ("NULL", "ABSENT"))
    for key in args[1::2]:
        if not isinstance(key.type, CharacterType):
            raise TypeMismatchError(f"a key is {key.type}, not a string", where=key.where)
    _check_json(args[2::2])
    return Resolved(tuple(a.type for a in args), STRING.not_null())


def _object(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    is_absent = call.constant(0) == "ABSENT"
    names, members = [], []
    for index in range(1, len(args), 2):
        value = _member(args[index + 1], call.args[index + 1], call.session)
        text = value if is_absent else value.fill_null("null")
        names.append(call.constant(index))
        members.append(pl.concat_str([quote(args[index]), pl.lit(":"), text]))
    if all(isinstance(n, str) for n in names):
        last = dict(zip(names, members, strict=True))
        return _braced("{", [last[n] for n in sorted(last, key=key_order)], "}")
    entries = [pl.struct(a.alias("name"), m.alias("text")) for a, m in zip(args[1::2], members, strict=True)]
    texts = pl.concat_list(entries).list.eval(in_key_order(pl.element()).drop_nulls())
    return pl.concat_str([pl.lit("{"), texts.list.join(","), pl.lit("}")])


def _braced(opening: str, members: Sequence[pl.Expr], closing: str) -> pl.Expr:
    joined = pl.concat_str(members, separator=",", ignore_nulls=True) if members else pl.lit("")
    return pl.concat_str([pl.lit(opening), joined, pl.lit(closing)])


def _array_signature(args: Sequence[Rex]) -> Resolved:
    """(on null, element, ...)."""
    keyword(args, 0, ("NULL", "ABSENT"))
    _check_json(args[1:])
    return Resolved(tuple(a.type for a in args), STRING.not_null())


def _array(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    is_absent = call.constant(0) == "ABSENT"
    values = [_member(a, r, call.session) for a, r in zip(args[1:], call.args[1:], strict=True)]
    return _braced("[", [v if is_absent else v.fill_null("null") for v in values], "]")


def _json_string_signature(args: Sequence[Rex]) -> Resolved:
    checked = signature(ANY, result=STRING)(args)
    _check_json(args)
    return checked


def _json_string(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return _member(args[0], call.args[0], call.session)


def _quote(text: str) -> str:
    return json_module.dumps(text).replace("/", "\\/")


def _unquote(text: str) -> str:
    if len(text) < 2 or not (text[0] == text[-1] == '"'):
        return text
    try:
        value = parse(text)
    except JsonError:
        return text
    return value if isinstance(value, str) else text


def _raw(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    def check(text: str) -> str | None:
        try:
            return text_of(parse(text)) if text.strip() else None
        except JsonError as error:
            raise ExecutionError(f"JSON(): {text!r} is not JSON: {error}", fix="pass JSON text") from None

    return by_row([call.guarded(args[0])], check, pl.String())


_AGGREGATE_TEXT = VarCharType(2000, is_nullable=False)


def _entry(args: Sequence[pl.Expr], types: Sequence[DataType]) -> pl.Expr:
    """One member of a JSON aggregate as (key, text); the text is NULL when it is to be left out."""
    value = to_json(args[-1], types[-1], SessionContext())
    text = pl.when(args[0] == "ABSENT").then(value).otherwise(value.fill_null("null"))
    if len(args) == 2:
        return pl.struct(pl.lit(None, dtype=pl.String).alias("name"), text.alias("text"))
    return pl.struct(args[1].alias("name"), pl.concat_str([quote(args[1]), pl.lit(":"), text]).alias("text"))


_ENTRY_TYPE = RowType((RowField("name", VarCharType()), RowField("text", VarCharType())))


def _texts(entries: pl.Expr, is_object: bool) -> pl.Expr:
    """The texts of a group's members."""
    texts = in_key_order(entries) if is_object else entries.struct.field("text")
    return texts.drop_nulls()


def _aggregate(name: str, arity: int, brackets: str, default: str, doc: str) -> AggregateFunction:
    def rule(args: Sequence[Rex]) -> Resolved:
        _check_count(len(args), arity, arity)
        keyword(args, 0, ("NULL", "ABSENT"))
        if arity == 3 and not isinstance(args[1].type, CharacterType | NullType):
            raise TypeMismatchError(f"the key is {args[1].type}, not a string", where=args[1].where)
        return Resolved(tuple(a.type for a in args), _AGGREGATE_TEXT)

    def lower(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
        members = _texts(_entry(args, [a.type for a in call.args]), arity == 3).str.join(",")
        return pl.concat_str([pl.lit(brackets[0]), members.fill_null(""), pl.lit(brackets[1])])

    def accumulators(types: Sequence[DataType], result: DataType) -> tuple[Accumulator, ...]:
        entries = ArrayType(_ENTRY_TYPE, is_nullable=False)
        return (Accumulator(AccumulatorKind.VALUES, entries, lambda args: _entry(args, types)),)

    def finish(columns: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
        members = columns[0].list.eval(_texts(pl.element(), arity == 3)).list.join(",")
        return pl.concat_str([pl.lit(brackets[0]), members, pl.lit(brackets[1])])

    return AggregateFunction(
        name, rule, lower, accumulators, finish, doc + f" Default: {default} ON NULL.", ignores_nulls=False
    )


FUNCTIONS: tuple[ScalarFunction | AggregateFunction, ...] = (
    ScalarFunction(
        "IS_JSON",
        _is_json_signature,
        _is_json,
        "text IS JSON [VALUE | SCALAR | ARRAY | OBJECT]: whether it is JSON (of that kind); FALSE for NULL.",
        api_name="is_json",
        examples=(("'[1]' IS JSON ARRAY", "TRUE"),),
        category="json",
    ),
    ScalarFunction(
        "JSON_EXISTS",
        _exists_signature,
        _exists,
        "Whether a path leads to a value; what an error gives is said by TRUE, FALSE (default), UNKNOWN or ERROR ON ERROR.",
        api_name="json_exists",
        can_fail=True,
        examples=(("JSON_EXISTS('{\"a\": 1}', '$.a')", "TRUE"),),
        category="json",
    ),
    ScalarFunction(
        "JSON_VALUE",
        _value_signature,
        _value,
        "The scalar at a path as text (or the RETURNING type); NULL (default), ERROR or DEFAULT x ON EMPTY and ON ERROR.",
        api_name="json_value",
        can_fail=True,
        examples=(("JSON_VALUE('{\"a\": 1}', '$.a')", "1"),),
        category="json",
    ),
    ScalarFunction(
        "JSON_QUERY",
        _query_signature,
        _query,
        "The object or array at a path as JSON text, or as ARRAY<STRING>; a wrapper makes an array of a single value.",
        api_name="json_query",
        can_fail=True,
        examples=(("JSON_QUERY('{\"a\": [1]}', '$.a')", "[1]"),),
        category="json",
    ),
    ScalarFunction(
        "JSON_OBJECT",
        _object_signature,
        _object,
        "A JSON object of keys and values (NULL ON NULL by default).",
        api_name="json_object",
        examples=(("JSON_OBJECT('a' VALUE 1)", '{"a":1}'),),
        category="json",
    ),
    ScalarFunction(
        "JSON_ARRAY",
        _array_signature,
        _array,
        "A JSON array of values (ABSENT ON NULL by default).",
        api_name="json_array",
        examples=(("JSON_ARRAY(1, 'a')", '[1,"a"]'),),
        category="json",
    ),
    ScalarFunction(
        "JSON_STRING",
        _json_string_signature,
        _json_string,
        "The value as JSON text.",
        api_name="json_string",
        examples=(("JSON_STRING('a')", '"a"'),),
        category="json",
    ),
    ScalarFunction(
        "JSON_QUOTE",
        signature(TEXT, result=STRING),
        lambda args, call: by_row(args, _quote, pl.String()),
        "The text as a JSON string literal, with characters beyond ASCII escaped.",
        api_name="json_quote",
        examples=(("JSON_QUOTE('a')", '"a"'),),
        category="json",
    ),
    ScalarFunction(
        "JSON_UNQUOTE",
        signature(TEXT, result=STRING),
        lambda args, call: by_row(args, _unquote, pl.String()),
        "The text of a JSON string literal; other text stays as it is.",
        api_name="json_unquote",
        examples=(("JSON_UNQUOTE('\"a\"')", "a"),),
        category="json",
    ),
    ScalarFunction(
        "JSON",
        signature(TEXT, result=STRING),
        _raw,
        "JSON text put into JSON_OBJECT or JSON_ARRAY as it is.",
        api_name="json",
        can_fail=True,
        category="json",
    ),
    ScalarFunction(
        "PARSE_JSON",
        signature(TEXT, BOOLEAN, optional=1, result=VariantType()),
        lambda args, call: parse_json(args, call, False),
        "A VARIANT of a JSON text; bad JSON or a repeated key fails the query.",
        can_fail=True,
        category="json",
    ),
    ScalarFunction(
        "TRY_PARSE_JSON",
        signature(TEXT, BOOLEAN, optional=1, result=VariantType(), is_nullable=True),
        lambda args, call: parse_json(args, call, True),
        "A VARIANT of a JSON text; NULL when it is none.",
        category="json",
    ),
    _aggregate("JSON_OBJECTAGG", 3, "{}", "NULL", "A JSON object of the group's keys and values."),
    _aggregate("JSON_ARRAYAGG", 2, "[]", "ABSENT", "A JSON array of the group's values."),
)
